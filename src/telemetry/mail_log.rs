//! The mail log: NDJSON, one event per line, written by one thread of its own.
//!
//! [`MailLog::log`] makes the line on the caller and adds it to a buffer in memory; the writer takes the whole buffer at
//! once. The caller never waits for a disk and wakes the writer at most once per [`GATHER`].
//!
//! **Failure**: if the disk is slower than the mail, the buffer grows to [`MAX_BUFFER`]; lines beyond it, and lines of a
//! failed write, are lost and counted (`sekisho_mail_log_lost_total`), and an `alert` line says how many as soon as
//! writing works again. Mail goes on: the spool, not the log, is what proves custody.
//!
//! **Invariants**: lines are whole and in the order of the calls; a line after a torn write begins on a line of its own.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus::IntCounter;

use super::event::{Event, EventName};
use super::event_json;
use super::metrics::Metrics;
use crate::clock::Clock;

/// Bytes held in memory for a slow disk: about 40,000 lines.
pub const MAX_BUFFER: usize = 16 << 20;
/// What a buffer keeps after a burst.
const KEPT: usize = 1 << 20;
/// How long the writer lets lines gather after a write.
pub const GATHER: Duration = Duration::from_millis(5);
/// Longest wait of [`MailLog::flush`].
const FLUSH_WAIT: Duration = Duration::from_secs(5);
/// A usual line fits without growing the buffer it is made in.
const USUAL_LINE: usize = 640;

/// Cheap to clone; the writer ends, with everything written, when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct MailLog(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// The writer waits here.
    work: Condvar,
    /// Those who flush wait here.
    written: Condvar,
    lines: IntCounter,
    lost: IntCounter,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Thread,
    Memory,
    Nowhere,
}

#[derive(Debug, Default)]
struct State {
    buffer: Vec<u8>,
    /// Bytes ever added, and bytes the writer is done with.
    added: u64,
    done: u64,
    lost_since: u64,
    writer_waits: bool,
    reopen: bool,
    closed: bool,
}

impl MailLog {
    /// Appends to `path`, which is created if missing.
    ///
    /// # Errors
    /// If the file can't be opened or the writer not started: a node that can't log does not start.
    pub fn to_file(path: &Path, metrics: &Metrics) -> io::Result<Self> {
        let file = open(path)?;
        Self::start(Sink::File { path: path.to_owned(), file }, metrics)
    }

    /// # Errors
    /// If the writer can't be started.
    pub fn to_stdout(metrics: &Metrics) -> io::Result<Self> {
        Self::start(Sink::Stdout, metrics)
    }

    /// Keeps the lines, for tests and the demo.
    #[must_use]
    pub fn memory() -> Self {
        Self::without_writer(Kind::Memory)
    }

    /// Keeps nothing.
    #[must_use]
    pub fn nowhere() -> Self {
        Self::without_writer(Kind::Nowhere)
    }

    fn without_writer(kind: Kind) -> Self {
        let metrics = Metrics::new();
        Self(Arc::new(Handle { shared: Arc::new(Shared::new(kind, &metrics)), writer: None }))
    }

