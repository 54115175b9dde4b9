//! Japanese.

use crate::model::authentication::{DmarcPolicy, DmarcResult, SpfIdentity, SpfResult};
use crate::model::explanation::Answer;
use crate::model::lists::{Action, EntryId, EntryKind, Scope};
use crate::model::rule::{Effect, LimitOf, ReverseFault, Rule, Stage};
use crate::model::sender::{Country, Standing};

pub(super) fn sentence(answer: Answer, decided_by: &Rule, postponed: Option<&Rule>) -> String {
    let verb = match answer {
        Answer::Accept => "受け入れました",
        Answer::Defer => "後で再送するよう求めました",
        Answer::Reject => "拒否しました",
        Answer::Disconnect => "拒否して接続を切りました",
    };
    match postponed {
        Some(postponed) => format!(
            "仮に受け入れました：{}。本文の後で送信者が認証されなければ拒否または延期します（{}）。",
            rule(decided_by),
            rule(postponed)
        ),
        None => format!("{verb}：{}。", rule(decided_by)),
    }
}

pub(super) fn rule(rule: &Rule) -> String {
    match rule {
        Rule::NothingAgainst => "問題は見つかりませんでした".into(),
        Rule::Contract => "宛先の組織の契約が凍結中か終了しています".into(),
        Rule::Accounts => "宛先は契約アカウント数を超える新しいアカウントになります".into(),
        Rule::Recipient => "宛先が存在しないか、確認できませんでした".into(),
        Rule::Entry { id, action, kind, scope, prefix, country } => {
            entry((*id, *action, *kind, *scope), *prefix, *country)
        }
        Rule::TrustedRelay => "運用者自身の中継サーバーからのメールで、送信元はそこで判定済みです".into(),
        Rule::TlsRequired { from } if &**from == "*" => "すべての送信元にTLSが必須です".into(),
        Rule::TlsRequired { from } => format!("{from} からのメールにはTLSが必須です"),
        Rule::KnownSource { list, reason, weight: 0 } => {
            format!("既知の送信元リスト {list} の回答は「{reason}」です")
        }
        Rule::KnownSource { list, reason, weight } => {
            format!("既知の送信元リスト {list} に「{reason}」として載っています（重み {weight}）")
        }
        Rule::Reputation { level, standing, why } => {
            let standing = match standing {
                Standing::Good => "送信元サーバーの評価は良好です",
                Standing::Unknown => "送信元サーバーはまだ知られていません",
                Standing::Delayed => "送信元サーバーが最近迷惑メールを送りました",
                Standing::Refused => "送信元サーバーが最近大量の迷惑メールを送りました",
            };
            let why = why.as_ref().map(|why| format!("、{why}")).unwrap_or_default();
            format!("{standing}（レベル {}{why}）", level.get())
        }
        Rule::ReverseName { row, fault } => match fault {
            ReverseFault::Missing => format!("送信元サーバーに逆引き名がありません（{row} の規則）"),
            ReverseFault::Invalid => {
                format!("送信元サーバーの逆引き名が元のアドレスに一致しません（{row} の規則）")
            }
            ReverseFault::Blocked => format!("送信元サーバーの逆引き名は拒否対象の {row} に含まれます"),
            ReverseFault::Unavailable => {
                format!("送信元サーバーの逆引き名を今は調べられません（{row} の規則）")
            }
        },
        Rule::Limit { of } => {
            let of = match of {
                LimitOf::Client => "送信元サーバー",
                LimitOf::Sender => "送信者",
                LimitOf::Recipient => "宛先",
            };
            format!("{of}のメール数の上限を超えました")
        }
        Rule::Harvest => "送信元サーバーが存在しない宛先を多数試しました".into(),
        Rule::Greylist => "送信元サーバーが未知のため、再送を待ちます（グレーリスト）".into(),
        Rule::From => "Fromヘッダーが一つではないか、作成者のドメインが一つに定まりません".into(),
        Rule::ArcSealer { sealer } => format!("信頼するARC署名者 {sealer} がメールを保証しています"),
        Rule::Dmarc { result, policy } => {
            let policy = match policy {
                DmarcPolicy::None => "none",
                DmarcPolicy::Quarantine => "quarantine",
                DmarcPolicy::Reject => "reject",
            };
            match result {
                DmarcResult::None => "作成者のドメインにDMARCレコードがありません".into(),
                DmarcResult::Pass => "DMARCに合格しました".into(),
                DmarcResult::Fail => format!("DMARCに不合格で、作成者のドメインは p={policy} を求めています"),
                DmarcResult::TempError => "DMARCを今は評価できません".into(),
                DmarcResult::PermError => "作成者のドメインのDMARCレコードが誤っています".into(),
            }
        }
        Rule::Spf { result, identity } => {
            let of = match identity {
                SpfIdentity::Helo => "HELO",
                SpfIdentity::MailFrom => "エンベロープ送信者",
            };
            match result {
                SpfResult::None => format!("{of}のSPFレコードがありません"),
                SpfResult::Neutral => format!("SPFは{of}について何も述べていません（neutral）"),
                SpfResult::Pass => format!("{of}はSPFに合格しました"),
                SpfResult::Fail => format!("{of}はSPFに不合格です"),
                SpfResult::SoftFail => format!("{of}はSPFに不合格です（softfail）"),
                SpfResult::TempError => format!("{of}のSPFを今は評価できません"),
                SpfResult::PermError => format!("{of}のSPFレコードが誤っています"),
            }
        }
        Rule::Dkim => "有効なDKIM署名がありません".into(),
    }
}

