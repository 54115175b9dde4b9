//! Reads rule files: lines, conditions, settings. Later lines of a name replace earlier ones, as SpamAssassin does.
//!
//! **Failure**: a line that can't be read is noted with file, line and reason, and the rest is read on.

use std::collections::BTreeMap;

use super::condition::Environment;
use super::rule::{Draft, Flags, HeaderKey, ListedAddress, Settings, Test};

/// A line or rule that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    pub file: Box<str>,
    pub line: u32,
    /// The rule, if it is one.
    pub rule: Box<str>,
    pub reason: Box<str>,
}

/// All files together.
#[derive(Debug, Default)]
pub struct Reader {
    pub environment: Environment,
    pub files: Vec<Box<str>>,
    pub rules: BTreeMap<Box<str>, Draft>,
    pub flags: BTreeMap<Box<str>, Flags>,
    /// Points without Bayes and network, with network, with Bayes, with both.
    pub scores: BTreeMap<Box<str>, [f64; 4]>,
    pub descriptions: BTreeMap<Box<str>, Box<str>>,
    pub replaced: Vec<Box<str>>,
    /// `tag`, `pre`, `inter`, `post` and a name.
    pub replacements: BTreeMap<(&'static str, Box<str>), Box<str>>,
    pub settings: Settings,
    pub skipped: Vec<Skipped>,
    /// Directives that mean nothing here, and how often.
    pub ignored: BTreeMap<Box<str>, u32>,
}

/// Key, whether negated, expression.
type Condition = (Box<str>, bool, Box<str>);

/// Longest line, in octets.
const MAX_LINE: usize = 64 << 10;

/// Where a line stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    file: usize,
    line: u32,
}

impl Reader {
    /// One file. Its octets are read as Latin-1.
    pub fn file(&mut self, name: &str, octets: &[u8]) {
        self.files.push(name.into());
        let file = self.files.len() - 1;
        // For each open `if`: whether its lines count, and whether its `else` would.
        let mut open: Vec<(bool, bool)> = Vec::new();
        for (line, octets) in (1..).zip(octets.split(|octet| *octet == b'\n')) {
            if octets.len() > MAX_LINE {
                self.skip(Place { file, line }, "", "a line too long");
                continue;
            }
            let text = uncommented(octets);
            let text = text.trim();
            if text.is_empty() {
                continue;
            }
            let (directive, rest) = text
                .split_once(|c: char| c.is_ascii_whitespace() || c == '(')
                .map_or((text, ""), |(one, _)| (one, text.get(one.len()..).unwrap_or_default().trim()));
            let counts = open.last().is_none_or(|(counts, _)| *counts);
            match directive {
                "if" | "ifplugin" => {
                    let holds = if directive == "if" {
                        self.environment.holds(rest)
                    } else {
                        self.environment.has_plugin(rest)
                    };
                    open.push((counts && holds, counts && !holds));
                }
                "else" => {
                    if let Some(last) = open.last_mut() {
                        *last = (last.1, last.0);
                    }
                }
                "endif" => drop(open.pop()),
                _ if counts => self.line(Place { file, line }, directive, rest),
                _ => {}
            }
        }
    }

    fn skip(&mut self, place: Place, rule: &str, reason: &str) {
        let file = self.files.get(place.file).cloned().unwrap_or_default();
        self.skipped.push(Skipped { file, line: place.line, rule: rule.into(), reason: reason.into() });
    }

    fn line(&mut self, place: Place, directive: &str, rest: &str) {
        match directive {
            "header" | "mimeheader" | "body" | "rawbody" | "uri" | "full" | "meta" | "uri_detail" => {
                self.rule(place, directive, rest)
            }
            "score" => self.score(place, rest),
            "describe" => {
                if let Some((name, text)) = word(rest) {
                    let text: Vec<u8> = text.chars().filter_map(|c| u8::try_from(c).ok()).collect();
                    self.descriptions.insert(name.into(), String::from_utf8_lossy(&text).into());
                }
            }
            "tflags" => self.flags(rest),
            "replace_rules" => self.replaced.extend(rest.split_ascii_whitespace().map(Into::into)),
            "replace_tag" => self.replacement("tag", rest),
            "replace_pre" => self.replacement("pre", rest),
            "replace_inter" => self.replacement("inter", rest),
            "replace_post" => self.replacement("post", rest),
            _ => self.setting(directive, rest),
        }
    }

    fn replacement(&mut self, kind: &'static str, rest: &str) {
        if let Some((name, text)) = word(rest) {
            self.replacements.insert((kind, name.into()), text.into());
        }
    }

    fn rule(&mut self, place: Place, directive: &str, rest: &str) {
        let Some((name, rest)) = word(rest) else { return self.skip(place, "", "a rule without a test") };
        if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        {
            return self.skip(place, name, "an odd name");
        }
        match test(directive, rest) {
            Ok(test) => drop(self.rules.insert(name.into(), Draft { test, file: place.file, line: place.line })),
            Err(reason) => self.skip(place, name, reason),
        }
    }

