//! Elements and attributes by name, and what kind of element each is.

use super::tokens::{Key, key};

pub const A: Key = key(b"a");
pub const STYLE: Key = key(b"style");
pub const HREF: Key = key(b"href");
pub const SRC: Key = key(b"src");
pub const TITLE: Key = key(b"title");
pub const BR: Key = key(b"br");
pub const P: Key = key(b"p");
pub const LI: Key = key(b"li");
pub const TD: Key = key(b"td");
pub const TH: Key = key(b"th");
pub const TR: Key = key(b"tr");
pub const TABLE: Key = key(b"table");
pub const IMG: Key = key(b"img");
pub const INPUT: Key = key(b"input");
pub const PRE: Key = key(b"pre");
pub const BODY: Key = key(b"body");
pub const FONT: Key = key(b"font");
pub const HTML: Key = key(b"html");
pub const TEMPLATE: Key = key(b"template");
pub const BUTTON: Key = key(b"button");

/// Names of attributes.
pub mod attributes {
    use super::{Key, key};

    pub const ACTION: Key = key(b"action");
    pub const ALT: Key = key(b"alt");
    pub const BACKGROUND: Key = key(b"background");
    pub const BGCOLOR: Key = key(b"bgcolor");
    pub const CLASS: Key = key(b"class");
    pub const COLOR: Key = key(b"color");
    pub const CONTENT: Key = key(b"content");
    pub const DATA: Key = key(b"data");
    pub const DOWNLOAD: Key = key(b"download");
    pub const FORMACTION: Key = key(b"formaction");
    pub const HEIGHT: Key = key(b"height");
    pub const HIDDEN: Key = key(b"hidden");
    pub const HTTP_EQUIV: Key = key(b"http-equiv");
    pub const ID: Key = key(b"id");
    pub const MEDIA: Key = key(b"media");
    pub const PLACEHOLDER: Key = key(b"placeholder");
    pub const SRCSET: Key = key(b"srcset");
    pub const TEXT: Key = key(b"text");
    pub const TYPE: Key = key(b"type");
    pub const VALUE: Key = key(b"value");
    pub const WIDTH: Key = key(b"width");
    pub const XLINK_HREF: Key = key(b"xlink:href");
}

/// Attributes that say what is seen or where it leads.
pub fn matters(name: Key) -> bool {
    use attributes::*;
    matches!(
        name,
        HREF | SRC
            | STYLE
            | ACTION
            | ALT
            | BACKGROUND
            | BGCOLOR
            | CLASS
            | COLOR
            | CONTENT
            | DATA
            | DOWNLOAD
            | FORMACTION
            | HEIGHT
            | HIDDEN
            | HTTP_EQUIV
            | ID
            | MEDIA
            | PLACEHOLDER
            | SRCSET
            | TEXT
            | TYPE
            | VALUE
            | WIDTH
            | XLINK_HREF
    )
}

/// Pictures and formulas in the page, whose elements are none of HTML's.
pub fn is_foreign(name: Key) -> bool {
    const SVG: Key = key(b"svg");
    const MATH: Key = key(b"math");
    matches!(name, SVG | MATH)
}

/// Elements that end a picture or formula they stand in (WHATWG HTML section 13.2.6.5).
pub fn ends_foreign(name: Key) -> bool {
    const NAMES: [Key; 22] = [
        key(b"b"),
        key(b"big"),
        key(b"body"),
        key(b"code"),
        key(b"em"),
        key(b"embed"),
        key(b"head"),
        key(b"hr"),
        key(b"i"),
        key(b"menu"),
        key(b"meta"),
        key(b"nobr"),
        key(b"ruby"),
        key(b"s"),
        key(b"small"),
        key(b"span"),
        key(b"strong"),
        key(b"strike"),
        key(b"sub"),
        key(b"sup"),
        key(b"tt"),
        key(b"u"),
    ];
    is_block(name) || matches!(name, BR | IMG | FONT) || NAMES.contains(&name)
}

/// Elements without an end (WHATWG HTML section 13.1.2).
pub fn is_void(name: Key) -> bool {
    const AREA: Key = key(b"area");
    const BASE: Key = key(b"base");
    const COL: Key = key(b"col");
    const EMBED: Key = key(b"embed");
    const HR: Key = key(b"hr");
    const LINK: Key = key(b"link");
    const META: Key = key(b"meta");
    const PARAM: Key = key(b"param");
    const SOURCE: Key = key(b"source");
    const TRACK: Key = key(b"track");
    const WBR: Key = key(b"wbr");
    const FRAME: Key = key(b"frame");
    matches!(
        name,
        BR | IMG | INPUT | AREA | BASE | COL | EMBED | HR | LINK | META | PARAM | SOURCE | TRACK | WBR | FRAME
    )
}

/// Elements that begin a line.
pub fn is_block(name: Key) -> bool {
    const DIV: Key = key(b"div");
    const H1: Key = key(b"h1");
    const H2: Key = key(b"h2");
    const H3: Key = key(b"h3");
    const H4: Key = key(b"h4");
    const H5: Key = key(b"h5");
    const H6: Key = key(b"h6");
    const UL: Key = key(b"ul");
    const OL: Key = key(b"ol");
    const DL: Key = key(b"dl");
    const DT: Key = key(b"dt");
    const DD: Key = key(b"dd");
    const FORM: Key = key(b"form");
    const CENTER: Key = key(b"center");
    const SECTION: Key = key(b"section");
    const ARTICLE: Key = key(b"article");
    const HEADER: Key = key(b"header");
    const FOOTER: Key = key(b"footer");
    const MAIN: Key = key(b"main");
    const NAV: Key = key(b"nav");
    const ASIDE: Key = key(b"aside");
    const BLOCKQUOTE: Key = key(b"blockquote");
    const ADDRESS: Key = key(b"address");
    const FIELDSET: Key = key(b"fieldset");
    const OPTION: Key = key(b"option");
    const CAPTION: Key = key(b"caption");
    matches!(
        name,
        P | LI
            | TR
            | TABLE
            | PRE
            | DIV
            | H1
            | H2
            | H3
            | H4
            | H5
            | H6
            | UL
            | OL
            | DL
            | DT
            | DD
            | FORM
            | CENTER
            | SECTION
            | ARTICLE
            | HEADER
            | FOOTER
            | MAIN
            | NAV
            | ASIDE
            | BLOCKQUOTE
            | ADDRESS
            | FIELDSET
            | OPTION
            | CAPTION
    )
}