fn entry(
    (EntryId(id), action, kind, scope): (EntryId, Action, EntryKind, Scope),
    prefix: Option<u8>,
    country: Option<Country>,
) -> String {
    let whose = match scope {
        Scope::Operator => "運用者",
        Scope::Tenant => "テナント",
        Scope::Domain => "ドメイン",
        Scope::Mailbox => "メールボックス所有者",
    };
    let what = match (kind, prefix, country) {
        (EntryKind::Address, ..) => "送信者のアドレス".into(),
        (EntryKind::Domain, ..) => "送信者のドメイン".into(),
        (EntryKind::Network, Some(prefix), _) => format!("送信元のネットワーク（/{prefix}）"),
        (EntryKind::Network, None, _) => "送信元のネットワーク".into(),
        (EntryKind::Country, _, Some(country)) => format!("送信元の国（{country}）"),
        (EntryKind::Country, _, None) => "送信元の国".into(),
    };
    let does = match action {
        Action::Allow => "許可",
        Action::Block => "拒否",
    };
    format!("{whose}の登録 #{id} が{what}を{does}しています")
}

pub(super) fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Recipient => "宛先",
        Stage::SenderLists => "送信者リスト",
        Stage::Tls => "TLS",
        Stage::ClientLists => "ネットワークと国",
        Stage::KnownSources => "既知の送信元",
        Stage::Reputation => "評価",
        Stage::ReverseName => "逆引き名",
        Stage::Limits => "上限",
        Stage::Greylist => "グレーリスト",
        Stage::Provisional => "認証待ち",
        Stage::From => "From",
        Stage::Arc => "ARC",
        Stage::Dmarc => "DMARC",
        Stage::Spf => "SPF",
        Stage::Dkim => "DKIM",
    }
}

pub(super) fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Passed => "問題なし",
        Effect::Allowed => "許可",
        Effect::Refused => "拒否",
        Effect::Deferred => "延期",
        Effect::Marked => "印を付けて受け入れ",
        Effect::Postponed => "認証待ち",
        Effect::Skipped => "省略",
        Effect::Off => "無効に設定",
        Effect::Degraded => "回答なし、判定に使わず",
        Effect::Shadowed => "先の登録が優先",
        Effect::Unauthenticated => "適用せず：送信者が認証されていません",
        Effect::OutsideNetwork => "適用せず：指定ネットワーク外からの接続です",
        Effect::Overruled => "他の判定が優先",
    }
}
