//! Ten thousand idle connections: what each costs, and what becomes of those beyond the limit.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;
use tokio::runtime::Runtime;

use crate::gateway::Plan;
use crate::meter::resident_kib;
use crate::wire::Wire;

const BAR_BYTES: u64 = 16 * 1024;

/// `connections` after EHLO, then `beyond` more. `false`: a bar was missed.
pub fn run(program: &Path, connections: usize, beyond: usize) -> Result<bool, String> {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let tenants = "[[tenant]]\nid = \"acme\"\nname = \"Acme KK\"\n[[tenant.domain]]\nname = \"acme.example\"\n\
                   next_hops = [\"127.0.0.1:9\"]\nrecipients = \"any\"\n";
    let mut plan = Plan::new(program, folder.path(), tenants.to_owned());
    plan.listener = format!("max_connections = {connections}\nmax_connections_per_ip = {}\n", connections * 2);
    plan.write().and_then(|()| plan.apply()).map_err(|error| error.to_string())?;
    let mut gateway = plan.serve(&[]).map_err(|error| error.to_string())?;
    gateway.ready(Duration::from_secs(30)).map_err(|error| format!("{error}\n{}", plan.log_tail()))?;
    let pid = gateway.child.id();
    // What a first burst leaves behind (thread stacks, the allocator's arenas) is no connection's.
    let warm = runtime.block_on(open(plan.inbound, 200))?;
    drop(warm);
    std::thread::sleep(Duration::from_secs(1));
    let before = resident_kib(pid);
    let begun = Instant::now();
    let mut held = runtime.block_on(open(plan.inbound, connections))?;
    let took = begun.elapsed();
    std::thread::sleep(Duration::from_secs(2));
    let after = resident_kib(pid);
    let each = after.saturating_sub(before) * 1024 / connections as u64;
    println!(
        "{} idle connections after EHLO in {took:.1?}: resident {before} KiB before, {after} KiB with them: {each} bytes each (bar {BAR_BYTES}) {}",
        held.len(),
        word(each <= BAR_BYTES && held.len() == connections)
    );
    let mut passed = each <= BAR_BYTES && held.len() == connections;
    passed &= beyond_the_limit(&runtime, plan.inbound, &mut held, beyond);
    let honest = Instant::now();
    let served = runtime.block_on(open(plan.inbound, 1)).is_ok();
    println!(
        "a new client with {} others idle: EHLO answered after {:.1?} {}",
        held.len(),
        honest.elapsed(),
        word(served)
    );
    drop(held);
    std::thread::sleep(Duration::from_secs(2));
    println!("resident after all have gone: {} KiB", resident_kib(pid));
    Ok(passed && served)
}

fn word(good: bool) -> &'static str {
    if good { "passed" } else { "MISSED" }
}

/// Each of them is told 421 (or closed), or waits and is served once there is room.
fn beyond_the_limit(runtime: &Runtime, target: SocketAddr, held: &mut Vec<Wire>, beyond: usize) -> bool {
    let extra: Vec<_> = (0..beyond).map(|n| runtime.spawn(greeting(target, held.len() + n))).collect();
    std::thread::sleep(Duration::from_secs(3));
    let at_once = extra.iter().filter(|task| task.is_finished()).count();
    held.truncate(held.len().saturating_sub(beyond * 2));
    let (mut refused, mut served, mut hung) = (0, 0, 0);
    for task in extra {
        match runtime.block_on(task) {
            Ok(Some(220)) => served += 1,
            Ok(Some(_)) => refused += 1,
            _ => hung += 1,
        }
    }
    println!(
        "{beyond} beyond the limit: answered at once {at_once}, told 421 or closed {refused}, served once there was room {served}, hung {hung} {}",
        word(hung == 0)
    );
    hung == 0
}

/// The greeting's code; 421 for a connection that is refused or closed; `None` for silence.
async fn greeting(target: SocketAddr, number: usize) -> Option<u16> {
    let Ok(stream) = connect(target, number).await else { return Some(421) };
    match Wire::new(stream, Duration::from_secs(20)).reply().await {
        Ok((code, _)) => Some(code),
        Err(error) if error.kind() == std::io::ErrorKind::TimedOut => None,
        Err(_) => Some(421),
    }
}

/// From several loopback addresses: one has too few source ports.
async fn connect(target: SocketAddr, number: usize) -> std::io::Result<tokio::net::TcpStream> {
    let host = u8::try_from(1 + number / 5_000).unwrap_or(250);
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 1, 0, host)), 0))?;
    socket.connect(target).await
}

async fn open(target: SocketAddr, count: usize) -> Result<Vec<Wire>, String> {
    let mut held = Vec::with_capacity(count);
    for batch in 0..count.div_ceil(100) {
        let tasks: Vec<_> = (batch * 100..count.min(batch * 100 + 100))
            .map(|number| {
                tokio::spawn(async move {
                    let mut wire = Wire::new(connect(target, number).await?, Duration::from_secs(20));
                    let (code, text) = wire.reply().await?;
                    if code != 220 {
                        return Err(std::io::Error::other(text));
                    }
                    wire.write(b"EHLO idle.example\r\n").await?;
                    wire.reply().await?;
                    Ok(wire)
                })
            })
            .collect();
        for task in tasks {
            let wire = task.await.map_err(|error| error.to_string())?;
            held.push(wire.map_err(|error| format!("connection {}: {error}", held.len()))?);
        }
    }
    Ok(held)
}
