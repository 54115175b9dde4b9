//! Names of what the detectors in this room find, with points and a description in English and Japanese. Rules and feeds
//! bring their own names with their signature set.
//!
//! **Invariants**: a name never changes its meaning; what is no longer found leaves, and its name is not used again.

use crate::model::finding::{Class, Detector, Finding, Score};

/// What a detector may find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Symbol {
    pub name: &'static str,
    pub detector: Detector,
    pub class: Class,
    pub score: Score,
    pub en: &'static str,
    pub ja: &'static str,
}

impl Symbol {
    /// With its usual points.
    #[must_use]
    pub fn found(&self, evidence: &str) -> Finding {
        Finding::new(self.detector, self.name, self.class, self.score, evidence)
    }
}

/// The symbol of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Symbol> {
    ALL.iter().find(|symbol| symbol.name == name)
}

macro_rules! symbols {
    ($($name:ident $detector:ident $class:ident $score:literal $en:literal $ja:literal)*) => {
        $(pub const $name: Symbol = Symbol {
            name: stringify!($name),
            detector: Detector::$detector,
            class: Class::$class,
            score: Score($score),
            en: $en,
            ja: $ja,
        };)*
        /// All of them.
        pub const ALL: &[Symbol] = &[$($name),*];
    };
}

symbols! {
    FROM_FORGED_SYNTAX Impersonation Impersonation 4500
        "The From field is written so that mail programs show another author" "差出人欄が、別の差出人に見えるように細工されています"
    FROM_NAME_OTHER_ADDRESS Impersonation Impersonation 1500
        "The author's name is an address in another domain" "差出人の表示名が別ドメインのメールアドレスです"
    FROM_NAME_OWN_ADDRESS Impersonation Impersonation 3000
        "The author's name is an address of the recipient's organisation, the author is outside" "差出人の表示名が受信側組織のアドレスですが、実際の差出人は外部です"
    FROM_NAME_OWN_PERSON Impersonation Impersonation 4000
        "The author has the name of a protected person and another address" "保護対象の人物と同じ表示名ですが、アドレスが異なります"
    FROM_NAME_OWN_DOMAIN Impersonation Impersonation 1500
        "The author's name is that of the recipient's domain, the author is outside" "差出人の表示名が受信側ドメインの名前ですが、実際の差出人は外部です"
    FROM_NAME_BRAND Impersonation Phishing 2500
        "The author claims to be a well-known company and writes from another domain" "有名企業を名乗っていますが、差出人のドメインが異なります"
    FROM_NAME_IMITATES Impersonation Phishing 3500
        "The author's name imitates a well-known company with letters that look alike" "見た目の似た文字で有名企業の名前をまねた差出人名です"
    LETTERS_DRAWN Impersonation Spam 1500
        "Letters of mathematics or in circles instead of plain ones" "通常の文字の代わりに、数学記号や囲み文字などの装飾文字が使われています"
    LETTERS_CUT Impersonation Spam 2000
        "Invisible or striking characters inside words of the author's name or the subject" "差出人名または件名の文字の間に、見えない文字や取り消し線の文字が挟まれています"
    FROM_NO_DOMAIN Impersonation Spam 1000
        "The author has no address on the internet" "差出人のアドレスがインターネット上のものではありません"
    FROM_FREEMAIL_BRAND Impersonation Phishing 1500
        "A well-known company that writes from a free mail service" "有名企業を名乗っていますが、フリーメールから送信されています"
    FROM_LIKE_OWN_DOMAIN Impersonation Impersonation 4000
        "The author's domain looks like the recipient's own" "差出人のドメインが受信側のドメインに酷似しています"
    FROM_LIKE_BRAND Impersonation Phishing 2800
        "The author's domain looks like that of a well-known company" "差出人のドメインが有名企業のものに酷似しています"
    FROM_OWN_DOMAIN Impersonation Impersonation 2000
        "The recipient's own domain as the author's, not authenticated" "受信側自身のドメインを名乗っていますが、認証されていません"
    FROM_MIXED_SCRIPTS Impersonation Phishing 2200
        "Letters of several scripts in one word of the author's name or the subject" "差出人名または件名の一語に、見た目の似た別の文字体系の文字が混ざっています"
    FROM_IS_RECIPIENT Impersonation Spam 1200
        "The recipient's own address as the author's, not authenticated" "受信者自身のアドレスを差出人に使っていますが、認証されていません"
    REPLY_TO_FREEMAIL Impersonation Impersonation 1200
        "Answers go to a free mail service, the author is elsewhere" "返信先が、差出人と異なるフリーメールです"
    REPLY_TO_LIKE_AUTHOR Impersonation Impersonation 2800
        "Answers go to a domain that looks like the author's" "返信先が差出人のドメインに酷似した別ドメインです"
    FIRST_CONTACT Impersonation Impersonation 0
        "The author has never written to this tenant before" "この差出人からの初めてのメールです"
    LINK_TEXT_OTHER_BRAND Impersonation Phishing 3000
        "A link shows a well-known address and leads elsewhere" "表示されている有名サイトのアドレスと、実際のリンク先が異なります"
    LINK_TEXT_OTHER_DOMAIN Impersonation Phishing 500
        "A link shows one domain and leads to another" "表示されているドメインと、実際のリンク先のドメインが異なります"
    LINK_TEXT_OWN_DOMAIN Impersonation Phishing 2500
        "A link shows the recipient's own domain and leads elsewhere" "受信側ドメインに見えるリンクが、別の場所につながっています"
    LINK_LIKE_BRAND Impersonation Phishing 2500
        "A link's domain looks like that of a well-known company" "リンク先のドメインが有名企業のものに酷似しています"
    LINK_LIKE_OWN_DOMAIN Impersonation Phishing 3000
        "A link's domain looks like the recipient's own" "リンク先のドメインが受信側のドメインに酷似しています"
    LINK_BRAND_BELOW_OTHER Impersonation Phishing 3000
        "A well-known address as the first part of another one" "有名サイトのアドレスが、別ドメインのホスト名の一部に使われています"
    LINK_BRAND_LABEL Impersonation Phishing 400
        "A well-known name below another domain" "有名企業の名前が、別ドメインのホスト名に含まれています"
    LINK_ADDRESS_NUMBER Impersonation Phishing 1500
        "A link to an IP address" "IPアドレスへ直接つながるリンクがあります"
    LINK_ADDRESS_DISGUISED Impersonation Phishing 3000
        "An IP address written so that it isn't seen as one" "IPアドレスが分かりにくい表記で書かれています"
    LINK_USER_IN_HOST Impersonation Phishing 2500
        "A link shows a name in front of the real host" "リンクの本当のホスト名の前に、別の名前が置かれています"
    LINK_MIXED_SCRIPTS Impersonation Phishing 2500
        "Letters of several scripts in the host of a link" "リンク先のホスト名に、見た目の似た別の文字体系の文字が混ざっています"
    LINK_MADE_IN_MAIL Impersonation Phishing 2000
        "A link to a page that the mail itself holds" "メール本文に埋め込まれたページを開くリンクがあります"
    LINK_FREE_PAGE Impersonation Phishing 1000
        "A link to a page of a free hosting or form service" "無料のホスティングまたはフォームサービスへのリンクがあります"
    LINK_SHORTENED Impersonation Phishing 500
        "A shortened address" "短縮URLが使われています"
    LINK_THROUGH_SEARCH Impersonation Phishing 1500
        "A link that hides its target behind a search engine or translation" "検索・翻訳サービスの転送を使って、リンク先を隠しています"
    LINK_NAMES_RECIPIENT Impersonation Phishing 1000
        "A link to elsewhere that carries the recipient's address" "差出人と無関係なリンク先に、受信者のアドレスが含まれています"
    LINK_IN_CODE Impersonation Phishing 1200
        "A QR code with a web address" "Webアドレスを含むQRコードの画像があります"
    BRAND_WITHOUT_ITS_LINKS Impersonation Phishing 1500
        "Speaks for a well-known company, but no link leads to it" "有名企業からの連絡を装っていますが、その企業へのリンクがありません"
    FORM_IN_MAIL Impersonation Phishing 700
        "A form to fill in inside the mail" "メール本文に入力フォームがあります"
    PASSWORD_IN_MAIL Impersonation Phishing 4000
        "A form that asks for a password inside the mail" "メール本文にパスワードの入力欄があります"
    PAGE_MAKES_FILE Impersonation Phishing 4000
        "A script that makes a file or unpacks a page" "ファイルやページを生成するスクリプトが含まれています"
    PAGE_GOES_ELSEWHERE Impersonation Phishing 1500
        "The mail tries to open another page by itself" "メールを開くと自動的に別ページへ移動しようとします"
    WORDS_SPLIT Impersonation Spam 1800
        "Words with invisible characters or text between their letters" "単語の文字間に、見えない文字や文章が挟まれています"
    TEXT_HIDDEN Impersonation Spam 800
        "More text is hidden than shown" "表示される文章より多くの文章が隠されています"
    SUBJECT_CLAIMS_ANSWER Impersonation Spam 300
        "Claims to be an answer, but names no message" "返信を装っていますが、元のメールの情報がありません"
    BULK_UNSUBSCRIBE_FIELD Bulk Bulk 1500
        "Offers to unsubscribe in its header" "ヘッダーに配信停止の案内があります"
    BULK_UNSUBSCRIBE_LINK Bulk Bulk 1500
        "A link to unsubscribe" "配信停止のリンクがあります"
    BULK_PRECEDENCE Bulk Bulk 1000
        "Says of itself that it is bulk mail" "一斉配信メールであることを示しています"
    BULK_LIST Bulk Bulk 500
        "Sent by a mailing list" "メーリングリストからの配信です"
    BULK_CAMPAIGN Bulk Bulk 1500
        "Marks of a mailing service's campaign" "配信サービスのキャンペーン情報があります"
    BULK_COUNTS_READERS Bulk Bulk 1000
        "Images that count who reads" "開封を計測する画像が含まれています"
    BULK_DISCUSSION Bulk Bulk -2500
        "A mailing list on which people answer each other" "参加者同士がやり取りするメーリングリストです"
    CLAMD_TOO_LARGE Clamd Unscannable 0
        "Too large for the antivirus daemon" "ウイルス対策デーモンで検査できる大きさを超えています"
    ICAP_TOO_LARGE Icap Unscannable 0
        "Too large for the antivirus service" "ウイルス対策サービスで検査できる大きさを超えています"
    ICAP_UNSCANNABLE Icap Unscannable 0
        "The antivirus service could not look into it" "ウイルス対策サービスが内容を検査できませんでした"
    ICAP_BLOCKED Icap Malware 0
        "The antivirus service put something else in its place" "ウイルス対策サービスが内容を差し替えて遮断しました"
    ICAP_VIOLATION Icap RiskyFile 0
        "Against a rule of the antivirus service" "ウイルス対策サービスのルールに違反しています"
    RSPAMD_TOO_LARGE Rspamd Unscannable 0
        "Too large for rspamd, which is required" "必須のrspamdで検査できる大きさを超えています"
    SPAMD_TOO_LARGE Spamd Unscannable 0
        "Too large for SpamAssassin's daemon, which is required" "必須のSpamAssassinデーモンで検査できる大きさを超えています"
    RSPAMD Rspamd Spam 0
        "The points that rspamd gives, on our scale" "rspamdの評価点(本システムの尺度に換算)です"
    SPAMD Spamd Spam 0
        "The points that SpamAssassin's daemon gives, on our scale" "SpamAssassinデーモンの評価点(本システムの尺度に換算)です"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_symbol_is_told_apart_and_described() {
        for (at, symbol) in ALL.iter().enumerate() {
            assert!(ALL.iter().skip(at + 1).all(|other| other.name != symbol.name), "{}", symbol.name);
            assert!(!symbol.en.is_empty() && !symbol.ja.is_empty());
            assert!(symbol.class.is_scored() || symbol.score == Score::ZERO, "{}", symbol.name);
            assert!(symbol.score < Score(5_000), "{} alone makes no spam", symbol.name);
            assert_eq!(find(symbol.name), Some(symbol));
        }
        assert_eq!(find("NO_SUCH"), None);
    }
}
