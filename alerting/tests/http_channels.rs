//! DingTalk and webhooks against doubles over real HTTP.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use hmac::{Hmac, Mac};
use nightjar_model::alert::{Notification, NotificationStatus};
use nightjar_model::kinds::Spec;
use nightjar_model::ports::TestSender;
use nightjar_model::{Clock, ErrorKind, Kind, ResourceKey, Secret, Span};
use serde_json::{Value, json};
use sha2::Sha256;
use support::windows::MINUTE;
use support::{House, WORKSPACE, all_sent};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

const SECRET: &str = "SEC-of-the-robot";

const RULE: &str = "
kind: Monitor
metadata: { name: trade }
spec:
  type: minute_multi_key
  source: { log: { paths: [ { path: /var/log/trade.log } ] } }
  columns: [ { name: goods, pick: { split: { by: ',', index: 1 } } } ]
  group_by: [ goods ]
---
kind: AlertRule
metadata: { name: busy, displayName: Busy }
spec:
  monitor: trade
  where: { goods: { any: true } }
  conditions: [ { field: count, op: '>', threshold: 0 } ]
---
kind: Subscription
metadata: { name: all }
spec: { to: [ ops ] }
";

fn robot(server: &MockServer, more: &str) -> String {
    format!(
        "{RULE}
---
kind: DingtalkRobot
metadata: {{ name: robot }}
spec:
  url: '{}/robot/send?access_token=tok'
  secret: {SECRET}
  keywords: [ 告警, Busy ]
  at: {{ mobiles: [ '139' ] }}
{more}
---
kind: Contact
metadata: {{ name: ada }}
spec: {{ dingtalk: {{ mobile: '138' }} }}
---
kind: ContactGroup
metadata: {{ name: ops }}
spec: {{ robots: [ robot ], contacts: [ ada ] }}
",
        server.uri()
    )
}

fn webhook(server: &MockServer, spec: &str) -> String {
    format!(
        "{RULE}
---
kind: Webhook
metadata: {{ name: hook }}
spec:
  url: {}/hook
{spec}
---
kind: ContactGroup
metadata: {{ name: ops }}
spec: {{ webhooks: [ hook ] }}
",
        server.uri()
    )
}

/// Makes alerts of so many keys fire, in the minute that has just gone by.
async fn fire(house: &House, keys: usize) {
    let minute = house.clock.now().floor(MINUTE);
    house.windows.complete(minute);
    house.activate("alerting.evaluate").await.expect("evaluate");
    for key in 0..keys {
        house.windows.line(minute, &format!("g{key:03}"), None);
    }
    house.windows.complete(minute.saturating_add(MINUTE));
    house.clock.set(minute.saturating_add(MINUTE).saturating_add(Duration::from_secs(1)));
    house.activate("alerting.evaluate").await.expect("evaluate");
    let firing = house.alerts.all_events().iter().filter(|event| event.outcome == "fired").count();
    assert_eq!(firing, keys);
}

/// A DingTalk that knows its rules, with the present of the test's clock.
struct Dingtalk {
    clock: Arc<dyn Clock>,
    taken: std::sync::Mutex<Vec<i64>>,
    answers: Vec<Value>,
    asked: AtomicUsize,
}

impl Dingtalk {
    fn new(house: &House, answers: Vec<Value>) -> Self {
        Self { clock: house.clock.clone(), taken: std::sync::Mutex::default(), answers, asked: AtomicUsize::new(0) }
    }

    fn refusal(&self, request: &Request) -> Option<&'static str> {
        let query = |name: &str| request.url.query_pairs().find(|(n, _)| n == name).map(|(_, v)| v.into_owned());
        if query("access_token").as_deref() != Some("tok") {
            return Some("token is not exist");
        }
        let timestamp = query("timestamp")?;
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any length");
        mac.update(format!("{timestamp}\n{SECRET}").as_bytes());
        let expected = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
        let age = self.clock.now().millis() - timestamp.parse::<i64>().ok()?;
        if query("sign") != Some(expected) || age.abs() > 3_600_000 {
            return Some("sign not match");
        }
        let body: Value = serde_json::from_slice(&request.body).ok()?;
        let text = body["markdown"]["text"].as_str()?;
        if !text.contains("告警") && !text.contains("Busy") {
            return Some("keywords not in content");
        }
        None
    }
}

