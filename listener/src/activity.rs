//! What a connection is about at the moment.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::task::AtomicWaker;
use tokio::time::Instant;

/// One connection, for those who serve it.
#[derive(Debug)]
pub struct Connection {
    first: Duration,
    idle: Duration,
    activity: Mutex<Activity>,
    protected: AtomicUsize,
    /// How many of its peer's connections are protected.
    of_peer: Arc<AtomicUsize>,
    evicted: AtomicBool,
    /// Of the task that reads the connection.
    reader: AtomicWaker,
}

#[derive(Debug)]
struct Activity {
    under_way: usize,
    /// When the connection was taken, or the last thing under way ended.
    since: Instant,
    began: bool,
}

/// Something that counts is under way until this is dropped.
#[derive(Debug)]
pub struct UnderWay(Arc<Connection>);

/// The connection is not parted with until this is dropped.
#[derive(Debug)]
pub struct Protected(Arc<Connection>);

impl Connection {
    pub(crate) fn new(first: Duration, idle: Duration, of_peer: Arc<AtomicUsize>) -> Arc<Self> {
        Arc::new(Self {
            first,
            idle,
            activity: Mutex::new(Activity { under_way: 0, since: Instant::now(), began: false }),
            protected: AtomicUsize::new(0),
            of_peer,
            evicted: AtomicBool::new(false),
            reader: AtomicWaker::new(),
        })
    }

    /// Something begins that counts: as long as it lasts the connection may be silent.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> UnderWay {
        let mut activity = self.activity();
        activity.under_way += 1;
        activity.began = true;
        UnderWay(Arc::clone(self))
    }

    /// Work begins that would be lost with the connection.
    #[must_use]
    pub fn protect(self: &Arc<Self>) -> Protected {
        if self.protected.fetch_add(1, Ordering::Relaxed) == 0 {
            self.of_peer.fetch_add(1, Ordering::Relaxed);
        }
        Protected(Arc::clone(self))
    }

    /// When the connection has been silent for too long; `None` while something is under way.
    pub(crate) fn due(&self) -> Option<Instant> {
        let activity = self.activity();
        let patience = if activity.began { self.idle } else { self.first };
        (activity.under_way == 0).then(|| activity.since + patience)
    }

    /// Whether it was of use and waits to be again: parting with it costs its other side a new connection, nothing else.
    pub(crate) fn is_kept_alive(&self) -> bool {
        let activity = self.activity();
        activity.began && activity.under_way == 0 && !self.is_protected()
    }

    pub(crate) fn is_protected(&self) -> bool {
        self.protected.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::Acquire)
    }

    pub(crate) fn evict(&self) {
        self.evicted.store(true, Ordering::Release);
        self.reader.wake();
    }

    /// Who is woken when the connection is evicted, or when its time begins to run.
    pub(crate) fn register(&self, waker: &std::task::Waker) {
        self.reader.register(waker);
    }

    fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        {
            let mut activity = self.0.activity();
            activity.under_way -= 1;
            activity.since = Instant::now();
        }
        self.0.reader.wake();
    }
}

impl Drop for Protected {
    fn drop(&mut self) {
        if self.0.protected.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.0.of_peer.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
