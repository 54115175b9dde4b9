//! The one thread that writes: gathers every waiting request, writes them at once, syncs once, applies them to the index,
//! and only then answers.
//!
//! **Failure**: an error of write or sync latches the spool as wedged and everybody waiting gets it; what was written and
//! not acknowledged is voided as far as the disk allows. A full disk is no such error: new mail gets `Full`, outcomes wait
//! for space (and use the reserve), nothing is delivered meanwhile.
//! **Invariants**: effects are applied in the order of the log and after the sync; nobody is answered before.

use std::fs::File;
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::body::Kept;
use super::error::{SpoolError, is_full, passes};
use super::frame::{FrameKind, HEADER, Header, TRAILER};
use super::index::{Change, Index, Place};
use super::prepare::Prepared;
use super::queue::Last;
use super::record::{MessageFields, message_head};
use super::request::{Class, Effect, Move, Request, Source};
use super::segment::{Active, Name};
use super::shared::Shared;
use super::space::preallocate;
use crate::faults::Point;
use crate::model::{Direction, MessageId};
use crate::telemetry::Balance;
use crate::telemetry::metrics::SpoolTrouble;

/// The thread's own state.
#[derive(Debug)]
pub(super) struct Committer {
    shared: Arc<Shared>,
    active: Active,
    sequence: u64,
    /// Outcomes that wait for space.
    backlog: Vec<Request>,
    last: Last,
}

/// A request on its way to the disk.
struct Placed {
    request: Request,
    header: [u8; HEADER],
    end: [u8; TRAILER],
    /// Of the payload in the segment.
    at: u64,
    sequence: u64,
}

impl Committer {
    pub(super) fn new(shared: Arc<Shared>, active: Active, sequence: u64) -> Self {
        Self { shared, active, sequence, backlog: Vec::new(), last: Last::default() }
    }

    pub(super) fn run(mut self) {
        loop {
            let patience = (!self.backlog.is_empty()).then_some(Duration::from_millis(500));
            let shared = Arc::clone(&self.shared);
            let Some((moves, mut requests)) = shared.queue.gather(self.last, patience) else { break };
            if !self.backlog.is_empty() {
                let newer = std::mem::replace(&mut requests, std::mem::take(&mut self.backlog));
                requests.extend(newer);
            }
            if !moves.is_empty() {
                self.carry_forward(moves);
            }
            self.last.requests = requests.len();
            if requests.iter().any(|request| request.class == Class::Mail) {
                self.last.mail = Some(Instant::now());
            }
            self.commit(requests);
            let stuck = !self.backlog.is_empty();
            if self.shared.stuck.swap(stuck, Ordering::AcqRel) && !stuck {
                self.shared.changed.notify_one();
            }
        }
        for request in self.backlog.drain(..) {
            request.fail(&SpoolError::Closed);
        }
        let _ = self.active.seal();
    }

    /// Commits requests in order, in as few groups as segments and the bound on group bytes allow.
    fn commit(&mut self, requests: Vec<Request>) {
        let mut group: Vec<Placed> = Vec::with_capacity(requests.len());
        let mut bytes = 0u64;
        for request in requests {
            let length = request.frame_length();
            if !group.is_empty()
                && (bytes + length > self.shared.config.group_bytes || self.active.room() < bytes + length)
            {
                self.flush(std::mem::take(&mut group), bytes);
                bytes = 0;
            }
            if let Err(error) = self.shared.check() {
                request.fail(&error);
                continue;
            }
            if self.active.room() < bytes + length
                && let Err(error) = self.roll(request.class, length)
            {
                self.no_room(request, error);
                continue;
            }
            let at = self.active.next() + bytes + HEADER as u64;
            let sequence = self.sequence;
            self.sequence += 1;
            let header = Header {
                kind: FrameKind::Records,
                length: request.length,
                payload_crc: request.crc,
                epoch: self.active.name.epoch,
                sequence,
            };
            let (header, end) = header.encode();
            bytes += length;
            group.push(Placed { request, header, end, at, sequence });
        }
        if !group.is_empty() {
            self.flush(group, bytes);
        }
    }