    fn start(sink: Sink, metrics: &Metrics) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(Kind::Thread, metrics));
        let of_thread = Arc::clone(&shared);
        let writer = std::thread::Builder::new().name("mail-log".into()).spawn(move || of_thread.run(sink))?;
        Ok(Self(Arc::new(Handle { shared, writer: Some(writer) })))
    }

    /// Never waits for the disk.
    pub fn log(&self, event: &Event<'_>) {
        let shared = &*self.0.shared;
        if shared.kind == Kind::Nowhere {
            return;
        }
        let mut line = Vec::with_capacity(USUAL_LINE + event.explanation.map_or(0, str::len));
        event_json::write(event, &mut line);
        shared.add(&line);
    }

    /// Opens the file anew by its name, after it was rotated away.
    pub fn reopen(&self) {
        let shared = &*self.0.shared;
        shared.lock().reopen = true;
        shared.work.notify_one();
    }

    /// Waits until what was logged before is with the operating system; at most five seconds. False if it is not.
    pub fn flush(&self) -> bool {
        let shared = &*self.0.shared;
        if shared.kind != Kind::Thread {
            return true;
        }
        let state = shared.lock();
        let target = state.added;
        shared.work.notify_one();
        let waited = shared.written.wait_timeout_while(state, FLUSH_WAIT, |state| state.done < target);
        waited.unwrap_or_else(PoisonError::into_inner).0.done >= target
    }

    /// The lines of a log in memory.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        if self.0.shared.kind != Kind::Memory {
            return Vec::new();
        }
        String::from_utf8_lossy(&self.0.shared.lock().buffer).lines().map(str::to_owned).collect()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_one();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl Shared {
    fn new(kind: Kind, metrics: &Metrics) -> Self {
        Self {
            state: Mutex::default(),
            work: Condvar::new(),
            written: Condvar::new(),
            lines: metrics.log.lines.clone(),
            lost: metrics.log.lost.clone(),
            kind,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.buffer.len() + line.len() > MAX_BUFFER {
            state.lost_since += 1;
            drop(state);
            self.lost.inc();
            return;
        }
        state.buffer.extend_from_slice(line);
        state.added += line.len() as u64;
        let wake = std::mem::take(&mut state.writer_waits);
        drop(state);
        self.lines.inc();
        if wake {
            self.work.notify_one();
        }
    }

    /// The writer's life.
    fn run(&self, mut sink: Sink) {
        let mut taken = Vec::new();
        let mut torn = false;
        loop {
            let mut state = self.lock();
            while state.buffer.is_empty() && !state.reopen && !state.closed {
                state.writer_waits = true;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.writer_waits = false;
            std::mem::swap(&mut state.buffer, &mut taken);
            let reopen = std::mem::take(&mut state.reopen);
            let closed = state.closed;
            let lost = std::mem::take(&mut state.lost_since);
            drop(state);
            self.write(&mut sink, &mut taken, &mut torn, lost);
            if reopen {
                sink.reopen();
            }
            if closed && self.lock().buffer.is_empty() {
                return;
            }
            if !closed {
                std::thread::sleep(GATHER);
            }
        }
    }

    fn write(&self, sink: &mut Sink, taken: &mut Vec<u8>, torn: &mut bool, lost: u64) {
        let bytes = taken.len() as u64;
        if lost > 0 {
            let reason = format!("mail log lost {lost} lines");
            let alert = Event { reason: Some(&reason), ..Event::new(EventName::Alert, Clock::System.now()) };
            event_json::write(&alert, taken);
        }
        let result = if *torn && !taken.is_empty() { sink.write(b"\n") } else { Ok(()) };
        *torn = match result.and_then(|()| sink.write(taken)) {
            Ok(()) => false,
            Err(error) => {
                // Without the line that says how many were lost before: they are still to be told.
                let ours = u64::from(lost > 0);
                let lines = (memchr::memchr_iter(b'\n', taken).count() as u64).saturating_sub(ours);
                tracing::error!(%error, lines, "mail log lines lost");
                self.lost.inc_by(lines);
                self.lock().lost_since += lines + lost;
                true
            }
        };
        taken.clear();
        taken.shrink_to(KEPT);
        self.lock().done += bytes;
        self.written.notify_all();
    }
}

#[derive(Debug)]
enum Sink {
    File { path: PathBuf, file: File },
    Stdout,
}

impl Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File { file, .. } => file.write_all(bytes),
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
        }
    }

    /// Keeps the old file if the new one can't be opened: a line in the wrong file beats none.
    fn reopen(&mut self) {
        if let Self::File { path, file } = self {
            match open(path) {
                Ok(new) => *file = new,
                Err(error) => tracing::error!(%error, path = %path.display(), "mail log not reopened"),
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn event(n: u64) -> Event<'static> {
        Event { size: Some(n), ..Event::new(EventName::Message, Timestamp::from_millis(n)) }
    }

    fn sizes(text: &str) -> Vec<u64> {
        let value = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        text.lines().map(|line| value(line)["size"].as_u64().unwrap()).collect()
    }

    #[test]
    fn lines_are_whole_in_order_and_survive_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let (path, rotated) = (dir.path().join("mail.log"), dir.path().join("mail.log.1"));
        let metrics = Metrics::new();
        let log = MailLog::to_file(&path, &metrics).unwrap();
        (0..1000).for_each(|n| log.log(&event(n)));
        assert!(log.flush());
        std::fs::rename(&path, &rotated).unwrap();
        log.reopen();
        while !path.exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        (1000..1500).for_each(|n| log.log(&event(n)));
        drop(log);
        assert_eq!(sizes(&std::fs::read_to_string(&rotated).unwrap()), (0..1000).collect::<Vec<_>>());
        assert_eq!(sizes(&std::fs::read_to_string(&path).unwrap()), (1000..1500).collect::<Vec<_>>());
        assert_eq!((metrics.log.lines.get(), metrics.log.lost.get()), (1500, 0));
    }

    #[test]
    fn a_full_disk_loses_lines_and_says_how_many() {
        let metrics = Metrics::new();
        let log = MailLog::to_file(Path::new("/dev/full"), &metrics).unwrap();
        (0..10).for_each(|n| log.log(&event(n)));
        assert!(log.flush());
        assert_eq!(metrics.log.lost.get(), 10);
    }

    #[test]
    fn a_buffer_that_is_full_drops_the_new_line_and_returns() {
        let shared = Shared::new(Kind::Memory, &Metrics::new());
        shared.add(&vec![b'x'; MAX_BUFFER]);
        shared.add(b"one more\n");
        assert_eq!((shared.lost.get(), shared.lock().buffer.len()), (1, MAX_BUFFER));
    }

    #[test]
    fn many_callers_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mail.log");
        let log = MailLog::to_file(&path, &Metrics::new()).unwrap();
        std::thread::scope(|scope| {
            for base in [0u64, 10_000, 20_000] {
                let log = log.clone();
                scope.spawn(move || (base..base + 5_000).for_each(|n| log.log(&event(n))));
            }
        });
        drop(log);
        assert_eq!(sizes(&std::fs::read_to_string(&path).unwrap()).len(), 15_000);
    }

    #[test]
    fn a_log_in_memory_is_read_back() {
        let log = MailLog::memory();
        log.log(&event(4));
        assert_eq!(sizes(&log.lines().join("\n")), [4]);
        MailLog::nowhere().log(&event(5));
    }
}
