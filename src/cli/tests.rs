//! The command line end to end, short of a running node.

use super::*;

const SETTINGS: &str = "hostname = 'mx.gateway.example'\ndata_dir = './var'\n[[listener]]\nname = 'mx'\ndirection = 'inbound'\nbind = '127.0.0.1:2525'\n";
const TENANTS: &str = "[[tenant]]\nid = 'acme'\nname = 'Acme KK'\n[[tenant.domain]]\nname = 'acme.example'\nnext_hops = ['127.0.0.1:2626']\n";

const PLAIN: Style = Style { json: false, color: false };
const JSON: Style = Style { json: true, color: false };

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        place.write("sekisho.toml", SETTINGS);
        place.write("tenants.toml", TENANTS);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Runs `sekisho WORDS`; what goes to stdout, or the failure's words and exit code.
    async fn run(&self, words: &str, style: Style) -> Result<String, (String, u8)> {
        let words = words.replace("DIR", self.dir.path().to_str().unwrap());
        let cli = Cli::try_parse_from(std::iter::once("sekisho").chain(words.split_whitespace())).unwrap();
        let file = self.path("sekisho.toml");
        let mut out = Vec::new();
        let done = match cli.command {
            Command::Apply(args) => apply::run(args, &self.path("var"), style, &mut out).await,
            Command::Tenant(command) => tenant::run(command, &file, style, &mut out).await,
            Command::Config(command) => settings::run(&command, &file, style, &mut out),
            Command::List(command) => list::run(command, &self.path("var"), style, std::io::empty(), &mut out).await,
            other => panic!("{other:?}"),
        };
        match done {
            Ok(_) => Ok(String::from_utf8(out).unwrap()),
            Err(failure) => Err((failure.to_string(), failure.tell(style))),
        }
    }
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
    for words in [
        "serve",
        "--config x.toml serve",
        "serve --config x.toml",
        "demo",
        "apply t.toml --dry-run",
        "tenant ls --json",
        "tenant show acme",
        "tenant hash-password",
        "config check",
        "config show --origin --changed",
        "config explain smtp.recipients",
        "config explain",
        "queue ls --json",
        "reputation show 192.0.2.7 --json",
        "reputation set mail.example delayed --for 24h --reason abuse",
        "list add block x.example --tenant acme --reason r --for 30d",
        "list rm 1 2 -",
        "list ls --mailbox a@b.example --type network --json",
        "list import lists.csv --dry-run --encoding cp932 --max-errors 3",
        "list export --operator --encoding utf-8",
        "completion bash",
        "--no-color --json config check",
    ] {
        let parsed = Cli::try_parse_from(std::iter::once("sekisho").chain(words.split_whitespace()));
        assert!(parsed.is_ok(), "{words}: {parsed:?}");
    }
    assert_eq!(Cli::try_parse_from(["sekisho", "tenant", "show", "A B"]).unwrap_err().exit_code(), 2);
}

#[tokio::test]
async fn apply_tells_the_difference_and_writes_only_without_dry_run() {
    let place = Place::new();
    let dry = place.run("apply DIR/tenants.toml --dry-run", PLAIN).await.unwrap();
    assert_eq!(dry, "+ acme\n1 added, 0 changed, 0 removed, 0 unchanged; nothing written (dry run)\n");
    assert_eq!(place.run("tenant ls", PLAIN).await.unwrap(), "");
    place.run("apply DIR/tenants.toml", PLAIN).await.unwrap();
    place.write("tenants.toml", &TENANTS.replace("Acme KK", "Acme Inc"));
    let changed = place.run("apply DIR/tenants.toml", PLAIN).await.unwrap();
    assert_eq!(
        changed,
        "~ acme\n    name: \"Acme KK\" -> \"Acme Inc\"\n0 added, 1 changed, 0 removed, 0 unchanged; version 2\n"
    );
    let same = place.run("apply DIR/tenants.toml", JSON).await.unwrap();
    let same: serde_json::Value = serde_json::from_str(&same).unwrap();
    assert_eq!((&same["v"], &same["unchanged"], &same["version"]), (&1.into(), &1.into(), &2.into()));
    place.write("tenants.toml", "");
    assert!(place.run("apply DIR/tenants.toml", PLAIN).await.unwrap().starts_with("- acme\n"));
}

