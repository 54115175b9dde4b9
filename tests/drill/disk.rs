//! A disk in trouble: no space, failing writes, failing syncs. Only 4xx may be said, nothing acknowledged may be missing.
//!
//! The trouble is made by `faultfs.c`, preloaded into the real binary; it takes effect below the spool's folder only.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::gateway::Gateway;
use crate::injector::Injector;
use crate::kills::print_judgement;
use crate::ledger::NextHop;
use crate::scene::{Custody, Scene};

/// One kind of trouble.
#[derive(Debug, Clone)]
struct Case {
    name: String,
    /// The control file's line.
    line: String,
    /// All is well again by itself once the trouble is over.
    heals: bool,
    /// The node must call itself unhealthy meanwhile.
    latches: bool,
}

/// Runs all cases; with `deep`, a failure at each of so many calls.
pub fn run(seed: u64, deep: u64) -> Result<(), String> {
    let shim = compile()?;
    let case = |name: &str, line: &str, heals, latches| Case { name: name.into(), line: line.into(), heals, latches };
    let mut cases = vec![
        case("no space, every write", "ENOSPC wac 1 0", true, false),
        case("no space, from the 25th write", "ENOSPC w 25 0", true, false),
        case("no space to allocate or create", "ENOSPC ac 1 0", true, false),
        case("write fails (EIO)", "EIO w 1 0", false, true),
        case("sync fails (EIO)", "EIO s 1 0", false, true),
        case("one sync fails, pages lost", "EIO s 3 1", false, true),
        case("sync says no space, pages lost", "ENOSPC s 3 1", false, false),
    ];
    for k in 1..=deep {
        cases.push(case(&format!("the {k}th call fails once"), &format!("EIO ws {k} 1"), false, true));
    }
    println!(
        "\n{:<34} {:>7} {:>6} {:>6} {:>9} {:>7} {:>9}  health",
        "trouble", "250", "4xx", "5xx", "ambiguous", "lost", "recovered"
    );
    let mut broken = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        if let Err(why) = run_case(case, seed + at as u64, &shim) {
            println!("  BROKEN: {why}");
            broken.push(format!("{}: {why}", case.name));
        }
    }
    if broken.is_empty() { Ok(()) } else { Err(broken.join("\n")) }
}

fn run_case(case: &Case, seed: u64, shim: &Path) -> Result<(), String> {
    let hop = NextHop::new(seed, 0, 2);
    let mut scene = Scene::new(Custody::Queued, seed, hop);
    let control = scene.dir().join("trouble");
    let log = scene.dir().join("trouble.log");
    let spool = scene.plan.spool_dir();
    let plain = scene.plan.environment.clone();
    scene.plan.environment.extend([
        ("LD_PRELOAD".into(), shim.display().to_string()),
        ("SEKISHO_FAULTFS_DIR".into(), spool.display().to_string()),
        ("SEKISHO_FAULTFS_CONTROL".into(), control.display().to_string()),
        ("SEKISHO_FAULTFS_LOG".into(), log.display().to_string()),
    ]);
    let (mut gateway, _) = scene.start(&[]);
    let mut mix = scene.mix(400);
    mix.bounces_per_mille = 0;
    let injector = scene.inject(12, "e", mix);
    wait_for(Duration::from_secs(10), || injector.seen().accepted.load(Ordering::Relaxed) > 60);
    std::fs::write(&control, format!("{}\n", case.line)).map_err(|error| error.to_string())?;
    std::thread::sleep(Duration::from_millis(1500));
    let health = health(&gateway);
    let up = gateway.gone(Duration::ZERO).is_none();
    let _ = std::fs::remove_file(&control);
    let recovered = recovery(case, &injector);
    let seen = injector.stop(scene.runtime.handle());
    // Power off, and on again with a sound disk.
    gateway.kill();
    scene.plan.environment = plain;
    let (gateway, _) = scene.start(&[]);
    let left = scene.quiesce(&gateway, Duration::from_secs(60));
    let judgement = scene.judge(&HashSet::new());
    let balance = gateway.metric("sekisho_balance_recipients");
    let refused = seen.temporary.load(Ordering::Relaxed) + seen.early_temporary.load(Ordering::Relaxed);
    let permanent = seen.permanent.load(Ordering::Relaxed) + seen.early_permanent.load(Ordering::Relaxed);
    println!(
        "{:<34} {:>7} {:>6} {:>6} {:>9} {:>7} {:>9}  {health:?}",
        case.name,
        judgement.accepted,
        refused,
        permanent,
        judgement.ambiguous,
        judgement.lost.len(),
        recovered.map_or("-".to_owned(), |after| format!("{:.1}s", after.as_secs_f64())),
    );
    let failures = std::fs::read_to_string(&log).unwrap_or_default().lines().count();
    let mut broken = Vec::new();
    let mut rule = |holds: bool, text: &str| {
        if !holds {
            broken.push(text.to_owned());
        }
    };
    rule(failures > 0, "the trouble never took effect");
    rule(up, "the process ended");
    rule(judgement.lost.is_empty(), "acknowledged mail was lost");
    rule(permanent == 0, "5xx for our own trouble");
    rule(judgement.ambiguous == 0, "transactions without an answer");
    rule(seen.hung.load(Ordering::Relaxed) == 0, "a client was left hanging");
    rule(judgement.altered == 0 && judgement.foreign == 0, "something arrived that nobody sent");
    rule(left == 0.0, "the queue did not run empty after the restart");
    rule(balance == Some(0.0), "the balance is not 0");
    rule(!case.latches || health != (200, 200), "a broken disk, and the node calls itself healthy");
    rule(
        !case.heals || recovered.is_some_and(|after| after <= Duration::from_secs(10)),
        "no mail 10 s after the trouble was over",
    );
    drop(gateway);
    if broken.is_empty() {
        return Ok(());
    }
    let why = broken.join("; ");
    print_judgement(&judgement, 0, left, balance);
    scene.keep(&why);
    Err(why)
}

fn health(gateway: &Gateway) -> (u16, u16) {
    let code = |path| gateway.get(path).map_or(0, |(code, _)| code);
    (code("/livez"), code("/readyz"))
}

/// How long after the end of the trouble mail was accepted again.
fn recovery(case: &Case, injector: &Injector) -> Option<Duration> {
    if !case.heals {
        return None;
    }
    let over = Instant::now();
    let before = injector.seen().accepted.load(Ordering::Relaxed);
    wait_for(Duration::from_secs(12), || injector.seen().accepted.load(Ordering::Relaxed) > before + 20)
        .then(|| over.elapsed())
}

fn wait_for(patience: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        if done() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    done()
}

/// Compiles the shim beside the test binaries, if it is older than its source.
fn compile() -> Result<PathBuf, String> {
    let source = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/drill/faultfs.c"));
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("faultfs.so");
    let output = Command::new("cc")
        .args(["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"])
        .arg(&target)
        .arg(&source)
        .arg("-ldl")
        .output()
        .map_err(|error| format!("cc: {error}"))?;
    if output.status.success() { Ok(target) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}
