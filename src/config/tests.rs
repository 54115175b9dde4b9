//! Merge, origin, and every problem told in one run.

use std::collections::BTreeSet;

use super::*;

const MINIMAL: &str = r#"
hostname = "mx.gateway.example"
data_dir = "./var"
[[listener]]
name = "mx"
direction = "inbound"
bind = "127.0.0.1:2525"
[[listener]]
name = "relay"
direction = "outbound"
bind = "127.0.0.1:2587"
[observe]
bind = "127.0.0.1:9925"
[dns]
servers = ["127.0.0.1:5353"]
"#;

fn read_all(files: &[(&str, &str)], environment: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let files: Vec<(String, &str)> = files.iter().map(|(name, text)| ((*name).to_owned(), *text)).collect();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    read(&files, environment, Path::new("/base"), Problems::default())
}

fn sound(text: &str) -> Loaded {
    read_all(&[("s.toml", text)], &[]).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The problems as lines `line: what; help`.
fn problems(text: &str) -> Vec<String> {
    let Err(problems) = read_all(&[("s.toml", text)], &[]) else { return Vec::new() };
    problems.0.iter().map(|problem| problem.to_string().replace("s.toml:", "")).collect()
}

fn origin(loaded: &Loaded, name: &str) -> String {
    loaded.effective.iter().find(|one| one.name == name).unwrap().origin.to_string()
}

#[test]
fn the_contract_of_the_settings_loads() {
    let settings = sound(MINIMAL).settings;
    assert_eq!(settings.hostname.as_str(), "mx.gateway.example");
    assert_eq!(settings.data_dir, Path::new("/base/var"));
    assert_eq!(settings.spool.dir, Path::new("/base/var/spool"));
    assert_eq!(settings.log.mail, MailLogTarget::File("/base/var/mail.log".into()));
    assert_eq!(settings.postmaster.to_string(), "postmaster@mx.gateway.example");
    assert_eq!(settings.delivery.helo_name, settings.hostname);
    assert_eq!(settings.dns.servers, ["127.0.0.1:5353".parse().unwrap()]);
    let [mx, relay] = settings.listeners.as_slice() else { panic!("{:?}", settings.listeners) };
    assert_eq!((mx.auth, mx.tls, &mx.certificate), (false, ListenerTls::None, &None));
    assert!(relay.auth && relay.direction == crate::model::Direction::Outbound);
    assert_eq!(settings.smtp.timeouts.command.as_secs(), 300);
    assert_eq!(settings.smtp.message_size, 50 << 20);
    assert_eq!(settings.delivery.retry.expire_inbound.as_secs(), 10 * 86_400);
}

#[test]
fn every_default_is_valid_and_every_key_described() {
    let mut names = BTreeSet::new();
    for key in all() {
        assert!(names.insert(key.name), "{} stands twice", key.name);
        assert!(key.doc.ends_with('.') && key.doc.len() > 20, "{} is hardly described", key.name);
        assert_ne!(key.default.is_empty(), key.absent.is_empty(), "{}: a default or what stands for it", key.name);
        assert_eq!(merge::default_of(key) == Value::Unset, key.default.is_empty(), "the default of {}", key.name);
    }
}

/// Each key that is changed changes the settings: none is read in vain.
#[test]
fn every_key_does_something() {
    let plain = sound(MINIMAL).settings;
    for key in KEYS {
        let value = match key.kind {
            Kind::Hostname => "\"other.example\"".into(),
            Kind::Text => "\"debug\"".into(),
            Kind::MailAddress => "\"a@b.example\"".into(),
            Kind::Path | Kind::PathOrStdout => "\"other\"".into(),
            Kind::Socket | Kind::SocketOrOff => "\"127.0.0.1:1\"".into(),
            Kind::Bool => (key.default != "true").to_string(),
            Kind::Integer(low, high) => match key.default {
                default if default == low.to_string() => high.to_string(),
                _ => low.to_string(),
            },
            Kind::Size => "\"99MiB\"".into(),
            Kind::Span if key.default.ends_with('s') => "\"7s\"".into(),
            // Nobody is forgotten before they were learned of.
            Kind::Span if key.name == "first_contact.memory" => "\"500d\"".into(),
            Kind::Span => "\"3h\"".into(),
            Kind::Words(words) => format!("{:?}", words.iter().find(|word| **word != key.default).unwrap()),
            Kind::Networks => "[\"10.0.0.0/8\"]".into(),
            Kind::Ips => "[\"192.0.2.1\"]".into(),
            Kind::Sockets => "[\"127.0.0.1:1\"]".into(),
            Kind::Addresses => "[\"trap@a.example\"]".into(),
            Kind::Texts => "[\"infected\"]".into(),
            Kind::Detectors => "[\"yara\"]".into(),
            Kind::Servers => "[\"127.0.0.1:1\"]".into(),
            Kind::PublicKeys => "[\"ed25519:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\"]".into(),
            Kind::Rate | Kind::Rates => "7/1h".into(),
            Kind::Zone | Kind::Answers | Kind::Codes => unreachable!("{} is of a known source", key.name),
        };
        let environment = format!("SEKISHO__{}", key.name.to_uppercase().replace('.', "__"));
        let value = value.trim_matches('"');
        let mut variables = vec![(environment.as_str(), value)];
        // A certificate and its key only go together.
        if key.name.starts_with("tls.certificate") || key.name == "tls.key" {
            variables = vec![("SEKISHO__TLS__CERTIFICATE", "c"), ("SEKISHO__TLS__KEY", "k")];
        }
        // No file is larger than all together.
        if key.name == "scan.file_size" {
            variables.push(("SEKISHO__SCAN__UNPACKED_SIZE", value));
        }
        let changed = read_all(&[("s.toml", MINIMAL)], &variables).unwrap_or_else(|problems| panic!("{problems}"));
        assert_ne!(changed.settings, plain, "{} does nothing", key.name);
    }
}

#[test]
fn tables_merge_and_the_last_one_wins_and_knows_its_line() {
    let loaded = read_all(
        &[
            ("sekisho.toml", MINIMAL),
            ("conf.d/10.toml", "[smtp]\nrecipients = 200\nmessage_size = \"10MiB\"\n[dns]\nservers = []\n"),
            ("conf.d/20.toml", "# later\n[smtp]\nrecipients = 300\n"),
        ],
        &[("SEKISHO__DNS__TIMEOUT", "7s"), ("SEKISHO__LISTENER__MX__BIND", "[::1]:25"), ("SEKISHO_CONFIG", "x")],
    )
    .unwrap();
    let settings = &loaded.settings;
    assert_eq!((settings.smtp.recipients, settings.smtp.message_size), (300, 10 << 20));
    assert_eq!((settings.dns.servers.len(), settings.dns.timeout.as_secs()), (0, 7));
    assert_eq!(settings.listeners[0].bind, "[::1]:25".parse().unwrap());
    for (name, from) in [
        ("hostname", "sekisho.toml:2"),
        ("smtp.recipients", "conf.d/20.toml:3"),
        ("smtp.message_size", "conf.d/10.toml:3"),
        ("dns.servers", "conf.d/10.toml:5"),
        ("dns.timeout", "environment SEKISHO__DNS__TIMEOUT"),
        ("dns.attempts", "default"),
        ("listener.mx.bind", "environment SEKISHO__LISTENER__MX__BIND"),
        ("listener.relay.bind", "sekisho.toml:11"),
    ] {
        assert_eq!(origin(&loaded, name), from, "{name}");
    }
}

#[test]
fn listeners_of_a_later_file_replace_those_before() {
    let later = "[[listener]]\nname = 'only'\ndirection = 'inbound'\nbind = '127.0.0.1:1'\n";
    let loaded = read_all(&[("a", MINIMAL), ("b", later)], &[]).unwrap();
    assert_eq!(loaded.settings.listeners.len(), 1);
}

#[test]
fn all_problems_are_told_in_one_run() {
    let text = r#"
hostnam = "mx"
data_dir = 7
dns = "127.0.0.1"
[smtp]
comand_timeout = "5m"
command_timeout = 5
recipients = 5
message_size = "5 parsecs"
chunking = "yes"
expire_inbound = "1d"
[smtpd]
x = 1
[observe]
bind = "localhost:9925"
[log]
level = "sekisho=loud"
[delivery]
retry_first = "5h"
dot_timeout = "0s"
[tls]
key = "k.pem"
[[listener]]
name = "mx"
direction = "inbond"
bind = "127.0.0.1"
trusted_proxies = ["10.0.0.1/8"]
[[listener]]
name = "a b"
direction = "inbound"
bind = "127.0.0.1:2525"
auth = "after-tls"
tls = "implicit"
[[listener]]
name = "proxied"
direction = "inbound"
bind = "127.0.0.1:2525"
proxy_protocol = "required"
[[listener]]
name = "out"
direction = "outbound"
bind = "127.0.0.1:2587"
trusted_relays = ["192.0.2.0/24"]
"#;
    let told = problems(text);
    for expected in [
        "2: unknown key \"hostnam\"; did you mean \"hostname\"?",
        "hostname is not set; the gateway's own name",
        "3: data_dir: an integer was written where path belongs",
        "4: dns is a section; write [dns]",
        "6: unknown key \"comand_timeout\" in [smtp]; did you mean \"command_timeout\"?",
        "7: smtp.command_timeout: 5 lacks its unit; write \"5s\"",
        "8: smtp.recipients: 5 is not within 100 to 100000",
        "9: smtp.message_size: \"5 parsecs\" is no size; write 50MiB or 52428800",
        "10: smtp.chunking: a text was written where true or false belongs",
        "11: unknown key \"expire_inbound\" in [smtp]; did you mean delivery.expire_inbound?",
        "12: unknown key \"smtpd\"; did you mean [smtp]?",
        "15: observe.bind: \"localhost:9925\" is no IP address with port",
        "17: log.level: \"sekisho=loud\"",
        "delivery.retry_max is below delivery.retry_first",
        "20: delivery.dot_timeout: a time-out of nothing",
        "22: tls.key needs tls.certificate beside it",
        "25: listener.direction: \"inbond\" is none of inbound, outbound; did you mean \"inbound\"?",
        "26: listener.bind: \"127.0.0.1\" has no port; write \"127.0.0.1:25\"",
        "27: listener.trusted_proxies: 10.0.0.1/8 has bits behind its prefix; write 10.0.0.0/8",
        "29: \"a b\" is no name of a listener",
        "32: AUTH belongs on outbound listeners",
        "33: a listener with TLS needs a certificate",
        "37: listener proxied binds 127.0.0.1:2525, as listener a b does",
        "38: nobody may send the PROXY header; name the proxies in trusted_proxies",
        "43: trusted_relays have no effect on outbound mail; who may send outbound is said by",
    ] {
        assert!(told.iter().any(|line| line.starts_with(expected)), "{expected:?} is not among {told:#?}");
    }
}

#[test]
fn a_syntax_error_hides_no_other_and_invents_none() {
    let Err(told) = read_all(&[("a.toml", "hostname = \n[smtp\n"), ("b.toml", "[smtp]\nrecipient = 200\n")], &[])
    else {
        panic!("taken")
    };
    let told: Vec<String> = told.0.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|line| line.starts_with("a.toml:1: ")), "{told:#?}");
    assert!(told.iter().any(|line| line.starts_with("b.toml:2: unknown key")), "{told:#?}");
    assert!(!told.iter().any(|line| line.contains("is not set") || line.contains("no listener")), "{told:#?}");
}

