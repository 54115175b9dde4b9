//! What must hold of any text that comes as an address, an SRS address, a PROXY header or an XCLIENT command: no panic, and what
//! is written is read back as the same.

use sekisho::model::{Address, Domain, Timestamp};
use sekisho::net::proxy;
use sekisho::policy::srs::{Back, Rewriter};
use sekisho::smtp::{xclient, xtext};

/// Panics if something does not hold.
pub fn check(data: &[u8]) {
    if let Ok(Some((_, taken))) = proxy::parse(data) {
        assert!((1..=data.len()).contains(&taken));
    }
    assert!((1..=70_000).contains(&proxy::missing(data)));
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = xclient::parse(text);
    if let Some(clean) = xtext::decode(text) {
        assert!(!clean.contains(char::is_control), "{clean:?}");
        if clean.is_ascii() {
            let mut written = Vec::new();
            xtext::encode(&clean, &mut written);
            let written = String::from_utf8(written).expect("xtext is ASCII");
            assert_eq!(xtext::decode(&written).as_deref(), Some(&*clean));
        }
    }
    let _ = xtext::decode_utf8_address(text);
    if let Ok(domain) = Domain::parse(text) {
        assert_eq!(Domain::parse(domain.as_str()).as_ref(), Ok(&domain));
    }
    let Ok(address) = Address::parse(text) else { return };
    assert_eq!(Address::parse(&address.to_string()).as_ref(), Ok(&address), "an address is read as it is written");
    let now = Timestamp::from_millis(1_795_176_451_000);
    let (ours, home) = (Rewriter::new(&[b"a secret".to_vec()]), Domain::parse("home.example").expect("a domain"));
    assert!(!matches!(ours.back(&address, now), Back::To(_)), "nobody but we can make one: {address}");
    if let Ok(onto) = ours.onto(&address, &home, now) {
        assert_eq!(onto.domain(), &home);
        match ours.back(&onto, now) {
            Back::To(_) | Back::Invalid => {}
            Back::Ordinary => panic!("{onto} doesn't look rewritten"),
        }
        assert_eq!(Address::parse(&onto.to_string()).as_ref(), Ok(&onto));
    }
}