impl Respond for Dingtalk {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        if let Some(why) = self.refusal(request) {
            return ResponseTemplate::new(200).set_body_json(json!({ "errcode": 310_000, "errmsg": why }));
        }
        let now = self.clock.now().millis();
        let mut taken = self.taken.lock().expect("the double");
        taken.push(now);
        if taken.iter().filter(|at| now - **at < 60_000).count() > 20 {
            return ResponseTemplate::new(200)
                .set_body_json(json!({ "errcode": 130_101, "errmsg": "send too fast, exceed 20 times per minute" }));
        }
        match self.answers.get(asked) {
            Some(Value::Number(status)) => ResponseTemplate::new(status.as_u64().expect("a status") as u16),
            Some(answer) => ResponseTemplate::new(200).set_body_json(answer),
            None => ResponseTemplate::new(200).set_body_json(json!({ "errcode": 0, "errmsg": "ok" })),
        }
    }
}

async fn dingtalk(more: &str, answers: Vec<Value>) -> (MockServer, House) {
    let server = MockServer::start().await;
    let house = House::new(&robot(&server, more));
    let double = Dingtalk::new(&house, answers);
    Mock::given(method("POST")).and(path("/robot/send")).respond_with(double).mount(&server).await;
    (server, house)
}

fn failed(notifications: &[Notification]) -> bool {
    notifications.iter().any(|notification| notification.status == NotificationStatus::Failed)
}

fn tried(times: u32) -> impl Fn(&[Notification]) -> bool {
    let said = format!("attempt {times}: ");
    move |all| all.iter().any(|n| n.last_answer.as_deref().is_some_and(|answer| answer.starts_with(&said)))
}

#[tokio::test]
async fn dingtalk_takes_a_signed_message_with_keyword_and_mentions() {
    let (server, house) = dingtalk("", vec![]).await;
    fire(&house, 1).await;
    let sent = house.deliver_until("sent", all_sent).await;
    assert_eq!(sent[0].last_answer.as_deref(), Some("errcode 0: ok"));
    let requests = server.received_requests().await.expect("recorded");
    let body: Value = serde_json::from_slice(&requests[0].body).expect("JSON");
    assert_eq!(body["at"], json!({ "atMobiles": ["139", "138"], "isAtAll": false }));
    let text = body["markdown"]["text"].as_str().expect("text");
    assert!(text.contains("Busy") && text.contains("@139 @138"), "{text}");
    // Nothing more is sent, whatever happens.
    let mut house = house;
    house.restart();
    house.clock.advance(Duration::from_secs(3600));
    house.activate("alerting.deliver").await.expect("deliver");
    house.alerting.close().await;
    assert_eq!(server.received_requests().await.expect("recorded").len(), 1);
    let told: Vec<String> =
        house.alerts.all_events().iter().map(|event| format!("{} {}", event.stage, event.outcome)).collect();
    assert_eq!(told, ["evaluate fired", "route passed", "queue passed", "deliver sent"]);
}

#[tokio::test]
async fn dingtalk_refusing_for_good_ends_it() {
    let (_server, house) = dingtalk("", vec![json!({ "errcode": 310_000, "errmsg": "keywords not in content" })]).await;
    fire(&house, 1).await;
    let ended = house.deliver_until("refused", failed).await;
    assert_eq!(ended[0].attempts, 1);
    assert_eq!(ended[0].last_answer.as_deref(), Some("refused for good: errcode 310000: keywords not in content"));
}