#[test]
fn the_environment_is_checked_like_a_file() {
    let Err(told) = read_all(
        &[("s.toml", MINIMAL)],
        &[
            ("SEKISHO__SMTP__RECIPENTS", "200"),
            ("SEKISHO__SMTP__ERRORS", "many"),
            ("SEKISHO__LISTENER__MY__BIND", "127.0.0.1:1"),
            ("SEKISHO__LISTENER__MX__BINT", "127.0.0.1:1"),
        ],
    ) else {
        panic!("taken")
    };
    let told = told.to_string();
    for expected in [
        "environment SEKISHO__SMTP__RECIPENTS: unknown key \"smtp.recipents\"; did you mean \"recipients\"?",
        "environment SEKISHO__SMTP__ERRORS: a text was written where integer, 1 to 1000 belongs",
        "environment SEKISHO__LISTENER__MY__BIND: no listener is named \"my\"",
        "environment SEKISHO__LISTENER__MX__BINT: unknown key \"bint\" of a listener; did you mean \"bind\"?",
    ] {
        assert!(told.contains(expected), "{expected} is not in\n{told}");
    }
}

#[test]
fn a_certificate_turns_starttls_on() {
    let text = format!("{MINIMAL}[tls]\ncertificate = 'c.pem'\nkey = '/k.pem'\n");
    let settings = sound(&text).settings;
    assert_eq!(settings.listeners[0].tls, ListenerTls::StartTls);
    let files = TlsFiles { certificate: "/base/c.pem".into(), key: "/k.pem".into() };
    assert_eq!(settings.listeners[0].certificate.as_ref(), Some(&files));
}

