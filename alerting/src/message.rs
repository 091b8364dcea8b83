//! The words of a message, in Chinese or English, and its forms for each channel.

mod forms;
mod labels;
mod templates;

use std::borrow::Cow;

use chrono_tz::Tz;
use nightjar_model::Timestamp;
use nightjar_model::alert::{Alert, AlertKeys};
use nightjar_model::kinds::alert_rule::Message as RuleMessage;
use nightjar_model::kinds::contact::Language;
use serde::Serialize;

use crate::evaluation::Change;
use crate::payload::Content;
use crate::pipeline::Occurrence;

const MOST_KEY_CHARS: usize = 100;
/// The rule's own text and advice are cut to this.
const MOST_TEXT_CHARS: usize = 4000;

/// One change of an alert, in one language and zone.
pub(crate) struct Message<'a> {
    alert: Cow<'a, Alert>,
    status: &'static str,
    view: View,
    broken_template: Option<String>,
}

/// What the standard templates see.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct View {
    label: &'static labels::Labels,
    status: &'static str,
    status_name: &'static str,
    title: String,
    /// What follows the rule's name in the title.
    #[serde(skip)]
    object: String,
    level: &'static str,
    rule: String,
    monitor: String,
    keys: String,
    /// The figures, or the rule's own text instead of them.
    text: String,
    /// The same for DingTalk.
    #[serde(skip)]
    markdown_text: String,
    /// Why it changed, where that is not the figures that made it fire.
    reason: String,
    time: String,
    started: String,
    /// Minutes it lasted; for alerts that are over.
    lasted: Option<i64>,
    advice: String,
    link: String,
    console: String,
}

impl<'a> Message<'a> {
    pub(crate) fn new(
        occurrence: &'a Occurrence<'a>,
        language: Language,
        zone: Tz,
        external_url: Option<&str>,
    ) -> Self {
        let alert = occurrence.alert;
        let own = occurrence.rule.map(|rule| &rule.message);
        let status = status_of(occurrence.change);
        let words = |keys: &AlertKeys| match own.filter(|own| !own.text.is_empty()) {
            Some(own) => {
                match templates::render_own(&own.text, &own_context(alert, keys, status, occurrence.at, zone)) {
                    Ok(text) => (cut(&text), None),
                    Err(error) => (alert.summary.clone(), Some(error)),
                }
            }
            None => (alert.summary.clone(), None),
        };
        let (text, broken_template) = words(&alert.keys);
        let plain_keys = alert.keys.iter().map(|(column, key)| (column.clone(), plain_markdown(key))).collect();
        let (markdown_text, _) = words(&plain_keys);
        let console = external_url.map(|url| format!("{}/alerts/{}", url.trim_end_matches('/'), alert.id));
        let view = View::new(alert, occurrence, language, zone, text, own, console.unwrap_or_default());
        let view = View { markdown_text, ..view };
        Self { alert: Cow::Borrowed(alert), status, view, broken_template }
    }

    /// `firing`, `recovered`, `closed`.
    pub(crate) fn status(&self) -> String {
        self.status.to_owned()
    }

    /// Why the rule's own text could not be used.
    pub(crate) fn broken_template(&self) -> Option<&str> {
        self.broken_template.as_deref()
    }

    pub(crate) fn markdown(&self, mobiles: Vec<String>) -> Result<Content, String> {
        let text = templates::standard("markdown.md", &self.view.without_markup())?;
        Ok(Content::Markdown { title: one_line(&self.view.title), text, mobiles })
    }

    pub(crate) fn mail(&self) -> Result<Content, String> {
        Ok(Content::Mail {
            subject: one_line(&self.view.title),
            text: templates::standard("plain.txt", &self.view)?,
            html: templates::standard("mail.html", &self.view)?,
        })
    }

    pub(crate) fn plain(&self) -> Result<Content, String> {
        let body = templates::standard("plain.txt", &self.view)?;
        Ok(Content::Body { content_type: "text/plain; charset=utf-8".into(), body })
    }
}

