//! The one thread that writes the log: takes what is queued, writes and syncs it as one frame, applies it,
//! and only then answers.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use nightjar_model::names::AgentId;
use nightjar_model::ports::Taken;
use nightjar_model::{Error, Timestamp};
use tokio::sync::{mpsc, oneshot};

use crate::config::Fsync;
use crate::error::EngineError;
use crate::queue::{Request, Write};
use crate::sequences::{Verdict, judge};
use crate::shared::Shared;
use crate::state::Frozen;
use crate::wal::Wal;
use crate::wal::record::Body;

/// One frame holds at most this much, unless one record is longer.
const FRAME_BYTES: usize = 16 << 20;

pub(crate) fn run(shared: &Shared, mut wal: Wal, mut requests: mpsc::Receiver<Request>) {
    while let Some(first) = requests.blocking_recv() {
        if let Fsync::Interval(interval) = shared.config.fsync
            && matches!(first, Request::Write(_))
        {
            std::thread::sleep(interval.0);
        }
        let mut group = Vec::new();
        let mut next = Some(first);
        let mut size = 0;
        let mut other = None;
        while let Some(request) = next.take() {
            match request {
                Request::Write(write) => {
                    size += write.bytes.len();
                    group.push(write);
                    if size < FRAME_BYTES {
                        next = requests.try_recv().ok();
                    }
                }
                request => other = Some(request),
            }
        }
        commit(shared, &mut wal, group);
        match other {
            Some(Request::Freeze(done)) => answer(done, freeze(shared, &mut wal)),
            Some(Request::DropBefore(segment, done)) => answer(done, wal.drop_before(segment)),
            Some(Request::Stop(done)) => {
                answer(done, ());
                break;
            }
            Some(Request::Write(_)) | None => {}
        }
        metrics::gauge!("nightjar_engine_wal_bytes").set(wal.bytes() as f64);
        shared.wal_is(wal.bytes());
    }
}

fn freeze(shared: &Shared, wal: &mut Wal) -> Result<Arc<Frozen>, EngineError> {
    let position = wal.rotate()?;
    Ok(shared.state.write().unwrap_or_else(PoisonError::into_inner).freeze(position, shared.clock.now()))
}

fn commit(shared: &Shared, wal: &mut Wal, group: Vec<Write>) {
    if group.is_empty() {
        return;
    }
    let (writes, repeats) = admit(shared, group);
    let records: Vec<&[u8]> = writes.iter().map(|write| write.bytes.as_slice()).collect();
    if !records.is_empty()
        && let Err(error) = wal.append(&records)
    {
        tracing::warn!(%error, source = std::error::Error::source(&error), batches = writes.len(), "the log cannot be written");
        metrics::counter!("nightjar_engine_batches_refused_total", "reason" => "log").increment(writes.len() as u64);
        let error = Error::unavailable(format!("not stored: {}", Error::from(error).message));
        // What repeats something of this group is no more stored than that is.
        for write in writes.into_iter().chain(repeats) {
            answer(write.done, Err(error.clone()));
        }
        return;
    }
    let mut closed: HashMap<_, Timestamp> = HashMap::new();
    let mut state = shared.state.write().unwrap_or_else(PoisonError::into_inner);
    for write in &writes {
        closed.extend(state.apply(&write.record));
    }
    let (bytes, active, series) = (state.memtable_bytes(), state.active.bytes() as u64, state.index.len());
    drop(state);
    metrics::gauge!("nightjar_engine_memtable_bytes").set(bytes as f64);
    metrics::gauge!("nightjar_engine_series").set(series as f64);
    metrics::counter!("nightjar_engine_batches_total").increment(writes.len() as u64);
    metrics::counter!("nightjar_engine_batch_repeats_total").increment(repeats.len() as u64);
    for write in writes {
        answer(write.done, Ok(Taken::New));
    }
    for write in repeats {
        answer(write.done, Ok(Taken::Repeat));
    }
    if active >= shared.config.memtable_bytes {
        shared.flush_wanted.notify_one();
    }
    shared.closed(closed);
}

/// Those to be written, and those that repeat what was, or is about to be.
fn admit(shared: &Shared, group: Vec<Write>) -> (Vec<Write>, Vec<Write>) {
    let state = shared.state.read().unwrap_or_else(PoisonError::into_inner);
    let full = state.memtable_bytes() >= shared.config.memtable_hard_limit_bytes;
    let mut last: HashMap<(AgentId, u64), u64> = HashMap::new();
    let (mut writes, mut repeats) = (Vec::with_capacity(group.len()), Vec::new());
    for write in group {
        let Body::Batch(batch) = &write.record.body else {
            writes.push(write);
            continue;
        };
        let of = (batch.agent.clone(), batch.incarnation);
        let known = last.get(&of).copied().unwrap_or_else(|| state.sequences.last(&batch.agent, batch.incarnation));
        match judge(known, batch.sequence) {
            Verdict::Repeat => repeats.push(write),
            Verdict::Next if full => {
                metrics::counter!("nightjar_engine_batches_refused_total", "reason" => "memory").increment(1);
                let text = "memory for fresh windows is full until they are written to disk: send it again";
                answer(write.done, Err(Error::unavailable(text)));
            }
            Verdict::Next => {
                last.insert(of, batch.sequence);
                writes.push(write);
            }
            Verdict::Gap => {
                metrics::counter!("nightjar_engine_batches_refused_total", "reason" => "gap").increment(1);
                let text = format!(
                    "sequence {} of agent {}, incarnation {}, does not follow {known}",
                    batch.sequence, batch.agent, batch.incarnation
                );
                answer(write.done, Err(Error::conflict(text)));
            }
        }
    }
    drop(state);
    if full {
        shared.flush_wanted.notify_one();
    }
    (writes, repeats)
}

fn answer<T>(to: oneshot::Sender<T>, value: T) {
    // Nobody waits any more when the caller was cancelled; what was written stays written.
    drop(to.send(value));
}

/// How long [`crate::Engine`] waits for the queue when it closes.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(60);
