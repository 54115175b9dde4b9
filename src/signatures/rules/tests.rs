//! What a rule file may say, what is told of one that is wrong, and what rules find.

use super::*;
use crate::message::specimen::{HeaderField, Link, LinkSource, Text};
use crate::signatures::pack::{Pack, PackFile};
use crate::signatures::{Fault, SignatureSet};

fn compile(rules: &str) -> Result<SignatureSet, Vec<Fault>> {
    let file = |path: &str, text: &str| PackFile { path: path.into(), octets: text.to_owned().into() };
    let files = vec![file("pack.toml", "[pack]\nname = \"test\""), file("rules.toml", rules)];
    SignatureSet::compile(1, &[Pack::from_files("test", files).unwrap()])
}

fn specimen(fields: &[(&str, &str)], body: &str) -> Specimen {
    let field = |(name, value): &(&str, &str)| HeaderField { name: (*name).into(), raw: 0..0, value: (*value).into() };
    let link = |url: &str, host: &str| Link {
        part: 0,
        source: LinkSource::Text,
        written: url.into(),
        url: url.into(),
        host: host.into(),
        domain: None,
        shown: None,
    };
    Specimen {
        fields: fields.iter().map(field).collect(),
        texts: vec![Text { visible: body.into(), ..Text::default() }],
        links: vec![link("https://login.bad.example/a", "login.bad.example")],
        ..Specimen::default()
    }
}

fn hits(rules: &str, specimen: &Specimen) -> Vec<String> {
    let set = compile(rules).unwrap();
    let found = set.rules.evaluate(specimen, &Facts::default(), set.rules.nothing_seen(), &|| false);
    found.hits.iter().map(|hit| format!("{} {} {}", hit.rule.name, hit.score, hit.evidence)).collect()
}

const SCORED: &str = "en = \"e\"\nja = \"j\"\nscore = 1.0\n";

fn rule(id: &str, rest: &str) -> String {
    format!("[[rule]]\nid = \"{id}\"\n{SCORED}{rest}\n")
}

#[test]
fn words_are_found_in_the_fields_asked_for() {
    let mail = specimen(
        &[
            ("Subject", "Ｗｉｎ a PRIZE"),
            ("From", "\"Big Bank\" <a@evil.example>"),
            ("X-Mailer", "Bulk 3"),
            ("X-Marked", "PRIZE\u{301}"),
        ],
        "お客様の ｶｰﾄﾞ は停止\u{200b}されました",
    );
    let table = [
        ("any = \"win a prize\"", true),
        ("in = \"body\"\nany = \"win a prize\"", false),
        ("in = \"subject\"\nany = \"win\"\nword = true", true),
        ("in = \"subject\"\nany = \"priz\"\nword = true", false),
        ("in = \"body\"\nall = [\"カード\", \"停止され\"]", true),
        ("any = [\"prize\", \"カード\", \"none such\"]\nmin = 2", true),
        ("any = [\"prize\", \"カード\", \"none such\"]\nmin = 3", false),
        ("any = \"prize\"\nnone = \"停止\"", false),
        ("in = \"subject\"\ncase = true\nany = \"PRIZE\"", true),
        ("in = \"subject\"\ncase = true\nany = \"prize\"", false),
        ("in = \"from-name\"\nany = \"big bank\"", true),
        ("in = \"from-domain\"\nany = \"evil.example\"", true),
        ("in = \"header:X-Mailer\"\nregex = 'bulk \\d'", true),
        ("in = \"headers\"\nany = \"x-mailer: bulk\"", true),
        ("regex = 'カード.{0,10}停止'", true),
        ("in = \"header:X-Mailer\"\nexists = true", true),
        ("in = \"header:X-Other\"\nexists = true", false),
        ("domains = \"bad.example\"", true),
        ("domains = \"ad.example\"", false),
        ("in = \"url\"\nregex = '/a$'", true),
        ("when = \"@links >= 1 and not @authenticated\"", true),
        ("any = \"prize\"\nregex = '停.{1,3}れ'", true),
        ("any = \"none such\"\nregex = 'prize'", false),
        ("all = \"prize\"\nnone = \"カード\"\nregex = 'prize'", false),
        ("domains = \"bad.example\"\nregex = 'prize'", true),
        ("regex = ['\\d\\d', '[e-z]{5}', 'none such']", true),
        ("regex = ['\\d\\d', '[a-c]{5}', 'none such']", false),
        ("in = \"subject\"\ncase = true\nregex = ['[A-Z]{6}', 'RIZE']", true),
        ("in = \"header:X-Marked\"\ncase = true\nregex = 'PRIZE'", true),
        ("in = \"subject\"\ncase = true\nregex = ['[A-Z]{6}', '[a-z]{4}', 'rize']", false),
        ("in = \"subject\"\nregex = ['(?x) [q-z]{3} # no blank', '[i-z]{5}']", false),
        ("in = \"subject\"\nregex = ['(?x) [q-z]{3} # no blank', 'a [i-z]{3}']", true),
    ];
    for (text, expected) in table {
        assert_eq!(!hits(&rule("R", text), &mail).is_empty(), expected, "{text}");
    }
}

