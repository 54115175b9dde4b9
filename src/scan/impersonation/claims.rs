//! Which well-known name a text claims.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::brands::{BRANDS, Brand};
use super::lookalike::folded;

/// A name, its brand, and whether it must be the whole text.
struct Claims {
    automaton: Option<AhoCorasick>,
    /// The same names as the eye takes them, from six letters on.
    alike: Option<AhoCorasick>,
    owners: Vec<(&'static Brand, bool)>,
    alike_owners: Vec<&'static Brand>,
}

static CLAIMS: LazyLock<Claims> = LazyLock::new(|| {
    let mut names = Vec::new();
    let mut owners = Vec::new();
    for brand in BRANDS {
        for name in brand.names {
            let plain = name.strip_prefix('=');
            names.push(plain.unwrap_or(name));
            owners.push((brand, plain.is_some()));
        }
    }
    let build = |names: &[String]| AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(names).ok();
    let long = |(name, _): &(&&str, &(&'static Brand, bool))| name.is_ascii() && name.len() >= 6;
    let pairs = names.iter().zip(&owners).filter(long);
    let (alike, alike_owners): (Vec<_>, Vec<_>) = pairs.map(|(name, (brand, _))| (folded(name), *brand)).unzip();
    let plain = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    Claims { automaton: build(&plain), alike: build(&alike), owners, alike_owners }
});

/// Words that make a name no other name: `The Apple Support Team`.
const AROUND: [&str; 44] = [
    "the",
    "team",
    "support",
    "service",
    "services",
    "customer",
    "care",
    "security",
    "inc",
    "ltd",
    "llc",
    "co",
    "com",
    "account",
    "accounts",
    "notification",
    "notifications",
    "notice",
    "alert",
    "alerts",
    "online",
    "billing",
    "info",
    "noreply",
    "no",
    "reply",
    "help",
    "center",
    "desk",
    "jp",
    "japan",
    "net",
    "mail",
    "admin",
    "update",
    "updates",
    "サポート",
    "カスタマー",
    "サポートセンター",
    "カスタマーセンター",
    "株式会社",
    "事務局",
    "運営",
    "お知らせ",
];

/// The first brand that a folded text names. `is_name`: the text is somebody's name, which may be one common word.
#[must_use]
pub fn claimed(text: &str, is_name: bool) -> Option<&'static Brand> {
    let claims = &*CLAIMS;
    let automaton = claims.automaton.as_ref()?;
    automaton.find_iter(text).find_map(|found| {
        let (brand, whole) = claims.owners.get(found.pattern().as_usize())?;
        let before = text.get(..found.start())?;
        let behind = text.get(found.end()..)?;
        let first = text.get(found.range())?.bytes().next()?;
        let ascii = first.is_ascii_alphanumeric();
        let joined = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        if ascii && (joined(before.chars().next_back()) || joined(behind.chars().next())) {
            return None;
        }
        let alone = || words(before).chain(words(behind)).all(|word| AROUND.contains(&word));
        (!*whole || (is_name && alone())).then_some(*brand)
    })
}

/// A brand that a folded text names only to the eye: `Trust WaIIet`, `PаyPal`.
#[must_use]
pub fn imitated(text: &str) -> Option<&'static Brand> {
    let claims = &*CLAIMS;
    let eye = folded(text);
    let found = claims.alike.as_ref()?.find(&eye)?;
    let joined = |text: Option<&str>, at_end: bool| {
        let next = text.and_then(|text| if at_end { text.chars().next_back() } else { text.chars().next() });
        next.is_some_and(|c| c.is_ascii_alphanumeric())
    };
    if joined(eye.get(..found.start()), true) || joined(eye.get(found.end()..), false) {
        return None;
    }
    let brand = *claims.alike_owners.get(found.pattern().as_usize())?;
    // Written as it should be, it imitates nothing.
    let honest = brand.names.iter().any(|name| text.contains(name.trim_start_matches('=')));
    (!honest).then_some(brand)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_claimed() {
        let label = |text: &str, is_name| claimed(text, is_name).map(|brand| brand.label);
        assert_eq!(label("paypal", true), Some("paypal"));
        assert_eq!(label("your paypal account", false), Some("paypal"));
        assert_eq!(label("the apple support team", true), Some("apple"));
        assert_eq!(label("楽天カード株式会社", true), Some("rakuten"));
        assert_eq!(label("amazon.co.jp", true), Some("amazon"));
        assert_eq!(label("amazon", true), Some("amazon"));
        for honest in ["amazon river tours", "chase miller", "apple pie", "paypalooza", "line dance", "ups and downs"] {
            assert_eq!(label(honest, true), None, "{honest}");
        }
        assert_eq!(label("amazon", false), None);
        let eye = |text: &str| imitated(&text.to_lowercase()).map(|brand| brand.label);
        assert_eq!(eye("Trust WaIIet LTD"), Some("trustwallet"));
        assert_eq!(eye("P\u{430}yPal"), Some("paypal"));
        assert_eq!(eye("B1nance"), Some("binance"));
        for honest in ["PayPal", "Trust Wallet", "Netflix and more", "Finance"] {
            assert_eq!(eye(honest), None, "{honest}");
        }
    }
}
