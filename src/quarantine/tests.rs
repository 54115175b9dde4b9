//! Holding, finding, releasing, removing; damage; and a process that is killed at every step.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::clock::Clock;
use crate::faults::{Faults, Point};
use crate::model::finding::Class;
use crate::model::receipt::Custody;
use crate::model::{Address, Direction, Envelope, MessageId, Origin, Recipient, ReversePath, TenantId, Timestamp};
use crate::telemetry::{MailLog, Metrics};

const NOW: u64 = 1_795_176_451_250;

fn deps(clock: &Clock) -> Deps {
    Deps { clock: clock.clone(), faults: Faults::default(), metrics: Metrics::new(), log: MailLog::memory() }
}

fn config(dir: &Path) -> Config {
    Config { min_free_bytes: 0, ..Config::new(dir) }
}

/// Held, by the book-keeper of the balance, and its difference.
fn balance(metrics: &Metrics) -> (u64, i64) {
    let sums = metrics.balance.sums();
    (sums.quarantined, sums.balance())
}

fn open(dir: &Path) -> (Quarantine, RecoveryReport) {
    Quarantine::open(config(dir), deps(&Clock::manual(Timestamp(NOW)))).unwrap()
}

fn id(number: u64) -> MessageId {
    MessageId::new(NOW + number, u128::from(number))
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn message(number: u64, to: &[&str]) -> NewHeld {
    let mut envelope = Envelope::from_sender(ReversePath::Mailbox(address(&format!("s{number}@sender.example"))));
    envelope.recipients = to.iter().map(|to| Recipient::new(address(to))).collect();
    NewHeld {
        id: id(number),
        tenant: tenant("acme"),
        direction: Direction::Inbound,
        origin: Origin {
            ip: "192.0.2.7".parse().unwrap(),
            helo: "mail.sender.example".into(),
            listener: "mx".into(),
            protocol: "ESMTPS".into(),
            received_at: Timestamp(NOW),
        },
        envelope,
        class: Class::Spam,
        reason: "17.5 points".into(),
        explanation: None,
        subject: Some("一月の\r\nご案内".into()),
        from: None,
    }
}

fn octets(number: u64) -> Vec<u8> {
    format!("Subject: {number}\r\n\r\n{}\r\n", "x".repeat(usize::try_from(number % 500).unwrap())).into_bytes()
}

fn body(number: u64) -> Body {
    let all = Bytes::from(octets(number));
    Body::Memory { head: all.slice(..5), rest: all.slice(5..) }
}

fn read(body: HeldBody) -> Vec<u8> {
    match body {
        HeldBody::Memory(bytes) => bytes.to_vec(),
        HeldBody::File { mut file, length } => {
            let mut out = Vec::new();
            file.read_to_end(&mut out).unwrap();
            assert_eq!(out.len() as u64, length);
            out
        }
    }
}

/// The receipt is nobody's 250 here.
async fn hold(quarantine: &Quarantine, new: NewHeld, body: Body) {
    let receipt = quarantine.hold(new, body).await.unwrap();
    assert_eq!(receipt.custody(), Custody::Quarantined);
}

async fn all(quarantine: &Quarantine) -> Vec<Held> {
    quarantine.list(Scope::Everyone, Filter { limit: 1_000, ..Filter::default() }).await.unwrap()
}

#[tokio::test]
async fn what_was_held_is_there_after_a_restart_octet_for_octet() {
    let dir = tempfile::tempdir().unwrap();
    let (quarantine, report) = open(dir.path());
    assert_eq!(report, RecoveryReport::default());
    let receipt = quarantine.hold(message(1, &["a@acme.example", "b@acme.example"]), body(1)).await.unwrap();
    assert_eq!((receipt.custody(), receipt.recipients(), receipt.id()), (Custody::Quarantined, 2, id(1)));
    drop(quarantine);

    let (quarantine, report) = open(dir.path());
    assert_eq!((report.messages, report.recipients, report.bytes), (1, 2, octets(1).len() as u64));
    let held = quarantine.show(Scope::Everyone, id(1)).await.unwrap().unwrap();
    assert_eq!(held.subject.as_deref(), Some("一月の  ご案内"), "no line ends in a listing");
    assert_eq!((held.class, held.envelope.recipients.len()), (Class::Spam, 2));
    assert_eq!(held.expires_at.since(held.held_at), Duration::from_hours(720));
    let mut release = quarantine.release(Scope::Everyone, id(1), Chosen::All).await.unwrap();
    assert_eq!(read(release.take_body().unwrap()), octets(1));
    assert_eq!(release.envelope(), &message(1, &["a@acme.example", "b@acme.example"]).envelope);
}

#[tokio::test]
async fn a_large_body_comes_from_a_file_and_goes_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let (quarantine, _) = open(dir.path());
    let text = "0123456789".repeat(300_000);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let from = |length| Body::File { head: Bytes::from_static(b"A: b\r\n"), file: file.try_clone().unwrap(), length };
    hold(&quarantine, message(1, &["a@acme.example"]), from(3_000_000)).await;
    let short = quarantine.hold(message(2, &["a@acme.example"]), from(3_000_001)).await;
    assert!(matches!(short, Err(QuarantineError::Io(_))), "{short:?}");
    assert_eq!(fs::read_dir(dir.path().join("drafts")).unwrap().count(), 0, "nothing of it stays");
    let mut release = quarantine.release(Scope::Everyone, id(1), Chosen::All).await.unwrap();
    let body = release.take_body().unwrap();
    assert!(matches!(body, HeldBody::File { .. }));
    assert_eq!(read(body), format!("A: b\r\n{text}").into_bytes());
}