    fn no_room(&mut self, request: Request, error: io::Error) {
        if !passes(&error) {
            let error = self.shared.wedge("a new segment", &error);
            return request.fail(&error);
        }
        let trouble = if is_full(&error) { SpoolTrouble::Full } else { SpoolTrouble::Write };
        self.shared.deps.metrics.spool.troubles.inc(trouble);
        match request.class {
            Class::Mail => request.fail(&SpoolError::from(error)),
            Class::Journal => self.backlog.push(request),
        }
    }

    /// Goes on to the next segment. On an error that passes nothing has changed.
    fn roll(&mut self, class: Class, needed: u64) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        // Opened before anything changes: there may be no descriptor for it.
        let folder = File::open(&shared.dirs.segments)?;
        let name = Name::fresh(self.active.name.number + 1);
        let file = self.space(class, needed, &shared.dirs.segments.join(name.file_name()))?;
        let limit = file.metadata()?.len();
        folder.sync_all()?;
        let old = std::mem::replace(&mut self.active, Active { name, file, end: 0, limit });
        {
            let mut index = shared.index();
            index.segments.entry(old.name.number).or_default().size = old.end;
            index.segments.entry(name.number).or_default().epoch = name.epoch;
        }
        shared.active.store(name.number, Ordering::Release);
        shared.spare.progress(0, limit);
        // Everything in it is synced; only unused space goes.
        shared.spare.seal(old);
        Ok(())
    }

    /// A file for the next segment, under its name.
    fn space(&self, class: Class, needed: u64, to: &Path) -> io::Result<File> {
        let (dirs, size) = (&self.shared.dirs, self.shared.config.segment_size);
        // A journal frame with notices may be larger than what is left of any ordinary segment.
        let least = needed + super::segment::SEGMENT_HEADER as u64;
        if least <= size
            && let Some(file) = self.shared.spare.put_to_use(dirs, to)?
        {
            return Ok(file);
        }
        let error = match preallocate(&dirs.next(), size.max(least)) {
            Ok(file) => return std::fs::rename(dirs.next(), to).map(|()| file),
            Err(error) => error,
        };
        if class == Class::Journal
            && let Some(file) = self.shared.spare.put_reserve_to_use(dirs, least, to)?
        {
            return Ok(file);
        }
        Err(error)
    }

    /// Writes, syncs, applies, answers.
    fn flush(&mut self, group: Vec<Placed>, bytes: u64) {
        let shared = Arc::clone(&self.shared);
        let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(group.len() * 6);
        for placed in &group {
            slices.push(IoSlice::new(&placed.header));
            slices.extend(placed.request.chunks.iter().map(|chunk| IoSlice::new(chunk)));
            slices.push(IoSlice::new(&placed.end));
        }
        shared.deps.faults.reach(Point::SpoolBeforeWrite);
        let written = self.active.write(&mut slices, bytes);
        drop(slices);
        if let Err(error) = written {
            return self.write_failed(group, &error);
        }
        shared.deps.faults.reach(Point::SpoolAfterWrite);
        let started = Instant::now();
        if let Err(error) = self.active.file.sync_data() {
            shared.deps.metrics.spool.troubles.inc(SpoolTrouble::Sync);
            let error = shared.wedge("sync of the log", &error);
            self.void(&group);
            return group.into_iter().for_each(|placed| placed.request.fail(&error));
        }
        shared.deps.faults.reach(Point::SpoolAfterSync);
        let spool = &shared.deps.metrics.spool;
        self.last.sync = started.elapsed();
        spool.sync_seconds.observe(self.last.sync.as_secs_f64());
        spool.commits.inc();
        spool.frames.inc_by(group.len() as u64);
        spool.batch_frames.observe(group.len() as f64);
        spool.written_bytes.inc_by(bytes);
        shared.spare.progress(self.active.end, self.active.limit);
        self.apply(group);
    }

    fn write_failed(&mut self, group: Vec<Placed>, error: &io::Error) {
        if !is_full(error) {
            self.shared.deps.metrics.spool.troubles.inc(SpoolTrouble::Write);
            let error = self.shared.wedge("write to the log", error);
            return group.into_iter().for_each(|placed| placed.request.fail(&error));
        }
        self.shared.deps.metrics.spool.troubles.inc(SpoolTrouble::Full);
        // Nothing of the group counts: the numbers are free again.
        self.sequence = group.first().map_or(self.sequence, |placed| placed.sequence);
        // No more than this fits, whatever was hoped for.
        self.active.limit = self.active.end;
        let refused = SpoolError::Full(error.to_string().into());
        for placed in group {
            match placed.request.class {
                Class::Mail => placed.request.fail(&refused),
                Class::Journal => self.backlog.push(placed.request),
            }
        }
    }

    /// Best effort after a failed sync: a client that was told 451 sends again, so its mail must not come back from the
    /// disk as well. Outcomes stay: recording them twice does no harm, forgetting them does.
    fn void(&self, group: &[Placed]) {
        use std::os::unix::fs::FileExt as _;
        for placed in group.iter().filter(|placed| placed.request.class == Class::Mail) {
            let header = Header {
                kind: FrameKind::Void,
                length: placed.request.length,
                payload_crc: placed.request.crc,
                epoch: self.active.name.epoch,
                sequence: placed.sequence,
            };
            let (head, end) = header.encode();
            let _ = self.active.file.write_all_at(&head, placed.at - HEADER as u64);
            let _ = self.active.file.write_all_at(&end, placed.at + u64::from(placed.request.length));
        }
    }

    /// Takes a durable group into the index and answers: clients first, then everybody else.
    fn apply(&mut self, group: Vec<Placed>) {
        let shared = Arc::clone(&self.shared);
        let segment = self.active.name.number;
        let now = shared.now();
        let (mut clients, mut others) = (Vec::with_capacity(group.len()), Vec::new());
        let mut tally = Tally::default();
        let mut index = shared.index();
        for placed in group {
            for effect in placed.request.effects {
                let at = u32::try_from(placed.at).unwrap_or(u32::MAX);
                tally.add(apply(&mut index, effect, segment, at, now));
            }
            placed.request.kept.into_iter().for_each(Kept::named);
            let waiters = if placed.request.class == Class::Mail { &mut clients } else { &mut others };
            waiters.push(placed.request.done);
        }
        index.segments.entry(segment).or_default().size = self.active.end;
        let (messages, recipients) = (index.len(), index.recipients);
        drop(index);
        let spool = &shared.deps.metrics.spool;
        spool.messages.set(i64::try_from(messages).unwrap_or(i64::MAX));
        spool.recipients.set(i64::try_from(recipients).unwrap_or(i64::MAX));
        tally.count(&shared);
        for done in clients {
            let _ = done.send(Ok(()));
        }
        for id in &tally.files {
            // What stays behind here is found and taken away at the next start.
            let _ = std::fs::remove_file(shared.dirs.large_file(*id));
        }
        for done in others {
            let _ = done.send(Ok(()));
        }
        if tally.due {
            shared.changed.notify_one();
        }
    }

    /// Copies messages into the active segment with the state they have now.
    fn carry_forward(&mut self, moves: Vec<Move>) {
        let mut answers = Vec::new();
        let mut requests = Vec::new();
        {
            let index = self.shared.index();
            for item in moves {
                let Some(entry) = index.get(item.id).filter(|entry| entry.place.segment == item.from) else {
                    let _ = item.done.send(true);
                    continue;
                };
                let fields = MessageFields {
                    id: entry.id,
                    queued_at: entry.queued_at,
                    meta: &entry.meta,
                    crc: entry.place.crc,
                    file_length: entry.place.file_length.map(Into::into),
                    inline: item.inline.len(),
                };
                let head = message_head(&fields, Some(&entry.snapshot()));
                let offset = u32::try_from(head.len()).unwrap_or(u32::MAX);
                let effect = Effect::Relocated { id: item.id, place: entry.place, offset };
                let (request, answer) =
                    Request::new(Class::Mail, Prepared::of(vec![head.into(), item.inline], vec![effect]));
                requests.push(request);
                answers.push((item.done, answer));
            }
        }
        self.commit(requests);
        for (done, mut answer) in answers {
            let _ = done.send(matches!(answer.try_recv(), Ok(Ok(()))));
        }
    }
}

