//! Documents that do something by themselves.

use sekisho::message::specimen::{FileKind, Trait};

use super::{make, scan};

fn traits(name: &str, octets: Vec<u8>) -> Vec<Trait> {
    let scan = scan(name, octets, &[]);
    assert!(scan.specimen.unchecked.is_empty(), "{name}: {:?}", scan.specimen.unchecked);
    let mut traits = scan.top().traits.clone();
    traits.sort();
    traits
}

/// A module as VBA stores it: one chunk of literals.
fn module(source: &str) -> Vec<u8> {
    let source = format!("Attribute VB_Name = \"M\"\r\n{source}");
    let mut data = Vec::new();
    for group in source.as_bytes().chunks(8) {
        data.push(0);
        data.extend_from_slice(group);
    }
    let header = 0xb000 | u16::try_from(data.len() - 1).unwrap();
    [&[1][..], &header.to_le_bytes(), &data].concat()
}

#[test]
fn macros_are_read() {
    let project = |source: &str| make::ole(&[("/VBA/M", &module(source)), ("/VBA/_VBA_PROJECT", &[0xcc, 0x61, 0, 0])]);
    let harmful = project("Sub AutoOpen()\r\nCreateObject(\"WScript.Shell\").Run \"x\"\r\nEnd Sub");
    let all = [Trait::Macros, Trait::AutoMacros, Trait::SuspiciousMacros];
    assert_eq!(traits("a.docm", make::docx(&[("word/vbaProject.bin", &harmful)])), all);
    assert_eq!(traits("a.bin", harmful), all);
    let honest = project("Sub Tidy()\r\nRange(\"A1\").Bold = True\r\nEnd Sub");
    assert_eq!(traits("b.docm", make::docx(&[("word/vbaProject.bin", &honest)])), [Trait::Macros]);
}

#[test]
fn links_of_office_documents_are_told_apart() {
    let relation = |kind: &str, target: &str| {
        let rels = format!(
            "<?xml version='1.0'?><Relationships><Relationship Id='r1' Type='http://x/relationships/{kind}' Target='{target}' TargetMode='External'/></Relationships>"
        );
        make::docx(&[("word/_rels/document.xml.rels", rels.as_bytes())])
    };
    assert_eq!(traits("a.docx", relation("attachedTemplate", "http://a.example/x.dotm")), [Trait::ExternalLink]);
    assert_eq!(traits("b.docx", relation("hyperlink", "https://a.example/")), []);
    assert_eq!(
        traits("c.docx", relation("oleObject", "mhtml:http://a.example/x!x-usc:http://a.example/x")),
        [Trait::ExternalLink]
    );
    let links = scan("b.docx", relation("hyperlink", "https://a.example/path"), &[]).specimen.links;
    assert_eq!(links.iter().map(|link| &*link.host).collect::<Vec<_>>(), ["a.example"]);
}

#[test]
fn the_text_of_documents_is_read() {
    let scan = scan("a.docx", make::docx(&[]), &[]);
    assert_eq!((scan.top().kind, scan.top().format), (FileKind::Ooxml, "docx"));
    assert!(scan.specimen.texts.iter().any(|text| &*text.folded == "hello there"), "{:?}", scan.specimen.texts);
}

#[test]
fn formulas_and_fields_that_start_programs_are_seen() {
    assert_eq!(traits("a.csv", b"a,b\n=cmd|'/c calc'!A0,1\n".to_vec()), [Trait::Dde]);
    let field = b"<?xml version='1.0'?><w:document><w:p><w:r><w:instrText>DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe</w:instrText></w:r></w:p></w:document>";
    assert_eq!(
        traits(
            "a.docx",
            make::zip(&[("[Content_Types].xml", b"<?xml version='1.0'?><Types/>"), ("word/document.xml", field)])
        ),
        [Trait::Dde]
    );
    assert_eq!(
        traits("a.slk", b"ID;P\nO;E\nNN;NAuto_open;ER1C1\nC;X1;Y1;K0;EEXEC(\"calc\")\nE\n".to_vec()),
        [Trait::AutoMacros, Trait::Xlm]
    );
}

#[test]
fn pages_and_pictures_with_script_are_seen() {
    assert_eq!(
        traits("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>".to_vec()),
        [Trait::Script]
    );
    assert_eq!(traits("a.html", b"<html><form><input type=password></form></html>".to_vec()), [Trait::PasswordForm]);
    assert_eq!(traits("b.html", b"<html><p>Hello</p></html>".to_vec()), []);
}
