//! Documents: office files, PDF, RTF, TNEF, pictures, attached pages.

use std::io::Write as _;

use crate::Entry;
use crate::Kind::{Bomb, Text};
use crate::archives::zeros;
use crate::make::{self, Raw};
use crate::mime::with_file;

const TYPES: &[u8] = b"<?xml version='1.0'?><Types/>";

pub fn all() -> Vec<Entry> {
    vec![
        ("docx, XML entities (laughs)", Bomb, || with_file("a.docx", &laughs())),
        ("docx, one entity of 1 MB 10,000 times", Bomb, || {
            let xml = format!(
                "<?xml version='1.0'?><!DOCTYPE d [<!ENTITY a \"{}\">]><w:document><w:t>{}</w:t></w:document>",
                "a".repeat(1_000_000),
                "&a;".repeat(10_000)
            );
            with_file("a.docx", &docx(xml.as_bytes()))
        }),
        ("docx, 500 MiB", Bomb, || {
            let content = zeros(500);
            let document = Raw { method: 8, size: 500 << 20, ..Raw::stored("word/document.xml", &content) };
            with_file("a.docx", &make::raw_zip(&[Raw::stored("[Content_Types].xml", TYPES), document]))
        }),
        ("docx, 40 MiB of XML within the ratio", Bomb, || with_file("a.docx", &docx(&wide(40 << 20)))),
        ("docx, 1,000,000 deep", Bomb, || {
            with_file("a.docx", &docx(&[b"<?xml version='1.0'?>".as_slice(), &b"<a>".repeat(1_000_000)].concat()))
        }),
        ("docx, an element of 500,000 attributes", Bomb, || {
            let attributes: String = (0..500_000).map(|nth| format!(" a{nth}='{}'", nth * 7_919)).collect();
            with_file("a.docx", &docx(format!("<?xml version='1.0'?><w:document{attributes}/>").as_bytes()))
        }),
        ("docx, 6,000 parts", Bomb, || {
            let names: Vec<String> = (0..6_000).map(|nth| format!("word/{nth}.xml")).collect();
            let mut entries: Vec<(&str, &[u8])> = vec![("[Content_Types].xml", TYPES)];
            entries.extend(names.iter().map(|name| (name.as_str(), &b"<?xml version='1.0'?><a/>"[..])));
            with_file("a.docx", &make::stored(&entries))
        }),
        ("xlsx, 200,000 relations", Bomb, || {
            let list: String = (0..200_000)
                .map(|nth| format!("<Relationship Id='r{nth}' Target='http://h{nth}.example/' TargetMode='External'/>"))
                .collect();
            let relations = format!("<?xml version='1.0'?><Relationships>{list}</Relationships>");
            with_file(
                "a.xlsx",
                &make::zip(&[
                    ("[Content_Types].xml", TYPES),
                    ("xl/workbook.xml", b"<?xml version='1.0'?><workbook/>"),
                    ("xl/_rels/workbook.xml.rels", relations.as_bytes()),
                ]),
            )
        }),
        ("ole, 5,000 streams", Bomb, || {
            let names: Vec<String> = (0..5_000).map(|nth| format!("/s{nth}")).collect();
            let streams: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b"content"[..])).collect();
            with_file("a.doc", &make::ole(&streams))
        }),
        ("ole, 200 packages of 50 KiB", Bomb, || {
            let content = make::package("a.exe", &[b"MZ".as_slice(), &[0; 50_000]].concat());
            let names: Vec<String> = (0..200).map(|nth| format!("/p{nth}/\u{1}Ole10Native")).collect();
            let streams: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), content.as_slice())).collect();
            with_file("a.doc", &make::ole(&streams))
        }),
        ("ole, sectors in a ring", Bomb, || {
            let mut octets = make::ole(&[("/WordDocument", &[7; 100_000])]);
            // Every entry of the first table of sectors names the sector before it.
            let at = 512 * (1 + u32::from_le_bytes(octets[76..80].try_into().unwrap()) as usize);
            for nth in 1..128_usize {
                octets[at + 4 * nth..at + 4 * nth + 4].copy_from_slice(&u32::try_from(nth - 1).unwrap().to_le_bytes());
            }
            with_file("a.doc", &octets)
        }),
        ("ole, 20 MB in one stream", Text, || {
            with_file("a.doc", &make::ole(&[("/WordDocument", &vec![b'a'; 20_000_000])]))
        }),
        ("pdf, 200,000 objects", Bomb, || {
            let objects: Vec<Vec<u8>> =
                start().into_iter().chain((0..200_000).map(|_| b"<</A 1/B [1 2 3]>>".to_vec())).collect();
            with_file("a.pdf", &pdf(&objects, ""))
        }),
        ("pdf, numbers without end", Bomb, || {
            let array = [b"[".as_slice(), &b"1 ".repeat(10 << 20), b"]"].concat();
            with_file("a.pdf", &pdf(&[start(), vec![array]].concat(), ""))
        }),
        ("pdf, just what is still read: 400,000 numbers", Bomb, || {
            let array = [b"[".as_slice(), &b"1 ".repeat(400_000), b"]"].concat();
            with_file("a.pdf", &pdf(&[start(), vec![array]].concat(), ""))
        }),
        ("pdf, a dictionary of 150,000 entries", Bomb, || {
            let entries: String = (0..150_000).map(|nth| format!("/K{nth} {nth}")).collect();
            with_file("a.pdf", &pdf(&[start(), vec![format!("<<{entries}>>").into_bytes()]].concat(), ""))
        }),
        ("pdf, 40,000 objects of six entries", Bomb, || {
            let one = b"<</A 1/B(text)/C/Name/D 5 0 R/E 2.5/F true>>".to_vec();
            with_file("a.pdf", &pdf(&[start(), vec![one; 40_000]].concat(), ""))
        }),
        // Nothing is shown by it.
        ("pdf, a page of 1,900,000 numbers", Text, || {
            let pages = vec![
                b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
                b"<</Type/Pages/Kids[3 0 R]/Count 1>>".to_vec(),
                b"<</Type/Page/Parent 2 0 R/Contents 4 0 R>>".to_vec(),
                stream("", &[b"1 ".repeat(1_900_000), b"n".to_vec()].concat()),
            ];
            with_file("a.pdf", &pdf(&pages, ""))
        }),
        ("pdf, object streams that become large", Bomb, || {
            let array = [b"1 0 ".as_slice(), b"[", &b"1 ".repeat(200_000), b"]"].concat();
            let one = flate("/Type/ObjStm/N 1/First 4", &array);
            let objects: Vec<Vec<u8>> = start().into_iter().chain(std::iter::repeat_n(one, 10)).collect();
            with_file("a.pdf", &pdf(&objects, ""))
        }),
        ("pdf, filters on filters", Bomb, || {
            let mut content = vec![0; 100 << 20];
            let mut filters = String::new();
            for _ in 0..5 {
                let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
                writer.write_all(&content).unwrap();
                content = writer.finish().unwrap();
                filters.push_str("/FlateDecode");
            }
            let one = stream(&format!("/Type/EmbeddedFile/Filter[{filters}]"), &content);
            with_file("a.pdf", &pdf(&[start(), vec![one]].concat(), ""))
        }),
        ("pdf, 300 streams of 5 MiB packed", Bomb, || {
            let one = flate("/Type/EmbeddedFile", &vec![0; 5 << 20]);
            with_file("a.pdf", &pdf(&[start(), vec![one; 300]].concat(), ""))
        }),
        ("pdf, 2,000 actions with one script of 8 MiB", Text, || {
            let one = flate("", &b"app.alert(1);\n".repeat(585_000));
            let actions = vec![b"<</S/JavaScript/JS 3 0 R>>".to_vec(); 1_000];
            let array = format!("<</A[{}]>>", "<</S/JavaScript/JS 3 0 R>>".repeat(1_000)).into_bytes();
            with_file("a.pdf", &pdf(&[start(), vec![one], actions, vec![array]].concat(), ""))
        }),
        ("pdf, 500 scripts of 8 MiB", Bomb, || {
            let one = flate("", &b"app.alert(1);\n".repeat(585_000));
            let actions = (0..500).map(|index| format!("<</S/JavaScript/JS {} 0 R>>", index + 3).into_bytes());
            with_file("a.pdf", &pdf(&[start(), vec![one; 500], actions.collect()].concat(), ""))
        }),
        // Both have one object, and it is read; the tables name no other.
        ("pdf, table of references in a ring", Text, || {
            let octets = pdf(&start(), "/Prev 9999");
            let at = octets.windows(4).position(|four| four == b"xref").unwrap();
            let text = String::from_utf8_lossy(&octets).replace("/Prev 9999", &format!("/Prev {at:04}"));
            with_file("a.pdf", text.as_bytes())
        }),
        ("pdf, 20,000 tables of references, each before the next", Text, || with_file("a.pdf", &chain(20_000))),
        ("pdf, table for 5,000,000 objects", Bomb, || {
            let mut out = b"%PDF-1.5\n1 0 obj\n<</Type/Catalog>>\nendobj\n".to_vec();
            let at = out.len();
            out.extend_from_slice(b"xref\n0 500000\n");
            out.extend(b"0000000009 00000 n \n".repeat(500_000));
            out.extend(format!("trailer\n<</Size 5000000/Root 1 0 R>>\nstartxref\n{at}\n%%EOF\n").bytes());
            with_file("a.pdf", &out)
        }),
        ("pdf, encrypted, 20,000 objects", Bomb, || with_file("a.pdf", &locked_pdf(20_000))),
        ("pdf, encrypted, 300 streams of 50 KiB", Bomb, || {
            let mut objects = start();
            objects.extend(vec![stream("", &vec![7; 50_000]); 300]);
            objects.push(lock());
            let number = objects.len();
            with_file("a.pdf", &pdf(&objects, &format!("/Encrypt {number} 0 R/ID[<00><00>]")))
        }),
        ("pdf, arrays 1,000,000 deep", Bomb, || {
            with_file("a.pdf", &[b"%PDF-1.4\n1 0 obj\n".as_slice(), &b"[".repeat(1_000_000)].concat())
        }),
        ("pdf, 20 MB of obj", Bomb, || {
            with_file("a.pdf", &[b"%PDF-1.4\n".as_slice(), &b"1 0 obj\n".repeat(2_500_000)].concat())
        }),
        ("pdf, 10 MB of /Names", Bomb, || {
            let list: String = (0..400_000).map(|nth| format!("(a{nth}) {} 0 R ", nth % 50 + 1)).collect();
            let names = format!("<</Names[{list}]>>");
            with_file("a.pdf", &pdf(&[start(), vec![names.into_bytes()]].concat(), ""))
        }),
        ("rtf, 1,000,000 groups", Bomb, || {
            with_file("a.rtf", &[b"{\\rtf1".as_slice(), &b"{".repeat(1_000_000)].concat())
        }),
        ("rtf, 10,000 objects", Bomb, || {
            let one = "{\\object\\objemb{\\*\\objdata 01050000020000000800000050616b6167650000000000000000000400000061626364}}";
            with_file("a.rtf", format!("{{\\rtf1{}}}", one.repeat(10_000)).as_bytes())
        }),
        ("rtf, an object of 20 MB in hex", Bomb, || {
            let hex = "d0cf11e0a1b11ae1".to_owned() + &"00".repeat(10_000_000);
            with_file("a.rtf", format!("{{\\rtf1{{\\object{{\\*\\objdata {hex}}}}}}}").as_bytes())
        }),
        ("rtf, 10 MB of \\u", Text, || {
            with_file("a.rtf", format!("{{\\rtf1 {}}}", "\\u12354?".repeat(1_200_000)).as_bytes())
        }),
        // Each is walked over: a number of two octets, no file, no text.
        ("tnef, 200,000 attributes", Text, || {
            let one = [&[1, 6, 0x80, 4, 0][..], &2_u32.to_le_bytes(), &[0, 0], &[0, 0]].concat();
            with_file("winmail.dat", &[&b"\x78\x9f\x3e\x22\x01\0"[..], &one.repeat(200_000)].concat())
        }),
        ("tnef, 10,000 files", Bomb, || {
            // The attachment begins, its name, its content.
            let begins = tnef(2, 0x0006_9002, &[0; 14]);
            let one = [begins, tnef(2, 0x0001_8010, b"a.txt\0"), tnef(2, 0x0006_800f, b"hello")].concat();
            with_file("winmail.dat", &[&b"\x78\x9f\x3e\x22\x01\0"[..], &one.repeat(10_000)].concat())
        }),
        ("tnef in tnef, 50 deep", Bomb, || {
            let mut inner = b"core".to_vec();
            for _ in 0..50 {
                let begins = tnef(2, 0x0006_9002, &[0; 14]);
                inner = [b"\x78\x9f\x3e\x22\x01\0".to_vec(), begins, tnef(2, 0x0006_800f, &inner)].concat();
            }
            with_file("winmail.dat", &inner)
        }),
        ("png, 60,000 by 60,000 said", Bomb, || {
            let mut octets = png(16, 16, |_, _| 0);
            octets[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
            let mut sum = flate2::Crc::new();
            sum.update(&octets[12..29]);
            octets[29..33].copy_from_slice(&sum.sum().to_be_bytes());
            with_file("a.png", &octets)
        }),
        ("png, 12,000 by 12,000 in truth", Text, || with_file("a.png", &png(12_000, 12_000, |_, _| 255))),
        ("png, 3,000 by 3,000 of QR corners", Text, || with_file("a.png", &png(3_000, 3_000, finder))),
        ("200 png of 1,000 by 1,000 of QR corners", Text, || {
            let one = png(1_000, 1_000, finder);
            let names: Vec<String> = (0..200).map(|nth| format!("{nth}.png")).collect();
            let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), one.as_slice())).collect();
            with_file("a.zip", &make::stored(&files))
        }),
        ("gif, 65,535 by 65,535 said", Text, || {
            with_file(
                "a.gif",
                b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;",
            )
        }),
        ("bmp, 30,000 by 30,000 said", Text, || {
            let mut octets = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0".to_vec();
            octets.extend(30_000_u32.to_le_bytes());
            octets.extend(30_000_u32.to_le_bytes());
            octets.extend([1, 0, 24, 0]);
            octets.extend([0; 24 + 4_096]);
            with_file("a.bmp", &octets)
        }),
        ("svg, 200,000 deep", Text, || {
            with_file("a.svg", format!("<svg xmlns='http://www.w3.org/2000/svg'>{}", "<g>".repeat(200_000)).as_bytes())
        }),
        ("page attached, 3 MB of base64 in script", Bomb, || {
            with_file("a.html", format!("<html><script>x('{}')</script>", "TVqQAAMA".repeat(375_000)).as_bytes())
        }),
        ("page attached, 20,000 strings of base64", Bomb, || {
            let one = format!("x('{}');\n", "TVqQAAMA".repeat(20));
            with_file("a.html", format!("<html><script>{}</script>", one.repeat(20_000)).as_bytes())
        }),
        ("script attached, 20 MB", Bomb, || with_file("a.js", "var a = unescape('%41');\n".repeat(800_000).as_bytes())),
        ("program attached, 30 MB of NOP", Bomb, || {
            with_file("a.exe", &[b"MZ".as_slice(), &[0x90; 30_000_000]].concat())
        }),
        ("300 beginnings of archives in one file", Bomb, || {
            let one = [make::zip(&[("a.txt", b"hello")]), make::seven("a", b"x"), make::gz(b"x")].concat();
            with_file("a.bin", &[b"\x7fELF\x02\x01\x01".as_slice(), &one.repeat(300)].concat())
        }),
        ("zip beginnings, 5 MB", Bomb, || with_file("a.zip", &b"PK\x03\x04".repeat(1_250_000))),
        ("zip ends, 5 MB", Bomb, || {
            with_file("a.zip", &[b"PK\x03\x04".as_slice(), &b"PK\x05\x06".repeat(1_250_000)].concat())
        }),
    ]
}

