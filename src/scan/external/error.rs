//! Why a scanner gave no verdict. None of these is "clean".

/// A talk with a scanner that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TalkError {
    #[error("can't connect: {0}")]
    Connect(String),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("no answer in time")]
    TimedOut,
    /// What was said is none of the answers there are.
    #[error("an answer that is not understood: {0}")]
    Malformed(String),
    /// The scanner says itself that it could not scan.
    #[error("the scanner says: {0}")]
    Said(String),
    /// It has not answered lately and is not asked for some seconds.
    #[error("not asked, because it has not answered lately")]
    Resting,
    #[error("too many messages wait for it")]
    Crowded,
}

impl TalkError {
    /// What a peer said, as it may be shown: short, without control characters.
    pub(super) fn malformed(text: &[u8]) -> Self {
        Self::Malformed(short(&String::from_utf8_lossy(text)))
    }

    /// The scanner is not well, or none at all; as opposed to one that can't do with this message.
    pub(super) fn is_of_the_scanner(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Broken(_) | Self::TimedOut | Self::Malformed(_) => true,
            Self::Said(_) | Self::Resting | Self::Crowded => false,
        }
    }
}

impl From<std::io::Error> for TalkError {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

/// At most 120 characters, none of them a control character.
pub(super) fn short(text: &str) -> String {
    text.chars().take(120).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().into()
}