    fn score(&mut self, place: Place, rest: &str) {
        let mut words = rest.split_ascii_whitespace();
        let Some(name) = words.next() else { return };
        let mut relative = false;
        let mut points = Vec::new();
        for word in words.take(4) {
            let bare = word.trim_matches(|c| c == '(' || c == ')');
            relative |= bare.len() < word.len();
            match bare.parse::<f64>() {
                Ok(number) if number.is_finite() => points.push(number),
                _ => return self.skip(place, name, "a score that is no number"),
            }
        }
        let four = match *points.as_slice() {
            [all] => [all; 4],
            [none, net, bayes, both] => [none, net, bayes, both],
            _ => return self.skip(place, name, "neither one score nor four"),
        };
        let old = if relative { self.scores.get(name).copied().unwrap_or([1.0; 4]) } else { [0.0; 4] };
        let mut new = four;
        for (new, old) in new.iter_mut().zip(old) {
            *new += old;
        }
        self.scores.insert(name.into(), new);
    }

    fn flags(&mut self, rest: &str) {
        let Some((name, rest)) = word(rest) else { return };
        let mut flags = Flags::default();
        let mut multiple = false;
        let mut most = 1_000_u32;
        for word in rest.split_ascii_whitespace() {
            match word {
                "multiple" => multiple = true,
                "nosubject" => flags.no_subject = true,
                "net" => flags.net = true,
                "nice" => flags.nice = true,
                "learn" => flags.unusable = true,
                other => {
                    if let Some(number) = other.strip_prefix("maxhits=").and_then(|number| number.parse().ok()) {
                        most = number;
                    }
                }
            }
        }
        flags.most = multiple.then_some(most.max(1));
        self.flags.insert(name.into(), flags);
    }

    fn setting(&mut self, directive: &str, rest: &str) {
        let words = || rest.split_ascii_whitespace().map(|word| word.to_ascii_lowercase().into());
        let directive = directive.replace("whitelist", "welcomelist").replace("blacklist", "blocklist");
        match &*directive {
            "freemail_domains" => self.settings.freemail.extend(words()),
            "freemail_welcomelist" => self.settings.freemail_allowed.extend(words()),
            "redirector_pattern" => self.settings.redirectors.push(rest.into()),
            "originating_ip_headers" => self.settings.originating.extend(words()),
            "welcomelist_bounce_relays" => self.settings.servers.extend(words()),
            "util_rb_tld" => self.settings.top_levels.extend(words()),
            "enlist_addrlist" | "enlist_uri_host" => {
                let Some((name, values)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) else { return };
                let lists = if directive == "enlist_addrlist" {
                    &mut self.settings.address_lists
                } else {
                    &mut self.settings.host_lists
                };
                let list = lists.entry(name.trim().into()).or_default();
                list.extend(values.split_ascii_whitespace().map(|word| word.to_ascii_lowercase().into()));
            }
            name if name.ends_with("_from") || name.ends_with("_to") || name.ends_with("_from_rcvd") => {
                let list = self.settings.lists.entry(name.into()).or_default();
                if name.ends_with("_rcvd") {
                    let mut words = words();
                    if let (Some(pattern), server) = (words.next(), words.next()) {
                        list.push(ListedAddress { pattern, server });
                    }
                } else {
                    list.extend(words().map(|pattern| ListedAddress { pattern, server: None }));
                }
            }
            _ => *self.ignored.entry(directive.into()).or_default() += 1,
        }
    }
}

/// Without its comment; `\#` is a `#`.
fn uncommented(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    let mut escaped = false;
    for octet in octets {
        match octet {
            b'#' if escaped => {
                text.pop();
                text.push('#');
            }
            b'#' => break,
            other => text.push(char::from(*other)),
        }
        escaped = *octet == b'\\';
    }
    text
}

/// The first word, and what follows.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| c.is_ascii_whitespace())?;
    let (word, rest) = text.split_at_checked(end)?;
    Some((word, rest.trim()))
}

fn test(directive: &str, rest: &str) -> Result<Test, &'static str> {
    if let Some(call) = rest.strip_prefix("eval:") {
        return eval(call);
    }
    Ok(match directive {
        "body" => Test::Body(rest.into()),
        "rawbody" => Test::RawBody(rest.into()),
        "uri" => Test::Uri(rest.into()),
        "full" => Test::Full(rest.into()),
        "meta" => Test::Meta(rest.into()),
        "uri_detail" => Test::UriDetail(details(rest)?),
        _ => {
            if let Some(name) = rest.strip_prefix("exists:") {
                return Ok(Test::HasHeader(HeaderKey::read(name.trim())));
            }
            let (key, negated, pattern) = comparison(rest)?;
            let (pattern, if_unset) = match pattern.rsplit_once("[if-unset:") {
                Some((pattern, unset)) => (pattern.trim(), Some(unset.trim_end().trim_end_matches(']').trim().into())),
                None => (pattern, None),
            };
            let (key, pattern) = (HeaderKey::read(key), pattern.into());
            if directive == "mimeheader" {
                Test::MimeHeader { key, negated, pattern, if_unset }
            } else {
                Test::Header { key, negated, pattern, if_unset }
            }
        }
    })
}

