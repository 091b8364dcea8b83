//! DingTalk custom robots.
//!
//! Facts: the signature is `base64(hmac_sha256(secret, timestamp + "\n" + secret))` over milliseconds;
//! HTTP is 200 even on failure, `errcode` counts; 130101 is "sent too fast", and then nothing passes for
//! ten minutes; 310000 is a wrong keyword, signature or address. Mentions need the number both in the
//! text and in `at.atMobiles`.

use std::time::Duration;

use base64::Engine;
use hmac::{Hmac, Mac};
use nightjar_model::Timestamp;
use nightjar_model::kinds::dingtalk_robot::DingtalkRobotSpec;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{HttpSender, Outcome, by_status, shortened};

/// DingTalk refuses larger bodies.
const MOST_BODY_BYTES: usize = 20_000;
/// How long DingTalk shuts a robot out that sent too fast.
const THROTTLED: Duration = Duration::from_secs(600);

/// Refusals that another attempt meets as well: keyword, signature or address (310000), a token that does
/// not exist or is disabled, a dissolved group, a message it does not understand.
const FINAL: [i64; 9] = [310_000, 300_001, 300_005, 400_013, 400_101, 400_102, 400_105, 40_035, 43_004];
const TOO_FAST: [i64; 2] = [130_101, 410_100];

pub(super) struct Markdown<'a> {
    pub(super) title: &'a str,
    pub(super) text: &'a str,
    pub(super) mobiles: &'a [String],
}

#[derive(Deserialize)]
struct Answer {
    errcode: i64,
    #[serde(default)]
    errmsg: String,
}

pub(super) async fn send(
    http: &HttpSender<'_>,
    robot: &DingtalkRobotSpec,
    message: &Markdown<'_>,
    now: Timestamp,
) -> Result<Outcome, Outcome> {
    let mut url = reqwest::Url::parse(robot.url.expose())
        .map_err(|_| Outcome::Refused("the robot's url is not an address".to_owned()))?;
    if !robot.secret.is_empty() {
        let signature = sign(robot.secret.expose(), now);
        url.query_pairs_mut().append_pair("timestamp", &now.millis().to_string()).append_pair("sign", &signature);
    }
    let answer = http.post(url, |request| request.json(&body(robot, message))).await?;
    if !answer.status.is_success() {
        return Ok(by_status(&answer));
    }
    let Ok(said) = serde_json::from_str::<Answer>(&answer.body) else {
        return Ok(Outcome::retry(format!("not an answer of DingTalk: {}", shortened(&answer.body))));
    };
    let text = format!("errcode {}: {}", said.errcode, shortened(&said.errmsg));
    Ok(match said.errcode {
        0 => Outcome::Sent(text),
        code if TOO_FAST.contains(&code) => Outcome::Retry { reason: text, after: Some(THROTTLED) },
        code if FINAL.contains(&code) => Outcome::Refused(text),
        _ => Outcome::retry(text),
    })
}

fn sign(secret: &str, now: Timestamp) -> String {
    let text = format!("{}\n{secret}", now.millis());
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes())
}

fn body(robot: &DingtalkRobotSpec, message: &Markdown<'_>) -> Value {
    let mut mobiles: Vec<&str> = Vec::new();
    for mobile in robot.at.mobiles.iter().chain(message.mobiles) {
        if !mobiles.contains(&mobile.as_str()) {
            mobiles.push(mobile);
        }
    }
    let mut ending = String::new();
    let has_keyword = robot.keywords.iter().any(|keyword| message.text.contains(keyword.as_str()));
    if let (false, Some(keyword)) = (has_keyword, robot.keywords.first()) {
        ending.push_str(&format!("\n\n{keyword}"));
    }
    if !mobiles.is_empty() {
        let mentions: Vec<String> = mobiles.iter().map(|mobile| format!("@{mobile}")).collect();
        ending.push_str(&format!("\n\n{}", mentions.join(" ")));
    }
    let of = |text: &str| {
        json!({
            "msgtype": "markdown",
            "markdown": { "title": message.title, "text": format!("{text}{ending}") },
            "at": { "atMobiles": mobiles, "isAtAll": robot.at.all },
        })
    };
    let whole = of(message.text);
    if whole.to_string().len() <= MOST_BODY_BYTES {
        return whole;
    }
    // A keyword that was in the text may be cut off, so it goes to the end.
    let keyword = robot.keywords.iter().find(|k| message.text.contains(k.as_str()));
    let mark = keyword.map_or_else(|| "…".to_owned(), |keyword| format!("…\n\n{keyword}"));
    let cut_at = |at: usize| of(&format!("{}{mark}", &message.text[..message.text.floor_char_boundary(at)]));
    // How many bytes of JSON a byte of text takes differs, so the longest that fits is searched for.
    let (mut fits, mut too_long) = (0, message.text.len());
    while too_long - fits > 1 {
        let middle = fits.midpoint(too_long);
        if cut_at(middle).to_string().len() <= MOST_BODY_BYTES { fits = middle } else { too_long = middle }
    }
    cut_at(fits)
}

#[cfg(test)]
mod tests {
    use nightjar_model::Secret;
    use nightjar_model::kinds::dingtalk_robot::At;

    use super::*;

    fn robot(keywords: &[&str], at: At) -> DingtalkRobotSpec {
        DingtalkRobotSpec {
            url: Secret::new("http://127.0.0.1/"),
            secret: Secret::default(),
            keywords: keywords.iter().map(|k| (*k).to_owned()).collect(),
            at,
            max_per_minute: 20,
        }
    }

    #[test]
    fn signature_is_as_openssl_makes_it() {
        // printf '1700000000000\nSECtest' | openssl dgst -sha256 -hmac SECtest -binary | base64
        assert_eq!(
            sign("SECtest", Timestamp(1_700_000_000_000)),
            include_str!("../../tests/data/dingtalk-sign.txt").trim()
        );
    }

    #[test]
    fn mentions_and_keywords() {
        let at = At { mobiles: vec!["139".into()], all: true };
        let mobiles = ["138".to_owned(), "139".to_owned()];
        let message = Markdown { title: "t", text: "slow", mobiles: &mobiles };
        let sent = body(&robot(&["告警", "alarm"], at), &message);
        assert_eq!(sent["markdown"]["text"], "slow\n\n告警\n\n@139 @138");
        assert_eq!(sent["at"], json!({ "atMobiles": ["139", "138"], "isAtAll": true }));
        let with_keyword = Markdown { text: "an alarm", ..message };
        assert_eq!(
            body(&robot(&["告警", "alarm"], At::default()), &with_keyword)["markdown"]["text"],
            "an alarm\n\n@138 @139"
        );
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        for text in ["夜".repeat(9_000), format!("告警{}", "\"\n".repeat(30_000)), "x".repeat(20_001)] {
            let mobiles = ["138".to_owned()];
            let message = Markdown { title: "t", text: &text, mobiles: &mobiles };
            let sent = body(&robot(&["告警"], At::default()), &message);
            let shown = sent["markdown"]["text"].as_str().expect("text");
            assert!(sent.to_string().len() <= MOST_BODY_BYTES);
            assert!(sent.to_string().len() > MOST_BODY_BYTES - 8, "cut no more than needed");
            assert!(shown.ends_with("@138") && shown.contains("告警") && shown.contains('…'));
        }
    }
}
