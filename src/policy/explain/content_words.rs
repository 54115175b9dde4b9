//! Words for the judgement of content, English and Japanese.

use super::Language;
use crate::model::disposition::Category;
use crate::model::explanation::content::Effect;
use crate::model::finding::Reason;

/// As part of a sentence, without a full stop.
pub(super) fn category(category: Category, language: Language) -> &'static str {
    use Category::{
        Ambiguous, Bulk, Encrypted, Impersonation, Malware, Phishing, RiskyFile, Spam, Suspected, Unscannable,
    };
    use Language::{English, Japanese};
    match (category, language) {
        (Malware, English) => "malicious content was found",
        (Malware, Japanese) => "不正なプログラムが見つかりました",
        (RiskyFile, English) => "a file of a risky kind is attached",
        (RiskyFile, Japanese) => "危険な種類のファイルが添付されています",
        (Ambiguous, English) => "mail programs read the message in different ways",
        (Ambiguous, Japanese) => "メールソフトによって解釈が異なる構造です",
        (Unscannable, English) => "a part of the message could not be inspected",
        (Unscannable, Japanese) => "検査できない部分があります",
        (Encrypted, English) => "a file has a password and could not be inspected",
        (Encrypted, Japanese) => "パスワード付きのファイルがあり、検査できません",
        (Phishing, English) => "it looks like phishing",
        (Phishing, Japanese) => "フィッシングと判定しました",
        (Impersonation, English) => "the author may pretend to be somebody else",
        (Impersonation, Japanese) => "差出人のなりすましが疑われます",
        (Spam, English) => "it counts as spam",
        (Spam, Japanese) => "迷惑メールと判定しました",
        (Suspected, English) => "it is suspected to be spam",
        (Suspected, Japanese) => "迷惑メールの疑いがあります",
        (Bulk, English) => "it was sent in bulk",
        (Bulk, Japanese) => "一斉配信のメールです",
    }
}

pub(super) fn effect(effect: Effect, language: Language) -> &'static str {
    use Language::{English, Japanese};
    match (effect, language) {
        (Effect::Below, English) => "too few points",
        (Effect::Below, Japanese) => "しきい値未満",
        (Effect::Skipped, English) => "skipped: the sender is allowed",
        (Effect::Skipped, Japanese) => "許可された送信者のため省略",
        (Effect::Passed, English) => "found, and delivered by the policy",
        (Effect::Passed, Japanese) => "該当、ポリシーにより配信",
        (Effect::Decided, English) => "found, keeps the message back",
        (Effect::Decided, Japanese) => "該当、配信せず",
        (Effect::Forced, English) => "found, keeps the message back whatever the policy says",
        (Effect::Forced, Japanese) => "該当、ポリシーにかかわらず配信せず",
        (Effect::Later, English) => "found, but something before it has decided",
        (Effect::Later, Japanese) => "該当、ただし先の判定が優先",
    }
}

pub(super) fn reason(reason: Reason, language: Language) -> &'static str {
    use Language::{English, Japanese};
    match (reason, language) {
        (Reason::Bytes, English) => "unpacks to too many bytes",
        (Reason::Bytes, Japanese) => "展開後の合計が上限超過",
        (Reason::FileSize, English) => "one file is too big unpacked",
        (Reason::FileSize, Japanese) => "展開後のファイルが上限超過",
        (Reason::Ratio, English) => "unpacks to too many times its size",
        (Reason::Ratio, Japanese) => "圧縮率が上限超過",
        (Reason::Count, English) => "too many files or parts",
        (Reason::Count, Japanese) => "ファイルまたはパートの数が上限超過",
        (Reason::Depth, English) => "too many layers",
        (Reason::Depth, Japanese) => "階層が上限超過",
        (Reason::Time, English) => "time ran out",
        (Reason::Time, Japanese) => "時間切れ",
        (Reason::Malformed, English) => "damaged",
        (Reason::Malformed, Japanese) => "破損",
        (Reason::Unsupported, English) => "a format that cannot be opened here",
        (Reason::Unsupported, Japanese) => "対応していない形式",
        (Reason::Encrypted, English) => "has a password",
        (Reason::Encrypted, Japanese) => "パスワード付き",
    }
}

/// Headings and verbs.
pub(super) struct Words {
    language: Language,
    pub content: &'static str,
    pub set: &'static str,
    pub total: &'static str,
    pub unavailable: &'static str,
    pub unchecked: &'static str,
    pub for_: &'static str,
    pub tagged: &'static str,
    pub stamped: &'static str,
    pub stripped: &'static str,
    pub quarantined: &'static str,
    pub rejected: &'static str,
    pub discarded: &'static str,
    pub deferred: &'static str,
    pub held: &'static str,
    pub nothing: &'static str,
    pub no_scan: &'static str,
}

const ENGLISH: Words = Words {
    language: Language::English,
    content: "content",
    set: "signature set",
    total: "points",
    unavailable: "no answer",
    unchecked: "not looked at",
    for_: "for",
    tagged: "a tag before the subject",
    stamped: "a caution above the text",
    stripped: "files taken out",
    quarantined: "Quarantined",
    rejected: "Refused",
    discarded: "Thrown away",
    deferred: "Put off",
    held: "Held",
    nothing: "nothing was found",
    no_scan: "the message could not be inspected",
};

const JAPANESE: Words = Words {
    language: Language::Japanese,
    content: "内容",
    set: "シグネチャセット",
    total: "点数",
    unavailable: "応答なし",
    unchecked: "未検査",
    for_: "宛先",
    tagged: "件名に印を付加",
    stamped: "本文に注意書きを付加",
    stripped: "ファイルを除去",
    quarantined: "隔離しました",
    rejected: "拒否しました",
    discarded: "破棄しました",
    deferred: "延期しました",
    held: "保留しました",
    nothing: "問題は見つかりませんでした",
    no_scan: "メールを検査できませんでした",
};

impl Words {
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::Japanese => &JAPANESE,
        }
    }

    pub(super) fn delivered(&self, changes: &[&str]) -> String {
        match (self.language, changes.is_empty()) {
            (Language::English, true) => "Delivered".into(),
            (Language::English, false) => format!("Delivered with {}", changes.join(" and ")),
            (Language::Japanese, true) => "配信しました".into(),
            (Language::Japanese, false) => format!("配信しました（{}）", changes.join("、")),
        }
    }

    pub(super) fn silent(&self, detector: &str) -> String {
        match self.language {
            Language::English => format!("{detector} did not answer, and without it the message is not inspected"),
            Language::Japanese => format!("{detector} が応答せず、検査が完了していません"),
        }
    }

    pub(super) fn points(&self, points: &str, threshold: &str) -> String {
        match self.language {
            Language::English => format!(", {points} points of {threshold}"),
            Language::Japanese => format!("（{points} 点、しきい値 {threshold} 点）"),
        }
    }

    pub(super) fn brackets(&self, inner: &str) -> String {
        match self.language {
            Language::English => format!(" ({inner})"),
            Language::Japanese => format!("（{inner}）"),
        }
    }

    pub(super) fn sentence(&self, done: &str, why: &str) -> String {
        match self.language {
            Language::English => format!("{done}: {why}."),
            Language::Japanese => format!("{done}：{why}。"),
        }
    }
}
