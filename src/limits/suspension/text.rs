//! A measure in words: the line of the mail log, and the notice to the tenant's administrators in Japanese and English.
//!
//! **Invariants**: a notice names nobody but the tenant's own; a token is in the notice alone.

use std::fmt::Write as _;

use super::{Change, What};
use crate::model::abuse::{Evidence, Scope, Signal, Stage};
use crate::model::suspension::{Ending, Pattern, Suspension};

/// For the mail log, in one line.
#[must_use]
pub fn line(change: &Change) -> String {
    let one = &change.suspension;
    let (verb, by, reason) = match (&one.ended, change.what) {
        (Some(ended), _) => (ended.how.as_str(), &ended.by, &ended.reason),
        (None, What::Began | What::Stage | What::Ended(_)) => (one.stage.as_str(), &one.by, &one.reason),
    };
    let mut line = format!("{verb} {} ({}) by {by}: {reason}", one.subject, one.id);
    if one.ended.is_none() {
        match one.expires {
            Some(expires) => drop(write!(line, "; until {expires}")),
            None => line.push_str("; until it is lifted"),
        }
        if let Some(pattern) = one.pattern {
            let _ = write!(line, "; looks like {}", pattern.as_str());
        }
        for evidence in &one.evidence {
            let _ = write!(line, "; {} {} of {}", evidence.signal.as_str(), evidence.count, evidence.of);
        }
    }
    line
}

/// The subject of the notice.
#[must_use]
pub fn subject(change: &Change) -> String {
    let (ja, en) = match (change.what, change.suspension.stage) {
        (What::Ended(_), _) => ("送信制限の解除", "Sending is free again"),
        (_, Stage::Warn) => ("送信メールに関する警告", "A warning about mail that you send"),
        (_, Stage::Throttle) => ("送信を制限しています", "Sending is slowed down"),
        (_, Stage::Suspend) => ("送信を停止しました", "Sending is stopped"),
    };
    format!("[Sekisho] {ja} / {en}")
}

/// The text of the notice, lines ended by CRLF.
#[must_use]
pub fn notice(change: &Change) -> String {
    let mut ja = String::new();
    let mut en = String::new();
    if let What::Ended(how) = change.what {
        ended(&change.suspension, how, (&mut ja, &mut en));
    } else {
        began(change, (&mut ja, &mut en));
    }
    format!("{ja}\r\n----\r\n\r\n{en}")
}

fn ended(one: &Suspension, how: Ending, (ja, en): (&mut String, &mut String)) {
    let (how_ja, how_en) = match how {
        Ending::Lifted => ("運用者が解除しました", "the operator lifted it"),
        Ending::Confirmed => ("管理者の確認により解除しました", "your administrator confirmed it"),
        Ending::Expired => ("期限により終了しました", "its time is over"),
    };
    let _ = write!(
        ja,
        "{} の送信に対する措置は終わりました（{how_ja}）。\r\n番号: {}\r\n",
        scope_ja(&one.subject.scope),
        one.id
    );
    let _ = write!(
        en,
        "The measure about mail of {} has ended: {how_en}.\r\nNumber: {}\r\n",
        scope_en(&one.subject.scope),
        one.id
    );
}

