//! What a tenants file may say, and what is told of one that is wrong.

use proptest::prelude::*;

use super::*;

const ACME: &str = r#"
[[tenant]]
id = "acme"
name = "Acme KK"
[[tenant.domain]]
name = "acme.example"
next_hops = ["127.0.0.1:2626"]
recipients = "any"
[[tenant.outbound_client]]
network = "127.0.0.1/32"
"#;

fn hash() -> &'static str {
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Hn2eSNgPQzUwBlE5mA5Us1FGZyE1BeGGmtHqMGWE5Vk"
}

/// The problems as lines `line: what; help`.
fn problems(text: &str) -> Vec<String> {
    let Err(problems) = read("t.toml", text) else { return Vec::new() };
    problems.0.iter().map(|problem| problem.to_string().replace("t.toml:", "")).collect()
}

#[test]
fn the_shortest_tenant_has_sound_defaults() {
    let specs = read("tenants.toml", ACME).unwrap();
    let [acme] = specs.as_slice() else { panic!("{specs:?}") };
    assert_eq!((acme.id.as_str(), &*acme.name), ("acme", "Acme KK"));
    assert_eq!((acme.state, acme.custody), (TenantState::Active, Custody::Queued));
    let [domain] = acme.domains.as_slice() else { panic!("{acme:?}") };
    assert_eq!((domain.tls, &domain.recipients), (TlsPolicy::Opportunistic, &RecipientsSpec::Any));
    assert_eq!(domain.next_hops[0].to_string(), "127.0.0.1:2626");
    assert_eq!(acme.outbound_clients, [ClientSpec::Network("127.0.0.1/32".parse().unwrap())]);
}

#[test]
fn next_hops_are_written_in_several_ways() {
    for (written, host, port) in [
        ("mail.acme.example", "mail.acme.example", 25),
        ("Mail.Acme.example:2525", "mail.acme.example", 2525),
        ("192.0.2.1", "192.0.2.1", 25),
        ("192.0.2.1:26", "192.0.2.1", 26),
        ("[2001:db8::1]:26", "2001:db8::1", 26),
        ("[2001:db8::1]", "2001:db8::1", 25),
        ("2001:db8::1", "2001:db8::1", 25),
        ("[::ffff:192.0.2.1]:26", "192.0.2.1", 26),
        ("日本.example", "xn--wgv71a.example", 25),
    ] {
        let hop = hop_of_text(written).unwrap();
        assert_eq!((hop.host.to_string().as_str(), hop.port), (host, port), "{written}");
    }
    for bad in ["", ":25", "a:0", "a:65536", "a:b", "[::1", "[::1]x", "192.0.2.300", "a b", "[a.example]:25"] {
        assert!(hop_of_text(bad).is_err(), "{bad:?} was taken for a next hop");
    }
}

#[test]
fn all_problems_are_told_in_one_run_with_their_lines() {
    let text = r#"[[tenant]]
id = "Acme"
nmae = "x"
[[tenant.domain]]
name = "a b"
next_hops = ["h:0", 7, { host = "h", prot = 25 }]
tls = "oportunistic"
recipients = ["x@other.example"]
[[tenant.outbound_client]]
network = "10.0.0.1/8"
[[tenant.outbound_client]]
network = "0.0.0.0/0"
[[tenant.outbound_client]]
username = "u"
[[tenant.outbound_client]]
username = "u"
password_hash = "secret"
[[tenant.outbound_client]]
certificate = "zz"
[[tenant.outbound_client]]
password = "secret"
"#;
    let told = problems(text);
    for expected in [
        "2: id of [[tenant]]: \"Acme\" is no tenant id",
        "3: unknown key \"nmae\" in [[tenant]]; did you mean \"name\"?",
        "5: name of [[tenant.domain]]: \"a b\"",
        "6: next_hops of [[tenant.domain]]: \"h:0\" has no usable port; write host:port",
        "6: next_hops of [[tenant.domain]]: write \"host:port\" or",
        "6: unknown key \"prot\" in a next hop; did you mean \"port\"?",
        "7: tls of [[tenant.domain]]: \"oportunistic\" is none of none, opportunistic, required, verified; did you mean \"opportunistic\"?",
        "10: network of [[tenant.outbound_client]]: 10.0.0.1/8 has bits behind its prefix; write 10.0.0.0/8",
        "12: network of [[tenant.outbound_client]]: 0.0.0.0/0 is too wide",
        "13: an outbound client is known by exactly one of",
        "17: password_hash of [[tenant.outbound_client]]: this is no argon2 hash; `sekisho tenant hash-password` makes one",
        "19: certificate of [[tenant.outbound_client]]: write the certificate's SHA-256 as 64 hex digits",
        "21: unknown key \"password\" in [[tenant.outbound_client]]; did you mean \"password_hash\"?",
    ] {
        assert!(told.iter().any(|line| line.starts_with(expected)), "{expected:?} is not among {told:#?}");
    }
    assert!(!told.iter().any(|line| line.contains("secret")), "a secret was printed: {told:#?}");
}

