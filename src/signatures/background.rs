//! Work on signature sets that gives way to mail: compiling a set takes whole seconds of a processor that messages need now.
//!
//! **Failure**: where priorities can't be lowered, the work goes on at the usual one; where no thread can be had, it is not
//! done, and its caller is told.

use tokio::sync::oneshot;

/// Steps below the usual priority: about a tenth of a processor that mail wants, the whole of one that is idle.
const STEPS: i32 = 10;

/// The calling thread, and those it starts, give way from now on. On Linux priorities are those of threads, elsewhere they
/// are those of whole processes.
pub fn give_way() {
    if let Err(error) = rustix::process::nice(STEPS) {
        tracing::warn!(%error, "can't lower the priority of work on signature sets: mail will wait for it");
    }
}

/// Does `work` on a thread of its own that gives way. `None`: there was no thread, or the work panicked.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = oneshot::channel();
    let thread = std::thread::Builder::new().name("signatures".to_owned());
    let started = thread.spawn(move || {
        if cfg!(target_os = "linux") {
            give_way();
        }
        // Who asked may have gone.
        let _ = done.send(work());
    });
    match started {
        Ok(_) => result.await.ok(),
        Err(error) => {
            tracing::warn!(%error, "no thread for work on signature sets");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_work_gives_way_and_nobody_else_does() {
        let priority = || rustix::process::getpriority_process(None).unwrap();
        let before = priority();
        assert_eq!(run(priority).await, Some((before + STEPS).min(19)));
        assert_eq!(priority(), before);
    }

    #[tokio::test]
    async fn work_that_panics_is_told() {
        assert_eq!(run(|| panic!("on purpose")).await, None::<()>);
    }
}