fn docx(document: &[u8]) -> Vec<u8> {
    make::zip(&[("[Content_Types].xml", TYPES), ("word/document.xml", document)])
}

fn laughs() -> Vec<u8> {
    let entities: String =
        (1..10).map(|round| format!("<!ENTITY a{round} \"{}\">", format!("&a{};", round - 1).repeat(10))).collect();
    docx(
        format!(
            "<?xml version='1.0'?><!DOCTYPE d [<!ENTITY a0 \"ha\">{entities}]><w:document><w:t>&a9;</w:t></w:document>"
        )
        .as_bytes(),
    )
}

fn wide(octets: usize) -> Vec<u8> {
    let mut out = b"<?xml version='1.0'?><w:document><w:body>".to_vec();
    let mut nth = 0_u32;
    while out.len() < octets {
        nth = nth.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        out.extend(format!("<w:p><w:r><w:t>{nth:08x} words of a document</w:t></w:r></w:p>").bytes());
    }
    out.extend_from_slice(b"</w:body></w:document>");
    out
}

fn start() -> Vec<Vec<u8>> {
    vec![b"<</Type/Catalog/Pages 2 0 R>>".to_vec(), b"<</Type/Pages/Kids[]/Count 0>>".to_vec()]
}

/// Objects 1, 2, 3… with a table of references and the first as root.
fn pdf(objects: &[Vec<u8>], trailer: &str) -> Vec<u8> {
    let mut out = b"%PDF-1.5\n".to_vec();
    let mut table = b"0000000000 65535 f \n".to_vec();
    for (index, object) in objects.iter().enumerate() {
        table.extend(format!("{:010} 00000 n \n", out.len()).bytes());
        out.extend(format!("{} 0 obj\n", index + 1).bytes());
        out.extend_from_slice(object);
        out.extend_from_slice(b"\nendobj\n");
    }
    let (at, size) = (out.len(), objects.len() + 1);
    out.extend(format!("xref\n0 {size}\n").bytes());
    out.extend_from_slice(&table);
    out.extend(format!("trailer\n<</Size {size}/Root 1 0 R{trailer}>>\nstartxref\n{at}\n%%EOF\n").bytes());
    out
}

