//! All rules over one message: texts, header, functions, then metas.

use std::collections::BTreeMap;

use super::Hits;
use super::evals;
use super::mail::Mail;
use crate::message::specimen::{HeaderField, TimeUp};
use crate::signatures::spamassassin::meta;
use crate::signatures::spamassassin::pattern::{Candidates, GaveUp, Pattern};
use crate::signatures::spamassassin::replace;
use crate::signatures::spamassassin::rule::{HeaderKey, Piece};
use crate::signatures::spamassassin::{Group, HeaderGroup, Owner, Rules};

pub struct Run<'r, 's> {
    rules: &'r Rules,
    mail: &'r Mail<'s>,
    time_up: TimeUp<'r>,
    values: Vec<f32>,
    found: Candidates,
    /// What `(?<NAME>…)` of rules caught.
    tags: BTreeMap<Box<str>, Vec<u8>>,
    cut: bool,
    /// An expression had no answer.
    gave_up: bool,
}

impl<'r, 's> Run<'r, 's> {
    pub fn new(rules: &'r Rules, mail: &'r Mail<'s>, time_up: TimeUp<'r>) -> Self {
        Self {
            rules,
            mail,
            time_up,
            values: vec![0.0; rules.rules.len()],
            found: Candidates::default(),
            tags: BTreeMap::new(),
            cut: false,
            gave_up: false,
        }
    }

    pub fn run(mut self) -> Hits {
        let rules = self.rules;
        let mail = self.mail;
        // Those that catch tags first: others need them.
        for captures in [true, false] {
            for group in rules.headers.iter().filter(|group| group.captures == captures) {
                self.header(group);
            }
        }
        self.texts(&rules.body, mail.body.iter().map(Vec::as_slice), true);
        self.texts(&rules.raw_body, mail.raw_body.iter().map(Vec::as_slice), false);
        self.texts(&rules.uri, mail.uris.iter().map(|uri| uri.text.as_bytes()), false);
        if !rules.full.set.is_empty() {
            self.texts(&rules.full, std::iter::once(mail.specimen.raw.as_ref()), false);
        }
        self.mime_headers();
        self.details();
        self.calls();
        self.metas();
        let hits: Vec<(u32, f32)> =
            (0..).zip(&self.values).filter(|(_, value)| **value != 0.0).map(|(rule, value)| (rule, *value)).collect();
        let points = hits
            .iter()
            .filter_map(|(rule, _)| rules.rules.get(*rule as usize))
            .filter(|rule| !rule.is_part())
            .map(|rule| rule.points)
            .sum();
        Hits { rules: hits, points, cut: self.cut || self.gave_up }
    }

    fn is_over(&mut self) -> bool {
        self.cut = self.cut || (self.time_up)();
        self.cut
    }

    /// No answer is none; that there was none is told at the end.
    fn answer<T: Default>(&mut self, asked: Result<T, GaveUp>) -> T {
        self.gave_up |= asked.is_err();
        asked.unwrap_or_default()
    }

    fn value(&self, rule: u32) -> f32 {
        self.values.get(rule as usize).copied().unwrap_or(0.0)
    }

