//! Service metrics: the figures that every service has, from one column that tells success, and one that
//! tells the cost.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{MonitorSpec, MonitorType, Stat, StatFn, default_stats};
use crate::problem::Problems;

/// The stored field of successes: each line adds 1 if it succeeded and 0 if not, so that its count is that
/// of all lines and its sum that of successes. No column can have this name.
pub const SUCCESS_FIELD: &str = "*success";

/// Where the lines of a service tell what became of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceSpec {
    /// The column of the result.
    pub result: String,
    /// Results that mean success; all others mean failure.
    #[serde(default = "yes")]
    pub success: Vec<String>,
    /// The column of what a request took, a number; without it there is no average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<String>,
}

fn yes() -> Vec<String> {
    vec!["Y".to_owned()]
}

impl StatFn {
    /// Whether it is a number of lines.
    pub fn is_count(self) -> bool {
        matches!(self, Self::Lines | Self::Success | Self::Failure)
    }

    /// Whether only service metrics have it.
    pub(super) fn is_of_services(self) -> bool {
        matches!(self, Self::Success | Self::Failure | Self::SuccessRate)
    }
}

impl ServiceSpec {
    /// `total`, `success`, `failure`, `success_rate` and, with a cost, `cost_avg`.
    pub(super) fn stats(&self) -> Vec<Stat> {
        let stat = |name: &str, function| Stat { name: name.to_owned(), function, column: None };
        let mut stats = vec![
            stat("total", StatFn::Lines),
            stat("success", StatFn::Success),
            stat("failure", StatFn::Failure),
            stat("success_rate", StatFn::SuccessRate),
        ];
        let average = |column: &String| Stat { column: Some(column.clone()), ..stat("cost_avg", StatFn::Avg) };
        stats.extend(self.cost.as_ref().map(average));
        stats
    }
}

impl MonitorSpec {
    /// Takes the statistics from `service`, unless there are others than service metrics ever have: what was
    /// read back and changed may show those that it had before.
    pub(super) fn complete_service(&mut self) {
        let Some(service) = &self.service else { return };
        let of_service = service.stats();
        let is_shown = |stat: &Stat| match stat.name.as_str() {
            "cost_avg" => stat.function == StatFn::Avg,
            name => of_service.iter().any(|one| one.name == name && one.function == stat.function),
        };
        let is_free = self.stats == default_stats() || self.stats.iter().all(is_shown);
        if self.kind == MonitorType::ServiceMetrics && is_free {
            self.stats = of_service;
        }
    }

    pub(super) fn validate_service(&self, problems: &mut Problems) {
        let service = match (&self.service, self.kind) {
            (None, MonitorType::ServiceMetrics) => {
                let text = "is required by type `service_metrics`: { result: COLUMN, success: [Y], cost: COLUMN }";
                return problems.absent("service", text);
            }
            (Some(_), kind) if kind != MonitorType::ServiceMetrics => {
                return problems.add("service", "is of monitors of type `service_metrics` alone");
            }
            (Some(service), _) => service,
            (None, _) => return,
        };
        self.need_column("service.result".into(), &service.result, problems);
        if service.success.is_empty() {
            problems.absent("service.success", "needs at least one value that means success");
        }
        if let Some(cost) = &service.cost {
            self.need_column("service.cost".into(), cost, problems);
        }
        if self.stats != service.stats() {
            let named: Vec<String> = service.stats().into_iter().map(|stat| stat.name).collect();
            let text = format!("service metrics have statistics of their own ({}): leave these out", named.join(", "));
            problems.add("stats", text);
        }
        if let Some(taken) = service.stats().iter().find(|stat| self.group_by.contains(&stat.name)) {
            problems.add("group_by", format!("`{}` is a statistic of service metrics", taken.name));
        }
    }
}
