//! What was written by earlier versions still opens: `tests/fixtures/engine-N` are data directories, each
//! written by the engine of its time from the same story. They are never written again.
//!
//! For a new format: `NIGHTJAR_WRITE_FIXTURE=DIR cargo test -p nightjar-engine formats` tells the story to
//! the present engine, and DIR holds what it left on disk.

use std::path::{Path, PathBuf};

use nightjar_model::delta::{Batch, MonitorDelta, Number, Watermark};
use nightjar_model::names::{AgentId, MonitorKey};
use nightjar_model::ports::{Intake, Taken, WindowReader};
use nightjar_model::query::{Progress, WindowQuery};
use nightjar_model::{Decimal, Timestamp};

use crate::fixture::{EPOCH, Fixture, MINUTE, batch, lines, through};

const HOUR: i64 = 60 * MINUTE;

/// Blocks of a day, of two hours and late ones, a series index of several chunks, a log that is in no block:
/// with late lines, figures of every size, no keys and two, and a second width of one monitor.
async fn tell(fixture: &Fixture) {
    fixture.catalog.define("w", "plain", &[], &[("count", "lines", "")]);
    fixture.catalog.define("w", "two", &["k", "$host"], &[("count", "lines", ""), ("v_max", "max", "v")]);
    fixture.clock.set(EPOCH - 40 * HOUR);
    fixture.expect(&["a", "b"]).await;
    let day: Vec<(i64, String, i64)> =
        (0..40).map(|at| (-2400 + at * 37, format!("key-{}", at % 7), at * 1001 - 9000)).collect();
    let day: Vec<(i64, &str, i64)> = day.iter().map(|(at, key, value)| (*at, key.as_str(), *value)).collect();
    send(fixture, through(batch("a", 1, vec![lines(&day)]), -10 * HOUR)).await;
    send(fixture, through(batch("b", 1, vec![lines(&day[..9]), plain(&[-2400, -2399])]), -11 * HOUR)).await;
    fixture.engine().flush().await.expect("flushed");
    send(fixture, batch("a", 2, vec![two(&[(-2399, "x", "h1", 1), (-2398, "衣", "h2", -7)])])).await;
    fixture.engine().flush().await.expect("flushed");
    fixture.clock.set(EPOCH - HOUR);
    fixture.task("engine.compact").await;
    let (least, most) = (Decimal(i128::MIN), Decimal(i128::MAX));
    let mut huge = lines(&[(-30, "huge", 0), (-30, "small", 0)]);
    figures(&mut huge, 0, most, least, most);
    figures(&mut huge, 1, Decimal(1), Decimal(-1), Decimal(2));
    send(fixture, through(batch("a", 3, vec![huge, lines(&[(-2000, "late", 5)])]), -HOUR)).await;
    fixture.engine().flush().await.expect("flushed");
    fixture.clock.set(EPOCH);
    send(fixture, through(batch("b", 2, vec![lines(&[(-3, "x", 4), (-2400, "key-0", 1)])]), -MINUTE)).await;
    let mut wide = lines(&[(-5, "x", 6)]);
    wide.width = std::time::Duration::from_secs(300);
    send(fixture, through(batch("a", 4, vec![wide, plain(&[-2])]), -2 * MINUTE)).await;
}

async fn send(fixture: &Fixture, batch: Batch) {
    assert_eq!(fixture.take(batch).await.expect("taken"), Taken::New);
}

fn plain(minutes: &[i64]) -> MonitorDelta {
    let mut delta = lines(&minutes.iter().map(|at| (*at, "", 0)).collect::<Vec<_>>());
    delta.monitor.name = "plain".into();
    delta.group_by.clear();
    delta.fields.truncate(1);
    for window in &mut delta.windows {
        window.keys.clear();
        window.partials.truncate(1);
    }
    delta
}

fn two(entries: &[(i64, &str, &str, i64)]) -> MonitorDelta {
    let mut delta = lines(&entries.iter().map(|(at, key, _, value)| (*at, *key, *value)).collect::<Vec<_>>());
    delta.monitor.name = "two".into();
    delta.group_by.push("$host".into());
    for (window, (_, _, host, _)) in delta.windows.iter_mut().zip(entries) {
        window.keys.push((*host).to_owned());
    }
    delta
}