#[test]
fn a_reload_tells_what_needs_a_restart() {
    let old = sound(MINIMAL);
    assert!(old.changes_to(&old).is_empty());
    let new = MINIMAL
        .replace("./var", "./other")
        .replace("[dns]", "[smtp]\nerrors = 9\n[dns]")
        .replace("\"relay\"", "\"out\"");
    let changes = old.changes_to(&sound(&new));
    let effect = |name: &str| changes.iter().find(|change| change.name == name).map(|change| change.effect);
    assert_eq!(effect("data_dir"), Some(Effect::Restart));
    assert_eq!(effect("smtp.errors"), Some(Effect::Reload));
    assert_eq!(effect("listener.relay.bind"), Some(Effect::Restart));
    assert_eq!(effect("listener.out.bind"), Some(Effect::Restart));
    assert_eq!(effect("hostname"), None);
}

#[test]
fn files_are_read_with_conf_d_in_the_order_of_names() {
    let dir = tempfile::tempdir().unwrap();
    let main = dir.path().join("sekisho.toml");
    std::fs::write(&main, MINIMAL).unwrap();
    std::fs::create_dir(dir.path().join("conf.d")).unwrap();
    for (name, value) in [("20-b.toml", 300), ("10-a.toml", 200), ("30-c.toml.off", 400)] {
        std::fs::write(dir.path().join("conf.d").join(name), format!("smtp.recipients = {value}\n")).unwrap();
    }
    let loaded = load(&main, []).unwrap();
    assert_eq!((loaded.settings.smtp.recipients, loaded.files.len()), (300, 3));
    assert_eq!(loaded.settings.data_dir, dir.path().join("var"));
    let missing = load(&dir.path().join("none.toml"), []).unwrap_err();
    assert!(missing.to_string().contains("none.toml") && !missing.to_string().contains("is not set"), "{missing}");
}