impl View {
    fn new(
        alert: &Alert,
        occurrence: &Occurrence<'_>,
        language: Language,
        zone: Tz,
        text: String,
        own: Option<&RuleMessage>,
        console: String,
    ) -> Self {
        let label = labels::of(language);
        let status_name = label.status(occurrence.change);
        let keys = shown_keys(alert);
        let object = if keys.is_empty() { String::new() } else { format!(" {keys}") };
        let ended = alert.ended_at.filter(|_| !matches!(occurrence.change, Change::Fired | Change::Reminded));
        Self {
            label,
            status: status_of(occurrence.change),
            status_name,
            title: format!("[{}] {status_name} {}{object}", alert.level, alert.rule_title),
            object,
            level: alert.level.name(),
            rule: alert.rule_title.clone(),
            monitor: alert.monitor.clone(),
            keys,
            markdown_text: text.clone(),
            text,
            reason: if occurrence.change == Change::Fired { String::new() } else { occurrence.reason.to_owned() },
            time: shown_time(occurrence.at, zone),
            started: shown_time(alert.started_at, zone),
            lasted: ended.map(|ended| (ended.millis() - alert.started_at.millis()) / 60_000),
            advice: own.map_or_else(String::new, |own| cut(&own.advice)),
            link: own.map_or_else(String::new, |own| own.link.clone()),
            console,
        }
    }

    /// For DingTalk's markdown. Keys come out of log lines: they must not become links or mentions, nor
    /// break the layout.
    fn without_markup(&self) -> Self {
        Self {
            // In our own title brackets are no danger: they are not followed by an address.
            title: self.title.replacen(&self.object, &plain_markdown(&self.object), 1),
            keys: plain_markdown(&self.keys),
            text: self.markdown_text.clone(),
            ..self.clone()
        }
    }
}

/// What the rule's own text sees.
#[derive(Serialize)]
struct OwnContext<'a> {
    rule: &'a str,
    level: &'static str,
    monitor: &'a str,
    keys: &'a AlertKeys,
    values: &'a std::collections::BTreeMap<String, Option<f64>>,
    status: &'static str,
    time: String,
    summary: &'a str,
}

fn own_context<'a>(
    alert: &'a Alert,
    keys: &'a AlertKeys,
    status: &'static str,
    at: Timestamp,
    zone: Tz,
) -> OwnContext<'a> {
    OwnContext {
        rule: &alert.rule_title,
        level: alert.level.name(),
        monitor: &alert.monitor,
        keys,
        values: &alert.values,
        status,
        time: shown_time(at, zone),
        summary: &alert.summary,
    }
}

const fn status_of(change: Change) -> &'static str {
    match change {
        Change::Fired | Change::Reminded => "firing",
        Change::Recovered => "recovered",
        Change::Closed => "closed",
    }
}

/// `goods=apple, $idc=sh1`
fn shown_keys(alert: &Alert) -> String {
    let pairs: Vec<String> = alert.keys.iter().map(|(column, key)| format!("{column}={}", shown_key(key))).collect();
    pairs.join(", ")
}

/// Keys are what log lines say: anything, of any length.
fn shown_key(key: &str) -> String {
    let shown: String = one_line(key).chars().take(MOST_KEY_CHARS).collect();
    if shown.chars().count() < key.chars().count() { format!("{shown}…") } else { shown }
}

/// `2026-01-31 08:00 +08:00` in the reader's zone; to the minute, as alerts are.
fn shown_time(at: Timestamp, zone: Tz) -> String {
    let local = at.to_utc().with_timezone(&zone);
    local.format("%Y-%m-%d %H:%M %:z").to_string()
}

fn plain_markdown(text: &str) -> String {
    let replaced = text.chars().map(|c| match c {
        '[' => '［',
        ']' => '］',
        '<' => '＜',
        '>' => '＞',
        '`' => '＇',
        '@' => '＠',
        '#' => '＃',
        c if c.is_control() => ' ',
        c => c,
    });
    replaced.collect()
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_TEXT_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// The message of a test: the forms are those of real ones.
pub(crate) fn test_message(
    workspace: &str,
    receiver: &str,
    at: Timestamp,
    language: Language,
    zone: Tz,
) -> Message<'static> {
    let label = labels::of(language);
    let alert = Alert {
        id: format!("test-{}", at.millis()),
        workspace: workspace.to_owned(),
        rule: "test".to_owned(),
        rule_title: label.test_title.to_owned(),
        monitor: "test".to_owned(),
        folder: String::new(),
        keys: Default::default(),
        level: nightjar_model::kinds::alert_rule::Level::P4,
        status: nightjar_model::alert::AlertStatus::Firing,
        started_at: at,
        ended_at: None,
        summary: format!("{} {receiver}", label.test_text),
        values: Default::default(),
    };
    let definitions = crate::definitions::Definitions::default();
    let occurrence = Occurrence {
        alert: &alert,
        change: Change::Fired,
        reason: "",
        rule: None,
        concerns: &[],
        at,
        now: at,
        definitions: &definitions,
    };
    let view = View::new(&alert, &occurrence, language, zone, alert.summary.clone(), None, String::new());
    let view = View { title: label.test_title.to_owned(), ..view };
    Message { alert: Cow::Owned(alert), status: "firing", view, broken_template: None }
}

#[cfg(test)]
mod tests;
