//! `sekisho demo`: a whole gateway on loopback with an example tenant, a mail server behind it and sample mail through it.
//!
//! The mail is sent by a foreign SMTP client (mail-send), so that the demonstration doesn't talk to itself only. What became
//! of each message is read from the mail log, as an operator would.
//! **Failure**: whatever can't start is said with the reason; the temporary data directory goes away in the end.

mod letters;
mod next_hop;
mod story;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mail_send::SmtpClientBuilder;
use mail_send::smtp::message::Message;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use self::letters::{LETTERS, Letter, Way};
use self::next_hop::NextHop;
use super::node::{Node, Overrides, StartError};
use crate::config::{Loaded, MailLogTarget};
use crate::dns::MemoryResolver;
use crate::store::{Mode, SqliteTenants, TenantStore};

/// Why the demonstration could not run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("cannot prepare the demonstration: {0}")]
    Prepare(#[from] std::io::Error),
    #[error("the example settings are wrong: {0}")]
    Settings(String),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot register the example tenant: {0}")]
    Tenant(String),
}

/// Where the demonstration listens: the usual ports if they are free.
#[derive(Debug, Clone, Copy)]
struct Places {
    inbound: SocketAddr,
    outbound: SocketAddr,
    observe: SocketAddr,
}

/// Runs it until `stop`.
///
/// # Errors
/// [`DemoError`]; nothing keeps running then.
pub async fn run(stop: CancellationToken, housekeeping: &Handle) -> Result<(), DemoError> {
    let dir = Scratch::new()?;
    let hop = NextHop::start().await?;
    let places = Places { inbound: free(2525)?, outbound: free(2587)?, observe: free(9925)? };
    let loaded = settings(&dir.0, places)?;
    register_tenant(&dir.0, hop.addr).await?;
    let resolver = MemoryResolver::default()
        .with_mx("customer.example", &[(10, "mx.customer.example")])
        .with_ip("mx.customer.example", &[hop.addr.ip()])
        .with_txt("bank.example", &["v=spf1 ip4:127.0.0.1 -all"])
        .with_txt("_dmarc.bank.example", &["v=DMARC1; p=reject"]);
    let overrides =
        Overrides { resolver: Some(Arc::new(resolver)), mx_port: Some(hop.addr.port()), private_targets: true };
    let log = match &loaded.settings.log.mail {
        MailLogTarget::File(path) => path.clone(),
        MailLogTarget::Stdout => PathBuf::new(),
    };
    let node = Node::start(None, loaded, overrides, housekeeping).await?;
    introduce(places, hop.addr, &dir.0);
    for (number, letter) in (1..).zip(&LETTERS) {
        println!("{number}. {}: {} -> {}", letter.what, letter.from, letter.to);
        let said = send(letter, places).await;
        story::tell(&said, letter, &log).await;
    }
    println!("\nThe mail servers behind the gateway have taken {} messages so far.", hop.taken());
    println!("The gateway keeps serving; stop it with Ctrl-C. Try:");
    println!("  swaks --server {} --from you@customer.example --to taro@acme.example", places.inbound);
    let program = std::env::args_os().next().unwrap_or_else(|| "sekisho".into());
    println!("  {} --config {} quarantine ls", program.display(), dir.0.join("sekisho.toml").display());
    println!("  curl http://{}/metrics", places.observe);
    node.run(stop).await;
    Ok(())
}

fn introduce(places: Places, hop: SocketAddr, dir: &Path) {
    println!("Sekisho demonstration, on loopback only");
    println!(
        "  mail from the internet comes in at {}, from the tenant's own server at {}",
        places.inbound, places.outbound
    );
    println!("  the tenant: acme (Acme KK), domain acme.example, mailboxes taro and jiro, its mail server at {hop}");
    println!(
        "  metrics and health: http://{}/metrics /livez /readyz; everything else below {}\n",
        places.observe,
        dir.display()
    );
}

/// What the gateway said to the client.
async fn send(letter: &Letter, places: Places) -> String {
    let server = match letter.way {
        Way::In => places.inbound,
        Way::Out => places.outbound,
    };
    match talk(letter, server).await {
        Ok(said) => said,
        Err(mail_send::Error::UnexpectedReply(reply)) => text_of(&reply),
        Err(error) => format!("failed: {error}"),
    }
}

async fn talk(letter: &Letter, server: SocketAddr) -> Result<String, mail_send::Error> {
    let builder = SmtpClientBuilder::new(server.ip().to_string(), server.port())
        .map_err(|error| mail_send::Error::Io(std::io::Error::other(error)))?;
    let mut client = builder
        .implicit_tls(false)
        .helo_host("client.example")
        .timeout(Duration::from_secs(30))
        .connect_plain()
        .await?;
    let reply = client.send(Message::new(letter.from, [letter.to], letter.message)).await?;
    client.quit().await?;
    Ok(text_of(&reply))
}

fn text_of(reply: &smtp_proto::Response<String>) -> String {
    let [class, subject, detail] = reply.esc;
    format!("{} {class}.{subject}.{detail} {}", reply.code, reply.message)
}

fn settings(dir: &Path, places: Places) -> Result<Loaded, DemoError> {
    let Places { inbound, outbound, observe } = places;
    let text = format!(
        "hostname = \"mx.gateway.example\"\ndata_dir = {dir:?}\n\
         [[listener]]\nname = \"mx\"\ndirection = \"inbound\"\nbind = \"{inbound}\"\n\
         [[listener]]\nname = \"relay\"\ndirection = \"outbound\"\nbind = \"{outbound}\"\n\
         [observe]\nbind = \"{observe}\"\n"
    );
    let file = dir.join("sekisho.toml");
    std::fs::write(&file, text)?;
    // Nobody's environment may change the demonstration.
    crate::config::load(&file, []).map_err(|problems| DemoError::Settings(problems.to_string()))
}

async fn register_tenant(dir: &Path, next_hop: SocketAddr) -> Result<(), DemoError> {
    let text = format!(
        "[[tenant]]\nid = \"acme\"\nname = \"Acme KK\"\n[[tenant.domain]]\nname = \"acme.example\"\n\
         next_hops = [\"{next_hop}\"]\nrecipients = [\"taro@acme.example\", \"jiro@acme.example\"]\n\
         [[tenant.outbound_client]]\nnetwork = \"127.0.0.1/32\"\n"
    );
    let tenant = |error: String| DemoError::Tenant(error);
    let specs = crate::tenant::read("the example", &text).map_err(|problems| tenant(problems.to_string()))?;
    let store = SqliteTenants::open(dir).await.map_err(|error| tenant(error.to_string()))?;
    store.apply(&specs, Mode::Write).await.map_err(|error| tenant(error.to_string()))?;
    store.close().await;
    Ok(())
}

/// The usual port if nobody has it, else any.
fn free(port: u16) -> std::io::Result<SocketAddr> {
    let at = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| listener.local_addr());
    at(port).or_else(|_| at(0))
}

/// A directory of the demonstration's own, removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Self> {
        let dir = std::env::temp_dir().join(format!("sekisho-demo-{}", std::process::id()));
        std::fs::create_dir_all(&dir)?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