#[tokio::test]
async fn one_recipient_goes_and_the_other_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (quarantine, _) = open(dir.path());
    hold(&quarantine, message(1, &["a@acme.example", "b@acme.example", "c@acme.example"]), body(1)).await;
    let only = |who: &str| Chosen::Only(vec![address(who)]);
    let release = quarantine.release(Scope::Everyone, id(1), only("b@acme.example")).await.unwrap();
    let first = release.spool_id();
    assert_eq!(release.envelope().recipients, [Recipient::new(address("b@acme.example"))]);
    release.done("asked for by its owner", || {}).await.unwrap();
    assert_eq!(quarantine.remove(Scope::Everyone, id(1), only("a@acme.example"), "spam").await.unwrap(), 1);
    let held = quarantine.show(Scope::Everyone, id(1)).await.unwrap().unwrap();
    assert_eq!(held.envelope.recipients, [Recipient::new(address("c@acme.example"))]);
    assert_eq!(held.gone, [address("a@acme.example"), address("b@acme.example")]);
    assert_eq!(quarantine.recipients(), 1);
    let again = quarantine.release(Scope::Everyone, id(1), only("b@acme.example")).await;
    assert!(matches!(again, Err(QuarantineError::NotFor(..))), "{again:?}");
    drop(quarantine);

    let (quarantine, report) = open(dir.path());
    assert_eq!((report.messages, report.recipients), (1, 1));
    let release = quarantine.release(Scope::Everyone, id(1), Chosen::All).await.unwrap();
    assert_ne!(release.spool_id(), first, "other recipients are another message to the spool");
    release.done("all of it", || {}).await.unwrap();
    assert!(quarantine.is_empty() && quarantine.show(Scope::Everyone, id(1)).await.unwrap().is_none());
    assert_eq!(fs::read_dir(dir.path().join("mail/acme")).unwrap().count(), 0, "nothing is left behind");
}

#[tokio::test]
async fn a_release_given_up_changes_nothing_and_has_the_message_to_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (quarantine, _) = open(dir.path());
    hold(&quarantine, message(1, &["a@acme.example"]), body(1)).await;
    let release = quarantine.release(Scope::Everyone, id(1), Chosen::All).await.unwrap();
    let name = release.spool_id();
    let other = quarantine.remove(Scope::Everyone, id(1), Chosen::All, "x").await;
    assert!(matches!(other, Err(QuarantineError::Busy(_))), "{other:?}");
    drop(release);
    let again = quarantine.release(Scope::Everyone, id(1), Chosen::All).await.unwrap();
    assert_eq!(again.spool_id(), name, "a release repeated finds its message in the spool");
}

