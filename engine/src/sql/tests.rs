use std::time::Duration;

use async_trait::async_trait;
use nightjar_model::ports::{DefinedMonitor, MonitorCatalog, WindowReader};
use nightjar_model::{Span, SystemClock};

use super::*;
use crate::{Engine, EngineConfig};

struct NoMonitors;

#[async_trait]
impl MonitorCatalog for NoMonitors {
    async fn monitors(&self, _: &str) -> Result<Vec<DefinedMonitor>> {
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn a_statement_waits_for_its_turn_and_not_for_ever() {
    let dir = tempfile::tempdir().expect("tempdir");
    let config = EngineConfig {
        data_dir: dir.path().to_owned(),
        query_concurrency: 1,
        query_timeout: Span(Duration::from_millis(200)),
        ..EngineConfig::default()
    };
    let engine = Engine::open(config, Arc::new(SystemClock), Arc::new(NoMonitors)).await.expect("opened");
    let turn = engine.shared.statements.acquire().await.expect("a turn");
    let error = engine.sql("w", "SELECT 1 AS one", SqlFormat::Csv).await.expect_err("no turn");
    assert!(error.kind == ErrorKind::Timeout && error.message.contains("1 other queries"), "{error}");
    let (answer, ()) = tokio::join!(engine.sql("w", "SELECT 1 AS one", SqlFormat::Csv), async { drop(turn) });
    assert!(answer.is_ok(), "{answer:?}");
}
