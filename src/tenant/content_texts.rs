//! What is written into mail where a tenant has no words of its own: tags before subjects, stamps above texts. In Japanese and
//! English, for the reader's language is not known.

use crate::model::disposition::Category;

pub(super) fn tag(category: Category) -> &'static str {
    match category {
        Category::Malware => "[MALWARE]",
        Category::RiskyFile => "[RISKY FILE]",
        Category::Ambiguous | Category::Unscannable => "[UNCHECKED]",
        Category::Encrypted => "[ENCRYPTED]",
        Category::Phishing => "[PHISHING]",
        Category::Impersonation => "[SPOOF?]",
        Category::Spam => "[SPAM]",
        Category::Suspected => "[SPAM?]",
        Category::Bulk => "[BULK]",
    }
}

pub(super) fn stamp(category: Category) -> &'static str {
    match category {
        Category::Malware => {
            "【注意】このメールから不正なファイルが見つかりました。\n\
             CAUTION: a malicious file was found in this message."
        }
        Category::RiskyFile => {
            "【注意】危険な種類のファイルが添付されています。送信者に確認するまで開かないでください。\n\
             CAUTION: a file of a risky kind is attached. Do not open it before you have asked the sender."
        }
        Category::Ambiguous | Category::Unscannable => {
            "【注意】このメールには検査できない部分があります。リンクや添付ファイルを開く前に送信者に確認してください。\n\
             CAUTION: a part of this message could not be inspected. Ask the sender before you open links or files."
        }
        Category::Encrypted => {
            "【注意】パスワード付きの添付ファイルは検査されていません。心当たりがない場合は開かないでください。\n\
             CAUTION: a file with a password could not be inspected. Do not open it unless you expected it."
        }
        Category::Phishing => {
            "【注意】パスワードやカード情報をだまし取る詐欺の疑いがあります。リンクを開かず、情報を入力しないでください。\n\
             CAUTION: this message may try to steal passwords or card numbers. Follow no link and enter nothing."
        }
        Category::Impersonation => {
            "【注意】差出人が他人や他社になりすましている可能性があります。返信や送金の前に、別の手段で本人に確認してください。\n\
             CAUTION: the sender may pretend to be somebody else. Ask the person by another way before you answer or pay."
        }
        Category::Spam | Category::Suspected => {
            "【注意】迷惑メールの疑いがあります。\n\
             CAUTION: this message may be spam."
        }
        Category::Bulk => {
            "【お知らせ】このメールは一斉配信されたものです。\n\
             NOTE: this message was sent in bulk."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::content::{MAX_STAMP, MAX_TAG};

    #[test]
    fn our_own_words_keep_to_the_limits() {
        for category in Category::ALL {
            assert!(tag(category).is_ascii() && tag(category).len() <= MAX_TAG);
            let lines: Vec<&str> = stamp(category).lines().collect();
            assert!(lines.len() == 2 && !lines[0].is_ascii() && lines[1].is_ascii(), "{category:?}");
            assert!(stamp(category).chars().count() <= MAX_STAMP);
        }
    }
}