#[tokio::test]
async fn a_release_that_fails_keeps_the_message_until_its_copy_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let (quarantine, _) = open(dir.path());
    hold(&quarantine, message(1, &["a@acme.example"]), body(1)).await;
    let release = quarantine.release(Scope::Everyone, id(1), Chosen::All).await.unwrap();
    let path = dir.path().join("mail/acme").join(format!("{}.held", id(1)));
    let aside = dir.path().join("aside");
    fs::rename(&path, &aside).unwrap();
    // Can't be unlinked.
    fs::create_dir(&path).unwrap();
    let failed = release.done("x", || panic!("it is still held")).await.unwrap_err();
    assert!(failed.still.is_some(), "{failed}");
    let other = quarantine.remove(Scope::Everyone, id(1), Chosen::All, "x").await;
    assert!(matches!(other, Err(QuarantineError::Busy(_))), "{other:?}");
    drop(failed);
    fs::remove_dir(&path).unwrap();
    fs::rename(&aside, &path).unwrap();
    let release = quarantine.release(Scope::Everyone, id(1), Chosen::All).await.unwrap();
    // The message goes, what lies beside it does not: it is released.
    fs::create_dir(path.with_extension("gone")).unwrap();
    let (let_go, went) = std::sync::mpsc::channel();
    release.done("x", move || let_go.send(()).unwrap()).await.unwrap();
    went.try_recv().unwrap();
    assert!(quarantine.is_empty());
}

#[tokio::test]
async fn tenants_see_nothing_of_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let (quarantine, _) = open(dir.path());
    hold(&quarantine, message(1, &["a@acme.example"]), body(1)).await;
    hold(&quarantine, NewHeld { tenant: tenant("beta"), ..message(2, &["b@beta.example"]) }, body(2)).await;
    let beta = || Scope::Tenant(tenant("beta"));
    let of = |held: Vec<Held>| held.iter().map(|held| held.id).collect::<Vec<_>>();
    let any = Filter { limit: 10, ..Filter::default() };
    assert_eq!(of(quarantine.list(beta(), any.clone()).await.unwrap()), [id(2)]);
    let others = Filter { tenant: Some(tenant("acme")), ..any.clone() };
    assert_eq!(of(quarantine.list(beta(), others).await.unwrap()), []);
    assert!(quarantine.show(beta(), id(1)).await.unwrap().is_none());
    assert!(matches!(quarantine.release(beta(), id(1), Chosen::All).await, Err(QuarantineError::Gone(_))));
    assert!(matches!(quarantine.remove(beta(), id(1), Chosen::All, "x").await, Err(QuarantineError::Gone(_))));
    assert_eq!(of(quarantine.list(Scope::Everyone, any).await.unwrap()), [id(2), id(1)], "newest first");
}

#[tokio::test]
async fn a_listing_is_filtered_and_paged() {
    let dir = tempfile::tempdir().unwrap();
    let (quarantine, _) = open(dir.path());
    for number in 0..20 {
        let to = format!("u{}@acme.example", number % 4);
        let class = if number % 2 == 0 { Class::Spam } else { Class::Malware };
        hold(&quarantine, NewHeld { class, ..message(number, &[&to]) }, body(number)).await;
    }
    let filter = Filter {
        class: Some(Class::Malware),
        recipient: Some(address("U1@acme.example")),
        limit: 2,
        ..Filter::default()
    };
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = quarantine.list(Scope::Everyone, Filter { before, ..filter.clone() }).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen.extend(page.iter().map(|held| held.id));
    }
    assert_eq!(seen, [17, 13, 9, 5, 1].map(id));
    let sender = Filter { sender: Some(address("s3@sender.example")), limit: 9, ..Filter::default() };
    assert_eq!(quarantine.list(Scope::Everyone, sender).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_same_message_twice_is_one_and_another_of_its_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (quarantine, _) = open(dir.path());
    for _ in 0..2 {
        hold(&quarantine, message(1, &["a@acme.example"]), body(1)).await;
    }
    let other = quarantine.hold(message(1, &["b@acme.example"]), body(1)).await;
    assert!(matches!(other, Err(QuarantineError::Exists(_))), "{other:?}");
    let nobody = quarantine.hold(message(2, &[]), body(2)).await;
    assert!(matches!(nobody, Err(QuarantineError::Nobody(_))), "{nobody:?}");
    assert_eq!((quarantine.len(), quarantine.recipients()), (1, 1));
}

