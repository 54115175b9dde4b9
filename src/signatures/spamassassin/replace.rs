//! Tags in expressions: those of `replace_rules`, which are written out when rules are compiled, and `%{TAG}`, which stands
//! for what another rule captured in the same message.

use std::collections::BTreeMap;

type Replacements = BTreeMap<(&'static str, Box<str>), Box<str>>;

/// Longest expression, written out.
const MAX_LENGTH: usize = 256 << 10;

/// `<V><I>` written out, `<inter W2>` and the like taken in.
#[must_use]
pub fn expand(source: &str, replacements: &Replacements) -> String {
    let mut source = source.to_owned();
    let mut around: BTreeMap<&str, &str> = BTreeMap::new();
    for kind in ["pre", "inter", "post"] {
        while let Some(at) = source.find(&format!("<{kind} ")) {
            let Some(length) = source.get(at..).and_then(|rest| rest.find('>')) else { break };
            let name: Box<str> = source.get(at + kind.len() + 2..at + length).unwrap_or_default().trim().into();
            let Some(text) = replacements.get(&(kind, name)) else { break };
            around.insert(kind, text);
            source.replace_range(at..=at + length, "");
        }
    }
    let of = |kind: &str| around.get(kind).copied().unwrap_or_default();
    let mut out = String::new();
    let mut rest = source.as_str();
    let mut adjacent = false;
    while let Some((first, _)) = rest
        .char_indices()
        .nth(1)
        .map(|(at, _)| rest.split_at(at))
        .or(Some((rest, "")))
        .filter(|(first, _)| !first.is_empty())
    {
        let tag = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let text = tag.and_then(|(name, _)| replacements.get(&("tag", name.into())));
        match (tag, text) {
            (Some((_, tail)), Some(text)) if out.len() < MAX_LENGTH => {
                if adjacent {
                    out.push_str(of("inter"));
                }
                out.push_str(of("pre"));
                out.push_str(&nested(text, replacements, 0));
                out.push_str(of("post"));
                adjacent = true;
                rest = tail;
            }
            _ => {
                out.push_str(first);
                adjacent = false;
                rest = rest.get(first.len()..).unwrap_or_default();
            }
        }
    }
    out
}

/// Tags within the text of a tag.
fn nested(text: &str, replacements: &Replacements, depth: usize) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        let tag = tail.get(1..).and_then(|tail| tail.split_once('>'));
        let inner = tag.and_then(|(name, _)| replacements.get(&("tag", name.into())));
        match (tag, inner) {
            (Some((_, behind)), Some(inner)) if depth < 5 && out.len() < MAX_LENGTH => {
                out.push_str(&nested(inner, replacements, depth + 1));
                rest = behind;
            }
            _ => {
                out.push('<');
                rest = tail.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

/// The tags of `%{TAG}` in an expression.
#[must_use]
pub fn tags(source: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut rest = source;
    while let Some(at) = rest.find("%{") {
        let escaped = rest.get(..at).is_some_and(|before| before.ends_with('\\'));
        rest = rest.get(at + 2..).unwrap_or_default();
        let name = rest.split_once('}').map(|(name, _)| name).unwrap_or_default();
        if !escaped && !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            all.push(name);
        }
    }
    all
}

/// A template with anything in the place of its tags; `None` if it has none.
#[must_use]
pub fn opened(source: &str) -> Option<String> {
    let tags = tags(source);
    (!tags.is_empty())
        .then(|| tags.iter().fold(source.to_owned(), |text, tag| text.replace(&format!("%{{{tag}}}"), ".*")))
}

/// A template with its tags' values; `None` if one has none.
#[must_use]
pub fn filled(source: &str, values: &BTreeMap<Box<str>, Vec<u8>>) -> Option<String> {
    let mut text = source.to_owned();
    for tag in tags(source) {
        let value: String = values.get(tag)?.iter().take(256).map(|octet| format!("\\x{octet:02X}")).collect();
        text = text.replace(&format!("%{{{tag}}}"), &value);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_written_out() {
        let mut all = Replacements::new();
        all.insert(("tag", "A".into()), "[a@]".into());
        all.insert(("tag", "B".into()), "b".into());
        all.insert(("inter", "W".into()), "\\W?".into());
        all.insert(("post", "P".into()), "{1,2}".into());
        assert_eq!(expand("/<inter W><post P>x<A><B> <X><A>/i", &all), "/x[a@]{1,2}\\W?b{1,2} <X>[a@]{1,2}/i");
        assert_eq!(opened("/a%{TO}b/").as_deref(), Some("/a.*b/"));
        let values = BTreeMap::from([("TO".into(), b"x.y".to_vec())]);
        assert_eq!(filled("/a%{TO}b/", &values).as_deref(), Some("/a\\x78\\x2E\\x79b/"));
        assert_eq!(filled("/a%{FROM}b/", &values), None);
    }
}
