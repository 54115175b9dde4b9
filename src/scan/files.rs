//! Rules about files: kinds that are rarely honest, names that deceive, documents that do something by themselves, and what nobody
//! could look into.
//!
//! **Failure**: nothing fails here; what could not be looked at is a finding of the class unscannable or encrypted, never silence.
//! **Invariants**: every finding names the part it is about. One finding for each symbol and part, so that each part can be taken
//! out; of symbols with points one for the message. The evidence is the file's name, bounded by [`Finding::new`].

use std::collections::HashSet;

use crate::message::files::names;
use crate::message::specimen::{FileKind, FileSeen, Lock, Specimen, Trait};
use crate::model::finding::{Class, Detector, Finding, Reason, Score, Verdict};

/// Symbols with what they say in English and Japanese.
pub const SYMBOLS: &[(&str, &str, &str)] = &[
    ("FILE_EXECUTABLE", "A program is attached", "プログラムが添付されています"),
    ("FILE_SCRIPT", "A script is attached", "スクリプトが添付されています"),
    ("FILE_SHORTCUT", "A shortcut is attached", "ショートカットが添付されています"),
    ("FILE_DISK_IMAGE", "A disk image is attached", "ディスクイメージが添付されています"),
    ("FILE_INSTALLER", "An installer is attached", "インストーラーが添付されています"),
    ("FILE_RISKY_NAME", "A file's name says that it runs when opened", "開くと実行される種類の名前のファイルです"),
    (
        "FILE_IN_ARCHIVE_RUNS",
        "A program or script is inside an archive",
        "圧縮ファイルの中にプログラムまたはスクリプトがあります",
    ),
    ("FILE_DOUBLE_EXTENSION", "A file's name hides its real extension", "ファイル名が本当の拡張子を隠しています"),
    (
        "FILE_DECEPTIVE_NAME",
        "A file's name has invisible or turned characters",
        "ファイル名に見えない文字や向きを変える文字があります",
    ),
    ("FILE_WRONG_TYPE", "A file is not what its name says", "ファイルの中身が名前と違います"),
    (
        "FILE_ESCAPING_NAME",
        "A name in an archive leads out of its folder",
        "圧縮ファイル内の名前がフォルダーの外を指しています",
    ),
    (
        "FILE_AMBIGUOUS",
        "A file is read in two ways by different programs",
        "プログラムによって読み方が変わるファイルです",
    ),
    ("FILE_MACROS", "A document has macros", "文書にマクロがあります"),
    ("FILE_AUTO_MACROS", "A document's macros run when it is opened", "文書を開くとマクロが実行されます"),
    (
        "FILE_SUSPICIOUS_MACROS",
        "A document's macros start programs, load from the web or hide what they do",
        "文書のマクロがプログラムの起動や通信、難読化を行います",
    ),
    ("FILE_XLM", "A workbook has Excel 4.0 macros", "ブックにExcel 4.0マクロがあります"),
    ("FILE_DDE", "A document starts programs by DDE", "文書がDDEでプログラムを起動します"),
    ("FILE_EXTERNAL_LINK", "A document loads something from elsewhere", "文書が外部からデータを読み込みます"),
    ("FILE_EMBEDDED_OBJECT", "A document has an embedded object", "文書に埋め込みオブジェクトがあります"),
    (
        "FILE_EMBEDDED_RUNS",
        "A program or script is embedded in a document",
        "文書にプログラムまたはスクリプトが埋め込まれています",
    ),
    (
        "FILE_EQUATION",
        "A document has an object of the old equation editor",
        "文書に古い数式エディターのオブジェクトがあります",
    ),
    ("FILE_PDF_SCRIPT", "A PDF has script", "PDFにスクリプトがあります"),
    ("FILE_PDF_LAUNCH", "A PDF starts a program", "PDFがプログラムを起動します"),
    ("FILE_HTML", "An HTML file is attached", "HTMLファイルが添付されています"),
    ("FILE_HTML_SCRIPT", "An attached HTML or SVG file has script", "添付のHTMLまたはSVGにスクリプトがあります"),
    (
        "FILE_HTML_SMUGGLING",
        "An attached HTML or SVG file makes a file by script",
        "添付のHTMLまたはSVGがスクリプトでファイルを作ります",
    ),
    ("FILE_HTML_PASSWORD", "An attached HTML file asks for a password", "添付のHTMLがパスワードを求めます"),
    ("FILE_SHORTCUT_RUNS", "A shortcut starts a command", "ショートカットがコマンドを実行します"),
    ("FILE_ENCRYPTED", "A file can't be opened without its password", "パスワードがないと開けないファイルがあります"),
    ("FILE_OPENED", "A password in the mail opened a file", "メール内のパスワードでファイルを開きました"),
    ("FILE_UNSCANNABLE", "A file could not be looked into", "検査できないファイルがあります"),
    (
        "FILE_BOMB",
        "A file is too big, too deep or too well packed to be looked into",
        "大きさ、階層または圧縮率が上限を超え、検査できないファイルがあります",
    ),
];