#[test]
fn a_listed_recipient_of_another_domain_is_refused() {
    let told = problems(&ACME.replace("\"any\"", "[\"x@acme.example\",\n\"y@other.example\"]"));
    assert_eq!(told, ["9: recipients of [[tenant.domain]]: y@other.example is not in domain acme.example"]);
}

#[test]
fn what_two_tenants_claim_is_told_at_the_second_with_the_first_ones_line() {
    let second = ACME.replace("\"acme\"", "\"beta\"");
    assert_eq!(
        problems(&format!("{ACME}{second}")),
        [
            "16: domain acme.example of tenant beta belongs to tenant acme already; see line 6",
            "19: network 127.0.0.1/32 of tenant beta belongs to tenant acme already; see line 9",
        ]
    );
    let same = problems(&format!("{ACME}[[tenant]]\nid = 'acme'\n"));
    assert_eq!(same, ["11: a second tenant acme; the first one is on line 2"]);
    let login = format!("[[tenant.outbound_client]]\nusername = 'u'\npassword_hash = '{}'\n", hash());
    let twice = problems(&format!("[[tenant]]\nid = 'a'\n{login}{login}"));
    assert_eq!(twice, ["6: user name u stands twice in tenant a; see line 3"]);
}

#[test]
fn an_unknown_top_level_table_is_told() {
    assert_eq!(
        problems("[[tenants]]\nid = 'a'\n"),
        ["1: unknown key \"tenants\" in the file; did you mean \"tenant\"?"]
    );
    assert_eq!(problems("tenant = 3\n"), ["1: tenant of the file: an integer was written where a list belongs"]);
    assert!(read("t.toml", "").unwrap().is_empty());
}

#[test]
fn domains_are_compared_in_their_a_label_form() {
    let two = "[[tenant]]\nid='a'\n[[tenant.domain]]\nname='日本.example'\nnext_hops=['h']\n[[tenant.domain]]\nname='XN--WGV71A.example'\nnext_hops=['h']\n";
    assert_eq!(problems(two), ["7: domain xn--wgv71a.example stands twice in tenant a; see line 4"]);
}

#[test]
fn a_file_read_in_pieces_is_as_one_read_whole() {
    let mut text = String::from("# all tenants\n");
    for n in 0..50 {
        text.push_str(&ACME.replace("acme", &format!("t{n}")).replace("127.0.0.1/32", &format!("10.0.0.{n}/32")));
    }
    let whole = read_whole("t", &text).unwrap();
    assert_eq!(whole.len(), 50);
    for least in [1, 100, 1000, 100_000] {
        assert_eq!(read_in_pieces(&text, least).as_ref(), Some(&whole));
    }
}

#[test]
fn a_header_inside_a_text_is_no_cut() {
    for inner in ["name = '''\n[[tenant]]\nid = \"b\"'''\n", "name = \"\"\"\n[[tenant]]\nid = 'b'\"\"\"\n"] {
        let text = format!("[[tenant]]\nid = 'a'\n{inner}");
        assert_eq!(read_in_pieces(&text, 1), None, "{text}");
    }
}

proptest! {
    /// Whatever is written: no panic, and pieces never say otherwise than the whole.
    #[test]
    fn pieces_and_whole_agree(parts in proptest::collection::vec(
        prop_oneof![
            Just("\n[[tenant]]\n".to_owned()), "[a-c]{1}".prop_map(|id| format!("id = '{id}'\n")), Just("'''".to_owned()),
            Just("\"\"\"".to_owned()), Just("name = ".to_owned()), Just("[".to_owned()), Just("]".to_owned()), Just("\n".to_owned()),
            Just("[[tenant.domain]]\nname='a.example'\nnext_hops=['h']\n".to_owned()), Just("# ".to_owned()),
        ], 0..12)
    ) {
        let text = parts.concat();
        if let Some(specs) = read_in_pieces(&text, 1) {
            prop_assert_eq!(read_whole("t", &text), Ok(specs));
        }
    }
}

