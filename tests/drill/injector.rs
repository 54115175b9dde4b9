//! Many raw SMTP clients at once, each message unique, each answer in the ledger before the next action.
//!
//! **Failure**: a broken connection before the final dot is no message; after it the message is `Ambiguous` and is not
//! sent again, so that every duplicate is the gateway's own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::dice::Dice;
use crate::ledger::{Fate, Injected, Sent, hash};
use crate::wire::{Wire, stuff};

/// What the clients send.
#[derive(Debug, Clone)]
pub struct Mix {
    /// Domains of tenants; recipients of one message are in one or two of them.
    pub domains: Vec<String>,
    /// A domain of a tenant: notices come back to it.
    pub sender_domain: String,
    /// Messages per second, all clients together.
    pub rate: u64,
    /// Per mille of messages with a recipient the next hop refuses.
    pub bounces_per_mille: u64,
    /// Per mille of messages above 1 MiB.
    pub large_per_mille: u64,
    /// Each read may take so long.
    pub patience: Duration,
}

/// What happened besides the ledger.
#[derive(Debug, Default)]
pub struct Seen {
    pub accepted: AtomicU64,
    pub temporary: AtomicU64,
    pub permanent: AtomicU64,
    pub ambiguous: AtomicU64,
    /// Replies that took longer than the client's patience.
    pub hung: AtomicU64,
    /// Refused before the final dot (MAIL, RCPT, greeting).
    pub early_temporary: AtomicU64,
    pub early_permanent: AtomicU64,
}

/// Running clients.
#[derive(Debug)]
pub struct Injector {
    tasks: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    mix: Mix,
    ledger: Arc<Injected>,
    seen: Arc<Seen>,
    stop: AtomicBool,
    numbers: AtomicU64,
    prefix: String,
    clients: u64,
}

impl Injector {
    pub fn start(
        runtime: &Handle,
        target: SocketAddr,
        clients: u64,
        seed: u64,
        prefix: &str,
        mix: Mix,
        ledger: Arc<Injected>,
    ) -> Self {
        let shared = Arc::new(Shared {
            target,
            mix,
            ledger,
            seen: Arc::new(Seen::default()),
            stop: AtomicBool::new(false),
            numbers: AtomicU64::new(0),
            prefix: prefix.to_owned(),
            clients,
        });
        let mut dice = Dice::new(seed);
        let tasks = (0..clients).map(|_| runtime.spawn(client(Arc::clone(&shared), dice.fork()))).collect();
        Self { tasks, shared }
    }

    pub fn seen(&self) -> &Seen {
        &self.shared.seen
    }

    /// Every client ends after its present transaction; waits for all.
    pub fn stop(self, runtime: &Handle) -> Arc<Seen> {
        self.shared.stop.store(true, Ordering::SeqCst);
        runtime.block_on(async {
            for task in self.tasks {
                let _ = tokio::time::timeout(Duration::from_mins(1), task).await;
            }
        });
        Arc::clone(&self.shared.seen)
    }
}

