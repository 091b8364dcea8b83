//! The generator for machines that have no other.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chrono::{DateTime, Local, NaiveDateTime, TimeZone};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Kind, Live, Rotation, Totals, minute_start};

const GOODS: [&str; 6] = ["衣服", "食品", "家居", "图书", "手机", "g001"];
const STATIONS: [&str; 3] = ["广州北收费站", "深圳西收费站", "东莞收费站"];

/// A line without its end, its key and its cost.
fn line(kind: Kind, random: &mut StdRng, number: u64, at: DateTime<Local>) -> (String, &'static str, i64) {
    let cost = random.random_range(0..300);
    let result = if random.random_bool(0.01) { "N" } else { "Y" };
    match kind {
        Kind::Trade => {
            let key = GOODS[random.random_range(0..GOODS.len())];
            let time = at.format("%Y-%m-%d %H:%M:%S%.3f");
            (format!("{time},{},{key},交易,创建,{cost},{result},", 2_950_211_004 + number), key, cost)
        }
        Kind::Toll => {
            let key = STATIONS[random.random_range(0..STATIONS.len())];
            let time = at.format("%Y-%m-%d %H:%M:%S");
            (format!("{time},粤A{:05},{key},G25,广州,￥50,{cost}ms,{result}", number % 100_000), key, cost)
        }
    }
}

fn count(totals: &mut Totals, at: DateTime<Local>, key: &str, cost: i64) {
    let minute = minute_start(&at.format("%Y-%m-%d %H:%M").to_string());
    let cell = totals.entry((minute, key.to_owned())).or_default();
    *cell = (cell.0 + 1, cell.1 + cost);
}

pub(super) fn write(kind: Kind, file: &Path, lines: u32, per_minute: u32, start: &str) -> Totals {
    let start = NaiveDateTime::parse_from_str(start, "%Y-%m-%d %H:%M:%S").unwrap();
    let start = Local.from_local_datetime(&start).earliest().unwrap();
    let (mut random, mut totals) = (StdRng::seed_from_u64(7), Totals::new());
    let mut log = BufWriter::new(File::create(file).unwrap());
    for number in 0..lines {
        let at = start + Duration::from_millis(u64::from(number) * 60_000 / u64::from(per_minute));
        let (text, key, cost) = line(kind, &mut random, u64::from(number), at);
        writeln!(log, "{text}").unwrap();
        count(&mut totals, at, key, cost);
    }
    log.flush().unwrap();
    totals
}

/// A thread that logs.
pub(crate) struct Writer {
    thread: Option<JoinHandle<Totals>>,
    stop: Arc<AtomicBool>,
}

impl Writer {
    pub(super) fn start(live: Live) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let stopped = stop.clone();
        Self { thread: Some(std::thread::spawn(move || log(&live, &stopped))), stop }
    }

    pub(super) fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    pub(super) fn finish(&mut self) -> Totals {
        self.thread.take().expect("not finished before").join().unwrap()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn log(live: &Live, stop: &AtomicBool) -> Totals {
    let (mut random, mut totals) = (StdRng::seed_from_u64(live.seed), Totals::new());
    let open = || OpenOptions::new().append(true).create(true).open(&live.file).unwrap();
    let (mut file, mut size, mut rotations, mut number) = (open(), 0, 0, 0);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(u64::from(live.seconds)) && !stop.load(Ordering::Relaxed) {
        while (number as f64) < begun.elapsed().as_secs_f64() * f64::from(live.rate) {
            let at = Local::now();
            let (text, key, cost) = line(Kind::Trade, &mut random, number, at);
            let text = format!("{text}\n");
            if size + text.len() as u64 > live.rotate_bytes {
                rotations += 1;
                let old = live.file.with_extension(format!("log.{rotations}"));
                match live.rotation {
                    Rotation::Rename => {
                        std::fs::rename(&live.file, old).unwrap();
                        file = open();
                    }
                    Rotation::CopyTruncate => {
                        // What is written between copy and truncation would be lost to everybody.
                        std::thread::sleep(Duration::from_millis(1500));
                        std::fs::copy(&live.file, old).unwrap();
                        file.set_len(0).unwrap();
                    }
                }
                size = 0;
            }
            file.write_all(text.as_bytes()).unwrap();
            size += text.len() as u64;
            number += 1;
            count(&mut totals, at, key, cost);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    totals
}