#[test]
fn a_contract_is_read_with_dates_in_either_form_and_its_defaults() {
    let text = "[[tenant]]\nid = 'a'\nadministrators = ['ops@a.example']\n[tenant.contract]\nstart = 2026-04-01\nend = '2027-03-31'\n\
                accounts = 50\n[[tenant.domain]]\nname = 'a.example'\nnext_hops = ['h']\n\
                [[tenant]]\nid = 'b'\n[tenant.contract]\nstart = 2026-04-01\ngroup = 'a'\ntrial = true\nover = 'refuse-new'\n\
                time_zone = 'UTC'\nfrozen_days = 10\n";
    let specs = read("t.toml", text).unwrap();
    let (a, b) = (specs[0].contract.as_ref().unwrap(), specs[1].contract.as_ref().unwrap());
    assert_eq!(
        (a.start.to_string(), a.end.unwrap().to_string(), a.accounts),
        ("2026-04-01".into(), "2027-03-31".into(), Some(50))
    );
    assert_eq!((a.time_zone.name(), a.grace_days, a.frozen_days, a.deferred_days), ("Asia/Tokyo", 30, 30, 15));
    assert_eq!((b.time_zone.name(), b.trial, b.frozen_days, b.deferred_days), ("UTC", true, 10, 10));
    assert_eq!(specs[0].administrators[0].to_string(), "ops@a.example");
    // As it is kept.
    let kept = serde_json::to_string(&specs[1]).unwrap();
    assert_eq!(serde_json::from_str::<TenantSpec>(&kept).unwrap(), specs[1]);
    let before: TenantSpec = serde_json::from_str("{\"id\":\"a\",\"name\":\"a\"}").unwrap();
    assert_eq!((before.contract, before.administrators.len()), (None, 0), "what was kept before there were contracts");
}

#[test]
fn what_is_wrong_with_a_contract_is_told() {
    for (lines, complaint) in [
        ("accounts = 5", "has no start"),
        ("start = 2026-13-01", "t.toml:4"),
        ("start = 2026-04-01T00:00:00", "is no day"),
        ("start = 5", "a day belongs here"),
        ("start = 2026-04-01\nend = 2026-03-31", "is before the start"),
        ("start = 2026-04-01\ntime_zone = 'Tokyo'", "is no time zone"),
        ("start = 2026-04-01\nover = 'refuse'", "refuse-new"),
        ("start = 2026-04-01\naccounts = -1", "is not within"),
        ("start = 2026-04-01\ndeferred_days = 31", "31 of 30 frozen days"),
        ("start = 2026-04-01\ngroup = 'a'", "no member of its own group"),
        ("start = 2026-04-01\ngroup = 'nobody'", "there is no such tenant"),
        ("start = 2026-04-01\nseats = 5", "unknown key \"seats\""),
    ] {
        let text = format!("[[tenant]]\nid = 'a'\n[tenant.contract]\n{lines}\n");
        let problems = read("t.toml", &text).unwrap_err().to_string();
        assert!(problems.contains(complaint), "{lines}: {problems}");
    }
    let groups = "[[tenant]]\nid = 'a'\n[tenant.contract]\nstart = 2026-04-01\ngroup = 'b'\n\
                  [[tenant]]\nid = 'b'\n[tenant.contract]\nstart = 2026-04-01\ngroup = 'c'\n[[tenant]]\nid = 'c'\n";
    assert!(read("t.toml", groups).unwrap_err().to_string().contains("b, which is itself in a group"));
    let elsewhere = "[[tenant]]\nid = 'a'\nadministrators = ['x@other.example']\n";
    assert!(read("t.toml", elsewhere).unwrap_err().to_string().contains("none of the tenant's domains"));
}