#[tokio::test]
async fn dingtalk_failing_is_tried_again() {
    let busy = json!({ "errcode": -1, "errmsg": "system is busy" });
    let (server, house) = dingtalk("", vec![json!(500), busy, json!(502)]).await;
    fire(&house, 2).await;
    for attempts in 1..=3 {
        house.deliver_until("failed", tried(attempts)).await;
        house.clock.advance(Duration::from_secs(60));
    }
    let sent = house.deliver_until("sent", all_sent).await;
    // The second message has waited behind the first.
    assert_eq!(sent.iter().map(|n| n.attempts).collect::<Vec<_>>(), [4, 1]);
    assert_eq!(server.received_requests().await.expect("recorded").len(), 5);
}

#[tokio::test]
async fn a_wrong_signature_is_told() {
    let (_server, house) = dingtalk("", vec![]).await;
    let key = ResourceKey::new(Kind::DingtalkRobot, WORKSPACE, "robot");
    house.resources.change(&key, |resource| {
        if let Spec::DingtalkRobot(robot) = &mut resource.spec {
            robot.secret = Secret::new("SEC-of-another");
        }
    });
    fire(&house, 1).await;
    let ended = house.deliver_until("refused", failed).await;
    assert_eq!(ended[0].last_answer.as_deref(), Some("refused for good: errcode 310000: sign not match"));
    assert!(!format!("{ended:?} {:?}", house.alerts.all_events()).contains("SEC-of"));
}

#[tokio::test]
async fn dingtalk_throttling_leaves_the_robot_alone_for_ten_minutes() {
    let (server, mut house) = dingtalk("", vec![json!({ "errcode": 130_101, "errmsg": "send too fast" })]).await;
    fire(&house, 3).await;
    house.deliver_until("throttled, the others wait", |all| all.iter().all(|n| n.last_answer.is_some())).await;
    house.alerting.close().await;
    house.restart();
    // Also a newer message waits, over a restart.
    house.clock.advance(Duration::from_secs(60));
    let minute = house.clock.now().floor(MINUTE);
    house.windows.line(minute, "newer", None);
    // What fires goes on.
    for key in ["g000", "g001", "g002"] {
        house.windows.line(minute.saturating_sub(MINUTE), key, None);
        house.windows.line(minute, key, None);
    }
    house.windows.complete(minute.saturating_add(MINUTE));
    house.clock.advance(Duration::from_secs(60));
    house.activate("alerting.evaluate").await.expect("evaluate");
    house.deliver_until("all wait", |all| all.len() == 4 && all.iter().all(|n| n.last_answer.is_some())).await;
    house.clock.advance(Duration::from_secs(400));
    house.activate("alerting.deliver").await.expect("deliver");
    assert_eq!(server.received_requests().await.expect("recorded").len(), 1);
    house.clock.advance(Duration::from_secs(200));
    let sent = house.deliver_until("sent", all_sent).await;
    assert_eq!(sent.iter().map(|n| n.attempts).collect::<Vec<_>>(), [2, 1, 1, 1]);
    assert_eq!(server.received_requests().await.expect("recorded").len(), 5);
}

#[tokio::test]
async fn a_robot_sends_no_more_than_it_may_and_loses_nothing() {
    let (server, mut house) = dingtalk("  max_per_minute: 18", vec![]).await;
    fire(&house, 50).await;
    let count = |all: &[Notification], status| all.iter().filter(|n| n.status == status).count();
    let first = |all: &[Notification]| {
        count(all, NotificationStatus::Sent) == 18 && all.iter().all(|n| n.last_answer.is_some())
    };
    house.deliver_until("the first minute", first).await;
    // A restart does not make it forget what it has sent.
    house.alerting.close().await;
    house.restart();
    house.clock.advance(Duration::from_secs(30));
    house.activate("alerting.deliver").await.expect("deliver");
    let test = house.alerting.test_send(&ResourceKey::new(Kind::DingtalkRobot, WORKSPACE, "robot"), None).await;
    assert_eq!(test.expect_err("no room").kind, ErrorKind::TooManyRequests);
    assert_eq!(server.received_requests().await.expect("recorded").len(), 18);
    house.clock.advance(Duration::from_secs(31));
    house.deliver_until("the second minute", |all| count(all, NotificationStatus::Sent) == 36).await;
    house.clock.advance(Duration::from_secs(61));
    let sent = house.deliver_until("all", all_sent).await;
    // In order, each once: the double answers 130101 to the 21st of a minute.
    assert!(sent.iter().all(|n| n.attempts == 1));
    let requests = server.received_requests().await.expect("recorded");
    let titles: Vec<Value> = requests
        .iter()
        .map(|request| serde_json::from_slice::<Value>(&request.body).expect("JSON")["markdown"]["title"].clone())
        .collect();
    assert_eq!(titles, sent.iter().map(|n| n.payload["title"].clone()).collect::<Vec<_>>());
    let delayed = house.alerts.all_events().iter().filter(|event| event.outcome == "delayed").count();
    assert_eq!(delayed, 32, "each is told of once");
}

