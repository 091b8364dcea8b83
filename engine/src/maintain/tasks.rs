//! The background work as reconcilers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nightjar_model::Result;
use nightjar_model::ports::Reconciler;
use tokio::sync::Notify;

use super::{compact, flush, retain, rollup};
use crate::shared::Shared;

enum What {
    Flush,
    Compact,
    RollUp,
    Retain,
}

struct Task {
    what: What,
    shared: Arc<Shared>,
}

pub(crate) fn all(shared: &Arc<Shared>) -> Vec<Arc<dyn Reconciler>> {
    let task = |what| Arc::new(Task { what, shared: Arc::clone(shared) }) as Arc<dyn Reconciler>;
    vec![task(What::Flush), task(What::Compact), task(What::RollUp), task(What::Retain)]
}

#[async_trait]
impl Reconciler for Task {
    fn name(&self) -> &'static str {
        match self.what {
            What::Flush => "engine.flush",
            What::Compact => "engine.compact",
            What::RollUp => "engine.rollup",
            What::Retain => "engine.retain",
        }
    }

    fn every(&self) -> Duration {
        match self.what {
            What::Flush => Duration::from_secs(10),
            What::Compact | What::RollUp => Duration::from_secs(600),
            What::Retain => Duration::from_secs(3600),
        }
    }

    fn wake(&self) -> Option<&Notify> {
        match self.what {
            What::Flush => Some(&self.shared.flush_wanted),
            What::Compact => Some(&self.shared.compact_wanted),
            What::RollUp | What::Retain => None,
        }
    }

    async fn activate(&self) -> Result<()> {
        match self.what {
            What::Flush if flush::due(&self.shared) => flush::flush(&self.shared).await,
            What::Flush => Ok(()),
            What::Compact => compact::compact(&self.shared).await,
            What::RollUp => rollup::roll_up(&self.shared).await,
            What::Retain => retain::retain(&self.shared).await,
        }
    }
}
