//! The room's own figures: their names, in one place.

use std::time::Duration;

pub(crate) fn evaluation(outcome: &'static str) {
    metrics::counter!("nightjar_alerting_evaluations_total", "outcome" => outcome).increment(1);
}

pub(crate) fn evaluation_took(seconds: Duration) {
    metrics::histogram!("nightjar_alerting_evaluation_seconds").record(seconds.as_secs_f64());
}

pub(crate) fn alert(change: &'static str) {
    metrics::counter!("nightjar_alerting_alerts_total", "change" => change).increment(1);
}

pub(crate) fn firing(alerts: usize) {
    metrics::gauge!("nightjar_alerting_firing").set(alerts as f64);
}

pub(crate) fn keys_over_limit(keys: usize) {
    metrics::counter!("nightjar_alerting_keys_over_limit_total").increment(keys as u64);
}

pub(crate) fn skipped_checks(checks: u64) {
    metrics::counter!("nightjar_alerting_skipped_checks_total").increment(checks);
}

pub(crate) fn notification(channel: &'static str, outcome: &'static str) {
    metrics::counter!("nightjar_alerting_notifications_total", "channel" => channel, "outcome" => outcome).increment(1);
}

/// Notifications whose time has come and that are not sent yet.
pub(crate) fn queue_depth(due: u64) {
    metrics::gauge!("nightjar_alerting_queue_depth").set(due as f64);
}

/// From the end of the minute that brought the change to the provider's answer.
pub(crate) fn lag(lag: Duration) {
    metrics::histogram!("nightjar_alerting_lag_seconds").record(lag.as_secs_f64());
}
