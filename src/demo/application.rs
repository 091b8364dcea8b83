//! The sample trading application: it logs as a real one would, is well for a while, then slows down
//! and fails. Its log is rotated now and then.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::Local;
use nightjar_model::{Clock, SystemClock};
use rand::Rng;
use tokio_util::sync::CancellationToken;

const GOODS: [&str; 8] = ["衣服", "食品", "家居", "图书", "手机", "电脑", "家电", "美妆"];
const TICK: Duration = Duration::from_millis(50);
const ROTATE_BYTES: u64 = 512 << 10;

pub(super) struct Application {
    pub(super) log: PathBuf,
    pub(super) healthy_for: Duration,
}

impl Application {
    /// Logs about twenty trades a second until `stop`.
    pub(super) fn run(&self, stop: &CancellationToken) {
        if let Err(error) = self.trade(stop) {
            eprintln!("the sample application cannot write its log: {error}");
        }
    }

    fn trade(&self, stop: &CancellationToken) -> std::io::Result<()> {
        let begun = Instant::now();
        let (mut order, mut rotations) = (2_950_211_004_u64, 0);
        let mut log = open(&self.log)?;
        let mut random = rand::rng();
        let mut failing = false;
        while !stop.is_cancelled() {
            if !failing && begun.elapsed() >= self.healthy_for {
                failing = true;
                println!("The application begins to fail now.\n");
            }
            writeln!(log, "{}", line(&mut random, order, failing))?;
            log.flush()?;
            order += 1;
            if log.get_ref().metadata()?.len() > ROTATE_BYTES {
                rotations += 1;
                std::fs::rename(&self.log, self.log.with_extension(format!("log.{rotations}")))?;
                log = open(&self.log)?;
            }
            std::thread::sleep(TICK);
        }
        Ok(())
    }
}

fn open(path: &Path) -> std::io::Result<BufWriter<File>> {
    Ok(BufWriter::new(File::options().append(true).create(true).open(path)?))
}

fn line(random: &mut impl Rng, order: u64, failing: bool) -> String {
    let (mean, failures) = if failing { (260.0, 0.35) } else { (20.0, 0.01) };
    let time = SystemClock.now().to_utc().with_timezone(&Local).format("%Y-%m-%d %H:%M:%S%.3f");
    let goods = GOODS[random.random_range(0..GOODS.len())];
    // Waiting times are exponentially distributed: most short, a few long.
    let cost = (-mean * (1.0 - random.random::<f64>()).ln()) as u64;
    let result = if random.random_bool(failures) { "N" } else { "Y" };
    format!("{time},{order},{goods},交易,创建,{cost},{result},")
}