fn stream(entries: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("<<{entries}/Length {}>>stream\n", content.len());
    [head.as_bytes(), content, b"\nendstream"].concat()
}

fn flate(entries: &str, content: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(content).unwrap();
    stream(&format!("{entries}/Filter/FlateDecode"), &writer.finish().unwrap())
}

fn chain(count: usize) -> Vec<u8> {
    let mut out = b"%PDF-1.5\n1 0 obj\n<</Type/Catalog>>\nendobj\n".to_vec();
    let mut before = None;
    for _ in 0..count {
        let at = out.len();
        let previous = before.map_or(String::new(), |at| format!("/Prev {at}"));
        out.extend(format!("xref\n0 1\n0000000000 65535 f \ntrailer\n<</Size 2/Root 1 0 R{previous}>>\n").bytes());
        before = Some(at);
    }
    out.extend(format!("startxref\n{}\n%%EOF\n", before.unwrap_or_default()).bytes());
    out
}

fn lock() -> Vec<u8> {
    let key = "ab".repeat(32);
    format!("<</Filter/Standard/V 2/R 3/Length 128/P -4/O<{key}>/U<{key}>>>").into_bytes()
}

fn locked_pdf(count: usize) -> Vec<u8> {
    let mut objects = start();
    objects.extend((0..count).map(|nth| format!("<</A(secret {nth})/B {}  0 R>>", nth + 1).into_bytes()));
    objects.push(lock());
    let number = objects.len();
    pdf(&objects, &format!("/Encrypt {number} 0 R/ID[<00><00>]"))
}

