//! Where in an HTML document the top of what is shown is (WHATWG HTML section 13.2, as much of it as that takes).
//!
//! **Invariants**: never inside a comment, an attribute, a script, a style or an element of the sender's: only behind `<body>` where
//! nothing but the head stands before it, else before whatever comes first. Linear in the length.

/// Elements of the head without content, and marks around it.
const HEAD: [&str; 7] = ["html", "head", "/head", "meta", "link", "base", "basefont"];
/// Their content is no markup.
const RAW: [&str; 3] = ["title", "style", "script"];

/// The octet before which something stands at the top of what is shown.
pub fn top_of(html: &str) -> usize {
    let mut at = 0;
    loop {
        let rest = html.get(at..).unwrap_or_default();
        let here =
            at + rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\u{feff}').len();
        let token = html.get(here..).unwrap_or_default();
        let behind = if token.starts_with("<!--") {
            comment(token)
        } else if token.starts_with("<!") || token.starts_with("<?") {
            token.find('>').map(|end| end + 1)
        } else {
            match tag(token) {
                Some(("body", end)) => return here + end,
                Some((name, end)) if HEAD.contains(&name) => Some(end),
                Some((name, end)) if RAW.contains(&name) => raw(token, name, end),
                _ => None,
            }
        };
        match behind {
            Some(length) => at = here + length,
            // Blanks before what is shown are nobody's.
            None => return at,
        }
    }
}

/// How long the comment is that begins here.
fn comment(token: &str) -> Option<usize> {
    let inner = token.get(4..)?;
    if inner.starts_with('>') {
        return Some(5);
    }
    if inner.starts_with("->") {
        return Some(6);
    }
    let mut from = 0;
    loop {
        let found = from + inner.get(from..)?.find("--")?;
        let close = inner.get(found + 2..)?;
        if close.starts_with('>') {
            return Some(4 + found + 3);
        }
        if close.starts_with("!>") {
            return Some(4 + found + 4);
        }
        from = found + 1;
    }
}

/// The name (one of those that matter, in lower case) and the length of the tag that begins here.
fn tag(token: &str) -> Option<(&'static str, usize)> {
    let inner = token.strip_prefix('<')?;
    let length = inner.find(|c: char| c.is_ascii_whitespace() || c == '>' || (c == '/')).unwrap_or(inner.len());
    let length = if length == 0 { 1 + inner.get(1..)?.find(|c: char| !c.is_ascii_alphanumeric())? } else { length };
    let written = inner.get(..length)?;
    let name = HEAD.into_iter().chain(RAW).chain(["body"]).find(|name| name.eq_ignore_ascii_case(written))?;
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in inner.get(length..)?.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '>') => return Some((name, 1 + length + at + 1)),
            (None, '"' | '\'') if before == '=' => quote = Some(c),
            (None, _) => {}
        }
        if !c.is_ascii_whitespace() {
            before = c;
        }
    }
    None
}

/// How long an element is whose content is no markup.
fn raw(token: &str, name: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += token.get(at..)?.find("</")?;
        let inner = token.get(at + 2..)?;
        let is_it = inner.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        if is_it && inner.get(name.len()..)?.starts_with(|c: char| c.is_ascii_whitespace() || matches!(c, '>' | '/')) {
            return Some(at + 2 + inner.find('>')? + 1);
        }
        at += 2;
    }
}
