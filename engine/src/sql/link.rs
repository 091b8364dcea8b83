//! A statement's process on its end: questions to the server, and pieces of the answer.

use std::collections::HashMap;
use std::io::{self, Cursor, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use nightjar_model::{Error, Result};
use roaring::RoaringBitmap;
use tokio::sync::oneshot;

use super::wire::{self, Fault, MonitorShape, Question, Reply, Report, TableData};
use crate::completeness::StateSteps;
use crate::tier::Tier;

type Answer = (Result<Reply, Fault>, Vec<u8>);

#[derive(Debug)]
pub(super) struct Link {
    stream: Mutex<UnixStream>,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Answer>>>,
    questions: AtomicU64,
}

impl Link {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream: Mutex::new(stream), waiting: Mutex::default(), questions: AtomicU64::new(0) }
    }

    pub(super) fn send(&self, report: &Report, body: &[u8]) -> io::Result<()> {
        let frame = wire::frame(report, body)?;
        self.stream.lock().unwrap_or_else(PoisonError::into_inner).write_all(&frame)
    }

    /// Hands a reply to who waits for it.
    pub(super) fn reply(&self, number: u64, outcome: Result<Reply, Fault>, body: Vec<u8>) {
        if let Some(waiting) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&number) {
            // Who asked may have been given up.
            drop(waiting.send((outcome, body)));
        }
    }

    async fn ask(&self, question: Question, body: &[u8]) -> Result<(Reply, Vec<u8>)> {
        let number = self.questions.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(number, sender);
        self.send(&Report::Question(number, question), body).map_err(gone)?;
        let (outcome, body) = answer.await.map_err(|_| Error::internal("the server does not answer"))?;
        Ok((outcome.map_err(Error::from)?, body))
    }

    pub(super) async fn monitors(&self) -> Result<Vec<MonitorShape>> {
        match self.ask(Question::Monitors, &[]).await? {
            (Reply::Monitors(monitors), _) => Ok(monitors),
            _ => Err(unexpected()),
        }
    }

    pub(super) async fn tables(&self, names: Vec<String>) -> Result<Vec<TableData>> {
        match self.ask(Question::Tables(names), &[]).await? {
            (Reply::Tables(tables), _) => Ok(tables),
            _ => Err(unexpected()),
        }
    }

    /// Of windows of `step`, of those stored without one.
    pub(super) async fn completeness(
        &self,
        table: &str,
        step: Option<i64>,
        from: i64,
        until: i64,
    ) -> Result<StateSteps> {
        match self.ask(Question::Completeness { table: table.to_owned(), step, from, until }, &[]).await? {
            (Reply::Completeness(states), _) => Ok(states),
            _ => Err(unexpected()),
        }
    }

    pub(super) async fn lookup(&self, table: &str, column: &str, values: Vec<String>) -> Result<RoaringBitmap> {
        let question = Question::Lookup { table: table.to_owned(), column: column.to_owned(), values };
        match self.ask(question, &[]).await? {
            (Reply::Lookup, body) => {
                RoaringBitmap::deserialize_from(body.as_slice()).map_err(|error| Error::internal(error.to_string()))
            }
            _ => Err(unexpected()),
        }
    }

    /// Batches of `series`, sorted, and the columns as dictionaries.
    pub(super) async fn labels(
        &self,
        table: &str,
        columns: &[String],
        series: Option<&RoaringBitmap>,
    ) -> Result<Vec<RecordBatch>> {
        let wanted = written(series);
        let mut batches = Vec::new();
        let mut after = None;
        loop {
            let question = Question::Labels { table: table.to_owned(), columns: columns.to_vec(), after };
            let (Reply::Labels { more }, body) = self.ask(question, &wanted).await? else { return Err(unexpected()) };
            let fresh = stream(body)?;
            let last = fresh.last().and_then(|batch| {
                let ids = arrow::array::AsArray::as_primitive_opt::<arrow::datatypes::UInt32Type>(batch.column(0))?;
                ids.values().last().copied()
            });
            batches.extend(fresh);
            after = last;
            if !more || after.is_none() {
                return Ok(batches);
            }
        }
    }

    /// Sorted runs of batches as in a block.
    pub(super) async fn memory(
        &self,
        table: &str,
        tier: Tier,
        series: Option<&RoaringBitmap>,
        mut from: i64,
        until: i64,
    ) -> Result<Vec<Vec<RecordBatch>>> {
        let wanted = written(series);
        let mut runs = Vec::new();
        loop {
            let question = Question::Memory { table: table.to_owned(), tier, from, until };
            let (reply, body) = self.ask(question, &wanted).await?;
            let Reply::Memory { next } = reply else { return Err(unexpected()) };
            runs.push(stream(body)?);
            match next {
                Some(next) => from = next,
                None => return Ok(runs),
            }
        }
    }
}

/// An absent bitmap is no bytes; an empty one is some.
fn written(series: Option<&RoaringBitmap>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(series) = series {
        // Writing to memory does not fail.
        drop(series.serialize_into(&mut bytes));
    }
    bytes
}

fn stream(bytes: Vec<u8>) -> Result<Vec<RecordBatch>> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let read = StreamReader::try_new(Cursor::new(bytes), None).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    read.map_err(|error| Error::internal(error.to_string()))
}

fn unexpected() -> Error {
    Error::internal("the server answers another question")
}

fn gone(error: io::Error) -> Error {
    Error::internal(format!("the server is gone: {error}"))
}
