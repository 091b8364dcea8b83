//! Server and agent are killed again and again while applications log and rotate; what is counted in
//! the end is what was written, to the line and to the sum.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::figures::{difference, stored};
use crate::harness::generator::{Generator, Live, Rotation};
use crate::harness::{Stand, wait_for};

const KILLS: u32 = 24;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_by_kills_and_rotations() {
    let mut stand = Stand::start().await;
    let monitor = |name: &str, file: &str| {
        json!({
            "kind": "Monitor",
            "metadata": { "name": name },
            "spec": {
                "type": "minute_multi_key",
                "source": { "log": { "paths": [{ "path": stand.path(file) }], "start": "beginning" } },
                "columns": [
                    { "name": "goods", "pick": { "split": { "by": ",", "index": 2 } } },
                    { "name": "cost", "pick": { "split": { "by": ",", "index": 5 } }, "number": true },
                ],
                "group_by": ["goods"],
                "stats": [{ "name": "count", "fn": "lines" }, { "name": "cost_sum", "fn": "sum", "column": "cost" }],
            },
        })
    };
    let documents = json!([monitor("renamed", "renamed.log"), monitor("truncated", "truncated.log")]);
    stand.apply(documents).await;
    stand.start_agent("agent", &[]).await;

    let live = |file: &str, rotation: Rotation, rotate_bytes: u64, seed: u64| {
        Generator::live(Live { file: stand.path(file), rate: 1500, seconds: 70, rotate_bytes, rotation, seed })
    };
    let mut renamed = live("renamed.log", Rotation::Rename, 400_000, 11);
    let truncated = live("truncated.log", Rotation::CopyTruncate, 1_500_000, 12);

    // The same kills in every run, at moments that differ.
    let mut random = StdRng::seed_from_u64(20);
    let mut kills = 0;
    let deadline = Instant::now() + Duration::from_secs(150);
    while kills < KILLS {
        assert!(Instant::now() < deadline, "{kills} kills in 150 s");
        tokio::time::sleep(Duration::from_millis(random.random_range(300..2200))).await;
        let away = Duration::from_millis(random.random_range(0..600));
        if random.random_bool(0.5) {
            stand.kill_server();
            tokio::time::sleep(away).await;
            stand.launch_server();
        } else {
            stand.kill_agent("agent");
            tokio::time::sleep(away).await;
            stand.launch_agent("agent", "", &[]);
        }
        kills += 1;
    }
    assert!(renamed.is_running(), "the kills came after the logging had ended");
    let (renamed, truncated) =
        tokio::task::spawn_blocking(move || (renamed.finish(), truncated.finish())).await.unwrap();
    stand.wait_ready().await;
    for (monitor, written) in [("renamed", renamed), ("truncated", truncated)] {
        wait_for(monitor, Duration::from_secs(60), async || {
            difference(&stored(&stand, monitor, "goods", "cost_sum").await, &written)
        })
        .await;
    }
}