#[test]
fn the_files_in_config_load_and_the_example_names_every_key() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    for name in ["sekisho.toml", "sekisho.example.toml"] {
        let text = std::fs::read_to_string(dir.join(name)).unwrap();
        sound(&text);
    }
    let example = std::fs::read_to_string(dir.join("sekisho.example.toml")).unwrap();
    // What is commented out is sound as well.
    let uncommented: String =
        example.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line)).map(|line| format!("{line}\n")).collect();
    let loaded = sound(&uncommented);
    let written: BTreeSet<&str> =
        loaded.effective.iter().filter(|one| one.origin != Origin::Default).map(|one| one.key.name).collect();
    for key in all() {
        assert!(written.contains(key.name), "{} is not in sekisho.example.toml", key.name);
        // What stands there is the default, where there is one.
        let in_table = TABLES.iter().any(|(table, _)| key.name.starts_with(&format!("{table}.")));
        if !key.default.is_empty() && !in_table {
            let shown = loaded.effective.iter().find(|one| one.key == key).unwrap();
            assert_eq!(shown.value, merge::default_of(key), "{} in sekisho.example.toml", key.name);
        }
    }
    for name in ["tenants.toml", "tenants.example.toml"] {
        let text = std::fs::read_to_string(dir.join(name)).unwrap();
        crate::tenant::read(name, &text).unwrap_or_else(|problems| panic!("{problems}"));
    }
}