#[test]
fn conditions_follow_what_they_ask_for_in_any_order() {
    let rules = [
        rule("TOP", "when = \"MIDDLE and count(__W_*) >= 2\""),
        rule("MIDDLE", "when = \"__W_ONE\""),
        "[[rule]]\nid = \"__W_ONE\"\nany = \"one\"\n[[rule]]\nid = \"__W_TWO\"\nany = \"two\"\n".to_owned(),
    ];
    assert_eq!(hits(&rules.concat(), &specimen(&[], "one two")), ["MIDDLE 1.0 ", "TOP 1.0 "]);
    assert_eq!(hits(&rules.concat(), &specimen(&[], "one")), ["MIDDLE 1.0 "]);
}

#[test]
fn faults_are_told_with_their_lines() {
    let faults =
        |rules: &str| compile(rules).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    for (text, told) in [
        (rule("A", "any = \"x\""), "test/rules.toml:1: A: the literal \"x\" is shorter"),
        (rule("A", "in = \"nowhere\"\nany = \"xy\""), "there is no field \"nowhere\""),
        (rule("A", "regex = '('"), "unclosed group"),
        (rule("A", "regex = 'a*'"), "matches nothing at all"),
        (rule("A", "regex = '(?:(?:a{1000}){1000}){1000}'"), "size limit"),
        (rule("A", "when = \"B\""), "there is no rule B"),
        (rule("A", ""), "asks for nothing"),
        (rule("A", "any = \"xy\"\nanyy = 1"), "unknown field `anyy`"),
        ("[[rule]]\nid = \"A\"\nscore = 1.0\nany = \"xy\"".to_owned(), "description in English and Japanese"),
        (
            rule("A", "any = \"xy\"") + &rule("A", "any = \"xz\""),
            "test/rules.toml:7: A is already in test/rules.toml line 1",
        ),
        (rule("A", "when = \"B\"") + &rule("B", "when = \"A\""), "leads back to itself"),
        (rule("A", "in = \"file\"\nregex = 'ab'"), "regex doesn't go with file"),
    ] {
        let found = faults(&text);
        assert!(found.contains(told), "{text}: {found}");
    }
}

#[test]
fn expressions_without_a_literal_are_told() {
    let set = compile(&(rule("A", "regex = 'abc\\d'") + &rule("B", "regex = '\\d\\d:\\d\\d'"))).unwrap();
    assert_eq!(set.rules.costly().collect::<Vec<_>>(), [r"\d\d:\d\d"]);
    let set = compile(&rule("A", "regex = ['\\d:', '\\$\\d', '[ab]c', 'word']")).unwrap();
    assert_eq!(set.rules.costly().collect::<Vec<_>>(), [r"(?:\d:)|(?:[ab]c)"], "those of one rule run as one");
}

#[test]
fn examples_are_tried() {
    let good = rule("A", "in = \"subject\"\nany = \"winner\"\nhits = \"You are a WINNER\"\nmisses = [\"dinner\"]");
    assert_eq!(compile(&good).unwrap().wrong_examples(), Vec::<String>::new());
    let bad = rule("A", "any = \"winner\"\nhits = \"dinner\"\nmisses = \"winner\"");
    assert_eq!(compile(&bad).unwrap().wrong_examples().len(), 2);
}

#[test]
fn when_time_is_up_it_is_said() {
    let set = compile(&rule("A", "any = \"abc\"")).unwrap();
    let mail = specimen(&[], "abc");
    let found = set.rules.evaluate(&mail, &Facts::default(), set.rules.nothing_seen(), &|| true);
    assert!(found.time_is_up && found.hits.is_empty());
}