#[tokio::test]
async fn no_room_is_told_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(Timestamp(NOW));
    let small = Config { most_messages: 1, ..config(dir.path()) };
    let (quarantine, _) = Quarantine::open(small, deps(&clock)).unwrap();
    hold(&quarantine, message(1, &["a@acme.example"]), body(1)).await;
    assert!(matches!(quarantine.hold(message(2, &["a@acme.example"]), body(2)).await, Err(QuarantineError::Full(_))));
    drop(quarantine);
    let strict = Config { min_free_bytes: u64::MAX / 2, ..config(dir.path()) };
    let (quarantine, _) = Quarantine::open(strict, deps(&clock)).unwrap();
    assert!(matches!(quarantine.hold(message(2, &["a@acme.example"]), body(2)).await, Err(QuarantineError::Full(_))));
    assert!(!dir.path().join("mail/acme").join(format!("{}.held", id(2))).exists());
}

#[tokio::test]
async fn what_was_kept_long_enough_goes() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(Timestamp(NOW));
    let (quarantine, _) = Quarantine::open(config(dir.path()), deps(&clock)).unwrap();
    hold(&quarantine, message(1, &["a@acme.example"]), body(1)).await;
    clock.advance(Duration::from_hours(700));
    hold(&quarantine, message(2, &["a@acme.example"]), body(2)).await;
    assert_eq!(quarantine.expire().await.unwrap(), 0);
    clock.advance(Duration::from_hours(20));
    let release = quarantine.release(Scope::Everyone, id(1), Chosen::All).await.unwrap();
    assert_eq!(quarantine.expire().await.unwrap(), 0, "not while somebody releases it");
    drop(release);
    assert_eq!(quarantine.expire().await.unwrap(), 1);
    assert_eq!(all(&quarantine).await.iter().map(|held| held.id).collect::<Vec<_>>(), [id(2)]);
}

#[test]
fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let second = Quarantine::open(config(dir.path()), deps(&Clock::default()));
    assert!(matches!(second, Err(OpenError::InUse(_))));
    drop(first);
    open(dir.path());
}

fn damage(path: &Path, at: u64) {
    let mut file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut octet = [0];
    file.seek(SeekFrom::Start(at)).unwrap();
    file.read_exact(&mut octet).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[octet[0] ^ 0x20]).unwrap();
}

/// Every octet of a file is covered: changed anywhere, it is kept in `corrupt/` and never given out.
#[tokio::test]
async fn any_changed_octet_and_any_cut_is_noticed_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (quarantine, _) = open(dir.path());
    hold(&quarantine, message(1, &["a@acme.example"]), body(1)).await;
    drop(quarantine);
    let path = dir.path().join("mail/acme").join(format!("{}.held", id(1)));
    let good = fs::read(&path).unwrap();
    let mut kept = 0;
    for at in (0..good.len() as u64).step_by(7) {
        for cut in [false, true] {
            fs::write(&path, &good).unwrap();
            if cut {
                fs::File::options().write(true).open(&path).unwrap().set_len(at).unwrap()
            } else {
                damage(&path, at)
            }
            let (quarantine, _) = open(dir.path());
            let release = quarantine.release(Scope::Everyone, id(1), Chosen::All).await;
            assert!(release.is_err(), "octet {at}, cut {cut}: given out");
            kept += 1;
            assert!(!path.exists(), "octet {at}, cut {cut}: still in its place");
        }
    }
    let kept_files = fs::read_dir(dir.path().join("corrupt")).unwrap().count();
    assert_eq!(kept_files, 2 * kept, "each one with its text");
}

