//! Mail for the bench: made up, of several kinds, and whatever lies in a folder.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

const ENGLISH: [&str; 8] = [
    "Thank you for the minutes of last week's meeting; I have two remarks on the schedule of the second phase.",
    "The supplier confirms that the parts leave the factory on Thursday and that the papers follow by courier.",
    "Could you please look at the attached figures before noon and tell me whether the third column is right?",
    "We moved the weekly call to ten o'clock, because half of the team is on the train at nine these days.",
    "As agreed, the invoice for October carries the order number and goes to the address of the head office.",
    "The new printer on the fourth floor works again; whoever still has its manual may bring it to reception.",
    "Kenji asked for a list of everybody who needs access to the archive, with the reason in a few words.",
    "If nothing comes between, the second test run begins on Monday and the report is on your desk by Friday.",
];
const JAPANESE: [&str; 6] = [
    "いつもお世話になっております。先日の打ち合わせの議事録をお送りしますのでご確認ください。",
    "次回の定例会議は木曜日の午後二時から、本社四階の会議室で行います。資料は前日までに共有します。",
    "請求書の件、経理部に確認したところ、今月末の処理で問題ないとのことでした。",
    "納品の予定が一日遅れる見込みです。ご迷惑をおかけしますが、よろしくお願いいたします。",
    "添付の見積書をご覧いただき、ご不明な点がございましたらご連絡ください。",
    "新しいプリンターの設定が終わりましたので、お手数ですが各自で動作をお試しください。",
];

fn head(more: &str) -> String {
    format!(
        "Received: from mail.partner.example (mail.partner.example [192.0.2.7])\r\n\tby mx.example with ESMTPS id 4711\r\n\t\
         for <hanako@acme.example>; Fri, 20 Nov 2026 09:00:00 +0900\r\nFrom: Taro Yamada <taro@partner.example>\r\n\
         To: Hanako <hanako@acme.example>\r\nDate: Fri, 20 Nov 2026 09:00:00 +0900\r\n\
         Message-ID: <20261120.4711@partner.example>\r\nMIME-Version: 1.0\r\n{more}\r\n"
    )
}

/// Lines of one of these texts, never twice the same, up to a length.
fn lines(of: &[&str], length: usize, line: impl Fn(usize, &str) -> String) -> String {
    let mut text = String::new();
    let mut number = 0;
    while text.len() < length {
        text += &line(number, of[(number * 5 + number / of.len()) % of.len()]);
        number += 1;
    }
    text
}

fn wrapped(octets: &[u8]) -> String {
    let text = STANDARD.encode(octets);
    text.as_bytes().chunks(76).map(|line| format!("{}\r\n", std::str::from_utf8(line).unwrap())).collect()
}

fn text(length: usize) -> String {
    head("Subject: Schedule of the second phase\r\nContent-Type: text/plain; charset=utf-8\r\n")
        + &lines(&ENGLISH, length, |number, line| format!("{line} ({number})\r\n"))
}

fn html(length: usize) -> String {
    let body = lines(&ENGLISH, length, |number, line| {
        format!(
            "<tr><td style=\"padding:4px;color:#333\" class=\"c{}\"><p>{line}</p>\
             <a href=\"https://www.partner.example/news/{number}?id=4711\">read on</a></td></tr>\r\n",
            number % 7
        )
    });
    head("Subject: News of November\r\nContent-Type: text/html; charset=utf-8\r\n")
        + "<html><head><style>.c1{color:#222}.c2{font-weight:bold}</style></head><body><table>\r\n"
        + &body
        + "</table></body></html>\r\n"
}

fn japanese(length: usize) -> Vec<u8> {
    let body = lines(&JAPANESE, length, |number, line| format!("{line}（{number}）\r\n"));
    let subject = "Subject: =?ISO-2022-JP?B?GyRCRGpOYzJxNUQkTjdvGyhC?=\r\n";
    let mut mail = head(
        &(subject.to_owned() + "Content-Type: text/plain; charset=ISO-2022-JP\r\nContent-Transfer-Encoding: 7bit\r\n"),
    )
    .into_bytes();
    mail.extend_from_slice(&encoding_rs::ISO_2022_JP.encode(&body).0);
    mail
}

fn with_zip(length: usize) -> String {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default();
    zip.start_file("figures.csv", stored).unwrap();
    let table = lines(&ENGLISH, length, |number, line| format!("{number};{};{line}\r\n", number * 7919 % 1000));
    std::io::Write::write_all(&mut zip, table.as_bytes()).unwrap();
    let zip = zip.finish().unwrap().into_inner();
    head("Subject: Figures\r\nContent-Type: multipart/mixed; boundary=b\r\n")
        + "--b\r\nContent-Type: text/plain\r\n\r\n"
        + &lines(&ENGLISH, 1_000, |_, line| format!("{line}\r\n"))
        + "--b\r\nContent-Type: application/zip; name=figures.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + &wrapped(&zip)
        + "--b--\r\n"
}

/// One message of each kind, by name.
pub fn made_up() -> Vec<(String, Vec<Bytes>)> {
    [
        ("text-5k", text(5_000).into_bytes()),
        ("text-50k", text(50_000).into_bytes()),
        ("text-500k", text(500_000).into_bytes()),
        ("html-20k", html(20_000).into_bytes()),
        ("japanese-5k", japanese(7_500)),
        ("zip-50k", with_zip(50_000).into_bytes()),
    ]
    .into_iter()
    .map(|(name, mail)| (name.to_owned(), vec![mail.into()]))
    .collect()
}

/// Every file below a folder, as mail.
pub fn folder(path: &str) -> Vec<Bytes> {
    let mut mails = Vec::new();
    let mut folders = vec![std::path::PathBuf::from(path)];
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for entry in entries {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                let text = std::fs::read(entry).unwrap();
                mails.push(crlf(&text).into());
            }
        }
    }
    mails
}

fn crlf(text: &[u8]) -> Vec<u8> {
    let lines = text.split_inclusive(|octet| *octet == b'\n').map(|line| {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        line.strip_suffix(b"\r").unwrap_or(line)
    });
    lines.flat_map(|line| [line, b"\r\n"].concat()).collect()
}