#[tokio::test]
async fn server_errors_are_tried_again_and_given_up_after_a_day() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(500).set_body_string("boom")).mount(&server).await;
    let house = House::new(&webhook(&server, ""));
    fire(&house, 1).await;
    house.deliver_until("the first attempt", tried(1)).await;
    house.clock.advance(Duration::from_secs(3));
    house.activate("alerting.deliver").await.expect("deliver");
    house.clock.advance(Duration::from_secs(3));
    let twice = house.deliver_until("the second attempt", tried(2)).await;
    assert_eq!(twice[0].status, NotificationStatus::Pending);
    house.clock.advance(Duration::from_secs(86_400));
    let ended = house.deliver_until("given up", failed).await;
    let said = ended[0].last_answer.as_deref().expect("an answer");
    assert!(said.starts_with("given up after 1d and 3 attempts: HTTP 500: boom"), "{said}");
}

#[tokio::test]
async fn refusals_and_redirects_are_final() {
    for (status, reason) in [(403, "HTTP 403"), (302, "redirects are not followed")] {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(status).insert_header("location", "/elsewhere");
        Mock::given(method("POST")).and(path("/hook")).respond_with(answer).mount(&server).await;
        let house = House::new(&webhook(&server, ""));
        fire(&house, 1).await;
        let ended = house.deliver_until("refused", failed).await;
        assert!(ended[0].last_answer.as_deref().expect("an answer").contains(reason), "{ended:?}");
        assert_eq!(server.received_requests().await.expect("recorded").len(), 1);
    }
}

#[tokio::test]
async fn too_many_requests_waits_as_long_as_asked() {
    let server = MockServer::start().await;
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "120");
    Mock::given(method("POST")).respond_with(busy).up_to_n_times(1).mount(&server).await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(204)).mount(&server).await;
    let house = House::new(&webhook(&server, ""));
    fire(&house, 1).await;
    house.deliver_until("asked to wait", tried(1)).await;
    house.clock.advance(Duration::from_secs(119));
    house.activate("alerting.deliver").await.expect("deliver");
    assert_eq!(server.received_requests().await.expect("recorded").len(), 1);
    house.clock.advance(Duration::from_secs(1));
    house.deliver_until("sent", all_sent).await;
}

#[tokio::test]
async fn what_a_clock_that_was_ahead_put_off_is_sent_once_it_is_set_back() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(503)).up_to_n_times(1).mount(&server).await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(204)).mount(&server).await;
    let house = House::new(&webhook(&server, ""));
    fire(&house, 2).await;
    let right = house.clock.now();
    house.clock.advance(Duration::from_secs(3 * 3600));
    house.deliver_until("put off", |all| all.iter().all(|n| n.last_answer.is_some())).await;
    house.clock.set(right);
    let sent = house.deliver_until("sent", all_sent).await;
    assert_eq!(sent.iter().map(|n| n.attempts).collect::<Vec<_>>(), [2, 1]);
    let told = house.alerts.all_events().iter().filter(|event| event.reason.contains("the clock was ahead")).count();
    assert_eq!(told, 2);
}

