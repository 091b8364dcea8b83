use std::collections::BTreeMap;

use expect_test::expect;
use nightjar_model::alert::AlertStatus;
use nightjar_model::kinds::alert_rule::{AlertRuleSpec, Level};

use super::*;
use crate::definitions::Definitions;

fn alert() -> Alert {
    Alert {
        id: "0190".into(),
        workspace: "default".into(),
        rule: "trade-slow".into(),
        rule_title: "交易变慢".into(),
        monitor: "trade".into(),
        folder: "trade/core".into(),
        keys: BTreeMap::from([("$idc".into(), "sh".into()), ("goods".into(), "[a](http://x) <b>\n@all".into())]),
        level: Level::P1,
        status: AlertStatus::Recovered,
        started_at: Timestamp::parse_rfc3339("2026-01-05T10:03:00Z").expect("a time"),
        ended_at: Timestamp::parse_rfc3339("2026-01-05T10:09:00Z"),
        summary: "cost_avg now = 132.5 > 100".into(),
        values: BTreeMap::from([("cost_avg".into(), Some(80.0))]),
    }
}

fn with_message<T>(language: Language, act: impl FnOnce(&Message<'_>) -> T) -> T {
    let alert = alert();
    let definitions = Definitions::default();
    let at = alert.ended_at.expect("ended");
    let occurrence = Occurrence {
        alert: &alert,
        change: Change::Recovered,
        reason: "cost_avg now = 80 not > 100",
        rule: None,
        concerns: &[],
        at,
        now: at,
        definitions: &definitions,
    };
    act(&Message::new(&occurrence, language, chrono_tz::Asia::Shanghai, Some("https://n.example.com/")))
}

#[test]
fn markdown_keeps_what_log_lines_say_from_being_markup() {
    with_message(Language::Chinese, |message| {
        let Ok(Content::Markdown { title, text, .. }) = message.markdown(Vec::new()) else { panic!("markdown") };
        expect![[r#"
            [P1] 恢复 交易变慢 $idc=sh, goods=[a](http://x) <b> @all
            ---
            #### [P1] 恢复 交易变慢 $idc=sh, goods=［a］(http://x) ＜b＞ ＠all

            - 监控：trade
            - 对象：$idc=sh, goods=［a］(http://x) ＜b＞ ＠all
            - 指标：cost_avg now = 132.5 > 100
            - 原因：cost_avg now = 80 not > 100
            - 时间：2026-01-05 18:09 +08:00
            - 开始：2026-01-05 18:03 +08:00, 持续 6 分钟
            - [在控制台查看](https://n.example.com/alerts/0190)
        "#]]
        .assert_eq(&format!("{title}\n---\n{text}"));
    });
}

#[test]
fn mail_is_escaped_html_and_plain_text() {
    with_message(Language::English, |message| {
        let Ok(Content::Mail { subject, text, html }) = message.mail() else { panic!("mail") };
        expect![[r#"
            [P1] Recovered 交易变慢 $idc=sh, goods=[a](http://x) <b> @all
            ---
            [P1] Recovered 交易变慢 $idc=sh, goods=[a](http://x) <b> @all

            Monitor: trade
            Object: $idc=sh, goods=[a](http://x) <b> @all
            Figures: cost_avg now = 132.5 > 100
            Reason: cost_avg now = 80 not > 100
            Time: 2026-01-05 18:09 +08:00
            Started: 2026-01-05 18:03 +08:00, Lasted 6 min
            Open in the console: https://n.example.com/alerts/0190

            ---
            <!doctype html>
            <html lang="en-US">
            <head><meta charset="utf-8"><title>[P1] Recovered 交易变慢 $idc=sh, goods=[a](http:&#x2f;&#x2f;x) &lt;b&gt; @all</title></head>
            <body style="font-family: sans-serif; color: #1f1f1f">
            <h2 style="border-left: 6px solid #389e0d; padding-left: 12px">[P1] Recovered 交易变慢 $idc=sh, goods=[a](http:&#x2f;&#x2f;x) &lt;b&gt; @all</h2>
            <table cellpadding="6" style="border-collapse: collapse">
            <tr><td>Level</td><td>P1</td></tr>
            <tr><td>Rule</td><td>交易变慢</td></tr>
            <tr><td>Monitor</td><td>trade</td></tr>
            <tr><td>Object</td><td>$idc=sh, goods=[a](http:&#x2f;&#x2f;x) &lt;b&gt; @all</td></tr>
            <tr><td>Figures</td><td style="white-space: pre-wrap">cost_avg now = 132.5 &gt; 100</td></tr>
            <tr><td>Reason</td><td>cost_avg now = 80 not &gt; 100</td></tr>
            <tr><td>Time</td><td>2026-01-05 18:09 +08:00</td></tr>
            <tr><td>Lasted</td><td>2026-01-05 18:03 +08:00, 6 min</td></tr>
            </table>
            <p><a href="https:&#x2f;&#x2f;n.example.com&#x2f;alerts&#x2f;0190">Open in the console</a></p>
            </body>
            </html>"#]].assert_eq(&format!("{subject}\n---\n{text}\n---\n{html}"));
    });
}

#[test]
fn alertmanager_form() {
    with_message(Language::English, |message| {
        let Ok(Content::Body { body, .. }) = message.alertmanager_json("hook") else { panic!("body") };
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        expect![[r#"
            {
              "version": "4",
              "groupKey": "{}:{alertname=\"trade-slow\"}",
              "truncatedAlerts": 0,
              "status": "resolved",
              "receiver": "hook",
              "groupLabels": {
                "alertname": "trade-slow"
              },
              "commonLabels": {
                "alertname": "trade-slow",
                "folder": "trade/core",
                "goods": "[a](http://x) <b>\n@all",
                "idc": "sh",
                "monitor": "trade",
                "severity": "P1",
                "workspace": "default"
              },
              "commonAnnotations": {
                "description": "cost_avg now = 132.5 > 100",
                "reason": "cost_avg now = 80 not > 100",
                "summary": "[P1] Recovered 交易变慢 $idc=sh, goods=[a](http://x) <b> @all"
              },
              "externalURL": "https://n.example.com",
              "alerts": [
                {
                  "status": "resolved",
                  "labels": {
                    "alertname": "trade-slow",
                    "folder": "trade/core",
                    "goods": "[a](http://x) <b>\n@all",
                    "idc": "sh",
                    "monitor": "trade",
                    "severity": "P1",
                    "workspace": "default"
                  },
                  "annotations": {
                    "description": "cost_avg now = 132.5 > 100",
                    "reason": "cost_avg now = 80 not > 100",
                    "summary": "[P1] Recovered 交易变慢 $idc=sh, goods=[a](http://x) <b> @all"
                  },
                  "startsAt": "2026-01-05T10:03:00Z",
                  "endsAt": "2026-01-05T10:09:00Z",
                  "generatorURL": "https://n.example.com/alerts/0190",
                  "fingerprint": "196ff0371af1792e"
                }
              ]
            }"#]]
        .assert_eq(&format!("{body:#}"));
    });
}

#[test]
fn nightjar_form() {
    with_message(Language::English, |message| {
        let Ok(Content::Body { body, .. }) = message.nightjar_json() else { panic!("body") };
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        expect![[r#"
            {
              "version": 1,
              "event": "recovered",
              "title": "[P1] Recovered 交易变慢 $idc=sh, goods=[a](http://x) <b> @all",
              "text": "cost_avg now = 132.5 > 100",
              "reason": "cost_avg now = 80 not > 100",
              "advice": "",
              "link": "",
              "consoleUrl": "https://n.example.com/alerts/0190",
              "alert": {
                "id": "0190",
                "workspace": "default",
                "rule": "trade-slow",
                "ruleTitle": "交易变慢",
                "monitor": "trade",
                "folder": "trade/core",
                "keys": {
                  "$idc": "sh",
                  "goods": "[a](http://x) <b>\n@all"
                },
                "level": "P1",
                "status": "recovered",
                "startedAt": "2026-01-05T10:03:00Z",
                "endedAt": "2026-01-05T10:09:00Z",
                "summary": "cost_avg now = 132.5 > 100",
                "values": {
                  "cost_avg": 80.0
                }
              }
            }"#]]
        .assert_eq(&format!("{body:#}"));
    });
}

#[test]
fn a_rule_has_its_own_words() {
    let alert = Alert { status: AlertStatus::Firing, ended_at: None, keys: Default::default(), ..alert() };
    let rule: AlertRuleSpec = serde_json::from_value(serde_json::json!({
        "monitor": "trade",
        "conditions": [{ "field": "cost_avg", "op": ">", "threshold": 100 }],
        "message": {
            "text": "{{ rule }} {{ level }} {{ monitor }} {{ values.cost_avg }} {{ status }} {{ time }}",
            "advice": "看日志",
            "link": "https://example.com/how-to",
        },
    }))
    .expect("a rule");
    let definitions = Definitions::default();
    let occurrence = Occurrence {
        alert: &alert,
        change: Change::Fired,
        reason: "",
        rule: Some(&rule),
        concerns: &[],
        at: alert.started_at,
        now: alert.started_at,
        definitions: &definitions,
    };
    let message = Message::new(&occurrence, Language::Chinese, chrono_tz::UTC, None);
    let Ok(Content::Body { body, .. }) = message.plain() else { panic!("body") };
    expect![[r#"
        [P1] 告警 交易变慢

        监控：trade
        指标：交易变慢 P1 trade 80.0 firing 2026-01-05 10:03 +00:00
        时间：2026-01-05 10:03 +00:00
        建议：看日志
        处理链接：https://example.com/how-to
    "#]]
    .assert_eq(&body);
}

#[test]
fn a_rule_s_own_words_do_not_turn_log_lines_into_markup() {
    let rule: AlertRuleSpec = serde_json::from_value(serde_json::json!({
        "monitor": "trade",
        "conditions": [{ "field": "cost_avg", "op": ">", "threshold": 100 }],
        "message": { "text": "**{{ keys.goods }}**" },
    }))
    .expect("a rule");
    let (alert, definitions) = (alert(), Definitions::default());
    let occurrence = Occurrence {
        alert: &alert,
        change: Change::Fired,
        reason: "",
        rule: Some(&rule),
        concerns: &[],
        at: alert.started_at,
        now: alert.started_at,
        definitions: &definitions,
    };
    let message = Message::new(&occurrence, Language::English, chrono_tz::UTC, None);
    let Ok(Content::Markdown { text, .. }) = message.markdown(Vec::new()) else { panic!("markdown") };
    assert!(text.contains("**［a］(http://x) ＜b＞ ＠all**"), "{text}");
    let Ok(Content::Mail { text, .. }) = message.mail() else { panic!("mail") };
    assert!(text.contains("**[a](http://x) <b>\n@all**"), "{text}");
}

#[test]
fn a_rule_s_own_words_see_what_documents_may_name() {
    let alert = alert();
    let context = own_context(&alert, &alert.keys, "firing", alert.started_at, chrono_tz::UTC);
    let context = serde_json::to_value(context).expect("JSON");
    let names: Vec<&String> = context.as_object().expect("an object").keys().collect();
    assert_eq!(names, nightjar_model::message_template::NAMES);
}
