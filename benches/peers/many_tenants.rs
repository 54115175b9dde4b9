//! A hundred thousand tenants: how soon the node is ready, what it holds, and how soon one edit is live.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::gateway::Plan;
use crate::meter::resident_kib;
use crate::wire::Wire;

/// `count` tenants with one domain each. `false`: a bar was missed.
pub fn run(program: &Path, count: usize) -> Result<bool, String> {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut plan = Plan::new(program, folder.path(), tenants(count, None));
    plan.write().map_err(|error| error.to_string())?;
    let first = plan.apply().map_err(|error| error.to_string())?;
    let again = plan.apply().map_err(|error| error.to_string())?;
    println!(
        "apply of {count} tenants ({} MiB of TOML): {first:.2?}; again, unchanged: {again:.2?}",
        plan.tenants.len() >> 20
    );
    let mut gateway = plan.serve(&[]).map_err(|error| error.to_string())?;
    let ready = gateway.ready(Duration::from_mins(1)).map_err(|error| format!("{error}\n{}", plan.log_tail()))?;
    let mut passed = say("serve is ready after", ready, Duration::from_secs(5));
    std::thread::sleep(Duration::from_secs(1));
    let resident = resident_kib(gateway.child.id()) / 1024;
    println!("resident: {resident} MiB (bar 300 MiB) {}", if resident < 300 { "passed" } else { "MISSED" });
    passed &= resident < 300;
    let target = plan.inbound;
    let asked = |domain: &str| runtime.block_on(rcpt(target, domain));
    if asked(&format!("t{}.example", count / 2)) != Some(250) || asked("edited.example") == Some(250) {
        return Err("the tenants in force are not those of the file".to_owned());
    }
    // One tenant's domain becomes another one.
    for round in 0..3 {
        let domain = format!("edited{round}.example");
        plan.tenants = tenants(count, Some(&domain));
        plan.write().map_err(|error| error.to_string())?;
        let took = plan.apply().map_err(|error| error.to_string())?;
        let applied = Instant::now();
        while asked(&domain) != Some(250) && applied.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(5));
        }
        println!("apply of one edit took {took:.2?}");
        passed &= say("from the end of apply to RCPT 250 at the new domain", applied.elapsed(), Duration::from_secs(1));
        let old = format!("t{}.example", count / 3);
        let gone = asked(&old);
        println!("the old domain answers {gone:?}");
        passed &= gone != Some(250);
    }
    println!("resident after the edits: {} MiB", resident_kib(gateway.child.id()) / 1024);
    Ok(passed)
}

fn say(text: &str, value: Duration, bar: Duration) -> bool {
    println!("{text}: {value:.3?} (bar {bar:?}) {}", if value <= bar { "passed" } else { "MISSED" });
    value <= bar
}

fn tenants(count: usize, edited: Option<&str>) -> String {
    let mut text = String::with_capacity(count * 140);
    for number in 0..count {
        let domain = match edited {
            Some(domain) if number == count / 3 => domain.to_owned(),
            _ => format!("t{number}.example"),
        };
        let _ = write!(
            text,
            "[[tenant]]\nid = \"t{number}\"\nname = \"Tenant {number}\"\n[[tenant.domain]]\nname = \"{domain}\"\n\
             next_hops = [\"127.0.0.1:2626\"]\nrecipients = \"any\"\n\n"
        );
    }
    text
}

async fn rcpt(target: std::net::SocketAddr, domain: &str) -> Option<u16> {
    let mut wire = Wire::new(TcpStream::connect(target).await.ok()?, Duration::from_secs(5));
    wire.reply().await.ok()?;
    wire.write(b"EHLO probe.example\r\n").await.ok()?;
    wire.reply().await.ok()?;
    wire.write(format!("MAIL FROM:<a@sender.example>\r\nRCPT TO:<b@{domain}>\r\n").as_bytes()).await.ok()?;
    wire.reply().await.ok()?;
    Some(wire.reply().await.ok()?.0)
}
