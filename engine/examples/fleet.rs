//! What completeness costs with a large fleet: watermarks, an agent that comes and one that goes, the log and
//! the checkpoint of it. Nothing is counted, so what is measured is bookkeeping.
//!
//! `fleet DIRECTORY AGENTS MONITORS [MINUTES]`; each agent tells every monitor's watermark in one record, three
//! times a minute.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use nightjar_engine::{Engine, EngineConfig};
use nightjar_model::delta::{Batch, Watermark};
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::{DefinedMonitor, Expectation, ExpectedAgent, Intake, MonitorCatalog, WindowReader};
use nightjar_model::{Clock, Result, Timestamp};

const EPOCH: i64 = 1_769_846_400_000;
const MINUTE: i64 = 60_000;
const RECORDS_A_MINUTE: i64 = 3;

struct At(AtomicI64);

impl Clock for At {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

struct Nothing;

#[async_trait]
impl MonitorCatalog for Nothing {
    async fn monitors(&self, _: &str) -> Result<Vec<DefinedMonitor>> {
        Ok(Vec::new())
    }
}

fn monitors(count: usize) -> Vec<MonitorKey> {
    (0..count).map(|no| MonitorKey::new("default", format!("monitor-{no:03}"))).collect()
}

fn id(agent: usize) -> AgentId {
    AgentId(format!("0190f3c2-7a11-7b3e-9c55-{agent:012}"))
}

/// Half of the monitors keep hosts apart.
fn expectations(monitors: &[MonitorKey], agents: std::ops::Range<usize>) -> Vec<Expectation> {
    let of = |(no, monitor): (usize, &MonitorKey)| {
        let mut one = Expectation::new(monitor.clone(), Duration::from_secs(60), []);
        if no % 2 == 0 {
            one.columns = vec!["$host".to_owned()];
        }
        let keys = |agent: usize| if no % 2 == 0 { vec![format!("host-{agent}")] } else { Vec::new() };
        one.agents = agents.clone().map(|agent| ExpectedAgent { id: id(agent), keys: keys(agent) }).collect();
        one
    };
    monitors.iter().enumerate().map(of).collect()
}

fn bytes_of(directory: &Path, folder: &str, starts: &str) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory.join(folder)) else { return 0 };
    let named = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with(starts);
    entries.flatten().filter(named).filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}

#[expect(clippy::print_stdout, reason = "a program for people")]
#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, agents, monitor_count, rest @ ..] = arguments.as_slice() else {
        return Err("fleet DIRECTORY AGENTS MONITORS [MINUTES]".into());
    };
    let directory = PathBuf::from(directory).join("engine");
    let (agents, monitors): (usize, _) = (agents.parse()?, monitors(monitor_count.parse()?));
    let minutes: i64 = rest.first().map_or(Ok(3), |minutes| minutes.parse())?;
    let clock = Arc::new(At(AtomicI64::new(EPOCH)));
    let config = EngineConfig { data_dir: directory.clone(), ..EngineConfig::default() };
    let engine = Engine::open(config.clone(), clock.clone(), Arc::new(Nothing)).await?;

    let log = || bytes_of(&directory, "wal", "");
    let before = log();
    let started = Instant::now();
    engine.expect(expectations(&monitors, 0..agents)).await?;
    println!(
        "expect {agents} agents × {} monitors: {:.0} ms, {} bytes of log",
        monitors.len(),
        started.elapsed().as_secs_f64() * 1e3,
        log() - before
    );

    let mut sequences = vec![0_u64; agents];
    for minute in 0..minutes {
        let started = Instant::now();
        for part in 0..RECORDS_A_MINUTE {
            let at = EPOCH + minute * MINUTE + part * MINUTE / RECORDS_A_MINUTE;
            clock.0.store(at, Ordering::SeqCst);
            // As they come: many are on their way at once.
            for some in (0..agents).collect::<Vec<_>>().chunks(256) {
                let takes = some.iter().map(|agent| {
                    sequences[*agent] += 1;
                    let through = Timestamp(at - 1000);
                    engine.take(Batch {
                        agent: id(*agent),
                        incarnation: 1,
                        sequence: sequences[*agent],
                        digest: 1,
                        deltas: Vec::new(),
                        watermarks: monitors.iter().map(|monitor| Watermark::new(monitor.clone(), through)).collect(),
                    })
                });
                let taken = futures::future::join_all(takes.collect::<Vec<_>>()).await;
                taken.into_iter().collect::<Result<Vec<_>>>()?;
            }
        }
        let told = agents * monitors.len() * RECORDS_A_MINUTE as usize;
        let micros = started.elapsed().as_secs_f64() * 1e6;
        println!("minute {minute}: {told} watermarks, {:.2} µs each", micros / told as f64);
    }
    let progress = engine.progress(&monitors[0]).await?;
    assert_eq!(progress.expected, agents);

    for (what, fleet) in [("one comes", 0..agents + 1), ("one goes", 1..agents + 1), ("the same again", 1..agents + 1)]
    {
        let before = log();
        let started = Instant::now();
        engine.expect(expectations(&monitors, fleet)).await?;
        println!("{what}: {:.0} ms, {} bytes of log", started.elapsed().as_secs_f64() * 1e3, log() - before);
    }

    let started = Instant::now();
    engine.flush().await?;
    println!(
        "flush: {:.0} ms, checkpoint of {} bytes, manifest of {} bytes",
        started.elapsed().as_secs_f64() * 1e3,
        bytes_of(&directory, "", "checkpoint-"),
        bytes_of(&directory, "", "manifest")
    );
    engine.close().await?;
    drop(engine);
    let started = Instant::now();
    let engine = Engine::open(config, clock, Arc::new(Nothing)).await?;
    println!("open again: {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
    assert_eq!(engine.progress(&monitors[0]).await?.expected, agents);
    engine.close().await?;
    Ok(())
}
