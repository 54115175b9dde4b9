//! The crash drill: SIGKILL at random and at every commit point, under load; then nothing may be missing.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use sekisho::faults::Point;

use crate::dice::Dice;
use crate::ledger::{Judgement, NextHop};
use crate::scene::{Custody, Scene};

/// How often and how hard.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    pub kills: u64,
    pub seed: u64,
    pub custody: Custody,
    pub clients: u64,
    pub rate: u64,
}

/// One line of the table.
#[derive(Debug, Default, Clone)]
struct Row {
    armed: u64,
    /// The process died there by itself.
    reached: u64,
    /// It was not met in time, and was killed from outside.
    outside: u64,
    in_flight: u64,
}

const RANDOM: &str = "(random)";

const DRAINED: &str = "(SIGTERM)";

/// An orderly end under load, now and then: nothing is in flight afterwards.
fn drain(scene: &Scene, row: &mut Row) -> Result<(), String> {
    let (mut gateway, _) = scene.start(&[]);
    std::thread::sleep(Duration::from_millis(400));
    row.armed += 1;
    match gateway.terminate(Duration::from_secs(45)) {
        Some(status) if status.success() => row.reached += 1,
        other => return Err(format!("no orderly end after SIGTERM: {other:?}\n{}", scene.plan.log_tail())),
    }
    Ok(())
}

/// Points that exist only for this custody, and so can be reached. The quarantine's have a drill of their own
/// (`tests/rooms/quarantine`): nothing in this load is quarantined.
fn points(custody: Custody) -> Vec<&'static str> {
    let inline_only = |name: &str| name.starts_with("handoff-");
    let of_quarantine = |name: &str| name.starts_with("quarantine-") || name.starts_with("release-");
    let names = Point::ALL.iter().map(|(name, _)| *name).filter(|name| !of_quarantine(name));
    names.filter(|name| custody == Custody::Inline || !inline_only(name)).collect()
}

/// Runs it and prints the table. `Err` says which rule was broken.
pub fn run(order: Order) -> Result<(), String> {
    let hop = NextHop::new(order.seed, 10, 12);
    let scene = Scene::new(order.custody, order.seed, hop);
    let begun = Instant::now();
    let (rows, restarts) = kill_under_load(&scene, order)?;
    let (gateway, last) = scene.start(&[]);
    let left = scene.quiesce(&gateway, Duration::from_mins(3));
    let balance = gateway.metric("sekisho_balance_recipients");
    let unknown = gateway.metric("sekisho_handoff_unknown_total");
    let in_flight: u64 = rows.values().map(|row| row.in_flight).sum();
    let judgement = scene.judge(&HashSet::new());
    print_table(&rows, order, begun.elapsed());
    println!("slowest restart to ready: {:?}; last: {last:?}", restarts.iter().max().unwrap_or(&last));
    println!("handoffs with unknown end in the last life: {unknown:?}");
    print_judgement(&judgement, in_flight, left, balance);
    let verdict = verdict(&judgement, in_flight, left, balance, order.custody);
    drop(gateway);
    if let Err(why) = &verdict {
        scene.keep(why);
    }
    verdict
}

type Rows = BTreeMap<&'static str, Row>;