const KNOWN: &str = r#"
[[known_source]]
name = "zen"
zone = "S3cretK3y.zen.dq.example"
kind = "ip"
codes = [
  { code = "127.0.0.2", reason = "a spam source", weight = 100 },
  { code = "127.0.0.4-7", reason = "infected", weight = 50 },
  { code = "bit 64", reason = "noted", weight = 0 },
]
errors = ["127.0.1.255"]
timeout = "2s"
"#;

#[test]
fn the_sender_stage_is_set() {
    let settings = sound(&format!(
        "{MINIMAL}[reputation]\nspam_traps = ['Trap@acme.example']\n[rates]\nper_client = '10/1s'\nper_recipient = 'off'\n{KNOWN}"
    ))
    .settings;
    let sender = settings.sender;
    assert_eq!(sender.authentication.authserv_id, settings.hostname);
    assert_eq!(sender.reputation.spam_traps, [crate::model::Address::parse("Trap@acme.example").unwrap()]);
    let rate = |count, seconds| Some(RateSettings { count, per: std::time::Duration::from_secs(seconds) });
    assert_eq!((sender.rates.per_client, sender.rates.per_recipient), (rate(10, 1), None));
    assert_eq!((sender.bulk.sender, sender.rates.per_sender), (rate(50, 600), None));
    let outbound: Vec<String> =
        sender.rates.outbound.iter().map(|(what, rate)| format!("{} {rate}", what.as_str())).collect();
    assert_eq!(outbound, ["client 1000/5m", "sender 500/10m"]);
    let [zen] = sender.known_sources.as_slice() else { panic!("{:?}", sender.known_sources) };
    assert_eq!((zen.kind, zen.enabled, zen.timeout.as_secs()), (KnownSourceKind::Ip, true, 2));
    assert_eq!((&*zen.name, zen.zone.reveal()), ("zen", "s3cretk3y.zen.dq.example"));
    let codes: Vec<String> = zen.codes.iter().map(|code| format!("{} {}", code.code, code.weight)).collect();
    assert_eq!(codes, ["127.0.0.2 100", "127.0.0.4-7 50", "bit 64 0"]);
    assert_eq!(zen.self_test, KnownSourceTest::Rfc5782);
}

#[test]
fn a_zone_is_shown_nowhere_and_yet_a_change_of_it_is_noticed() {
    let text = format!("{MINIMAL}{KNOWN}");
    let variables = [("SEKISHO__KNOWN_SOURCE__ZEN__ZONE", "0therS3cret.zen.dq.example")];
    let (old, new) = (sound(&text), read_all(&[("s.toml", &text)], &variables).unwrap());
    assert_eq!(new.settings.sender.known_sources[0].zone.reveal(), "0thers3cret.zen.dq.example");
    let changes = old.changes_to(&new);
    assert_eq!(changes.iter().map(|change| change.name.as_str()).collect::<Vec<_>>(), ["known_source.zen.zone"]);
    let mut shown = format!("{old:?} {new:?} {changes:?}");
    for one in old.effective.iter().chain(&new.effective) {
        shown.push_str(&format!("{} = {} {}\n", one.name, one.value, one.value.to_json()));
    }
    // Wrong zones as well: refused, and not told.
    let wrong = text.replace("S3cretK3y.zen.dq.example", "S3cretK3y zen.example");
    let in_list = text.replace("\"S3cretK3y.zen.dq.example\"", "[\"S3cretK3y.zen\"]");
    let unclosed = text.replace("dq.example\"", "dq.example");
    for text in [wrong, in_list, unclosed] {
        let told = problems(&text);
        assert!(!told.is_empty());
        shown.push_str(&told.join("\n"));
    }
    let bad = [("SEKISHO__KNOWN_SOURCE__ZEN__ZONE", "0therS3cret zen")];
    shown.push_str(&read_all(&[("s.toml", &text)], &bad).unwrap_err().to_string());
    assert!(!shown.to_lowercase().contains("s3cret"), "{shown}");
    assert!(shown.contains("known_source.zen.zone = (secret) \"(secret)\""), "{shown}");
}

