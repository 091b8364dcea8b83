//! The room's settings.

use nightjar_model::address::AddressRange;
use nightjar_model::kinds::alert_rule::Level;
use nightjar_model::kinds::contact::Language;
use nightjar_model::{Problems, Span};
use serde::Deserialize;

/// Settings of alerting. Every field has a default.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertingConfig {
    /// Of messages to groups, robots and webhooks, and to contacts that name none.
    pub language: Language,
    /// IANA name of the zone that messages show times in, where a contact names none; the host's without it.
    pub timezone: Option<String>,
    /// Where people reach the console; messages link to it. No links without it.
    pub external_url: Option<String>,
    /// Rules judged at the same time.
    pub concurrent_rules: usize,
    /// How far back checks are made up for after a standstill; older ones are skipped and recorded.
    pub catch_up: Span,
    /// After a start, agents have at least so long to send what they kept meanwhile, before a minute is
    /// taken for one that stays partial.
    pub settle_in: Span,
    /// An agent that was not heard of for so long is told of, by an alert of its own; 0 tells of none.
    pub agent_lost_after: Span,
    /// The level of that alert.
    pub agent_lost_level: Level,
    /// An agent whose clock is wrong, or that cannot do its work, for so long is told of; 0 tells of none.
    pub agent_unwell_after: Span,
    pub agent_unwell_level: Level,
    /// Rules that could not be judged for so long, because data is missing, are told of to those who hear of
    /// them; 0 tells of none.
    pub blind_after: Span,
    /// What goes on of these alerts is told again so often; 0 never.
    pub remind_every: Span,
    /// States kept of one rule; keys over it are counted and recorded, not judged.
    pub max_states: usize,
    /// Keys of a monitor that one check may read.
    pub max_series: usize,
    /// A key without data for so long is no longer judged; its alert is closed.
    pub forget_keys_after: Span,
    /// Messages on their way at the same time, over all receivers.
    pub concurrent_sends: usize,
    /// A receiver that takes longer has failed this attempt.
    pub send_timeout: Span,
    /// Addresses and ranges to which nothing is sent, whatever documents say. At first those where clouds
    /// hand credentials to their machines, and all that is link-local.
    pub refused_networks: Vec<String>,
    /// Before the second attempt; each further one waits twice as long.
    pub first_retry: Span,
    pub longest_retry: Span,
    /// A notification that could not be delivered for so long has failed.
    pub give_up_after: Span,
    /// Ended alerts with their history are kept for so long.
    pub keep_history: Span,
}

impl Default for AlertingConfig {
    fn default() -> Self {
        Self {
            language: Language::default(),
            timezone: None,
            external_url: None,
            concurrent_rules: 8,
            catch_up: Span::from_secs(600),
            settle_in: Span::from_secs(60),
            agent_lost_after: Span::from_secs(120),
            agent_lost_level: Level::P1,
            agent_unwell_after: Span::from_secs(300),
            agent_unwell_level: Level::P2,
            blind_after: Span::from_secs(300),
            remind_every: Span::from_secs(3600),
            max_states: 10_000,
            max_series: 50_000,
            forget_keys_after: Span::from_secs(86_400),
            concurrent_sends: 32,
            send_timeout: Span::from_secs(10),
            refused_networks: ["169.254.0.0/16", "fe80::/10", "100.100.100.200", "fd00:ec2::254"]
                .map(str::to_owned)
                .to_vec(),
            first_retry: Span::from_secs(5),
            longest_retry: Span::from_secs(600),
            give_up_after: Span::from_secs(86_400),
            keep_history: Span::from_secs(90 * 86_400),
        }
    }
}

impl AlertingConfig {
    /// Adds what is wrong with the settings; paths are relative to the room's own part.
    pub fn validate(&self, problems: &mut Problems) {
        if self.timezone.as_ref().is_some_and(|zone| zone.parse::<chrono_tz::Tz>().is_err()) {
            problems.add("timezone", "is not an IANA time zone such as Asia/Shanghai");
        }
        if self.external_url.as_ref().is_some_and(|url| reqwest::Url::parse(url).is_err()) {
            problems.add("external_url", "must be an address such as https://nightjar.example.com");
        }
        for (path, value, most) in [
            ("concurrent_rules", self.concurrent_rules, 256),
            ("max_states", self.max_states, 1_000_000),
            ("max_series", self.max_series, 1_000_000),
            ("concurrent_sends", self.concurrent_sends, 1024),
        ] {
            if !(1..=most).contains(&value) {
                problems.add(path, format!("must be from 1 to {most}"));
            }
        }
        for (path, span) in [
            ("catch_up", self.catch_up),
            ("forget_keys_after", self.forget_keys_after),
            ("send_timeout", self.send_timeout),
            ("first_retry", self.first_retry),
            ("longest_retry", self.longest_retry),
            ("give_up_after", self.give_up_after),
            ("keep_history", self.keep_history),
        ] {
            if span.0.is_zero() {
                problems.add(path, "must be longer than nothing");
            }
        }
        for (index, range) in self.refused_networks.iter().enumerate() {
            if AddressRange::parse(range).is_none() {
                problems.add(format!("refused_networks[{index}]"), AddressRange::EXPECTED);
            }
        }
        if self.settle_in.0.as_secs() > 3600 {
            problems.add("settle_in", "must be at most 1h");
        }
        if self.first_retry > self.longest_retry {
            problems.add("first_retry", "must not be longer than `longest_retry`");
        }
    }

    /// The zone of messages to those who name none.
    pub(crate) fn zone(&self) -> chrono_tz::Tz {
        let named = self.timezone.clone().or_else(|| iana_time_zone::get_timezone().ok());
        named.and_then(|zone| zone.parse().ok()).unwrap_or(chrono_tz::UTC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_told() {
        let mut problems = Problems::new();
        AlertingConfig::default().validate(&mut problems);
        assert!(problems.is_empty());
        AlertingConfig {
            timezone: Some("Mars/Olympus".into()),
            external_url: Some("nightjar".into()),
            concurrent_rules: 0,
            settle_in: Span::from_secs(3601),
            refused_networks: vec!["10.0.0.0/8".into(), "10.0.0.0/33".into()],
            first_retry: Span::from_secs(3600),
            ..AlertingConfig::default()
        }
        .validate(&mut problems);
        let paths: Vec<String> = problems.into_vec().into_iter().map(|problem| problem.path).collect();
        assert_eq!(
            paths,
            ["timezone", "external_url", "concurrent_rules", "refused_networks[1]", "settle_in", "first_retry"]
        );
    }
}
