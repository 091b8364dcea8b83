//! The driver of background work: it runs every reconciler when its time has come or something woke
//! it, one at a time each, and keeps what became of it for `/api/v1/tasks`.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use nightjar_model::ports::{Reconciler, TaskStatus, Tasks};
use nightjar_model::{Clock, Span};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

/// After a failure, work that is due rarely is tried again sooner: from one second, doubling.
const FIRST_RETRY: Duration = Duration::from_secs(1);

pub(super) struct Driver {
    clock: Arc<dyn Clock>,
    entries: Vec<Arc<Entry>>,
}

struct Entry {
    reconciler: Arc<dyn Reconciler>,
    state: Mutex<State>,
}

struct State {
    status: TaskStatus,
    running: bool,
    failures_in_a_row: u32,
}

impl Driver {
    pub(super) fn new(clock: Arc<dyn Clock>, reconcilers: Vec<Arc<dyn Reconciler>>) -> Arc<Self> {
        let entries = reconcilers.into_iter().map(|reconciler| Arc::new(Entry::new(reconciler))).collect();
        Arc::new(Self { clock, entries })
    }

    /// Runs everything until `stop`. What is running then is let finish.
    pub(super) fn start(&self, tasks: &TaskTracker, stop: &CancellationToken) {
        for entry in &self.entries {
            let (entry, clock, stop) = (Arc::clone(entry), Arc::clone(&self.clock), stop.clone());
            let span = tracing::info_span!("task", name = entry.reconciler.name());
            tasks.spawn(async move { entry.drive(clock.as_ref(), &stop).await }.instrument(span));
        }
    }

    /// What is running now.
    pub(super) fn running(&self) -> Vec<&'static str> {
        self.entries.iter().filter(|e| e.state().running).map(|e| e.reconciler.name()).collect()
    }
}

impl Tasks for Driver {
    fn statuses(&self) -> Vec<TaskStatus> {
        self.entries.iter().map(|entry| entry.state().status.clone()).collect()
    }
}

impl Entry {
    fn new(reconciler: Arc<dyn Reconciler>) -> Self {
        let every = format!("every {}", Span(reconciler.every()));
        let trigger = if reconciler.wake().is_some() { format!("{every} and on change") } else { every };
        let status = TaskStatus {
            name: reconciler.name().to_owned(),
            trigger,
            runs: 0,
            failures: 0,
            last_started_at: None,
            last_duration_ms: None,
            last_error: None,
        };
        Self { reconciler, state: Mutex::new(State { status, running: false, failures_in_a_row: 0 }) }
    }

    async fn drive(&self, clock: &dyn Clock, stop: &CancellationToken) {
        loop {
            self.run_once(clock).await;
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = woken(self.reconciler.wake()) => {}
                () = sleep(self.pause()) => {}
            }
        }
    }

    async fn run_once(&self, clock: &dyn Clock) {
        let begun = Instant::now();
        {
            let mut state = self.state();
            state.running = true;
            state.status.last_started_at = Some(clock.now());
        }
        let outcome = AssertUnwindSafe(self.reconciler.activate()).catch_unwind().await;
        let error = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.message),
            Err(panic) => {
                let message = panic_message(panic.as_ref());
                tracing::error!(message, "background work panicked");
                Some(format!("panicked: {message}"))
            }
        };
        let name = self.reconciler.name();
        let result = if error.is_none() { "done" } else { "failed" };
        metrics::counter!("nightjar_task_runs_total", "task" => name, "result" => result).increment(1);
        metrics::histogram!("nightjar_task_seconds", "task" => name).record(begun.elapsed().as_secs_f64());

        let mut state = self.state();
        state.running = false;
        state.status.runs += 1;
        state.status.last_duration_ms = Some(begun.elapsed().as_millis() as u64);
        match &error {
            // The same failure again and again is one line in the log, and a count in the status.
            Some(message) => {
                state.status.failures += 1;
                state.failures_in_a_row += 1;
                if state.status.last_error.as_ref() != Some(message) {
                    tracing::warn!(error = message, "background work failed; it will be tried again");
                }
            }
            None if state.failures_in_a_row > 0 => {
                tracing::info!(failures = state.failures_in_a_row, "background work succeeds again");
                state.failures_in_a_row = 0;
            }
            None => {}
        }
        state.status.last_error = error;
    }

    fn pause(&self) -> Duration {
        let every = self.reconciler.every();
        match self.state().failures_in_a_row {
            0 => every,
            failures => every.min(FIRST_RETRY * 2u32.pow((failures - 1).min(8))),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn woken(notify: Option<&Notify>) {
    match notify {
        Some(notify) => notify.notified().await,
        None => std::future::pending().await,
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "for an unknown reason".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use nightjar_model::{Error, Result, SystemClock};

    use super::*;

    /// Fails at its first run, panics at its second, is well from then on.
    #[derive(Default)]
    struct Moody {
        runs: AtomicU32,
        wake: Notify,
        ran: Notify,
    }

    #[async_trait]
    impl Reconciler for Moody {
        fn name(&self) -> &'static str {
            "test.moody"
        }
        fn every(&self) -> Duration {
            Duration::from_secs(3600)
        }
        fn wake(&self) -> Option<&Notify> {
            Some(&self.wake)
        }
        async fn activate(&self) -> Result<()> {
            self.ran.notify_one();
            match self.runs.fetch_add(1, Ordering::SeqCst) {
                0 => Err(Error::unavailable("not yet")),
                1 => panic!("now this"),
                _ => Ok(()),
            }
        }
    }

    #[tokio::test]
    async fn failures_and_panics_are_kept_and_tried_again() {
        let moody = Arc::new(Moody::default());
        let driver = Driver::new(Arc::new(SystemClock), vec![moody.clone()]);
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        driver.start(&tasks, &stop);
        // The second and third runs come by themselves, by the retry.
        for _ in 0..3 {
            moody.ran.notified().await;
        }
        let settled = || driver.statuses()[0].runs == 3;
        while !settled() {
            tokio::task::yield_now().await;
        }
        let status = driver.statuses().remove(0);
        assert_eq!((status.failures, status.last_error), (2, None));
        assert_eq!(status.trigger, "every 1h and on change");

        moody.wake.notify_one();
        moody.ran.notified().await;
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        assert_eq!(driver.statuses()[0].runs, 4, "woken at once");
        assert!(driver.running().is_empty());
    }
}