/// Points of the middle level, in thousandths.
const SPAM_LEVEL: Score = Score(5_000);

/// What the files of a message give reason to.
#[must_use]
pub fn inspect(specimen: &Specimen) -> Vec<Finding> {
    let mut found = Found { specimen, told: HashSet::new(), findings: Vec::new() };
    for file in &specimen.files {
        kind(&mut found, file);
        name(&mut found, file);
        content(&mut found, file);
        match file.lock {
            Lock::Closed => found.file("FILE_ENCRYPTED", Class::Encrypted, Score::ZERO, file),
            Lock::Opened => found.file("FILE_OPENED", Class::Spam, Score(500), file),
            Lock::None => {}
        }
    }
    for one in &specimen.unchecked {
        let (symbol, class) = match one.reason {
            Reason::Encrypted => ("FILE_ENCRYPTED", Class::Encrypted),
            Reason::Bytes | Reason::FileSize | Reason::Ratio | Reason::Count | Reason::Depth | Reason::Time => {
                ("FILE_BOMB", Class::Unscannable)
            }
            Reason::Malformed | Reason::Unsupported => ("FILE_UNSCANNABLE", Class::Unscannable),
        };
        let path = one.what.split_once('/').map_or(&*one.what, |(path, _)| path);
        let part = specimen.parts.iter().position(|part| *part.path == *path);
        found.add(symbol, class, Score::ZERO, (part, &one.what));
    }
    found.findings
}

/// The same, put into the verdict.
pub fn detect(specimen: &Specimen, verdict: &mut Verdict) {
    for finding in inspect(specimen) {
        verdict.find(finding);
    }
}

struct Found<'s> {
    specimen: &'s Specimen,
    told: HashSet<(&'static str, Class, Option<usize>)>,
    findings: Vec<Finding>,
}

impl Found<'_> {
    /// `part`: `None` if it is not known which one.
    fn add(&mut self, symbol: &'static str, class: Class, score: Score, (part, evidence): (Option<usize>, &str)) {
        // Points are for the message: ten files of a kind are no better proof than one.
        let told = if class.is_scored() { None } else { part };
        if !self.told.insert((symbol, class, told)) {
            return;
        }
        let finding = Finding::new(Detector::Files, symbol, class, score, evidence);
        let path = part.and_then(|part| self.specimen.parts.get(part)).map(|part| &*part.path);
        self.findings.push(match path {
            Some(path) => finding.in_part(path),
            None => finding,
        });
    }

    fn file(&mut self, symbol: &'static str, class: Class, score: Score, file: &FileSeen) {
        self.add(symbol, class, score, (Some(file.part), file.name()));
    }

    fn risky(&mut self, symbol: &'static str, file: &FileSeen) {
        self.file(symbol, Class::RiskyFile, SPAM_LEVEL, file);
    }
}

fn runs(file: &FileSeen) -> bool {
    matches!(file.kind, FileKind::Executable | FileKind::Script | FileKind::Shortcut)
        || file.kind == FileKind::Java && matches!(file.format, "jar" | "apk" | "class")
}

fn kind(found: &mut Found<'_>, file: &FileSeen) {
    let parent = file.parent.and_then(|parent| found.specimen.files.get(parent));
    if runs(file) {
        match parent.map(|parent| parent.kind) {
            // What is unpacked by hand from an archive runs as well as what is attached.
            Some(FileKind::Archive | FileKind::Compressed | FileKind::DiskImage | FileKind::Tnef | FileKind::Mail) => {
                found.risky("FILE_IN_ARCHIVE_RUNS", file)
            }
            // Installers bring their programs with them.
            Some(FileKind::Executable | FileKind::Java) => {}
            // Text that a page or a message shows is no file that runs.
            Some(FileKind::Html | FileKind::Svg) if file.kind == FileKind::Script => {}
            Some(_) => found.risky("FILE_EMBEDDED_RUNS", file),
            None => {}
        }
    }
    let is_top = parent.is_none();
    match file.kind {
        FileKind::Executable if is_top => found.risky("FILE_EXECUTABLE", file),
        FileKind::Java if is_top && runs(file) => found.risky("FILE_EXECUTABLE", file),
        FileKind::Script if is_top => found.risky("FILE_SCRIPT", file),
        FileKind::Shortcut if is_top => found.risky("FILE_SHORTCUT", file),
        FileKind::DiskImage => found.risky("FILE_DISK_IMAGE", file),
        FileKind::Ole if file.format == "msi" => found.risky("FILE_INSTALLER", file),
        FileKind::Ooxml if file.format == "msix" => found.risky("FILE_INSTALLER", file),
        FileKind::Archive if file.format == "chm" => found.risky("FILE_RISKY_NAME", file),
        FileKind::Html | FileKind::Svg if is_top || parent.is_some_and(|parent| parent.kind == FileKind::Archive) => {
            found.file("FILE_HTML", Class::Spam, Score(500), file);
        }
        _ => {}
    }
    if file.has(Trait::Launch) && file.kind == FileKind::Shortcut {
        found.risky("FILE_SHORTCUT_RUNS", file);
    }
}