#[tokio::test]
async fn a_bad_tenants_file_changes_nothing() {
    let place = Place::new();
    place.run("apply DIR/tenants.toml", PLAIN).await.unwrap();
    place.write("tenants.toml", &TENANTS.replace("next_hops", "next_hop"));
    let (text, code) = place.run("apply DIR/tenants.toml", PLAIN).await.unwrap_err();
    assert_eq!(code, exit::FAILED);
    assert!(text.contains("tenants.toml:6: unknown key \"next_hop\" in [[tenant.domain]]; did you mean"), "{text}");
    assert!(place.run("tenant ls", PLAIN).await.unwrap().contains("acme.example"));
    assert_eq!(place.run("apply DIR/none.toml", PLAIN).await.unwrap_err().1, exit::FAILED);
}

#[tokio::test]
async fn tenants_are_listed_and_shown() {
    let place = Place::new();
    place.run("apply DIR/tenants.toml", PLAIN).await.unwrap();
    let shown = place.run("tenant show acme", PLAIN).await.unwrap();
    assert!(shown.contains("recipients = \"call-ahead\""), "{shown}");
    let listed = place.run("tenant ls", JSON).await.unwrap();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["domains"][0]["next_hops"][0]["port"], 2626);
    assert_eq!(
        place.run("tenant show beta", PLAIN).await.unwrap_err(),
        ("there is no tenant beta".into(), exit::NOT_FOUND)
    );
}

#[tokio::test]
async fn settings_are_checked_shown_and_explained() {
    let place = Place::new();
    assert!(place.run("config check", PLAIN).await.unwrap().ends_with("sekisho.toml: sound\n"));
    let shown = place.run("config show --origin --changed", PLAIN).await.unwrap();
    let path = place.path("sekisho.toml");
    assert!(shown.starts_with(&format!("hostname = \"mx.gateway.example\"  # {}:1\n", path.display())), "{shown}");
    let all = place.run("config show --origin", PLAIN).await.unwrap();
    assert!(all.contains("\nsmtp.recipients = 1000  # default\n"), "{all}");
    assert!(all.contains("\nlog.mail = (mail.log in data_dir)  # default\n"), "{all}");
    for line in place.run("config show", JSON).await.unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["name"].is_string() && line["origin"].is_string(), "{line}");
    }
    let told = place.run("config explain listener.mx.bind", PLAIN).await.unwrap();
    for expected in
        ["listener.bind\n", "type: ip:port", "default: (required)", "takes effect at: restart", "now: listener.mx.bind"]
    {
        assert!(told.contains(expected), "{expected} is not in {told}");
    }
    assert!(place.run("config explain spool", PLAIN).await.unwrap().contains("spool.min_free\n"));
    let (text, code) = place.run("config explain smtp.recipents", PLAIN).await.unwrap_err();
    assert_eq!(
        (text.as_str(), code),
        ("there is no setting \"smtp.recipents\"; did you mean smtp.recipients?", exit::NOT_FOUND)
    );
}

#[tokio::test]
async fn bad_settings_are_told_with_exit_code_78() {
    let place = Place::new();
    place.write("sekisho.toml", &SETTINGS.replace("hostname", "hostnme"));
    let (text, code) = place.run("config check", PLAIN).await.unwrap_err();
    assert_eq!(code, exit::CONFIG);
    assert!(text.contains("sekisho.toml:1: unknown key \"hostnme\"; did you mean \"hostname\"?"), "{text}");
    // Explaining works all the same.
    assert!(place.run("config explain hostname", PLAIN).await.is_ok());
}

#[tokio::test]
async fn keys_that_everybody_can_read_are_told() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    place.write("sekisho.toml", &format!("{SETTINGS}[tls]\ncertificate = 'c.pem'\nkey = 'k.pem'\n"));
    let (text, _) = place.run("config check", PLAIN).await.unwrap_err();
    assert!(text.contains("c.pem") && text.contains("k.pem"), "{text}");
    for name in ["c.pem", "k.pem"] {
        place.write(name, "x");
        std::fs::set_permissions(place.path(name), std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let (text, _) = place.run("config check", PLAIN).await.unwrap_err();
    assert!(text.contains("everybody can read the key") && !text.contains("c.pem"), "{text}");
    std::fs::set_permissions(place.path("k.pem"), std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(place.run("config check", PLAIN).await.is_ok());
}
