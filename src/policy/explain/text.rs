//! The whole Explanation as text for a terminal: the conversation, each stage with its rule, and what decided.

use std::fmt::Write as _;

use crate::model::explanation::{Answer, Explanation, Judgement, Moment};
use crate::model::rule::Consulted;
use crate::model::sender::{Listed, Reverse};

use super::{Language, effect, rule, stage};

/// Ends with a line end. Lines are not wrapped.
#[must_use]
pub fn text(explanation: &Explanation, language: Language) -> String {
    let mut out = String::new();
    // Writing to a string never fails.
    let _ = write_head(&mut out, explanation, language);
    for judgement in &explanation.judgements {
        let _ = write_judgement(&mut out, judgement, language);
    }
    if let Some(content) = &explanation.content {
        let _ = super::content::write(&mut out, content, language);
    }
    out
}

fn write_head(out: &mut String, explanation: &Explanation, language: Language) -> std::fmt::Result {
    let words = Words::of(language);
    let client = &explanation.client;
    write!(out, "{}: {}", words.client, client.ip)?;
    if let Some(country) = client.country {
        write!(out, " ({country})")?;
    }
    match &client.reverse {
        Some(Reverse::Pass(name)) => write!(out, ", {name}")?,
        Some(Reverse::Mismatch(name)) => write!(out, ", {name} ({})", words.mismatch)?,
        Some(Reverse::Missing) => write!(out, ", {}", words.no_name)?,
        Some(Reverse::TempError) => write!(out, ", {}", words.name_unavailable)?,
        None => {}
    }
    writeln!(out, ", {}", client.tls.as_deref().unwrap_or(words.plain))?;
    write!(out, "{}: {}", words.version, explanation.versions.snapshot)?;
    if let Some(lists) = explanation.versions.lists {
        write!(out, ", {} {lists}", words.lists)?;
    }
    if let Some(tenant) = &explanation.tenant {
        write!(out, ", {} {tenant}", words.tenant)?;
    }
    writeln!(out)?;
    for asked in &explanation.asked {
        writeln!(out, "DNS {} {}: {}", asked.kind, asked.name, asked.answer)?;
    }
    if explanation.asked_left_out > 0 {
        writeln!(out, "DNS: +{}", explanation.asked_left_out)?;
    }
    for zone in &explanation.zones {
        match &zone.answer {
            Listed::No => writeln!(out, "DNSxL {}: {}", zone.list, words.not_listed)?,
            Listed::Yes { reason, weight } => writeln!(out, "DNSxL {}: {reason} ({weight:+})", zone.list)?,
            Listed::Degraded { why } => writeln!(out, "DNSxL {}: {} ({why})", zone.list, words.degraded)?,
        }
    }
    if !client.helo.is_empty() {
        writeln!(out, "EHLO {}", client.helo)?;
    }
    writeln!(out, "MAIL FROM:<{}>", explanation.sender)
}

fn write_judgement(out: &mut String, judgement: &Judgement, language: Language) -> std::fmt::Result {
    match (judgement.moment, &judgement.recipient) {
        (Moment::Rcpt, Some(recipient)) => writeln!(out, "RCPT TO:<{recipient}>")?,
        (Moment::Rcpt, None) => writeln!(out, "RCPT")?,
        (Moment::Message, _) => writeln!(out, "DATA")?,
    }
    for step in &judgement.steps {
        write_step(out, step, language)?;
    }
    match (&judgement.reply, judgement.answer) {
        (Some(reply), _) => writeln!(out, "  => {reply}")?,
        (None, Answer::Accept) => writeln!(out, "  => 250")?,
        (None, _) => {}
    }
    let summary = match language {
        Language::English => &judgement.summary.en,
        Language::Japanese => &judgement.summary.ja,
    };
    writeln!(out, "  {summary}")
}

fn write_step(out: &mut String, step: &Consulted, language: Language) -> std::fmt::Result {
    write!(out, "  {}: {}", stage(step.stage, language), effect(step.effect, language))?;
    match (&step.rule, language) {
        (None, _) => writeln!(out),
        (Some(known), Language::English) => writeln!(out, " ({})", rule(known, language)),
        (Some(known), Language::Japanese) => writeln!(out, "（{}）", rule(known, language)),
    }
}

struct Words {
    client: &'static str,
    mismatch: &'static str,
    no_name: &'static str,
    name_unavailable: &'static str,
    plain: &'static str,
    version: &'static str,
    lists: &'static str,
    tenant: &'static str,
    not_listed: &'static str,
    degraded: &'static str,
}

impl Words {
    fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &Self {
                client: "client",
                mismatch: "does not lead back",
                no_name: "no reverse name",
                name_unavailable: "reverse name not to be had",
                plain: "not encrypted",
                version: "policy version",
                lists: "lists version",
                tenant: "tenant",
                not_listed: "not listed",
                degraded: "no usable answer",
            },
            Language::Japanese => &Self {
                client: "接続元",
                mismatch: "元のアドレスに一致せず",
                no_name: "逆引き名なし",
                name_unavailable: "逆引き名を調べられず",
                plain: "暗号化なし",
                version: "ポリシーの版",
                lists: "リストの版",
                tenant: "テナント",
                not_listed: "記載なし",
                degraded: "有効な回答なし",
            },
        }
    }
}