#[tokio::test]
async fn a_hanging_receiver_delays_nobody_else() {
    let (_server, house) = one_hangs().await;
    fire(&house, 5).await;
    only_the_other_is_told(&house).await;
}

#[tokio::test]
async fn however_many_messages_wait_for_a_hanging_receiver_the_others_get_theirs() {
    let (_server, house) = one_hangs().await;
    fire(&house, 1).await;
    queue_before(&house, "hook", 2_000);
    only_the_other_is_told(&house).await;
}

#[tokio::test]
async fn a_long_queue_leaves_in_order_and_once() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let house = House::new(&webhook(&server, ""));
    fire(&house, 1).await;
    queue_before(&house, "hook", 600);
    let queued: Vec<String> = house.alerts.all_notifications().into_iter().map(|n| n.id).collect();
    house.deliver_until("sent", all_sent).await;
    let requests = server.received_requests().await.expect("recorded");
    let told = requests.iter().map(|request| request.headers["x-nightjar-notification"].to_str().expect("an id"));
    assert_eq!(told.collect::<Vec<_>>(), queued);
}

/// Puts as many messages to a receiver into the queue as if they had been there before all others.
fn queue_before(house: &House, receiver: &str, messages: usize) {
    let first = house.alerts.all_notifications().into_iter().find(|n| n.receiver == receiver).expect("one message");
    for place in 0..messages {
        let created_at = first.created_at.saturating_sub(Duration::from_millis((messages - place) as u64));
        let (id, dedup_key) = (format!("queued-{place}"), format!("queued-{place}"));
        house.alerts.enqueue(Notification { id, dedup_key, created_at, ..first.clone() });
    }
}

/// A webhook `hook` that does not answer, and one, `other`, that does.
async fn one_hangs() -> (MockServer, House) {
    let server = MockServer::start().await;
    let hang = ResponseTemplate::new(200).set_delay(Duration::from_secs(3600));
    Mock::given(method("POST")).and(path("/hook")).respond_with(hang).mount(&server).await;
    Mock::given(method("POST")).and(path("/other")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let documents = format!(
        "{}
---
kind: Webhook
metadata: {{ name: other }}
spec: {{ url: '{}/other', global: true }}
",
        webhook(&server, ""),
        server.uri()
    );
    // Longer than the test may take: whoever waits for the one that hangs, waits in vain.
    let house = House::with(&documents, |config| {
        config.send_timeout = Span::from_secs(3600);
        config.concurrent_sends = 2;
    });
    (server, house)
}

async fn only_the_other_is_told(house: &House) {
    let all = house
        .deliver_until("the others", |all| {
            all.iter().filter(|n| n.receiver == "other").all(|n| n.status == NotificationStatus::Sent)
        })
        .await;
    assert!(all.iter().filter(|n| n.receiver == "hook").all(|n| n.status == NotificationStatus::Pending));
}

#[tokio::test]
async fn a_receiver_that_hangs_has_failed_the_attempt() {
    let server = MockServer::start().await;
    let hang = ResponseTemplate::new(200).set_delay(Duration::from_secs(3600));
    Mock::given(method("POST")).respond_with(hang).mount(&server).await;
    let house = House::with(&webhook(&server, ""), |config| {
        config.send_timeout = Span::parse("200ms").expect("a span");
    });
    fire(&house, 1).await;
    let tried = house.deliver_until("timed out", tried(1)).await;
    assert_eq!(tried[0].status, NotificationStatus::Pending);
    assert!(tried[0].last_answer.as_deref().expect("an answer").contains("no answer"), "{tried:?}");
}

#[tokio::test]
async fn what_was_sent_but_could_not_be_recorded_is_not_sent_again() {
    let server = MockServer::start().await;
    let house = House::new(&webhook(&server, ""));
    fire(&house, 1).await;
    let alerts = house.alerts.clone();
    let break_store = move |_: &Request| {
        alerts.failing_commits.store(2, Ordering::SeqCst);
        ResponseTemplate::new(200)
    };
    Mock::given(method("POST")).respond_with(break_store).mount(&server).await;
    house.deliver_until("recorded in the end", all_sent).await;
    house.alerting.close().await;
    assert_eq!(server.received_requests().await.expect("recorded").len(), 1);
}

#[tokio::test]
async fn an_alert_whose_commit_failed_is_told_once() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let house = House::new(&webhook(&server, ""));
    let minute = house.clock.now();
    house.windows.complete(minute);
    house.activate("alerting.evaluate").await.expect("evaluate");
    house.windows.line(minute, "a", None);
    house.windows.complete(minute.saturating_add(MINUTE));
    house.clock.advance(MINUTE);
    house.alerts.failing_commits.store(1, Ordering::SeqCst);
    house.activate("alerting.evaluate").await.expect_err("the store is down");
    assert!(house.alerts.all_alerts().is_empty() && house.alerts.all_notifications().is_empty());
    house.activate("alerting.evaluate").await.expect("evaluate");
    house.activate("alerting.evaluate").await.expect("evaluate");
    assert_eq!(house.alerts.all_alerts().len(), 1);
    assert_eq!(house.deliver_until("sent", all_sent).await.len(), 1);
}