    fn set(&mut self, rule: u32, value: f32) {
        if let Some(place) = self.values.get_mut(rule as usize) {
            *place = value;
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "counts are small")]
    fn texts<'t>(&mut self, group: &Group, texts: impl Iterator<Item = &'t [u8]>, subject_first: bool) {
        if group.set.is_empty() {
            return;
        }
        let mut found = std::mem::take(&mut self.found);
        for (line, text) in texts.enumerate() {
            if self.is_over() {
                break;
            }
            group.set.candidates(text, &mut found);
            for number in &found.list {
                let (Some(pattern), Some(owner)) = (group.set.pattern(*number), group.owners.get(*number as usize))
                else {
                    continue;
                };
                if self.is_over() {
                    break;
                }
                let before = self.value(owner.rule);
                if before >= owner.most as f32 || (subject_first && line == 0 && owner.no_subject) {
                    continue;
                }
                let count = self.matches(pattern, owner, text, owner.most - before as u32);
                if count > 0 {
                    self.set(owner.rule, before + count as f32);
                    self.capture(pattern, text);
                }
            }
        }
        self.found = found;
    }

    fn capture(&mut self, pattern: &Pattern, text: &[u8]) {
        if !pattern.names.is_empty() {
            for (name, value) in pattern.captured(text).into_iter().filter(|(_, value)| !value.is_empty()) {
                self.tags.entry(name).or_insert(value);
            }
        }
    }

    fn matches(&mut self, pattern: &Pattern, owner: &Owner, text: &[u8], most: u32) -> u32 {
        let Some(template) = &owner.template else {
            let asked = if most == 1 { pattern.is_match(text).map(u32::from) } else { pattern.count(text, most) };
            return self.answer(asked);
        };
        // The open form first: making the real one costs more than asking.
        if !self.answer(pattern.is_match(text)) {
            return 0;
        }
        let real = replace::filled(template, &self.tags).and_then(|source| Pattern::new(&source).ok());
        real.map_or(0, |real| self.answer(real.count(text, most)))
    }

    #[allow(clippy::cast_precision_loss, reason = "counts are small")]
    fn header(&mut self, group: &HeaderGroup) {
        let Some(text) = self.mail.header(&group.key) else {
            for rule in &group.absent {
                self.set(*rule, 1.0);
            }
            return;
        };
        for rule in &group.exists {
            self.set(*rule, 1.0);
        }
        let text = text.as_bytes();
        let mut found = std::mem::take(&mut self.found);
        group.group.set.candidates(text, &mut found);
        for number in &found.list {
            let (Some(pattern), Some(owner)) =
                (group.group.set.pattern(*number), group.group.owners.get(*number as usize))
            else {
                continue;
            };
            let count = self.matches(pattern, owner, text, owner.most);
            if count > 0 {
                self.set(owner.rule, count as f32);
                self.capture(pattern, text);
            }
        }
        for owner in group.group.owners.iter().filter(|owner| owner.negated) {
            let hit = self.value(owner.rule) == 0.0;
            self.set(owner.rule, f32::from(u8::from(hit)));
        }
        self.found = found;
    }

    fn mime_headers(&mut self) {
        let rules = self.rules;
        if rules.mime_headers.is_empty() {
            return;
        }
        let specimen = self.mail.specimen;
        let mut found = std::mem::take(&mut self.found);
        for group in &rules.mime_headers {
            if self.is_over() {
                break;
            }
            let own =
                specimen.parts.iter().filter(|part| !part.path.ends_with('\'')).map(|part| part.fields.as_slice());
            for fields in std::iter::once(specimen.fields.as_slice()).chain(own) {
                let Some(text) = part_header(fields, &group.key, &specimen.raw) else { continue };
                group.group.set.candidates(text.as_bytes(), &mut found);
                for (number, owner) in (0..).zip(&group.group.owners) {
                    let Some(pattern) = group.group.set.pattern(number) else { continue };
                    let hit = found.list.contains(&number) && self.answer(pattern.is_match(text.as_bytes()));
                    if hit != owner.negated {
                        self.set(owner.rule, 1.0);
                    }
                }
            }
        }
        self.found = found;
    }

    /// `uri_detail`: one link that meets all conditions.
    fn details(&mut self) {
        let rules = self.rules;
        for detail in &rules.details {
            let mut gave_up = false;
            let links = self.mail.htmls.iter().flat_map(|html| &html.links);
            let hit = links.take(1_000).any(|link| {
                detail.conditions.iter().all(|(key, negated, pattern)| {
                    let text = match &**key {
                        "raw" | "cleaned" => link.address.clone(),
                        "text" => link.text.clone(),
                        "type" => link.element.clone(),
                        "host" => super::uris::host_of(&link.address).unwrap_or_default(),
                        "domain" => super::uris::host_of(&link.address)
                            .map(|host| super::mail::registrable(&host).to_owned())
                            .unwrap_or_default(),
                        _ => return false,
                    };
                    pattern.is_match(text.as_bytes()).unwrap_or_else(|GaveUp| {
                        gave_up = true;
                        *negated
                    }) != *negated
                })
            });
            self.gave_up |= gave_up;
            if hit {
                self.set(detail.rule, 1.0);
            }
        }
    }

    fn calls(&mut self) {
        let rules = self.rules;
        let mut context = evals::Context::new(self.mail, rules);
        for (rule, call) in &rules.calls {
            if self.is_over() {
                return;
            }
            let value = context.call(call);
            self.set(*rule, value);
        }
    }

    /// Only those that something they name could make true, each behind what it needs.
    fn metas(&mut self) {
        let rules = self.rules;
        let mut due = vec![0_u64; rules.metas.len().div_ceil(64)];
        let mark = |due: &mut Vec<u64>, places: &[u32]| {
            for place in places {
                if let Some(word) = due.get_mut(*place as usize >> 6) {
                    *word |= 1 << (place & 63);
                }
            }
        };
        mark(&mut due, &rules.baseline);
        for (value, dependents) in self.values.iter().zip(&rules.dependents) {
            if *value != 0.0 {
                mark(&mut due, dependents);
            }
        }
        let mut stack = Vec::new();
        let mut word = 0;
        while let Some(bits) = due.get_mut(word) {
            if *bits == 0 {
                word += 1;
                continue;
            }
            let place = word * 64 + bits.trailing_zeros() as usize;
            *bits &= *bits - 1;
            let Some(meta) = rules.metas.get(place) else { continue };
            let value = meta::evaluate(&meta.steps, &mut stack, |rule| self.value(rule));
            if value != 0.0 {
                self.set(meta.rule, value);
                if let Some(dependents) = rules.dependents.get(meta.rule as usize) {
                    mark(&mut due, dependents);
                }
            }
        }
    }
}

fn part_header(fields: &[HeaderField], key: &HeaderKey, raw: &[u8]) -> Option<String> {
    let all: Vec<String> = fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case(&key.name))
        .map(|field| {
            if key.raw {
                String::from_utf8_lossy(raw.get(field.raw.clone()).unwrap_or_default()).replace("\r\n", "\n")
            } else {
                field.value.trim().to_owned()
            }
        })
        .collect();
    if all.is_empty() {
        return None;
    }
    let text = all.join("\n");
    Some(match key.piece {
        Piece::Address => super::mail::address(&text).to_owned(),
        _ => text,
    })
}
