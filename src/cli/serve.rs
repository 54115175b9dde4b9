//! `sekisho serve` and `sekisho demo`: makes the threads, hands over to the composition and waits until it ends.
//!
//! **Failure**: where the way threads are scheduled can't be chosen, they are scheduled as usual, which takes more of the processor.

use std::io;
use std::path::Path;

use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use super::exit;
use super::failure::Failure;
use crate::app;
use crate::config::{Loaded, Scheduling, usual_threads};

pub(super) fn run(file: &Path, loaded: Loaded) -> Result<u8, Failure> {
    let threads = Threads::start(loaded.settings.threads(), loaded.settings.scheduling)?;
    let served = threads.serving.block_on(app::serve::run(file, loaded, threads.housekeeping.handle()));
    served.map_err(|error| Failure::Other(error.to_string()))?;
    threads.end();
    Ok(exit::OK)
}

pub(super) fn demo() -> Result<u8, Failure> {
    let threads = Threads::start(usual_threads(), Scheduling::default())?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    threads.housekeeping.spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        stopped.cancel();
    });
    let shown = threads.serving.block_on(app::demo::run(stop, threads.housekeeping.handle()));
    shown.map_err(|error| Failure::Other(error.to_string()))?;
    threads.end();
    Ok(exit::OK)
}

struct Threads {
    /// Connections, of clients and to next hops.
    serving: Runtime,
    /// What goes over all tenants or the whole queue, and what operators ask: it may take long, and no mail waits for it.
    housekeeping: Runtime,
}

impl Threads {
    fn start(serving: usize, scheduling: Scheduling) -> io::Result<Self> {
        if scheduling == Scheduling::Batch {
            interrupt_nobody();
        }
        let threads = |count: usize, name: &str| {
            Builder::new_multi_thread().worker_threads(count).thread_name(name).enable_all().build()
        };
        Ok(Self { serving: threads(serving, "mail")?, housekeeping: threads(1, "housekeeping")? })
    }

    /// Work that the drain time did not see ended is on disk; nobody waits for it.
    fn end(self) {
        self.serving.shutdown_background();
        self.housekeeping.shutdown_background();
    }
}

/// From now on this thread, and those it starts, interrupt nobody who computes when they are woken (SCHED_BATCH of sched(7)); in
/// everything else they are like others: see decision 10.
fn interrupt_nobody() {
    #[cfg(target_os = "linux")]
    {
        use preempt_rt::sched::{Pid, Scheduler, SchedulerParams, set_scheduler};
        let throughput = SchedulerParams { priority: 0 };
        if let Err(error) = set_scheduler(Pid::current_thread(), Scheduler::SCHED_BATCH, throughput) {
            tracing::warn!(%error, "scheduling = \"batch\" is not to be had here; threads are scheduled as usual");
        }
    }
    #[cfg(not(target_os = "linux"))]
    tracing::warn!("scheduling = \"batch\" is for Linux; threads are scheduled as usual");
}