#[tokio::test]
async fn foreign_copied_and_left_over_files_block_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (quarantine, _) = open(dir.path());
    hold(&quarantine, message(1, &["a@acme.example"]), body(1)).await;
    drop(quarantine);
    let mail = dir.path().join("mail");
    let good = mail.join("acme").join(format!("{}.held", id(1)));
    fs::create_dir(mail.join("beta")).unwrap();
    fs::copy(&good, mail.join("beta").join(good.file_name().unwrap())).unwrap();
    fs::copy(&good, mail.join("acme").join(format!("{}.held", id(2)))).unwrap();
    fs::write(mail.join("acme/notes.txt"), "x").unwrap();
    fs::write(mail.join("UPPER"), "x").unwrap();
    fs::write(mail.join("acme").join(format!("{}.gone", id(7))), "x").unwrap();
    std::os::unix::fs::symlink("/etc/hostname", mail.join("acme").join(format!("{}.held", id(3)))).unwrap();
    fs::write(dir.path().join("drafts/half"), "x").unwrap();
    let (quarantine, report) = open(dir.path());
    assert_eq!(report.messages, 1);
    assert_eq!((report.damaged.len(), report.unread.len()), (5, 0), "{report:?}");
    assert_eq!(all(&quarantine).await.len(), 1);
    assert_eq!(fs::read_dir(dir.path().join("drafts")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(mail.join("beta")).unwrap().count(), 0, "a copy is nobody's mail");
}

/// The list of those who are gone is damaged: the message is held for everybody again.
#[tokio::test]
async fn a_damaged_list_of_the_gone_loses_nobodys_mail() {
    let dir = tempfile::tempdir().unwrap();
    let (quarantine, _) = open(dir.path());
    hold(&quarantine, message(1, &["a@acme.example", "b@acme.example"]), body(1)).await;
    quarantine.remove(Scope::Everyone, id(1), Chosen::Only(vec![address("a@acme.example")]), "x").await.unwrap();
    drop(quarantine);
    damage(&dir.path().join("mail/acme").join(format!("{}.gone", id(1))), 9);
    let (quarantine, report) = open(dir.path());
    assert_eq!(report.recipients, 2);
    assert_eq!(quarantine.show(Scope::Everyone, id(1)).await.unwrap().unwrap().envelope.recipients.len(), 2);
}

/// Whoever took the file away: what is not there is neither in the index nor in the sums.
#[tokio::test]
async fn what_is_not_there_any_more_is_not_held() {
    let dir = tempfile::tempdir().unwrap();
    let deps = deps(&Clock::manual(Timestamp(NOW)));
    let (quarantine, _) = Quarantine::open(config(dir.path()), deps.clone()).unwrap();
    let path = |number| dir.path().join("mail/acme").join(format!("{}.held", id(number)));
    for number in 1..=3 {
        hold(&quarantine, message(number, &["a@acme.example", "b@acme.example"]), body(number)).await;
    }
    assert_eq!(balance(&deps.metrics), (6, 0));
    fs::remove_file(path(1)).unwrap();
    let gone = quarantine.remove(Scope::Everyone, id(1), Chosen::All, "x").await;
    assert!(matches!(gone, Err(QuarantineError::Gone(_))), "{gone:?}");
    damage(&path(2), 40);
    let damaged = quarantine.show(Scope::Everyone, id(2)).await;
    assert!(matches!(damaged, Err(QuarantineError::Damaged(..))), "{damaged:?}");
    assert_eq!((quarantine.len(), quarantine.recipients(), balance(&deps.metrics)), (1, 2, (2, 0)));
    quarantine.remove(Scope::Everyone, id(3), Chosen::Only(vec![address("a@acme.example")]), "x").await.unwrap();
    assert_eq!((quarantine.recipients(), balance(&deps.metrics)), (1, (1, 0)));
}

