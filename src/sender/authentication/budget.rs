//! The questions one message may put to the DNS, counted and written down.
//!
//! **Failure**: a question beyond the limit is not asked: it is [`Answer::Temporary`], so that no result is made from it.
//! **Invariants**: at most [`QUESTIONS`] questions a message, whatever it brings along, and the last [`RESERVED`] of them
//! are for DMARC alone ([`Budget::reserve`]), so that no message can spend the question that condemns it; a question that was answered is not
//! asked again (a time-out neither); the record holds at most as many lines as the limit and no line over
//! [`ANSWER_TEXT`] octets of answer.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::dns::{Answer, Asking, Mx, Resolver, reverse_name};
use crate::model::explanation::Asked;

/// Questions to the DNS for one message, all methods together.
pub const QUESTIONS: usize = 64;
/// Of these, what is kept for DMARC: both ways of it ask ten, but for alignment. Never more than half of a smaller limit.
pub const RESERVED: usize = 16;
/// Octets of one answer in the record.
pub const ANSWER_TEXT: usize = 240;

/// See the module. A [`Resolver`] itself, so that whoever asks for a message asks through it.
pub struct Budget {
    resolver: Arc<dyn Resolver>,
    limit: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Questions begun.
    spent: usize,
    /// One question was refused: said once in the record.
    refused: bool,
    answers: Vec<(&'static str, Box<str>, Known)>,
}

#[derive(Clone)]
enum Known {
    Mx(Answer<Vec<Mx>>),
    Ip(Answer<Vec<IpAddr>>),
    A(Answer<Vec<Ipv4Addr>>),
    Aaaa(Answer<Vec<Ipv6Addr>>),
    Txt(Answer<Vec<Box<[u8]>>>),
    Ptr(Answer<Vec<Box<str>>>),
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("limit", &self.limit).field("spent", &self.spent()).finish_non_exhaustive()
    }
}

impl Budget {
    #[must_use]
    pub fn new(resolver: Arc<dyn Resolver>) -> Self {
        Self::with_limit(resolver, QUESTIONS)
    }

    #[must_use]
    pub fn with_limit(resolver: Arc<dyn Resolver>, limit: usize) -> Self {
        Self { resolver, limit, kept: Mutex::default() }
    }

    /// The same budget for DMARC: the reserve included.
    #[must_use]
    pub fn reserve(&self) -> Reserve<'_> {
        Reserve { budget: self, refused: AtomicBool::new(false) }
    }

    /// For everybody but DMARC.
    fn open(&self) -> usize {
        self.limit - RESERVED.min(self.limit / 2)
    }

    /// Questions put to the resolver so far.
    #[must_use]
    pub fn spent(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).spent
    }

    /// What was asked and what came back, in the order of the answers.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut asked: Vec<Asked> = kept
            .answers
            .iter()
            .take(self.limit)
            .map(|(kind, name, known)| Asked { name: name.clone(), kind: (*kind).into(), answer: known.text().into() })
            .collect();
        if kept.refused {
            let answer = format!("no further question: {} were asked for this message", self.limit);
            asked.pop();
            asked.push(Asked { name: "-".into(), kind: "-".into(), answer: answer.into() });
        }
        asked
    }

    /// From memory, or leave to ask while less than `limit` are spent.
    fn before<T>(
        &self,
        (kind, name): (&'static str, &str),
        pick: fn(&Known) -> Option<Answer<T>>,
        limit: usize,
    ) -> Before<T> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.answers.iter().find(|(k, n, _)| *k == kind && n.eq_ignore_ascii_case(name));
        if let Some(answer) = known.and_then(|(_, _, known)| pick(known)) {
            return Before::Known(answer);
        }
        if kept.spent >= limit {
            kept.refused = true;
            return Before::Refused(Answer::Temporary(format!("more than {limit} questions for one message")));
        }
        kept.spent += 1;
        Before::Ask
    }

    fn after(&self, kind: &'static str, name: &str, known: Known) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.answers.len() < self.limit {
            kept.answers.push((kind, name.into(), known));
        }
    }
}

/// What becomes of a question.
enum Before<T> {
    Known(Answer<T>),
    Refused(Answer<T>),
    Ask,
}

impl Known {
    fn text(&self) -> String {
        match self {
            Self::Mx(answer) => line(answer, |mx| format!("{} {}", mx.preference, mx.exchange)),
            Self::Ip(answer) => line(answer, ToString::to_string),
            Self::A(answer) => line(answer, ToString::to_string),
            Self::Aaaa(answer) => line(answer, ToString::to_string),
            Self::Txt(answer) => line(answer, |text| format!("{:?}", String::from_utf8_lossy(text))),
            Self::Ptr(answer) => line(answer, ToString::to_string),
        }
    }
}

fn line<T>(answer: &Answer<Vec<T>>, show: impl Fn(&T) -> String) -> String {
    let mut text = match answer {
        Answer::Found(records) => {
            let mut text = String::new();
            for record in records {
                if text.len() > ANSWER_TEXT {
                    break;
                }
                if !text.is_empty() {
                    text.push_str(", ");
                }
                text.push_str(&show(record));
            }
            text
        }
        Answer::NoSuchDomain => "no such domain".into(),
        Answer::NoRecords => "no records".into(),
        Answer::Temporary(why) => format!("no answer: {why}"),
    };
    if text.len() > ANSWER_TEXT {
        let end = (0..=ANSWER_TEXT - 3).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

/// A [`Budget`] with its reserve. Remembers whether it had to refuse a question all the same.
#[derive(Debug)]
pub struct Reserve<'b> {
    budget: &'b Budget,
    refused: AtomicBool,
}

impl Reserve<'_> {
    /// Whether a question was not asked because too many had been.
    #[must_use]
    pub fn refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }
}