#[test]
fn all_problems_of_the_sender_stage_are_told_in_one_run() {
    let text = r#"
[reputation]
spam_traps = ["trap", "postmaster@acme.example"]
entries = 5
[greylist]
delay = "2d"
[rates]
per_client = 2000
per_network = "2000"
per_sender = "0/1m"
per_recipient = "5/1ms"
per_recipent = "off"
[authentification]
[geography]
database = ""
[known_sources]
[[known_source]]
name = "a b"
zone = "not a domain"
kind = "blok"
codes = [
  { code = "127.0.0.x", reason = "", weight = 1001 },
  { cod = "127.0.0.2", reason = "x", weight = 1 },
  "127.0.0.2",
]
errors = ["bit 0"]
timeout = "5m"
self_tests = "off"
[[known_source]]
name = "twin"
zone = "a.example"
kind = "ip"
codes = [{ code = "127.0.0.2", reason = "x", weight = 1 }]
test_listed = "x..y"
[[known_source]]
name = "Twin"
zone = "b.example"
kind = "ip"
codes = "127.0.0.2"
self_test = "off"
test_listed = "x"
test_unlisted = "y"
[[known_source]]
name = "bare"
[first_contact]
learning = "500d"
entries = 10
"#;
    let told = problems(text);
    for (line, expected) in [
        (3, "reputation.spam_traps: \"trap\": the address has no @"),
        (4, "reputation.entries: 5 is not within 1000 to 100000000"),
        (8, "rates.per_client: 2000 lacks its time; write \"2000/1m\""),
        (9, "rates.per_network: \"2000\" is no rate; write so many in such a time, as 2000/1m, or off"),
        (10, "rates.per_sender: \"0/1m\": 0 is not within 1 to"),
        (11, "rates.per_recipient: \"5/1ms\": the time is not within 1s to 7d"),
        (12, "unknown key \"per_recipent\" in [rates]; did you mean \"per_recipient\"?"),
        (13, "unknown key \"authentification\"; did you mean [authentication]?"),
        (15, "geography.database: the path is empty"),
        (16, "unknown key \"known_sources\"; did you mean [[known_source]]?"),
        (18, "\"a b\" is no name of a known source; 1 to 32 letters"),
        (19, "known_source.zone: the zone is no domain"),
        (20, "known_source.kind: \"blok\" is none of ip, domain, allow"),
        (22, "code of known_source.codes: \"127.0.0.x\" is no answer of a list; write 127.0.0.2, 127.0.0.4-7"),
        (22, "reason of known_source.codes: it is empty"),
        (22, "weight of known_source.codes: 1001 is not within 0 to 1000"),
        (23, "unknown key \"cod\" in known_source.codes; did you mean \"code\"?"),
        (23, "known_source.codes has no code"),
        (24, "known_source.codes: a text was written where a table belongs; as { code = "),
        (26, "known_source.errors: \"bit 0\" is no answer of a list"),
        (27, "known_source.timeout: clients wait for the slowest list"),
        (28, "unknown key \"self_tests\" in [known_source]; did you mean \"self_test\"?"),
        (34, "known_source.test_listed: \"x..y\" is no name below a zone"),
        (34, "known_source.test_listed needs known_source.test_unlisted beside it"),
        (36, "a second known_source is named \"Twin\""),
        (39, "known_source.codes: a text was written where a list of tables belongs"),
        (41, "known_source.test_listed has no effect; remove self_test = \"off\""),
        (47, "first_contact.entries: 10 is not within 1000 to 50000000"),
    ] {
        let expected = format!("{line}: {expected}");
        assert!(told.iter().any(|line| line.starts_with(&expected)), "{expected:?} is not among {told:#?}");
    }
    for what in [
        "greylist.window is not beyond greylist.delay",
        "first_contact.memory is not beyond first_contact.learning",
        "known_source bare has no zone",
        "known_source bare has no kind",
        "known_source bare has no codes",
    ] {
        assert!(told.iter().any(|line| line.contains(what)), "{what:?} is not among {told:#?}");
    }
}

#[test]
fn postmaster_is_no_spam_trap_and_codes_are_not_for_the_environment() {
    let told = problems(&format!("{MINIMAL}[reputation]\nspam_traps = ['postmaster@acme.example']\n"));
    assert!(told.iter().any(|line| line.contains("everybody may write to")), "{told:#?}");
    let text = format!("{MINIMAL}{KNOWN}");
    let told = read_all(&[("s.toml", &text)], &[("SEKISHO__KNOWN_SOURCE__ZEN__CODES", "127.0.0.2")]).unwrap_err();
    assert!(told.to_string().contains("a text was written where list of tables"), "{told}");
}