fn name(found: &mut Found<'_>, file: &FileSeen) {
    if file.has(Trait::DoubleExtension) {
        found.risky("FILE_DOUBLE_EXTENSION", file);
    }
    if file.has(Trait::DeceptiveName) {
        found.risky("FILE_DECEPTIVE_NAME", file);
    }
    if file.has(Trait::WrongExtension) {
        // A picture that is a page is a trick; a .doc that is something else in an office is not.
        if runs(file) || matches!(file.kind, FileKind::Html | FileKind::DiskImage | FileKind::OneNote) {
            found.risky("FILE_WRONG_TYPE", file);
        } else {
            found.file("FILE_WRONG_TYPE", Class::Spam, Score(500), file);
        }
    }
    if file.has(Trait::EscapingName) {
        found.file("FILE_ESCAPING_NAME", Class::Spam, Score(1_500), file);
    }
    if file.has(Trait::Ambiguous) {
        found.file("FILE_AMBIGUOUS", Class::Ambiguous, Score::ZERO, file);
    }
    // The name alone decides where the content can't be seen, and for types that are text.
    let unseen = file.size == 0 || file.lock == Lock::Closed || matches!(file.kind, FileKind::Unknown | FileKind::Text);
    if unseen
        && file.names.iter().any(|name| names::runs(name))
        && (file.size > 0 || file.lock == Lock::Closed || file.layer > 0)
    {
        found.risky("FILE_RISKY_NAME", file);
    }
}