#[tokio::test]
async fn one_tenant_does_not_take_everybodys_room() {
    let dir = tempfile::tempdir().unwrap();
    let size = octets(2).len() as u64;
    let config = Config { most_of_tenant: 2, most_bytes_of_tenant: 3 * size, ..config(dir.path()) };
    let (quarantine, _) = Quarantine::open(config, deps(&Clock::manual(Timestamp(NOW)))).unwrap();
    let of = |number, name: &str| NewHeld { tenant: tenant(name), ..message(number, &["a@acme.example"]) };
    hold(&quarantine, of(1, "acme"), body(2)).await;
    hold(&quarantine, of(2, "acme"), body(2)).await;
    let full = quarantine.hold(of(3, "acme"), body(2)).await;
    assert!(matches!(full, Err(QuarantineError::Full(_))), "{full:?}");
    hold(&quarantine, of(4, "beta"), body(2)).await;
    let large = quarantine.hold(of(5, "beta"), body(499)).await;
    assert!(matches!(large, Err(QuarantineError::Full(_))), "{large:?}");
    quarantine.remove(Scope::Everyone, id(1), Chosen::All, "x").await.unwrap();
    hold(&quarantine, of(3, "acme"), body(2)).await;
}

#[tokio::test]
async fn an_explanation_is_kept_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let (quarantine, _) = open(dir.path());
    let long = format!("{{\"v\":\"{}\"}}", "x".repeat(10_000));
    let of = |number, text: &str| NewHeld { explanation: Some(text.into()), ..message(number, &["a@acme.example"]) };
    hold(&quarantine, of(1, &long), body(1)).await;
    hold(&quarantine, of(2, &"x".repeat(held::MAX_EXPLANATION + 1)), body(2)).await;
    let shown = async |number| quarantine.show(Scope::Everyone, id(number)).await.unwrap().unwrap().explanation;
    assert_eq!((shown(1).await.as_deref(), shown(2).await), (Some(&*long), None));
    assert!(all(&quarantine).await.iter().all(|held| held.explanation.is_none()));
}

#[tokio::test]
async fn the_balance_knows_of_every_recipient() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(Timestamp(NOW));
    let to = ["a@acme.example", "b@acme.example", "c@acme.example", "d@acme.example"];
    let deps_one = deps(&clock);
    let (quarantine, _) = Quarantine::open(config(dir.path()), deps_one.clone()).unwrap();
    hold(&quarantine, message(1, &to), body(1)).await;
    hold(&quarantine, message(1, &to), body(1)).await;
    assert_eq!(balance(&deps_one.metrics), (4, 0), "the same message twice is accepted once");
    drop(quarantine);

    let deps = deps(&clock);
    let (quarantine, _) = Quarantine::open(config(dir.path()), deps.clone()).unwrap();
    assert_eq!(balance(&deps.metrics), (4, 0));
    let only = |who: &str| Chosen::Only(vec![address(who)]);
    quarantine.remove(Scope::Everyone, id(1), only("a@acme.example"), "x").await.unwrap();
    let release = quarantine.release(Scope::Everyone, id(1), only("b@acme.example")).await.unwrap();
    // As the spool does when it has it.
    deps.metrics.balance.accepted_queued(Direction::Inbound, 1);
    release.done("x", || {}).await.unwrap();
    assert_eq!(balance(&deps.metrics), (2, 0));
    clock.advance(Duration::from_hours(721));
    assert_eq!(quarantine.expire().await.unwrap(), 1);
    assert_eq!(balance(&deps.metrics), (0, 0));
    let sums = deps.metrics.balance.sums();
    assert_eq!((sums.released, sums.discarded, sums.expired, sums.queued), (1, 1, 2, 1));
}

const CHILD: &str = "SEKISHO_QUARANTINE_DRILL";

/// Not a test: the process that is killed. Holds messages and releases every third, saying so after each receipt.
#[tokio::test]
async fn the_process_that_is_killed() {
    let Ok(order) = std::env::var(CHILD) else { return };
    let (dir, point) = order.split_once('|').unwrap();
    let dir = Path::new(dir);
    let faults = Faults::parse(point).unwrap();
    let (quarantine, _) =
        Quarantine::open(config(dir), Deps { faults, ..deps(&Clock::manual(Timestamp(NOW))) }).unwrap();
    for number in 0..12 {
        hold(&quarantine, message(number, &["a@acme.example", "b@acme.example"]), body(number)).await;
        eprintln!("\nheld {number}");
        if number % 3 == 2 {
            let chosen = if number % 2 == 0 { Chosen::All } else { Chosen::Only(vec![address("a@acme.example")]) };
            let mut release = quarantine.release(Scope::Everyone, id(number), chosen).await.unwrap();
            let octets = read(release.take_body().unwrap());
            for recipient in &release.envelope().recipients {
                fs::write(dir.join("out").join(format!("{number}.{}", recipient.address)), &octets).unwrap();
            }
            release.done("drill", || {}).await.unwrap();
        }
    }
    eprintln!("\nended");
}