fn began(change: &Change, (ja, en): (&mut String, &mut String)) {
    let one = &change.suspension;
    let (what_ja, what_en) = match one.stage {
        Stage::Warn => ("警告します。送信はまだ制限していません。", "This is a warning; nothing is held back yet."),
        Stage::Throttle => (
            "送信を一定の速度までに制限しています。超えた分は 450 で一時的に拒否します。",
            "It is slowed down: beyond a small rate your server is told 450 and tries again later.",
        ),
        Stage::Suspend => (
            "送信を停止しました。配送待ちのメールは保留しています。受信には影響しません。",
            "It is stopped, and what waits in the queue is held. Mail to you is not affected.",
        ),
    };
    let _ = write!(
        ja,
        "{} から送信されたメールについてお知らせします。\r\n{what_ja}\r\n\r\n",
        scope_ja(&one.subject.scope)
    );
    let _ = write!(en, "This is about mail sent by {}.\r\n{what_en}\r\n\r\n", scope_en(&one.subject.scope));
    match one.pattern {
        Some(Pattern::Compromised) => {
            ja.push_str("ウイルス感染またはアカウントの不正利用が疑われます。パスワードの変更と端末の検査をしてください。\r\n\r\n");
            en.push_str("A machine may be infected, or an account used by others: change its password and check the machine.\r\n\r\n");
        }
        Some(Pattern::Distribution) => {
            ja.push_str("契約で禁止されているメール配信業に当たる可能性があります。\r\n\r\n");
            en.push_str("It looks like a business of distributing mail, which the contract forbids.\r\n\r\n");
        }
        None => {}
    }
    if one.evidence.is_empty() {
        let _ = write!(ja, "理由: {}\r\n", one.reason);
        let _ = write!(en, "Reason: {}\r\n", one.reason);
    } else {
        let _ = write!(ja, "理由（直近 1 日の {} 通のうち）:\r\n", one.volume);
        let _ = write!(en, "Reasons (of {} messages in the last day):\r\n", one.volume);
        for evidence in &one.evidence {
            let (found_ja, found_en) = signal(evidence.signal);
            let Evidence { count, of, .. } = evidence;
            let _ = write!(ja, "- {found_ja}: {count} / {of}\r\n");
            let _ = write!(en, "- {found_en}: {count} of {of}\r\n");
        }
    }
    match one.expires {
        Some(expires) => {
            let _ = write!(ja, "\r\n期限: {expires}\r\n");
            let _ = write!(en, "\r\nUntil: {expires}\r\n");
        }
        None => {
            ja.push_str("\r\n期限: 解除されるまで\r\n");
            en.push_str("\r\nUntil: it is lifted\r\n");
        }
    }
    match &change.token {
        Some(token) => {
            let token = token.reveal();
            let _ = write!(
                ja,
                "原因を取り除いたら、次の確認コードを運用者に伝えてください。すぐに解除されます（一度だけ使えます）。\r\n確認コード: {token}\r\n番号: {}\r\n",
                one.id
            );
            let _ = write!(
                en,
                "Once the cause is removed, give this code to the provider: it ends the measure at once, and works once.\r\nCode: {token}\r\nNumber: {}\r\n",
                one.id
            );
        }
        None => {
            let _ = write!(ja, "原因を取り除いたら、番号を添えて運用者に連絡してください。\r\n番号: {}\r\n", one.id);
            let _ = write!(
                en,
                "Once the cause is removed, ask the provider, naming this number.\r\nNumber: {}\r\n",
                one.id
            );
        }
    }
}

fn scope_ja(scope: &Scope) -> String {
    match scope {
        Scope::Sender(address) => format!("送信者 {address}"),
        Scope::Client(ip) => format!("サーバー {ip}"),
        Scope::Domain(domain) => format!("ドメイン {domain}"),
        Scope::Tenant => "貴社全体".into(),
    }
}

fn scope_en(scope: &Scope) -> String {
    match scope {
        Scope::Sender(address) => format!("sender {address}"),
        Scope::Client(ip) => format!("server {ip}"),
        Scope::Domain(domain) => format!("domain {domain}"),
        Scope::Tenant => "your whole company".into(),
    }
}

fn signal(signal: Signal) -> (&'static str, &'static str) {
    match signal {
        Signal::Alike => ("同じ内容のメール", "mail of the same content"),
        Signal::UnknownRecipients => ("存在しない宛先", "recipients that don't exist"),
        Signal::Bounces => ("相手サーバーによる拒否", "refused by the receiving servers"),
        Signal::Spam => ("迷惑メールと判定", "found to be spam"),
        Signal::Malware => ("ウイルスを検出", "found to hold malware"),
        Signal::List => ("メーリングリストの形式", "in the form of a mailing list"),
        Signal::SuddenChange => ("送信量の急増", "far more than before"),
        Signal::NewSender => ("新しい送信者", "of a sender not seen before"),
        Signal::Rate => ("送信速度の上限超過", "beyond limits of rate"),
    }
}
