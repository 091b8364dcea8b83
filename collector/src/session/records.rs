//! A record on its way to the engine, and the answer to it.

use std::sync::Arc;

use nightjar_model::ErrorKind;
use nightjar_model::Timestamp;
use nightjar_model::delta::{Batch, FaultReason, Watermark};
use nightjar_model::ports::Taken;
use nightjar_model::protocol::wire;
use nightjar_model::protocol::wire::to_agent;
use tokio::time::{Instant, sleep};

use super::Open;
use crate::admit::{self, Sender};
use crate::refusal::Refusal;

/// What takes more than this uncompressed is decoded beside the threads that serve, not on them.
const LARGE_BYTES: usize = 256 << 10;

impl Open {
    pub(super) async fn take(&mut self, record: wire::Record) -> Result<(), Refusal> {
        let sequence = record.sequence;
        let delay = self.pace.spend(record.payload.len(), Instant::now());
        if !delay.is_zero() {
            metrics::counter!("nightjar_collector_slowed_total").increment(1);
            tokio::select! {
                () = self.live.cancel.cancelled() => return Ok(()),
                () = self.collector.closing.cancelled() => return Ok(()),
                () = sleep(delay) => {}
            }
        }
        metrics::counter!("nightjar_collector_record_bytes_total").increment(record.payload.len() as u64);
        if sequence != 0 && sequence <= self.taken {
            metrics::counter!("nightjar_collector_records_total", "outcome" => "repeat").increment(1);
            return self.send(to_agent::Body::Ack(wire::Ack { sequence })).await;
        }
        if self.busy_at.is_some_and(|waiting| sequence > waiting) {
            // It was on its way when its predecessor was put off, and will come again after it.
            return Ok(());
        }
        if sequence != self.taken + 1 {
            return Err(Refusal::Gap { expected: self.taken + 1, got: sequence });
        }
        let collector = Arc::clone(&self.collector);
        let kib = (admit::payload_bound(&record.payload) >> 10).max(1) as u32;
        let _in_flight = collector.in_flight.acquire_many(kib).await.map_err(|_closed| Refusal::ShuttingDown)?;
        let digest = crc32fast::hash(&record.payload);
        let batch = match self.decode(record).await {
            Ok(mut batch) => {
                self.filter(&mut batch);
                batch
            }
            Err(refusal) => self.in_place_of((sequence, digest), &refusal),
        };
        let begun = Instant::now();
        let outcome = self.collector.intake.take(batch).await;
        metrics::histogram!("nightjar_collector_take_seconds").record(begun.elapsed().as_secs_f64());
        match outcome {
            Ok(taken) => {
                (self.taken, self.busy_at, self.busy_times) = (sequence, None, 0);
                let label = if taken == Taken::New { "new" } else { "repeat" };
                metrics::counter!("nightjar_collector_records_total", "outcome" => label).increment(1);
                self.send(to_agent::Body::Ack(wire::Ack { sequence })).await
            }
            // What the agent did wrong ends the session; what the server cannot do now is put off.
            Err(error) if matches!(error.kind, ErrorKind::Conflict | ErrorKind::InvalidInput) => Err(error.into()),
            Err(error) => {
                if error.kind == ErrorKind::Internal {
                    tracing::error!(%error, sequence, "a record could not be taken");
                }
                self.busy_at = Some(sequence);
                self.busy_times += 1;
                metrics::counter!("nightjar_collector_busy_total").increment(1);
                let retry_after_ms = (250 << self.busy_times.min(5)).min(5_000);
                self.send(to_agent::Body::Busy(wire::Busy { sequence, retry_after_ms, reason: error.message })).await
            }
        }
    }

    async fn decode(&self, record: wire::Record) -> Result<Batch, Refusal> {
        let (live, incarnation, large) =
            (Arc::clone(&self.live), self.incarnation, admit::payload_bound(&record.payload) > LARGE_BYTES);
        let decode = move || {
            let sender = Sender { agent: &live.id, workspace: &live.workspace, incarnation };
            admit::decode(&sender, &record)
        };
        if !large {
            return decode();
        }
        let decoding = self.collector.tasks.spawn_blocking(decode);
        decoding.await.map_err(|error| Refusal::Malformed(format!("decoding failed: {error}")))?
    }

    /// What is taken in place of a record that cannot be read. It would be unreadable each time it came,
    /// and everything after it would wait for ever; so it is passed over, and the windows that it may have
    /// been about never pass for complete.
    fn in_place_of(&mut self, (sequence, digest): (u64, u32), refusal: &Refusal) -> Batch {
        metrics::counter!("nightjar_collector_refused_total", "reason" => refusal.reason()).increment(1);
        let now = self.collector.clock.now();
        let (agent, workspace, incarnation) = (self.live.id.clone(), &self.live.workspace, self.incarnation);
        self.refused += 1;
        if self.refused.is_power_of_two() {
            tracing::warn!(%refusal, times = self.refused, "a record is passed over; what it held is not counted");
        }
        let state = self.live.state();
        let wanted = self.plan.wanted(workspace, &state.facts);
        let counts = wanted.iter().map(|monitor| (monitor.name.clone(), FaultReason::RecordRefused, 1));
        let faults = admit::faults(workspace, &state.facts.hostname, now, counts);
        let gap = |monitor| Watermark { gap: Some(now), ..Watermark::new(monitor, Timestamp(0)) };
        Batch {
            agent,
            incarnation,
            sequence,
            digest,
            deltas: faults.into_iter().collect(),
            watermarks: wanted.into_iter().map(gap).collect(),
        }
    }

    fn filter(&self, batch: &mut Batch) {
        let now = self.collector.clock.now();
        let kept = |width| self.collector.intake.accepts(now, width);
        let mut state = self.live.state();
        let (plan, workspace) = (&self.plan, &self.live.workspace);
        let uid = |name: &str| plan.uid(workspace, name);
        let is_wanted = |name: &str| plan.is_wanted(workspace, &state.facts, name);
        // What it read while it was not known that another reads the same.
        batch.deltas.retain(|delta| !state.excluded.contains_key(&delta.monitor.name));
        // Nor has it passed what is left out.
        batch.watermarks.retain(|watermark| !state.excluded.contains_key(&watermark.monitor.name));
        let left_out = admit::filter(batch, now, kept, uid, is_wanted);
        for monitor in left_out.monitors {
            metrics::counter!("nightjar_collector_left_out_total", "reason" => "no_such_monitor").increment(1);
            if state.leave_out(&monitor) {
                tracing::warn!(monitor, "figures of a monitor that is not there are left out");
            }
        }
        for delta in &batch.deltas {
            let Some(first) = delta.windows.iter().map(|window| window.start).min() else { continue };
            match state.earliest.get_mut(&delta.monitor.name) {
                Some(earliest) => *earliest = first.min(*earliest),
                None => drop(state.earliest.insert(delta.monitor.name.clone(), first)),
            }
        }
        let not_kept: u64 = left_out.not_kept.values().sum();
        if not_kept > 0 {
            metrics::counter!("nightjar_collector_left_out_total", "reason" => "not_kept").increment(not_kept);
            let counts = left_out.not_kept.into_iter().map(|(monitor, lines)| (monitor, FaultReason::NotKept, lines));
            batch.deltas.extend(admit::faults(workspace, &state.facts.hostname, now, counts));
        }
    }
}
