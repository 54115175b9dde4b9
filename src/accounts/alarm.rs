//! When administrators and operator are told: of accounts near or over the number, and of a contract's phases.
//!
//! **Invariants**: pure; each level is told once while the number stays near it, each phase once, and both over restarts, because
//! what was told is kept before it is told.

use crate::tenant::Phase;

/// Percent of the number that are told of.
pub const LEVELS: [u8; 3] = [80, 100, 110];
/// A level that was told is told again only after the number has fallen so many percent below it.
const FALLS: u64 = 5;

/// What was told of a tenant last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    /// One of [`LEVELS`], or 0.
    pub level: u8,
    /// `None`: nothing yet.
    pub phase: Option<Phase>,
}

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announcement {
    /// So many accounts of so many.
    Accounts {
        level: u8,
        accounts: u32,
        contracted: u32,
    },
    Phase(Phase),
}

impl Told {
    /// The level after `accounts` of `contracted`, and whether it is to be told.
    #[must_use]
    pub fn at(self, accounts: u32, contracted: Option<u32>) -> (Self, Option<Announcement>) {
        // Nothing agreed on, or no account at all: nothing to be near to.
        let Some(contracted) = contracted.filter(|number| *number > 0) else {
            return (Self { level: 0, ..self }, None);
        };
        let percent = u64::from(accounts) * 100 / u64::from(contracted);
        let reached = LEVELS.into_iter().rev().find(|level| percent >= u64::from(*level)).unwrap_or(0);
        if reached > self.level {
            let told = Self { level: reached, ..self };
            return (told, Some(Announcement::Accounts { level: reached, accounts, contracted }));
        }
        let holds = |level: &u8| percent + FALLS >= u64::from(*level);
        let level = LEVELS.into_iter().rev().find(|level| *level <= self.level && holds(level)).unwrap_or(0);
        (Self { level, ..self }, None)
    }

    /// The same for a phase. Those in which all is well are not told.
    #[must_use]
    pub fn in_phase(self, phase: Phase) -> (Self, Option<Announcement>) {
        let told = Self { phase: Some(phase), ..self };
        let is_new = self.phase != Some(phase);
        (told, (is_new && phase >= Phase::Grace).then_some(Announcement::Phase(phase)))
    }
}

impl Announcement {
    /// For the mail log.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Accounts { level, accounts, contracted } => {
                format!("{accounts} of {contracted} accounts are used: {level} percent reached")
            }
            Self::Phase(phase) => format!("the contract is in phase {}", phase.as_str()),
        }
    }

    /// For the administrators: in Japanese and in English.
    #[must_use]
    pub fn texts(&self) -> (String, String) {
        match self {
            Self::Accounts { level, accounts, contracted } => (
                format!(
                    "ご契約アカウント数 {contracted} に対し、現在 {accounts} アカウントが利用されています（{level} % に達しました）。\
                     \r\n契約数の変更については、ご契約の窓口にお問い合わせください。"
                ),
                format!(
                    "{accounts} accounts are in use; your contract is for {contracted} ({level} percent reached).\r\n\
                     To change the number, turn to whom you have the contract with."
                ),
            ),
            Self::Phase(phase) => {
                let (ja, en) = match phase {
                    Phase::Upcoming | Phase::Active => ("ご契約は有効です。", "Your contract is in force."),
                    Phase::Grace => (
                        "ご契約の期間が終了しました。猶予期間中は、これまでどおりメールをご利用いただけます。",
                        "Your contract has ended. During the days of grace mail goes on as before.",
                    ),
                    Phase::FrozenDeferred => (
                        "ご契約は凍結されました。メールは保留（一時エラー）され、更新後に届きます。",
                        "Your contract is frozen. Mail is put off, and arrives once the contract is renewed.",
                    ),
                    Phase::FrozenRefused => (
                        "ご契約は凍結されています。メールは拒否されます。",
                        "Your contract is frozen. Mail is refused.",
                    ),
                    Phase::Ended => (
                        "凍結期間が終了しました。データは削除されることがあります。",
                        "The time of freezing is over. Data may be erased.",
                    ),
                };
                let next = "更新については、ご契約の窓口にお問い合わせください。";
                (format!("{ja}\r\n{next}"), format!("{en}\r\nTo renew it, turn to whom you have the contract with."))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_is_told_once_and_again_only_after_it_was_left_behind() {
        let mut told = Told::default();
        let mut heard = Vec::new();
        for accounts in [10, 39, 40, 41, 39, 40, 50, 49, 50, 55, 80, 52, 55, 48, 50, 37, 40, 30, 55] {
            let (now, said) = told.at(accounts, Some(50));
            told = now;
            if let Some(Announcement::Accounts { level, accounts, .. }) = said {
                heard.push((accounts, level));
            }
        }
        // 52 is 104 percent: five below 110 is 105, so that 55 is told again; and so on down.
        assert_eq!(heard, [(40, 80), (50, 100), (55, 110), (55, 110), (40, 80), (55, 110)]);
    }

    #[test]
    fn without_a_number_nothing_is_near_it() {
        for contracted in [None, Some(0)] {
            assert_eq!(Told::default().at(1_000_000, contracted), (Told::default(), None));
        }
        assert_eq!(Told::default().at(u32::MAX, Some(1)).0.level, 110);
    }

    #[test]
    fn a_phase_is_told_once_unless_all_is_well() {
        let mut told = Told::default();
        let mut heard = Vec::new();
        for phase in Phase::ALL.into_iter().flat_map(|phase| [phase, phase]).chain([Phase::Active, Phase::Grace]) {
            let (now, said) = told.in_phase(phase);
            told = now;
            heard.extend(said);
        }
        let all = [Phase::Grace, Phase::FrozenDeferred, Phase::FrozenRefused, Phase::Ended, Phase::Grace];
        assert_eq!(heard, all.map(Announcement::Phase));
    }
}
