//! Releases that fail half way, with a quarantine and a spool on disk.

use std::path::Path;

use super::*;
use crate::faults::Faults;
use crate::limits::suspension;
use crate::model::{Address, Envelope, Origin, Recipient, ReversePath, TenantId, Timestamp};
use crate::quarantine::NewHeld;
use crate::telemetry::MailLog;

const NOW: Timestamp = Timestamp(1_795_176_451_250);

struct World {
    quarantine: Quarantine,
    spool: Spool,
    dir: tempfile::TempDir,
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn id() -> MessageId {
    MessageId::new(NOW.as_millis(), 7)
}

impl World {
    /// One message is held, for a and b.
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (clock, faults) = (Clock::manual(NOW), Faults::default());
        let (metrics, log) = (Metrics::new(), MailLog::memory());
        let deps =
            spool::Deps { clock: clock.clone(), faults: faults.clone(), metrics: metrics.clone(), log: log.clone() };
        let config = spool::Config { min_free_bytes: 0, ..spool::Config::new(dir.path().join("spool")) };
        let (spool, _) = Spool::open(config, deps).unwrap();
        let config = quarantine::Config { min_free_bytes: 0, ..quarantine::Config::new(dir.path().join("held")) };
        let deps = quarantine::Deps { clock, faults, metrics, log };
        let (quarantine, _) = Quarantine::open(config, deps).unwrap();
        let mut envelope = Envelope::from_sender(ReversePath::Mailbox(address("s@sender.example")));
        envelope.recipients =
            ["a@acme.example", "b@acme.example"].map(|text| Recipient::new(address(text))).into_iter().collect();
        let new = NewHeld {
            id: id(),
            tenant: TenantId::parse("acme").unwrap(),
            direction: Direction::Inbound,
            origin: Origin {
                ip: "192.0.2.7".parse().unwrap(),
                helo: "mail.sender.example".into(),
                listener: "mx".into(),
                protocol: "ESMTPS".into(),
                received_at: NOW,
            },
            envelope,
            class: Class::Spam,
            reason: "17.5 points".into(),
            explanation: None,
            subject: None,
            from: None,
        };
        let body =
            quarantine::Body::Memory { head: Bytes::new(), rest: Bytes::from_static(b"Subject: x\r\n\r\nx\r\n") };
        let receipt = quarantine.hold(new, body).await.unwrap();
        drop(receipt);
        Self { quarantine, spool, dir }
    }

    async fn release(&self) -> (Release, NewMessage) {
        let only_a = Chosen::Only(vec![address("a@acme.example")]);
        let mut release = self.quarantine.release(Scope::Everyone, id(), only_a).await.unwrap();
        let Some(HeldBody::Memory(rest)) = release.take_body() else { panic!("a small message") };
        let held = release.held();
        let about =
            About { tenant: held.tenant.clone(), origin: held.origin.clone(), envelope: release.envelope().clone() };
        let message = NewMessage::inbound(release.spool_id(), about, Body::Memory { head: Bytes::new(), rest });
        (release, message)
    }

    async fn hand_over(&self) -> Result<(), ChangeError> {
        let suspensions = Suspensions::build(suspension::Config::default(), Clock::manual(NOW));
        hand_over(self.spool.clone(), self.release().await, &suspensions, "asked for").await
    }

    fn drafts(&self) -> std::path::PathBuf {
        self.dir.path().join("held/drafts")
    }

    fn due(&self) -> usize {
        self.spool.take_due(Timestamp(u64::MAX), 9).len()
    }
}

/// Who is gone can't be written without it.
fn take_away(dir: &Path) {
    std::fs::remove_dir(dir).unwrap();
}

#[tokio::test]
async fn a_release_the_quarantine_cannot_forget_leaves_nothing_in_the_spool_and_can_be_asked_for_again() {
    let world = World::new().await;
    take_away(&world.drafts());
    let failed = world.hand_over().await.unwrap_err();
    assert!(failed.to_string().starts_with("nothing was released: "), "{failed}");
    assert_eq!((world.spool.len(), world.quarantine.recipients()), (0, 2));
    drop(failed);
    std::fs::create_dir(world.drafts()).unwrap();
    world.hand_over().await.unwrap();
    assert_eq!((world.due(), world.quarantine.recipients()), (1, 1));
}

#[tokio::test]
async fn a_release_in_doubt_is_on_hold_until_the_quarantine_can_be_asked() {
    let world = World::new().await;
    let (release, message) = world.release().await;
    let spool_id = release.spool_id();
    // As after a crash between the two: nothing is kept back any more.
    drop((release, world.spool.commit(vec![message]).await.unwrap()));
    take_away(&world.drafts());
    finish_releases(&world.quarantine, &world.spool).await;
    assert_eq!((world.due(), world.quarantine.recipients()), (0, 2));
    let detail = world.spool.show(spool_id).unwrap();
    assert_eq!(detail.branches.first().and_then(|branch| branch.held.as_deref()), Some(IN_DOUBT));
    std::fs::create_dir(world.drafts()).unwrap();
    finish_releases(&world.quarantine, &world.spool).await;
    assert_eq!((world.due(), world.quarantine.recipients()), (1, 1), "once, and no more in quarantine");
}

#[tokio::test]
async fn a_release_in_doubt_goes_on_when_it_is_asked_for_again() {
    let world = World::new().await;
    let (release, message) = world.release().await;
    let spool_id = release.spool_id();
    drop((release, world.spool.commit(vec![message]).await.unwrap()));
    let held = world.spool.hold(&spool::Filter::of(spool_id), IN_DOUBT).await.unwrap();
    assert_eq!(held.changed, 1);
    world.hand_over().await.unwrap();
    assert_eq!((world.due(), world.quarantine.recipients()), (1, 1));
}
