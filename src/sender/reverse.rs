//! The reverse name of a client, forward-confirmed (iprev, RFC 8601 section 2.7.3).
//!
//! **Failure**: a question without an answer is [`Reverse::TempError`], unless another name leads back to the address.
//! **Invariants**: at most [`MAX_NAMES`] names are followed, side by side, within [`TIME`]; a name that no host may have proves nothing
//! and is told without its odd characters.

use std::net::IpAddr;
use std::time::Duration;

use super::source::together;
use crate::dns::{Answer, Resolver};
use crate::model::Domain;
use crate::model::sender::Reverse;

/// Names of one address that are followed (as in RFC 7208 section 4.6.4).
pub const MAX_NAMES: usize = 10;
/// Names told are cut to this.
const MAX_TOLD: usize = 255;
/// For all questions together.
pub const TIME: Duration = Duration::from_secs(10);

/// Asks for the names of `ip`, and whether one of them has it as its address.
pub async fn reverse(dns: &dyn Resolver, ip: IpAddr) -> Reverse {
    tokio::time::timeout(TIME, confirmed(dns, ip.to_canonical())).await.unwrap_or(Reverse::TempError)
}

async fn confirmed(dns: &dyn Resolver, ip: IpAddr) -> Reverse {
    let names = match dns.ptr(ip).await {
        Answer::Found(names) => names,
        Answer::NoSuchDomain | Answer::NoRecords => return Reverse::Missing,
        Answer::Temporary(_) => return Reverse::TempError,
    };
    let Some(first) = names.first() else { return Reverse::Missing };
    let sound = names.iter().take(MAX_NAMES).filter_map(|name| Domain::parse(name).ok());
    let sound: Vec<Domain> = sound.filter(|name| name.as_ip().is_none()).collect();
    let mut unsure = false;
    let answers = together(sound.iter().map(|name| leads_to(dns, name, ip))).await;
    for (name, leads) in sound.iter().zip(answers) {
        match leads {
            Some(true) => return Reverse::Pass(name.as_str().into()),
            Some(false) => {}
            None => unsure = true,
        }
    }
    if unsure { Reverse::TempError } else { Reverse::Mismatch(told(first)) }
}

/// `None`: no answer.
async fn leads_to(dns: &dyn Resolver, name: &Domain, ip: IpAddr) -> Option<bool> {
    match ip {
        IpAddr::V4(ip) => has(dns.a(name.as_str()).await, &ip),
        IpAddr::V6(ip) => has(dns.aaaa(name.as_str()).await, &ip),
    }
}

fn has<T: PartialEq>(answer: Answer<Vec<T>>, ip: &T) -> Option<bool> {
    match answer {
        Answer::Found(found) => Some(found.contains(ip)),
        Answer::NoSuchDomain | Answer::NoRecords => Some(false),
        Answer::Temporary(_) => None,
    }
}

fn told(name: &str) -> Box<str> {
    name.chars().filter(|c| c.is_ascii_graphic()).take(MAX_TOLD).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::MemoryResolver;

    const IP: &str = "192.0.2.7";

    async fn of(dns: &MemoryResolver, ip: &str) -> Reverse {
        reverse(dns, ip.parse().unwrap()).await
    }

    fn named(names: &[&str]) -> MemoryResolver {
        MemoryResolver::default()
            .with_ptr(IP.parse().unwrap(), names)
            .with_ip("mail.example", &[IP.parse().unwrap(), "2001:db8::1".parse().unwrap()])
            .with_ip("other.example", &["192.0.2.8".parse().unwrap()])
    }

    #[tokio::test]
    async fn a_name_that_leads_back_passes_wherever_it_stands() {
        assert_eq!(of(&named(&["mail.example"]), IP).await, Reverse::Pass("mail.example".into()));
        assert_eq!(of(&named(&["other.example", "MAIL.example"]), IP).await, Reverse::Pass("mail.example".into()));
        let dns = named(&[]).with_ptr("2001:db8::1".parse().unwrap(), &["mail.example"]);
        assert_eq!(of(&dns, "2001:db8::1").await, Reverse::Pass("mail.example".into()));
        assert_eq!(of(&named(&["mail.example"]), "::ffff:192.0.2.7").await, Reverse::Pass("mail.example".into()));
    }

    #[tokio::test]
    async fn no_name_another_address_and_no_answer_are_three_things() {
        assert_eq!(of(&MemoryResolver::default(), IP).await, Reverse::Missing);
        assert_eq!(of(&named(&["other.example"]), IP).await, Reverse::Mismatch("other.example".into()));
        assert_eq!(of(&named(&["none.example", "other.example"]), IP).await, Reverse::Mismatch("none.example".into()));
        let dns = named(&["slow.example", "other.example"]);
        dns.set_ip("slow.example", Answer::Temporary("time-out".into()));
        assert_eq!(of(&dns, IP).await, Reverse::TempError);
        let dns = named(&["slow.example", "mail.example"]);
        dns.set_ip("slow.example", Answer::Temporary("time-out".into()));
        assert_eq!(of(&dns, IP).await, Reverse::Pass("mail.example".into()), "one that passes is enough");
        dns.set_ptr(IP.parse().unwrap(), Answer::Temporary("SERVFAIL".into()));
        assert_eq!(of(&dns, IP).await, Reverse::TempError);
    }

    #[tokio::test]
    async fn many_names_and_odd_names_are_bounded() {
        let mut names = vec!["other.example"; MAX_NAMES];
        names.push("mail.example");
        assert_eq!(of(&named(&names), IP).await, Reverse::Mismatch("other.example".into()));
        assert_eq!(of(&named(&["a\r\nb c\0.example"]), IP).await, Reverse::Mismatch("abc.example".into()));
        assert_eq!(of(&named(&["[192.0.2.7]"]), IP).await, Reverse::Mismatch("[192.0.2.7]".into()));
    }
}