#[test]
fn too_many_known_sources_are_told_once() {
    let many: String = (0..MAX_KNOWN_SOURCES + 3).map(|n| KNOWN.replace("\"zen\"", &format!("\"zen{n}\""))).collect();
    let told = problems(&format!("{MINIMAL}{many}"));
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].contains("more than 32 known sources are enabled; set enabled = false"), "{told:#?}");
    let off = many.replacen("kind =", "enabled = false\nkind =", 3);
    assert_eq!(sound(&format!("{MINIMAL}{off}")).settings.sender.known_sources.len(), MAX_KNOWN_SOURCES + 3);
}

#[test]
fn a_key_of_an_entry_is_found_by_its_name() {
    for (name, key) in [
        ("listener.mx.bind", "listener.bind"),
        ("known_source.zen.zone", "known_source.zone"),
        ("hostname", "hostname"),
    ] {
        assert_eq!(find(name).map(|key| key.name), Some(key), "{name}");
    }
}

#[test]
fn what_content_is_judged_with_is_set() {
    let text = format!(
        "{MINIMAL}[scan]\nworkers = 3\noff = ['yara', 'classifier']\npasswords = ['infected']\n\
         [clamd]\nservers = ['/run/clamd.ctl', '[::1]:3310', 'av.example:3310']\n[icap]\nservice = 'srv'\n\
         [signatures]\ndir = 'sets'\n[quarantine]\nkeep = '14d'\n"
    );
    let content = sound(&text).settings.content;
    assert_eq!((content.scan.workers, content.scan.patience), (Some(3), std::time::Duration::from_secs(60)));
    assert_eq!(
        content.scan.off.iter().map(crate::model::finding::Detector::name).collect::<Vec<_>>(),
        ["yara", "classifier"]
    );
    let budgets = content.scan.budgets;
    assert_eq!((budgets.files, budgets.ratio, budgets.layers, budgets.file_size), (353, 100, 20, 57 << 20));
    let clamd = &content.scanners.clamd;
    assert_eq!((clamd.servers.len(), clamd.required, clamd.max_size), (3, true, 100 << 20));
    assert_eq!((&*content.scanners.icap.name, &*content.scanners.spamd.name), ("srv", ""));
    assert!(!content.scanners.rspamd.required && content.scanners.rspamd.servers.is_empty());
    assert!(content.signatures.dir.ends_with("sets") && content.signatures.keys.is_empty());
    assert!(content.quarantine.dir.ends_with("quarantine"));
    assert_eq!(content.quarantine.keep, std::time::Duration::from_secs(14 * 86_400));
}

#[test]
fn all_problems_of_content_are_told_in_one_run() {
    let told = problems(&format!(
        "{MINIMAL}[scan]\noff = ['structure', 'clamd', 'yra']\ntime = '1h'\npatience = '0s'\nfile_size = '1GiB'\n\
         [signatures]\nkeys = ['ed25519:abc']\n[quarantine]\nkeep = '20000d'\n\
         [clamd]\nservers = ['localhost', '127.0.0.1:0']\n[icap]\nservice = 'a b'\n"
    ));
    for expected in [
        "\"structure\" can't be switched off",
        "scan.time: clients wait for the answer",
        "scan.patience: a time-out of nothing",
        "scan.unpacked_size is below scan.file_size",
        "\"ed25519:abc\" is no public key",
        "quarantine.keep is longer than ten years",
        "\"localhost\" is no place of a scanner",
        "icap.service: \"a b\" has blanks",
    ] {
        assert!(told.iter().any(|line| line.contains(expected)), "{expected:?} is not among {told:#?}");
    }
    let signers = "[signatures]\nkeys = ['ed25519:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=']\nsigners = 2\n";
    let told = problems(&format!("{MINIMAL}{signers}"));
    assert!(told.len() == 1 && told[0].contains("signatures.signers is 2"), "{told:?}");
}