/// `name =~ pattern`.
fn comparison(text: &str) -> Result<(&str, bool, &str), &'static str> {
    let at = text.find("=~").into_iter().chain(text.find("!~")).min().ok_or("a header rule without a test")?;
    let (name, rest) = text.split_at_checked(at).ok_or("a header rule without a test")?;
    let negated = rest.starts_with('!');
    Ok((name.trim(), negated, rest.get(2..).unwrap_or_default().trim()))
}

/// `text =~ /a/ domain !~ /b/`.
fn details(mut text: &str) -> Result<Vec<Condition>, &'static str> {
    let mut all = Vec::new();
    while !text.trim().is_empty() {
        let (key, negated, rest) = comparison(text)?;
        let start = if rest.starts_with('m') { 1 } else { 0 };
        let open = rest.get(start..).and_then(|rest| rest.chars().next()).ok_or("a condition without an expression")?;
        let close = match open {
            '{' => '}',
            '(' => ')',
            other => other,
        };
        let mut escaped = false;
        let inside = start + open.len_utf8();
        let end = rest
            .char_indices()
            .skip_while(|(at, _)| *at < inside)
            .find(|(_, c)| {
                let here = *c == close && !escaped;
                escaped = *c == '\\' && !escaped;
                here
            })
            .map(|(at, c)| at + c.len_utf8())
            .ok_or("an expression without its end")?;
        let tail = rest.get(end..).unwrap_or_default();
        let flags = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (pattern, rest) = rest.split_at_checked(end + flags).ok_or("an expression without its end")?;
        all.push((key.to_ascii_lowercase().into(), negated, pattern.into()));
        text = rest;
    }
    if all.is_empty() { Err("no condition") } else { Ok(all) }
}

/// `name('a', 2)`.
fn eval(call: &str) -> Result<Test, &'static str> {
    let (function, arguments) = match call.split_once('(') {
        Some((function, arguments)) => {
            (function, arguments.trim_end().strip_suffix(')').ok_or("a call that isn't closed")?)
        }
        None => (call, ""),
    };
    let mut all = Vec::new();
    let mut rest = arguments.trim();
    while !rest.is_empty() {
        let quote = rest.chars().next().filter(|c| *c == '\'' || *c == '"');
        let (argument, tail) = match quote {
            Some(quote) => {
                let inside = rest.get(1..).unwrap_or_default();
                inside.split_once(quote).ok_or("a quote that isn't closed")?
            }
            None => rest.split_at_checked(rest.find(',').unwrap_or(rest.len())).unwrap_or((rest, "")),
        };
        all.push(argument.trim().into());
        rest = tail.trim().strip_prefix(',').unwrap_or_default().trim();
    }
    Ok(Test::Eval { function: function.trim().into(), arguments: all })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_lines_replace_earlier_ones_and_conditions_count() {
        let mut reader = Reader::default();
        reader.file("a.cf", b"body A /x/ # comment\nbody A /y\\#/i\nif (version < 3)\nbody B /z/\nelse\n  meta B A && 1\nendif\n\
            ifplugin Mail::SpamAssassin::Plugin::TextCat\nbody C /c/\nendif\nscore A 1 2 3 4\nscore A (0.5)\ntflags A multiple maxhits=3\n\
            header D From:addr =~ /a/ [if-unset: NO]\nheader E eval:f('a,b', 2)\nheader F exists:X-F\nbroken\nbody 1x /a/\nscore B x\n");
        assert_eq!(reader.rules["A"].test, Test::Body("/y#/i".into()));
        assert_eq!(reader.rules["B"].test, Test::Meta("A && 1".into()));
        assert!(!reader.rules.contains_key("C"));
        assert_eq!(reader.scores["A"], [1.5, 2.5, 3.5, 4.5]);
        assert_eq!(reader.flags["A"].most, Some(3));
        assert!(matches!(&reader.rules["D"].test, Test::Header { if_unset: Some(unset), .. } if &**unset == "NO"));
        assert_eq!(
            reader.rules["E"].test,
            Test::Eval { function: "f".into(), arguments: vec!["a,b".into(), "2".into()] }
        );
        assert_eq!(reader.skipped.len(), 2);
        assert_eq!(reader.ignored["broken"], 1);
    }

    #[test]
    fn conditions_of_links_are_told_apart() {
        let all = details("text =~ /\\bPay\\/Pal/i  domain !~ m{paypal\\.com$}").unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((&*all[1].0, all[1].1, &*all[1].2), ("domain", true, "m{paypal\\.com$}"));
    }
}