#[tokio::test]
async fn webhooks_are_signed_and_carry_what_was_configured() {
    let server = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    let house = House::new(&webhook(
        &server,
        "  headers: { X-Team: trade-secret }\n  params: { env: 'a&b' }\n  access_key: AK\n  secret_key: SK",
    ));
    fire(&house, 1).await;
    let sent = house.deliver_until("sent", all_sent).await;
    let request = &server.received_requests().await.expect("recorded")[0];
    let header = |name: &str| request.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    assert_eq!(request.url.query(), Some("env=a%26b"));
    assert_eq!(header("x-team"), "trade-secret");
    assert_eq!(header("x-nightjar-access-key"), "AK");
    assert_eq!(header("x-nightjar-notification"), sent[0].id);
    let mut mac = Hmac::<Sha256>::new_from_slice(b"SK").expect("any length");
    mac.update(format!("{}.", header("x-nightjar-timestamp")).as_bytes());
    mac.update(&request.body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(header("x-nightjar-signature"), format!("sha256={hex}"));
    let body: Value = serde_json::from_slice(&request.body).expect("JSON");
    assert_eq!((&body["event"], &body["alert"]["keys"]["goods"]), (&json!("firing"), &json!("g000")));
    // No secret has been written anywhere.
    let kept = format!("{sent:?} {:?}", house.alerts.all_events());
    assert!(!kept.contains("trade-secret") && !kept.contains("SK\""), "{kept}");
}

#[tokio::test]
async fn a_receiver_that_repeats_what_it_got_repeats_no_secret() {
    let server = MockServer::start().await;
    let answer = "no team trade-secret, no robot-token and no long-secret-key: bearer robot-token";
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(403).set_body_string(answer)).mount(&server).await;
    let house = House::new(&webhook(
        &server,
        "  headers: { X-Team: trade-secret, Authorization: Bearer robot-token }\n  secret_key: long-secret-key",
    ));
    fire(&house, 1).await;
    let all_failed = |all: &[Notification]| all.iter().all(|n| n.status == NotificationStatus::Failed);
    let failed = house.deliver_until("failed", all_failed).await;
    let expected = "refused for good: HTTP 403: no team ***, no *** and no ***: bearer ***";
    assert_eq!(failed[0].last_answer.as_deref(), Some(expected));
    let told = house.alerts.all_events().iter().map(|event| event.reason.clone()).collect::<String>();
    assert!(!told.contains("robot-token") && !told.contains("trade-secret"), "{told}");
}

