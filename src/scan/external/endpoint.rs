//! Where a scanner listens: `127.0.0.1:3310`, `scanner.example:1344`, `/run/clamav/clamd.ctl`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::error::TalkError;

/// Longest wait for a connection: scanners are near.
const CONNECT: Duration = Duration::from_secs(2);

/// A place to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A name or an IP address, and a port.
    Tcp {
        host: Box<str>,
        port: u16,
    },
    Unix(PathBuf),
}

/// The text is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no place of a scanner; write 127.0.0.1:3310, [::1]:3310, host.example:3310 or /run/scanner.sock")]
pub struct NotAnEndpoint(pub String);

impl Endpoint {
    /// # Errors
    /// [`NotAnEndpoint`].
    pub fn parse(text: &str) -> Result<Self, NotAnEndpoint> {
        let wrong = || NotAnEndpoint(text.into());
        let path = text.strip_prefix("unix:").unwrap_or(text);
        if path.starts_with('/') {
            return Ok(Self::Unix(path.into()));
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let fits = match bare {
            Some(ip) => ip.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.len() <= 253 && host.chars().all(is_name),
        };
        if fits { Ok(Self::Tcp { host: bare.unwrap_or(host).into(), port }) } else { Err(wrong()) }
    }

    /// As it stands in a `Host` field.
    #[must_use]
    pub(super) fn host(&self) -> String {
        match self {
            Self::Tcp { .. } => self.to_string(),
            Self::Unix(_) => "localhost".into(),
        }
    }

    pub(super) async fn connect(&self) -> Result<Box<dyn Stream>, TalkError> {
        let connecting = async {
            Ok::<Box<dyn Stream>, std::io::Error>(match self {
                Self::Tcp { host, port } => {
                    let stream = TcpStream::connect((&**host, *port)).await?;
                    stream.set_nodelay(true)?;
                    Box::new(stream)
                }
                Self::Unix(path) => Box::new(UnixStream::connect(path).await?),
            })
        };
        match tokio::time::timeout(CONNECT, connecting).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(TalkError::Connect(error.to_string())),
            Err(_) => Err(TalkError::Connect("no connection in time".into())),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A connection of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_back() {
        for text in ["127.0.0.1:3310", "[::1]:1344", "av.example:783", "/run/clamav/clamd.ctl"] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Endpoint::parse("unix:/run/x").unwrap(), Endpoint::Unix("/run/x".into()));
        for bad in ["", "host", "host:", "host:0", "host:70000", "a b:1", "::1:3310", "[::g]:1", "x\r\ny:1", "unix:x"] {
            assert!(Endpoint::parse(bad).is_err(), "{bad:?}");
        }
    }
}