fn kill_under_load(scene: &Scene, order: Order) -> Result<(Rows, Vec<Duration>), String> {
    let mut dice = Dice::new(order.seed);
    let mut rows = Rows::new();
    let mut restarts = Vec::new();
    let points = points(order.custody);
    let injector = scene.inject(order.clients, "k", scene.mix(order.rate));
    for kill in 0..order.kills {
        // Every third one at a moment nobody chose, the others at each point in turn.
        let at = usize::try_from(kill - kill.div_ceil(3)).unwrap_or(0) % points.len();
        let point = if kill % 3 == 0 { None } else { points.get(at).copied() };
        let environment = point.map(|name| {
            // Rare events have to be met early, or they are not met.
            let rare = name.starts_with("notice") || name.starts_with("segment");
            ("SEKISHO_DRILL_KILL", format!("{name}:{}", 1 + dice.below(if rare { 2 } else { 40 })))
        });
        let mut gateway = scene.plan.serve(environment.as_slice()).map_err(|error| error.to_string())?;
        let started = Instant::now();
        // A point may be met before the gateway is ready; then there is no time to take.
        if let Ok(after) = gateway.ready(Duration::from_secs(30)) {
            restarts.push(after);
        } else if started.elapsed() > Duration::from_secs(25) {
            let tail = scene.plan.log_tail();
            return Err(format!("the gateway did not come back after kill {kill}\n{tail}"));
        }
        let row = rows.entry(point.unwrap_or(RANDOM)).or_default();
        row.armed += 1;
        let patience = match point {
            None => Duration::from_millis(30 + dice.below(700)),
            Some(_) => Duration::from_secs(4),
        };
        let ended = gateway.gone(patience);
        let moment = Instant::now() - Duration::from_millis(25);
        match ended {
            Some(status) if point.is_some() && std::os::unix::process::ExitStatusExt::signal(&status) == Some(9) => {
                row.reached += 1;
            }
            Some(status) => {
                let tail = scene.plan.log_tail();
                return Err(format!("the gateway ended by itself: {status}\n{tail}"));
            }
            None => row.outside += 1,
        }
        gateway.kill();
        // The next hop's connections see their end a moment later.
        std::thread::sleep(Duration::from_millis(30));
        row.in_flight += scene.hop.take_in_flight(moment);
        if kill % 20 == 10 {
            drain(scene, rows.entry(DRAINED).or_default())?;
        }
        if kill % 25 == 24 {
            eprintln!("{} kills, {} messages", kill + 1, scene.ledger.len());
        }
    }
    // The clients end with the gateway away: their open transactions are settled by the broken connection.
    let seen = injector.stop(scene.runtime.handle());
    eprintln!("load: {seen:?}");
    Ok((rows, restarts))
}

fn print_table(rows: &Rows, order: Order, took: Duration) {
    println!(
        "\ncrash drill, custody {}, seed {}, {} kills in {:.0?}",
        order.custody.word(),
        order.seed,
        order.kills,
        took
    );
    println!("{:<24} {:>6} {:>8} {:>8} {:>10}", "point", "armed", "reached", "outside", "in flight");
    for (name, row) in rows {
        println!("{name:<24} {:>6} {:>8} {:>8} {:>10}", row.armed, row.reached, row.outside, row.in_flight);
    }
}

/// The figures of one judgement, for the reader.
pub fn print_judgement(found: &Judgement, in_flight: u64, left: f64, balance: Option<f64>) {
    println!(
        "messages {} (250: {}, refused: {}, ambiguous: {}); recipients accepted {}, delivered {}, noticed {}",
        found.messages,
        found.accepted,
        found.refused,
        found.ambiguous,
        found.recipients,
        found.delivered,
        found.noticed
    );
    println!(
        "lost {}  duplicates {} transactions ({} recipients), {} notices  in flight at the next hop {}  queued {left}  balance {balance:?}",
        found.lost.len(),
        found.duplicate_transactions,
        found.duplicate_recipients,
        found.duplicate_notices,
        in_flight
    );
    println!(
        "altered {}  refused yet delivered {}  foreign {}  unreadable {}",
        found.altered, found.phantoms, found.foreign, found.unreadable
    );
    for (uuid, recipient) in found.lost.iter().take(5) {
        println!("  lost: {uuid} {recipient}");
    }
}

fn verdict(found: &Judgement, in_flight: u64, left: f64, balance: Option<f64>, custody: Custody) -> Result<(), String> {
    let mut broken = Vec::new();
    let mut rule = |holds: bool, text: &str| {
        if !holds {
            broken.push(text.to_owned());
        }
    };
    rule(found.accepted > 0, "no load: nothing was accepted");
    rule(left == 0.0, "the queue did not run empty");
    rule(found.lost.is_empty(), "mail was lost");
    rule(found.altered == 0, "a body was altered");
    rule(found.foreign == 0 && found.unreadable == 0, "something arrived that nobody sent");
    rule(
        found.duplicate_transactions as u64 + found.duplicate_notices as u64 <= in_flight,
        "more duplicates than transactions in flight",
    );
    // Inline, a message may be handed on with the answer lost: 451 and delivered. Queued, never.
    rule(found.phantoms as u64 <= if custody == Custody::Inline { in_flight } else { 0 }, "refused, yet delivered");
    rule(balance == Some(0.0), "the balance is not 0");
    if broken.is_empty() { Ok(()) } else { Err(broken.join("; ")) }
}
