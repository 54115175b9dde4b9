//! Tells from the mail log what became of one message, and why.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::letters::Letter;

/// How long a message may take to its end before we say that it is still under way.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Prints the gateway's answer, the events of the message, and what they mean.
pub(super) async fn tell(said: &str, letter: &Letter, log: &Path) {
    println!("   the client was told: {}", said.replace('\n', " / "));
    let Some(id) = said.split_whitespace().find(|word| word.len() == 26) else {
        println!("   {}", refused(said));
        if let Some((english, japanese)) = why(said, letter, log).await {
            println!("   why: {english}\n        {japanese}");
        }
        println!();
        return;
    };
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let events = events_of(id, log).await;
        let late = tokio::time::Instant::now() > deadline;
        let why = events.iter().find_map(found_in_it);
        let end = events.iter().rev().find(|event| is_end(event));
        // Why it was quarantined is logged behind the event.
        if let Some(end) = end.filter(|end| why.is_some() || late || !is_quarantined(end)) {
            println!("   {}", kept(&events));
            println!("   {}", ended(end));
            if let Some((english, japanese)) = why.filter(|_| is_quarantined(end)) {
                println!("   why: {english}\n        {japanese}");
            }
            println!();
            return;
        }
        if late {
            println!("   it is still in the queue: sekisho queue show {id}\n");
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn events_of(id: &str, log: &Path) -> Vec<Value> {
    let text = tokio::fs::read_to_string(log).await.unwrap_or_default();
    let events = text.lines().filter(|line| line.contains(id)).filter_map(|line| serde_json::from_str(line).ok());
    events.collect()
}

/// The sentences of the Explanation of what was refused. The log is written behind the answer, so it may take a moment.
async fn why(said: &str, letter: &Letter, log: &Path) -> Option<(String, String)> {
    if said.contains("5.1.1") {
        // That no such mailbox exists needs no other reason.
        return None;
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let found = explained(letter, log).await;
        if found.is_some() || tokio::time::Instant::now() > deadline {
            return found;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn explained(letter: &Letter, log: &Path) -> Option<(String, String)> {
    let text = tokio::fs::read_to_string(log).await.unwrap_or_default();
    let events = text.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let judged = |event: &Value| {
        event.get("sender").and_then(Value::as_str) == Some(letter.from)
            && event.pointer("/explanation/judgements").is_some()
    };
    let event = events.into_iter().find(judged)?;
    sentences(event.pointer("/explanation/judgements")?.as_array()?.last()?)
}

/// The sentences on the content, of a message for recipients of one tenant.
fn found_in_it(event: &Value) -> Option<(String, String)> {
    sentences(event.pointer("/explanation/content/groups")?.as_array()?.first()?)
}

fn sentences(judgement: &Value) -> Option<(String, String)> {
    let summary = judgement.get("summary")?;
    let text = |language: &str| summary.get(language).and_then(Value::as_str).map(str::to_owned);
    Some((text("en")?, text("ja")?))
}

fn name(event: &Value) -> &str {
    event.get("event").and_then(Value::as_str).unwrap_or_default()
}

fn is_end(event: &Value) -> bool {
    matches!(name(event), "delivered" | "bounced" | "deferred" | "expired" | "handed-on" | "quarantined")
}

fn is_quarantined(event: &Value) -> bool {
    name(event) == "quarantined"
}

fn kept(events: &[Value]) -> &'static str {
    if events.iter().any(is_quarantined) {
        "it was in quarantine, synced, before that answer went out"
    } else if events.iter().any(|event| name(event) == "queued") {
        "it was on disk, synced, before that answer went out (custody: queued)"
    } else {
        "the next hop had taken it before that answer went out (custody: inline)"
    }
}

fn ended(event: &Value) -> String {
    let text = |key: &str| event.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    if is_quarantined(event) {
        let (reason, direction) = (text("reason").unwrap_or_default(), text("direction").unwrap_or_default());
        return match (reason.as_str(), direction.as_str()) {
            ("malware", "outbound") => {
                "quarantined as malware: it never leaves, and the tenant's postmaster is told".into()
            }
            _ => format!("quarantined as {reason}: the mailbox doesn't get it unless an operator releases it"),
        };
    }
    let reply = text("reply").unwrap_or_default();
    let host = event.pointer("/remote/host").and_then(Value::as_str).unwrap_or("(none)");
    format!("{}: the next hop {host} said {reply}", name(event))
}

fn refused(said: &str) -> &'static str {
    match said.get(..1) {
        Some("5") if said.contains("5.1.1") => {
            "refused at RCPT: the tenant's list of recipients doesn't have that mailbox; nothing was stored, no bounce will follow"
        }
        Some("5") => "refused for good: nothing was stored, the client tells its sender",
        Some("4") => "deferred: nothing was stored, the client will try again",
        _ => "the conversation failed",
    }
}