fn apply(index: &mut Index, effect: Effect, segment: u32, at: u32, now: u64) -> Applied {
    match effect {
        Effect::Queue(mut new) => {
            new.entry.place.segment = segment;
            new.entry.place.offset = at + new.offset;
            let fresh = index.insert(new.entry);
            Applied::Queued(new.origin, if fresh { new.recipients } else { 0 })
        }
        Effect::Progress(id, progress) => Applied::Changed(index.progress(id, &progress)),
        Effect::Hold { id, branch, reason } => Applied::Changed(index.hold(id, branch, reason.as_deref(), now)),
        Effect::Relocated { id, place, offset } => {
            index.relocate(id, Place { segment, offset: at + offset, ..place });
            Applied::Moved
        }
    }
}

enum Applied {
    Queued(Source, u64),
    Changed(Change),
    Moved,
}

/// Sums of one group, so that the balance is told once.
#[derive(Debug, Default)]
struct Tally {
    inbound: u64,
    outbound: u64,
    notices: u64,
    moved: u64,
    changes: Vec<Change>,
    /// Large bodies that nobody needs any more.
    files: Vec<MessageId>,
    due: bool,
}

impl Tally {
    fn add(&mut self, applied: Applied) {
        match applied {
            Applied::Queued(source, recipients) => {
                self.due = true;
                match source {
                    Source::Client(Direction::Inbound) => self.inbound += recipients,
                    Source::Client(Direction::Outbound) => self.outbound += recipients,
                    Source::Notice => self.notices += recipients,
                }
            }
            Applied::Changed(change) => {
                self.due = true;
                self.files.extend(change.done.and_then(|(id, has_file)| has_file.then_some(id)));
                self.changes.push(change);
            }
            Applied::Moved => self.moved += 1,
        }
    }

    fn count(&self, shared: &Shared) {
        let balance = &shared.deps.metrics.balance;
        for (direction, count) in [(Direction::Inbound, self.inbound), (Direction::Outbound, self.outbound)] {
            if count > 0 {
                balance.accepted_queued(direction, count);
            }
        }
        if self.notices > 0 {
            balance.generated(self.notices);
        }
        let mut sum = Change::default();
        for change in &self.changes {
            // Holds one by one and in order; a recipient that ended while on hold first comes back to the queue.
            for (count, step) in [
                (change.held, Balance::hold as fn(&Balance, u64)),
                (change.released + change.were_held, Balance::release),
            ] {
                if count > 0 {
                    step(balance, count);
                }
            }
            sum.delivered += change.delivered;
            sum.failed += change.failed;
            sum.expired += change.expired;
            sum.discarded += change.discarded;
        }
        for (count, step) in [
            (sum.delivered, Balance::delivered as fn(&Balance, u64)),
            (sum.failed, Balance::bounced),
            (sum.expired, Balance::expired),
            (sum.discarded, Balance::discarded),
        ] {
            if count > 0 {
                step(balance, count);
            }
        }
        shared.deps.metrics.spool.relocated.inc_by(self.moved);
    }
}