macro_rules! ask {
    ($method:ident, $known:ident, $kind:literal, $of:ty) => {
        fn $method<'a>(&'a self, name: &'a str) -> Asking<'a, $of> {
            Box::pin(async move {
                let pick = |known: &Known| if let Known::$known(answer) = known { Some(answer.clone()) } else { None };
                match self.begin(($kind, name), pick) {
                    Before::Known(answer) | Before::Refused(answer) => answer,
                    Before::Ask => {
                        let answer = self.budget().resolver.$method(name).await;
                        self.budget().after($kind, name, Known::$known(answer.clone()));
                        answer
                    }
                }
            })
        }
    };
}

macro_rules! resolver {
    ($asker:ty) => {
        impl Resolver for $asker {
            ask!(mx, Mx, "MX", Vec<Mx>);
            ask!(ip, Ip, "A+AAAA", Vec<IpAddr>);
            ask!(a, A, "A", Vec<Ipv4Addr>);
            ask!(aaaa, Aaaa, "AAAA", Vec<Ipv6Addr>);
            ask!(txt, Txt, "TXT", Vec<Box<[u8]>>);

            fn ptr(&self, ip: IpAddr) -> Asking<'_, Vec<Box<str>>> {
                Box::pin(async move {
                    let name = reverse_name(ip);
                    let pick = |known: &Known| if let Known::Ptr(answer) = known { Some(answer.clone()) } else { None };
                    match self.begin(("PTR", &name), pick) {
                        Before::Known(answer) | Before::Refused(answer) => answer,
                        Before::Ask => {
                            let answer = self.budget().resolver.ptr(ip).await;
                            self.budget().after("PTR", &name, Known::Ptr(answer.clone()));
                            answer
                        }
                    }
                })
            }
        }
    };
}

resolver!(Budget);
resolver!(Reserve<'_>);

impl Budget {
    fn budget(&self) -> &Self {
        self
    }

    fn begin<T>(&self, question: (&'static str, &str), pick: fn(&Known) -> Option<Answer<T>>) -> Before<T> {
        self.before(question, pick, self.open())
    }
}

impl Reserve<'_> {
    fn budget(&self) -> &Budget {
        self.budget
    }

    fn begin<T>(&self, question: (&'static str, &str), pick: fn(&Known) -> Option<Answer<T>>) -> Before<T> {
        let before = self.budget.before(question, pick, self.budget.limit);
        if matches!(before, Before::Refused(_)) {
            self.refused.store(true, Ordering::Relaxed);
        }
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::MemoryResolver;

    #[tokio::test]
    async fn beyond_the_limit_nothing_is_asked_and_the_record_says_so() {
        let resolver = MemoryResolver::default().with_txt("a.example", &["one", "two"]);
        let budget = Budget::with_limit(Arc::new(resolver), 2);
        let budget = budget.reserve();
        for _ in 0..3 {
            assert!(matches!(budget.txt("a.example").await, Answer::Found(_)));
        }
        assert_eq!(budget.budget.spent(), 1, "a known answer costs nothing");
        assert_eq!(budget.txt("b.example").await, Answer::NoSuchDomain);
        assert!(!budget.refused());
        assert!(matches!(budget.txt("c.example").await, Answer::Temporary(_)));
        assert!(budget.refused());
        assert_eq!(budget.txt("b.example").await, Answer::NoSuchDomain);
        assert_eq!(budget.budget.spent(), 2);
        let asked = budget.budget.asked();
        assert_eq!(asked.len(), 2, "the record is as long as the limit at most");
        assert_eq!(&*asked[0].answer, "\"one\", \"two\"");
        assert!(asked[1].answer.contains("no further question"));
    }

    #[tokio::test]
    async fn the_reserve_is_left_when_all_others_are_refused() {
        let budget = Budget::new(Arc::new(MemoryResolver::default()));
        for n in 0..QUESTIONS {
            let _ = budget.a(&format!("a{n}.example")).await;
        }
        assert_eq!(budget.spent(), QUESTIONS - RESERVED);
        assert!(matches!(budget.ptr("192.0.2.1".parse().unwrap()).await, Answer::Temporary(_)));
        let reserve = budget.reserve();
        for n in 0..RESERVED {
            assert_eq!(reserve.txt(&format!("t{n}.example")).await, Answer::NoSuchDomain);
        }
        assert!(!reserve.refused());
        assert!(matches!(reserve.txt("more.example").await, Answer::Temporary(_)));
        assert!(reserve.refused());
        assert_eq!(budget.spent(), QUESTIONS);
    }

    #[tokio::test]
    async fn long_answers_are_cut_in_the_record() {
        let resolver = MemoryResolver::default().with_txt("a.example", &["é".repeat(4000).as_str()]);
        let budget = Budget::new(Arc::new(resolver));
        let _ = budget.txt("a.example").await;
        assert!(budget.asked()[0].answer.len() <= ANSWER_TEXT);
    }
}
