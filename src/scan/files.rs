//! Rules about files: kinds that are rarely honest, names that deceive, documents that do something by themselves, and what nobody
//! could look into.
//!
//! **Failure**: nothing fails here; what could not be looked at is a finding of the class unscannable or encrypted, never silence.
//! **Invariants**: one finding for each symbol; the evidence is the file's name, bounded by [`Finding::new`].

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
    let mut found = Found::default();
    for file in &specimen.files {
        kind(&mut found, specimen, file);
        name(&mut found, file);
        content(&mut found, file);
        match file.lock {
            Lock::Closed => found.add("FILE_ENCRYPTED", Class::Encrypted, Score::ZERO, file.name()),
            Lock::Opened => found.add("FILE_OPENED", Class::Spam, Score(500), file.name()),
            Lock::None => {}
        }
    }
    for one in &specimen.unchecked {
        match one.reason {
            Reason::Encrypted => found.add("FILE_ENCRYPTED", Class::Encrypted, Score::ZERO, &one.what),
            Reason::Bytes | Reason::FileSize | Reason::Ratio | Reason::Count | Reason::Depth | Reason::Time => {
                found.add("FILE_BOMB", Class::Unscannable, Score::ZERO, &one.what);
            }
            Reason::Malformed | Reason::Unsupported => {
                found.add("FILE_UNSCANNABLE", Class::Unscannable, Score::ZERO, &one.what)
            }
        }
    }
    found.0
}

/// The same, put into the verdict.
pub fn detect(specimen: &Specimen, verdict: &mut Verdict) {
    for finding in inspect(specimen) {
        verdict.find(finding);
    }
}

#[derive(Default)]
struct Found(Vec<Finding>);

impl Found {
    fn add(&mut self, symbol: &str, class: Class, score: Score, evidence: &str) {
        if !self.0.iter().any(|known| &*known.symbol == symbol) {
            self.0.push(Finding::new(Detector::Files, symbol, class, score, evidence));
        }
    }

    fn risky(&mut self, symbol: &str, file: &FileSeen) {
        self.add(symbol, Class::RiskyFile, SPAM_LEVEL, file.name());
    }
}

fn runs(file: &FileSeen) -> bool {
    matches!(file.kind, FileKind::Executable | FileKind::Script | FileKind::Shortcut)
        || file.kind == FileKind::Java && matches!(file.format, "jar" | "apk" | "class")
}

fn kind(found: &mut Found, specimen: &Specimen, file: &FileSeen) {
    let parent = file.parent.and_then(|parent| specimen.files.get(parent));
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
            found.add("FILE_HTML", Class::Spam, Score(500), file.name());
        }
        _ => {}
    }
    if file.has(Trait::Launch) && file.kind == FileKind::Shortcut {
        found.risky("FILE_SHORTCUT_RUNS", file);
    }
}

fn name(found: &mut Found, file: &FileSeen) {
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
            found.add("FILE_WRONG_TYPE", Class::Spam, Score(500), file.name());
        }
    }
    if file.has(Trait::EscapingName) {
        found.add("FILE_ESCAPING_NAME", Class::Spam, Score(1_500), file.name());
    }
    if file.has(Trait::Ambiguous) {
        found.add("FILE_AMBIGUOUS", Class::Ambiguous, Score::ZERO, file.name());
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

fn content(found: &mut Found, file: &FileSeen) {
    if file.has(Trait::Macros) {
        found.add("FILE_MACROS", Class::Spam, Score(500), file.name());
    }
    if file.has(Trait::AutoMacros) && (file.has(Trait::Macros) || file.has(Trait::Xlm)) {
        // A workbook that fits its columns when it is opened is everyday; with a habit of malware it isn't.
        if file.has(Trait::SuspiciousMacros) || file.has(Trait::Xlm) {
            found.risky("FILE_AUTO_MACROS", file);
        } else {
            found.add("FILE_AUTO_MACROS", Class::Spam, Score(1_500), file.name());
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
        found.add("FILE_EXTERNAL_LINK", Class::Spam, Score(1_000), file.name());
    }
    if file.has(Trait::EmbeddedObject) {
        let often = matches!(file.kind, FileKind::Rtf | FileKind::OneNote);
        found.add("FILE_EMBEDDED_OBJECT", Class::Spam, if often { Score(1_000) } else { Score(100) }, file.name());
    }
    if file.name().to_ascii_lowercase().starts_with("equation") && file.parent.is_some() {
        found.risky("FILE_EQUATION", file);
    }
    let is_pdf = file.kind == FileKind::Pdf;
    if is_pdf && file.has(Trait::Script) {
        found.add("FILE_PDF_SCRIPT", Class::Spam, Score(1_000), file.name());
    }
    if is_pdf && file.has(Trait::Launch) {
        found.risky("FILE_PDF_LAUNCH", file);
    }
    let is_page = matches!(file.kind, FileKind::Html | FileKind::Svg);
    if is_page && file.has(Trait::Script) {
        let score = if file.kind == FileKind::Svg { Score(3_000) } else { Score(1_500) };
        found.add("FILE_HTML_SCRIPT", Class::Phishing, score, file.name());
    }
    if is_page && file.has(Trait::PasswordForm) {
        found.add("FILE_HTML_PASSWORD", Class::Phishing, Score(3_500), file.name());
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
        inspect(&specimen).into_iter().map(|finding| (finding.symbol.into(), finding.class)).collect()
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
