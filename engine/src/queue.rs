//! What waits for the thread that writes the log, in the order in which it is written, bounded in bytes.

use std::sync::Arc;

use nightjar_model::ports::Taken;
use nightjar_model::{Error, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::error::EngineError;
use crate::state::Frozen;
use crate::wal::record::Record;

/// Requests that wait; their bytes have a bound of their own.
const REQUESTS: usize = 1024;

/// Records that wait take at most this much memory.
const KIB: usize = 64 << 10;

pub(crate) enum Request {
    Write(Write),
    /// Sets the memtable aside.
    Freeze(oneshot::Sender<Result<Arc<Frozen>, EngineError>>),
    /// The log before this segment is in blocks.
    DropBefore(u64, oneshot::Sender<Result<(), EngineError>>),
    Stop(oneshot::Sender<()>),
}

pub(crate) struct Write {
    pub(crate) record: Record,
    pub(crate) bytes: Vec<u8>,
    pub(crate) done: oneshot::Sender<Result<Taken, Error>>,
    /// Its share of the memory that queued records may take.
    pub(crate) _permit: OwnedSemaphorePermit,
}

/// The near end of the queue.
pub(crate) struct Queue {
    requests: mpsc::Sender<Request>,
    room: Arc<Semaphore>,
}

impl Queue {
    /// With its far end.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Request>) {
        let (requests, far) = mpsc::channel(REQUESTS);
        (Self { requests, room: Arc::new(Semaphore::new(KIB)) }, far)
    }

    /// Returns once the record is in the log, and applied.
    pub(crate) async fn write(&self, record: Record) -> Result<Taken> {
        let bytes = record.encode();
        let kib = (bytes.len() / 1024 + 1).min(KIB) as u32;
        let permit = Arc::clone(&self.room).acquire_many_owned(kib).await.map_err(|_| EngineError::Closed)?;
        let (done, answer) = oneshot::channel();
        self.send(Request::Write(Write { record, bytes, done, _permit: permit })).await?;
        answer.await.map_err(|_| EngineError::Closed)?
    }

    /// Asks for something that is not a record, and waits for the answer.
    pub(crate) async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, EngineError>>) -> Request,
    ) -> Result<Result<T, EngineError>> {
        let (done, answer) = oneshot::channel();
        self.send(request(done)).await?;
        Ok(answer.await.map_err(|_| EngineError::Closed)?)
    }

    pub(crate) async fn send(&self, request: Request) -> Result<(), EngineError> {
        self.requests.send(request).await.map_err(|_| EngineError::Closed)
    }

    /// For those who cannot wait; whether there was room.
    pub(crate) fn try_send(&self, request: Request) -> bool {
        !matches!(self.requests.try_send(request), Err(mpsc::error::TrySendError::Full(_)))
    }
}