#[tokio::test]
async fn formats_of_webhooks() {
    for (format, content_type) in [("alertmanager", "application/json"), ("text", "text/plain; charset=utf-8")] {
        let server = MockServer::start().await;
        Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
        let house = House::new(&webhook(&server, &format!("  format: {format}")));
        fire(&house, 1).await;
        house.deliver_until("sent", all_sent).await;
        let request = &server.received_requests().await.expect("recorded")[0];
        assert_eq!(request.headers["content-type"], content_type);
        let body = String::from_utf8(request.body.clone()).expect("UTF-8");
        match format {
            "alertmanager" => {
                let body: Value = serde_json::from_str(&body).expect("JSON");
                assert_eq!(body["alerts"][0]["labels"]["goods"], "g000");
            }
            _ => assert!(body.starts_with("[P2] Firing Busy goods=g000\n"), "{body}"),
        }
    }
}

#[tokio::test]
async fn tests_answer_what_the_provider_said() {
    let (_server, house) = dingtalk("", vec![]).await;
    let key = |kind, name: &str| ResourceKey::new(kind, WORKSPACE, name);
    let robot = house.alerting.test_send(&key(Kind::DingtalkRobot, "robot"), None).await;
    assert_eq!(robot.expect("sent"), "errcode 0: ok");
    let contact = house.alerting.test_send(&key(Kind::Contact, "ada"), None).await;
    assert_eq!(contact.expect("sent"), "robot `robot`: errcode 0: ok");
    house.resources.remove(&key(Kind::Contact, "ada"));
    house.alerting.resources_changed(&[]);
    let gone = house.alerting.test_send(&key(Kind::Contact, "ada"), None).await;
    assert_eq!(gone.expect_err("gone").kind, ErrorKind::NotFound);
    let group = house.alerting.test_send(&key(Kind::ContactGroup, "ops"), None).await;
    assert_eq!(group.expect_err("not to be sent to").kind, ErrorKind::InvalidInput);
}

#[tokio::test]
async fn an_address_nobody_answers_at_is_told_without_its_token() {
    let documents = "
kind: DingtalkRobot
metadata: { name: robot }
spec: { url: 'http://127.0.0.1:1/robot/send?access_token=tok' }
";
    let house = House::new(documents);
    let answer = house.alerting.test_send(&ResourceKey::new(Kind::DingtalkRobot, WORKSPACE, "robot"), None).await;
    let error = answer.expect_err("nobody is there").message;
    assert!(error.contains("cannot connect") && !error.contains("tok"), "{error}");
}

#[tokio::test]
async fn nothing_is_sent_into_refused_networks() {
    // 169.254.169.254 in the ways it can be written, refused from the start; loopback by setting.
    use Kind::{DingtalkRobot, EmailServer, Webhook};
    for (channel, url, setting) in [
        (Webhook, "http://169.254.169.254/latest/meta-data", None),
        (Webhook, "http://2852039166/", None),
        (Webhook, "http://0xa9.0xfe.0xa9.0xfe/", None),
        (Webhook, "http://[::ffff:169.254.169.254]/", None),
        (DingtalkRobot, "http://100.100.100.200/robot/send?access_token=tok", None),
        (Webhook, "http://127.0.0.1:1/", Some("127.0.0.0/8")),
        (Webhook, "http://localhost:1/", Some("127.0.0.0/8")),
        (EmailServer, "localhost", Some("127.0.0.0/8")),
        (EmailServer, "169.254.169.254", None),
    ] {
        let spec = match channel {
            EmailServer => format!("{{ host: '{url}', port: 1, tls: none, from: a@example.com }}"),
            _ => format!("{{ url: '{url}' }}"),
        };
        let document = format!("kind: {channel:?}\nmetadata: {{ name: to }}\nspec: {spec}\n");
        let house = House::with(&document, |config| {
            if let Some(range) = setting {
                config.refused_networks = vec![range.to_owned(), "::1".to_owned()];
            }
        });
        let to = (channel == EmailServer).then_some("b@example.com");
        let answer = house.alerting.test_send(&ResourceKey::new(channel, WORKSPACE, "to"), to).await;
        let error = answer.expect_err("refused").message;
        assert!(error.contains("alerting.refused_networks"), "{channel:?} {url}: {error}");
    }
}