fn figures(delta: &mut MonitorDelta, at: usize, sum: Decimal, min: Decimal, max: Decimal) {
    delta.windows[at].partials[1] = Number { count: 1, sum, min, max }.into();
}

/// All that can be asked: windows with their completeness, progress, SQL, sequences.
async fn everything(fixture: &Fixture) -> Vec<String> {
    let mut all = Vec::new();
    for name in ["m", "plain", "two"] {
        let monitor = MonitorKey::new("w", name);
        let query = WindowQuery {
            monitor: monitor.clone(),
            from: Timestamp(EPOCH - 45 * HOUR),
            until: Timestamp(EPOCH + HOUR),
            filter: Default::default(),
            by: None,
            step: None,
            max_series: 1000,
        };
        let answer = fixture.engine().windows(query).await.expect("windows");
        for series in answer.series {
            all.extend(series.windows.iter().map(|(time, partials)| {
                let figures: Vec<String> = partials
                    .iter()
                    .map(|partial| match partial.as_number() {
                        None => partial.count().to_string(),
                        Some(Number { count: 0, .. }) => "none".to_owned(),
                        Some(number) => format!("{} {} {} {}", number.count, number.sum, number.min, number.max),
                    })
                    .collect();
                format!("{name} {:?} {time} {}", series.keys, figures.join(", "))
            }));
        }
        all.extend(answer.completeness.iter().map(|c| format!("{name} {} {:?} {:?}", c.time, c.state, c.missing)));
        // The revision counts changes since the start, and is another one after each.
        let progress = fixture.engine().progress(&monitor).await.expect("progress");
        all.push(format!("{:?}", Progress { revision: 0, ..progress }));
        all.push(fixture.csv(&format!("SELECT * FROM monitor.{name} ORDER BY 1, 2, 3")).await.expect("answered"));
    }
    for agent in ["a", "b"] {
        let last = fixture.engine().last_sequence(&AgentId(agent.into()), 1).await.expect("known");
        all.push(format!("{agent} {last}"));
    }
    all
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("listed") {
        let entry = entry.expect("listed").path();
        let target = to.join(entry.file_name().expect("a name"));
        if entry.is_dir() {
            copy(&entry, &target)
        } else {
            assert!(std::fs::copy(&entry, &target).expect("copied") > 0)
        }
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

#[tokio::test]
async fn data_directories_of_every_format_open() {
    if let Some(dir) = std::env::var_os("NIGHTJAR_WRITE_FIXTURE") {
        let mut written = Fixture::at(Path::new(&dir), |_| ()).await;
        tell(&written).await;
        written.crash();
    }
    let told = Fixture::new().await;
    tell(&told).await;
    let expected = everything(&told).await;
    assert!(expected.len() > 1000, "{}", expected.len());
    for format in [1] {
        let dir = tempfile::tempdir().expect("tempdir");
        copy(&fixtures().join(format!("engine-{format}")), &dir.path().join("engine"));
        let mut opened = Fixture::at(dir.path(), |_| ()).await;
        opened.catalog.define("w", "plain", &[], &[("count", "lines", "")]);
        opened.catalog.define("w", "two", &["k", "$host"], &[("count", "lines", ""), ("v_max", "max", "v")]);
        for step in ["opened", "flushed", "compacted", "opened again", "more"] {
            match step {
                "flushed" => opened.engine().flush().await.expect("flushed"),
                "compacted" => opened.task("engine.compact").await,
                "opened again" => opened.crash_and_open().await,
                _ => {}
            }
            let repeat = batch("b", 2, vec![lines(&[(-3, "x", 1000)])]);
            assert_eq!(opened.take(repeat).await.expect("known"), Taken::Repeat);
            let found = everything(&opened).await;
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found, expected, "format {format}, {step}");
            }
            assert_eq!(found.len(), expected.len());
        }
        let told = Watermark::new(MonitorKey::new("w", "m"), Timestamp(EPOCH));
        let next = Batch { watermarks: vec![told], ..batch("b", 3, vec![lines(&[(-1, "new", 1)])]) };
        send(&opened, next).await;
    }
}