/// SIGKILL at each step of holding and releasing: whatever was acknowledged is held or was given out, whole.
#[tokio::test]
async fn nothing_acknowledged_is_lost_by_a_kill_at_any_step() {
    let points = Point::ALL.iter().map(|(name, _)| *name);
    let points: Vec<&str> =
        points.filter(|name| name.starts_with("quarantine-") || name.starts_with("release-")).collect();
    assert_eq!(points.len(), 6);
    for point in points {
        for count in [1, 3] {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("out")).unwrap();
            let order = format!("{}|{point}:{count}", dir.path().display());
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "quarantine::tests::the_process_that_is_killed", "--nocapture"])
                .env(CHILD, order)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
            let told: Vec<String> = lines.filter(|line| line.starts_with("held ") || line == "ended").collect();
            assert!(!child.wait().unwrap().success() && !told.contains(&"ended".to_owned()), "{point}: not killed");
            check(dir.path(), &told, point).await;
        }
    }
}

async fn check(dir: &Path, told: &[String], point: &str) {
    let (quarantine, report) = open(dir);
    assert_eq!((&report.damaged, &report.unread), (&Vec::new(), &Vec::new()), "{point}");
    let mut here: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for held in all(&quarantine).await {
        let number = u64::try_from(held.id.as_u128() & 0xffff).unwrap();
        let to = held.envelope.recipients.iter().map(|recipient| recipient.address.to_string());
        here.entry(number).or_default().extend(to);
        let mut release = quarantine.release(Scope::Everyone, held.id, Chosen::All).await.unwrap();
        assert_eq!(read(release.take_body().unwrap()), octets(number), "{point}: {number}");
    }
    for line in told {
        let number: u64 = line.strip_prefix("held ").unwrap().parse().unwrap();
        for who in ["a@acme.example", "b@acme.example"] {
            let given = fs::read(dir.join("out").join(format!("{number}.{who}"))).is_ok_and(|is| is == octets(number));
            let held = here.get(&number).is_some_and(|to| to.contains(who));
            assert!(given || held, "{point}: message {number} for {who} is lost");
        }
    }
    assert_eq!(fs::read_dir(dir.join("drafts")).unwrap().count(), 0, "{point}");
}

/// `cargo nextest run --lib --run-ignored all a_hundred_thousand`: how long a start takes, and what an entry takes.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes 100,000 files"]
async fn a_hundred_thousand_are_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let (quarantine, _) = open(dir.path());
    let begun = std::time::Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..16_u64 {
        let quarantine = quarantine.clone();
        tasks.spawn(async move {
            for number in 0..6_250 {
                let number = worker * 6_250 + number;
                hold(&quarantine, message(number, &["a@acme.example"]), body(number)).await;
            }
        });
    }
    tasks.join_all().await;
    eprintln!("held 100,000 in {:?}", begun.elapsed());
    drop(quarantine);
    let begun = std::time::Instant::now();
    let (quarantine, report) = open(dir.path());
    eprintln!("opened in {:?}", begun.elapsed());
    assert_eq!((report.messages, report.damaged.len()), (100_000, 0));
    let begun = std::time::Instant::now();
    assert_eq!(all(&quarantine).await.len(), 1_000);
    eprintln!("listed 1,000 in {:?}", begun.elapsed());
    let filter = Filter { recipient: Some(address("nobody@acme.example")), limit: 10, ..Filter::default() };
    let begun = std::time::Instant::now();
    assert!(quarantine.list(Scope::Everyone, filter).await.unwrap().is_empty());
    eprintln!("found nobody in {:?}", begun.elapsed());
}