fn tnef(level: u8, tag: u32, content: &[u8]) -> Vec<u8> {
    let sum = content.iter().fold(0_u16, |sum, &octet| sum.wrapping_add(octet.into()));
    let length = u32::try_from(content.len()).unwrap();
    [&[level][..], &tag.to_le_bytes(), &length.to_le_bytes(), content, &sum.to_le_bytes()].concat()
}

/// Grey, eight bits a pixel.
fn png(width: u32, height: u32, pixel: fn(u32, u32) -> u8) -> Vec<u8> {
    fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let named = [kind.as_slice(), content].concat();
        let mut sum = flate2::Crc::new();
        sum.update(&named);
        [&u32::try_from(content.len()).unwrap().to_be_bytes()[..], &named, &sum.sum().to_be_bytes()].concat()
    }
    let mut rows = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    for y in 0..height {
        let row: Vec<u8> = std::iter::once(0).chain((0..width).map(|x| pixel(x, y))).collect();
        rows.write_all(&row).unwrap();
    }
    let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let (head, rows, end) = (chunk(b"IHDR", &head), chunk(b"IDAT", &rows.finish().unwrap()), chunk(b"IEND", b""));
    [b"\x89PNG\r\n\x1a\n".as_slice(), &head, &rows, &end].concat()
}

/// The corner of a QR code, again and again.
fn finder(x: u32, y: u32) -> u8 {
    let (x, y) = (x / 2 % 9, y / 2 % 9);
    let ring = |from: u32, to: u32| (from..to).contains(&x) && (from..to).contains(&y);
    if ring(3, 6) || ring(1, 8) && !ring(2, 7) { 0 } else { 255 }
}