impl Shared {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

async fn client(shared: Arc<Shared>, mut dice: Dice) {
    while !shared.stopped() {
        if let Ok(stream) = TcpStream::connect(shared.target).await {
            let mut wire = Wire::new(stream, shared.mix.patience);
            if let Err(error) = session(&mut wire, &shared, &mut dice).await
                && error.kind() == io::ErrorKind::TimedOut
            {
                shared.seen.hung.fetch_add(1, Ordering::Relaxed);
            }
        }
        tokio::time::sleep(Duration::from_millis(5 + dice.below(20))).await;
    }
}

async fn session(wire: &mut Wire, shared: &Shared, dice: &mut Dice) -> io::Result<()> {
    let (code, _) = wire.reply().await?;
    if code != 220 {
        note_early(&shared.seen, code);
        return Ok(());
    }
    wire.write(b"EHLO client.example\r\n").await?;
    let (code, capabilities) = wire.reply().await?;
    if code != 250 {
        note_early(&shared.seen, code);
        return Ok(());
    }
    let chunking = capabilities.contains("CHUNKING");
    let messages = 1 + dice.below(12);
    for _ in 0..messages {
        if shared.stopped() {
            break;
        }
        let pause = 2_000_000 * shared.clients / shared.mix.rate.max(1);
        tokio::time::sleep(Duration::from_micros(dice.below(pause))).await;
        if !transaction(wire, shared, dice, chunking).await? {
            return Ok(());
        }
    }
    wire.write(b"QUIT\r\n").await?;
    wire.reply().await.map(|_| ())
}

struct Message {
    uuid: String,
    sender: String,
    recipients: Vec<String>,
    text: Vec<u8>,
}

/// `false`: the connection is of no more use.
async fn transaction(wire: &mut Wire, shared: &Shared, dice: &mut Dice, chunking: bool) -> io::Result<bool> {
    let message = compose(shared, dice);
    let bdat = chunking && dice.below(4) == 0;
    let mut accepted = Vec::new();
    let mail = format!("MAIL FROM:<{}>\r\n", message.sender);
    if dice.below(2) == 0 {
        wire.write(mail.as_bytes()).await?;
        let (code, _) = wire.reply().await?;
        if code != 250 {
            note_early(&shared.seen, code);
            return Ok(code != 421);
        }
        for recipient in &message.recipients {
            wire.write(format!("RCPT TO:<{recipient}>\r\n").as_bytes()).await?;
            let (code, _) = wire.reply().await?;
            if code == 250 { accepted.push(recipient.clone()) } else { note_early(&shared.seen, code) }
        }
    } else {
        let mut group = mail;
        for recipient in &message.recipients {
            group.push_str("RCPT TO:<");
            group.push_str(recipient);
            group.push_str(">\r\n");
        }
        wire.write(group.as_bytes()).await?;
        let (mail_code, _) = wire.reply().await?;
        for recipient in &message.recipients {
            let (code, _) = wire.reply().await?;
            match code {
                250 => accepted.push(recipient.clone()),
                // After a refused MAIL the rest of the group is out of sequence; that says nothing more.
                503 if mail_code != 250 => {}
                _ => note_early(&shared.seen, code),
            }
        }
        if mail_code != 250 {
            note_early(&shared.seen, mail_code);
            return Ok(mail_code != 421);
        }
    }
    if accepted.is_empty() {
        wire.write(b"RSET\r\n").await?;
        return Ok(wire.reply().await?.0 == 250);
    }
    let sent = Sent { uuid: message.uuid, recipients: accepted, hash: hash(&message.text), fate: Fate::Ambiguous };
    let last = if bdat {
        let mut chunk = format!("BDAT {} LAST\r\n", message.text.len()).into_bytes();
        chunk.extend_from_slice(&message.text);
        chunk
    } else {
        wire.write(b"DATA\r\n").await?;
        let (code, _) = wire.reply().await?;
        if code != 354 {
            note_early(&shared.seen, code);
            return Ok(code != 421);
        }
        stuff(&message.text)
    };
    let answer = match wire.write(&last).await {
        Ok(()) => wire.reply().await,
        Err(error) => Err(error),
    };
    record(shared, sent, &answer);
    answer.map(|(code, _)| code != 421)
}

fn record(shared: &Shared, mut sent: Sent, answer: &io::Result<(u16, String)>) {
    let seen = &shared.seen;
    match answer {
        Ok((250, _)) => {
            sent.fate = Fate::Accepted;
            seen.accepted.fetch_add(1, Ordering::Relaxed);
        }
        Ok((code, _)) => {
            sent.fate = Fate::Refused(*code);
            let counter = if *code < 500 { &seen.temporary } else { &seen.permanent };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        Err(_) => {
            seen.ambiguous.fetch_add(1, Ordering::Relaxed);
        }
    }
    shared.ledger.write(sent);
}

fn note_early(seen: &Seen, code: u16) {
    let counter = if code < 500 { &seen.early_temporary } else { &seen.early_permanent };
    counter.fetch_add(1, Ordering::Relaxed);
}

fn compose(shared: &Shared, dice: &mut Dice) -> Message {
    let mix = &shared.mix;
    let number = shared.numbers.fetch_add(1, Ordering::Relaxed);
    let uuid = format!("{}-{number}", shared.prefix);
    let domain = |dice: &mut Dice| {
        let at = usize::try_from(dice.below(mix.domains.len() as u64)).unwrap_or(0);
        mix.domains.get(at).cloned().unwrap_or_default()
    };
    let first = domain(dice);
    let mut recipients = Vec::new();
    for n in 0..1 + dice.below(2) * dice.below(3) {
        let at = if dice.below(4) == 0 { domain(dice) } else { first.clone() };
        recipients.push(format!("u{n}-{}@{at}", dice.below(1000)));
    }
    if dice.below(1000) < mix.bounces_per_mille {
        recipients.push(format!("bounce{}@{first}", dice.below(1000)));
    }
    let size = match dice.below(1000) {
        n if n < mix.large_per_mille => 1_200_000 + dice.below(400_000),
        n if n < mix.large_per_mille + 60 => 40_000 + dice.below(80_000),
        n if n < 300 => 200 + dice.below(1_000),
        _ => 5_000,
    };
    let text = text(&uuid, usize::try_from(size).unwrap_or(0), dice);
    Message { uuid, sender: format!("client@{}", mix.sender_domain), recipients, text }
}

/// A whole message in canonical form; every line of the body differs, some begin with a dot.
pub fn text(uuid: &str, size: usize, dice: &mut Dice) -> Vec<u8> {
    use std::io::Write as _;
    let mut out = Vec::with_capacity(size + 400);
    let _ = write!(
        out,
        "X-Test-UUID: {uuid}\r\nFrom: client@drill.example\r\nTo: somebody@drill.example\r\nSubject: drill {uuid}\r\n\
         Message-ID: <{uuid}@drill.example>\r\nDate: Fri, 20 Nov 2026 10:00:00 +0900\r\n\r\n"
    );
    let salt = dice.next();
    let mut line = 0_u64;
    while out.len() < size {
        let dot = if line.is_multiple_of(13) { "." } else { "" };
        let _ = write!(
            out,
            "{dot}{line:08x} {salt:016x} the checkpoint looks at every traveller and nobody goes round\r\n"
        );
        line += 1;
    }
    out
}