fn content(found: &mut Found<'_>, file: &FileSeen) {
    if file.has(Trait::Macros) {
        found.file("FILE_MACROS", Class::Spam, Score(500), file);
    }
    if file.has(Trait::AutoMacros) && (file.has(Trait::Macros) || file.has(Trait::Xlm)) {
        // A workbook that fits its columns when it is opened is everyday; with a habit of malware it isn't.
        if file.has(Trait::SuspiciousMacros) || file.has(Trait::Xlm) {
            found.risky("FILE_AUTO_MACROS", file);
        } else {
            found.file("FILE_AUTO_MACROS", Class::Spam, Score(1_500), file);
        }
    }
    if file.has(Trait::SuspiciousMacros) {
        found.risky("FILE_SUSPICIOUS_MACROS", file);
    }
    if file.has(Trait::Xlm) {
        found.risky("FILE_XLM", file);
    }
    if file.has(Trait::Dde) {
        found.risky("FILE_DDE", file);
    }
    if file.has(Trait::ExternalLink) {
        found.file("FILE_EXTERNAL_LINK", Class::Spam, Score(1_000), file);
    }
    if file.has(Trait::EmbeddedObject) {
        let often = matches!(file.kind, FileKind::Rtf | FileKind::OneNote);
        found.file("FILE_EMBEDDED_OBJECT", Class::Spam, if often { Score(1_000) } else { Score(100) }, file);
    }
    if file.name().to_ascii_lowercase().starts_with("equation") && file.parent.is_some() {
        found.risky("FILE_EQUATION", file);
    }
    let is_pdf = file.kind == FileKind::Pdf;
    if is_pdf && file.has(Trait::Script) {
        found.file("FILE_PDF_SCRIPT", Class::Spam, Score(1_000), file);
    }
    if is_pdf && file.has(Trait::Launch) {
        found.risky("FILE_PDF_LAUNCH", file);
    }
    let is_page = matches!(file.kind, FileKind::Html | FileKind::Svg);
    if is_page && file.has(Trait::Script) {
        let score = if file.kind == FileKind::Svg { Score(3_000) } else { Score(1_500) };
        found.file("FILE_HTML_SCRIPT", Class::Phishing, score, file);
    }
    if is_page && file.has(Trait::PasswordForm) {
        found.file("FILE_HTML_PASSWORD", Class::Phishing, Score(3_500), file);
    }
    if file.has(Trait::Smuggling) {
        found.risky("FILE_HTML_SMUGGLING", file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::files;
    use crate::message::specimen::{FileVisitor, Limits};

    struct Nobody;

    impl FileVisitor for Nobody {
        fn file(&mut self, _: &FileSeen, _: &[u8]) {}
    }

    fn symbols(name: &str, octets: &'static [u8]) -> Vec<(String, Class)> {
        let specimen = files::walk_octets(name, octets.into(), &Limits::default(), &[], &|| false, &mut Nobody);
        let found = inspect(&specimen);
        assert!(found.iter().all(|finding| finding.part.as_deref() == Some("1")), "{found:?}");
        found.into_iter().map(|finding| (finding.symbol.into(), finding.class)).collect()
    }

    #[test]
    fn every_part_is_told_and_points_are_given_once() {
        let text = "From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n\
            --b\r\nContent-Type: text/javascript; name=a.js\r\n\r\nx = 1\r\n\
            --b\r\nContent-Type: image/png; name=a.png\r\n\r\n\x7fPNG\r\n\
            --b\r\nContent-Type: text/javascript; name=b.js\r\n\r\nx = 2\r\n\
            --b\r\nContent-Type: application/octet-stream; name=a.html\r\n\r\n<html>1</html>\r\n\
            --b\r\nContent-Type: application/octet-stream; name=b.html\r\n\r\n<html>2</html>\r\n--b--\r\n";
        let mut specimen = Specimen::parse(text.as_bytes().into(), &Limits::default(), &|| false);
        files::walk(&mut specimen, &Limits::default(), &files::Passwords::default(), &|| false, &mut Nobody);
        let found = inspect(&specimen);
        let of = |symbol: &str| -> Vec<Option<&str>> {
            found.iter().filter(|one| &*one.symbol == symbol).map(|one| one.part.as_deref()).collect()
        };
        assert_eq!(of("FILE_SCRIPT"), [Some("2"), Some("4")], "{found:?}");
        assert_eq!(of("FILE_HTML").len(), 1, "{found:?}");
    }

    #[test]
    fn what_runs_is_risky() {
        let risky = |symbol: &str| (symbol.to_owned(), Class::RiskyFile);
        assert_eq!(symbols("a.exe", b"MZ\x90\0\x03\0\0\0"), [risky("FILE_EXECUTABLE")]);
        assert_eq!(symbols("invoice.pdf.js", b"x = 1"), [risky("FILE_SCRIPT"), risky("FILE_DOUBLE_EXTENSION")]);
        assert_eq!(symbols("scan.jpg", b"<html><body>x</body></html>").first().map(|one| one.1), Some(Class::Spam));
        assert!(symbols("scan.jpg", b"<html><body>x</body></html>").contains(&risky("FILE_WRONG_TYPE")));
    }

    #[test]
    fn honest_files_give_no_reason() {
        assert_eq!(symbols("notes.txt", b"hello"), []);
        assert_eq!(symbols("table.csv", b"a,b\n=SUM(A1),2\n"), []);
        assert_eq!(symbols("photo.png", b"\x89PNG\r\n\x1a\n\0\0\0\0"), []);
    }

    #[test]
    fn a_page_with_a_password_field_is_phishing() {
        let found =
            symbols("login.html", b"<html><form action='https://a.example/'><input type='password'></form></html>");
        assert!(found.contains(&("FILE_HTML_PASSWORD".to_owned(), Class::Phishing)), "{found:?}");
    }

    #[test]
    fn what_could_not_be_opened_is_never_silent() {
        assert_eq!(
            symbols("a.7z", b"7z\xbc\xaf\x27\x1c\0\x04damaged"),
            [("FILE_UNSCANNABLE".to_owned(), Class::Unscannable)]
        );
        assert_eq!(
            symbols("a.ace", b"\0\0\0\0\0\0\0**ACE**\0\0\0"),
            [("FILE_UNSCANNABLE".to_owned(), Class::Unscannable)]
        );
    }

    #[test]
    fn every_symbol_is_described() {
        let source = include_str!("files.rs");
        for (symbol, english, japanese) in SYMBOLS {
            assert!(source.matches(&format!("\"{symbol}\"")).count() > 1, "{symbol} is never used");
            assert!(!english.is_empty() && !japanese.is_empty());
        }
    }
}