#[test]
fn people_are_read_shown_and_refused_where_they_are_wrong() {
    let text = "[[tenant]]\nid = 'a'\n[[tenant.person]]\nname = '山田 太郎'\naddresses = ['taro@a.example', 'taro@home.example']\n\
                [[tenant.person]]\nname = ' Hanako Sato '\n[[tenant.person]]\nname = '林薫'\n";
    let specs = read("t.toml", text).unwrap();
    let [taro, hanako, _] = &*specs[0].people else { panic!("{specs:?}") };
    assert_eq!((&*taro.name, taro.addresses.len(), &*hanako.name), ("山田 太郎", 2, "Hanako Sato"));
    let kept = serde_json::to_string(&specs[0]).unwrap();
    assert_eq!(serde_json::from_str::<TenantSpec>(&kept).unwrap(), specs[0]);
    for (lines, complaint) in [
        ("addresses = ['x@a.example']", "has no name"),
        ("name = 'Jo'", "a full name"),
        ("name = '林'", "a full name"),
        ("name = '12345'", "a full name"),
        ("name = 'Hanako Sato'\naddresses = ['hanako']", "\"hanako\""),
        ("name = 'Hanako Sato'\naddresses = [5]", "in quotes"),
        ("name = 'Hanako Sato'\nmail = 'x'", "unknown key \"mail\""),
    ] {
        let problems = read("t.toml", &format!("[[tenant]]\nid = 'a'\n[[tenant.person]]\n{lines}\n")).unwrap_err();
        assert!(problems.to_string().contains(complaint), "{lines}: {problems}");
    }
    let many = "[[tenant.person]]\nname = 'Hanako Sato'\n".repeat(201);
    assert!(
        read("t.toml", &format!("[[tenant]]\nid = 'a'\n{many}")).unwrap_err().to_string().contains("more than 200")
    );
}

fn shared(id: &str, value: &str) -> String {
    format!(
        "[[tenant]]\nid = '{id}'\n[[tenant.outbound_client]]\nnetwork = ['192.0.2.0/24', '2001:db8::/32']\n\
         header = 'X-Gate'\nvalue = '{value}'\n"
    )
}

#[test]
fn a_network_is_shared_by_tenants_with_values_of_their_own() {
    let text = shared("a", "0123456789abcdef") + &shared("b", "0123456789abcdeg");
    let specs = read("t.toml", &text).unwrap();
    let json = serde_json::to_string(&specs).unwrap();
    assert!(!json.contains("0123456789abcdef"), "{json}");
    assert_eq!(serde_json::from_str::<Vec<TenantSpec>>(&json).unwrap(), specs);
    assert_eq!(read_in_pieces(&text, 1), Some(specs));
    let same = shared("a", "0123456789abcdef") + &shared("b", "0123456789abcdef");
    assert_eq!(problems(&same), ["9: the value of a header field of tenant b belongs to tenant a already; see line 3"]);
    let alone = "[[tenant]]\nid = 'c'\n[[tenant.outbound_client]]\nnetwork = '192.0.2.0/24'\n";
    let both = format!("{}{alone}", shared("a", "0123456789abcdef"));
    assert_eq!(read_in_pieces(&both, 1), None);
    assert_eq!(
        problems(&both),
        [
            "1: network 192.0.2.0/24 is shared for tenant a and belongs to tenant c alone; in a shared network every tenant needs header and value"
        ]
    );
}

#[test]
fn a_shared_clients_mistakes_are_told_without_the_value() {
    let client = |keys: &str| format!("[[tenant]]\nid = 'a'\n[[tenant.outbound_client]]\n{keys}\n");
    for (keys, wrong) in [
        ("header = 'X-G'\nvalue = '0123456789abcdef'", "network"),
        ("network = '192.0.2.0/24'\nvalue = '0123456789abcdef'", "header"),
        ("network = '192.0.2.0/24'\nheader = 'X-G'", "value"),
        ("network = '192.0.2.0/24'\nheader = 'From'\nvalue = '0123456789abcdef'", "begins with X-"),
        ("network = '192.0.2.0/24'\nheader = 'X-G'\nvalue = 'topsecret'", "16 to 200"),
        ("network = []\nheader = 'X-G'\nvalue = '0123456789abcdef'", "network"),
        ("network = ['192.0.2.1/24']\nheader = 'X-G'\nvalue = '0123456789abcdef'", "bits behind"),
        ("network = '192.0.2.0/24'\nusername = 'u'\nheader = 'X-G'\nvalue = '0123456789abcdef'", "username"),
    ] {
        let told = problems(&client(keys)).join("\n");
        assert!(told.contains(wrong) && !told.contains("topsecret") && !told.contains("0123"), "{keys}: {told}");
    }
}
