//! DingtalkRobot: a custom robot of a DingTalk group.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Document;
use crate::problem::Problems;
use crate::secret::Secret;

/// A robot's `spec`. The address holds the robot's access token, so it is a secret as a whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DingtalkRobotSpec {
    /// `https://oapi.dingtalk.com/robot/send?access_token=…`
    pub url: Secret,
    /// Of a robot with signature; empty for one without.
    #[serde(default)]
    pub secret: Secret,
    /// Of a robot with keywords: a message without any of them gets the first one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    #[serde(default)]
    pub at: At,
    /// DingTalk refuses more than 20, and then everything for ten minutes.
    #[serde(default = "twenty")]
    pub max_per_minute: u32,
}

/// Whom to mention, beside the contacts of the group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct At {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mobiles: Vec<String>,
    pub all: bool,
}

impl Document for DingtalkRobotSpec {
    fn validate(&self, problems: &mut Problems) {
        super::webhook::validate_url(self.url.expose(), self.url.is_mask(), problems);
        if !(1..=20).contains(&self.max_per_minute) {
            problems.add("max_per_minute", "must be from 1 to 20, DingTalk's own limit");
        }
        if self.keywords.len() > 10 || self.keywords.iter().any(|k| k.trim().is_empty()) {
            problems.add("keywords", "at most 10, none of them empty");
        }
    }

    fn secrets_go_to(&self) -> String {
        self.url.expose().to_owned()
    }

    fn visit_secrets(&mut self, visit: &mut dyn FnMut(&str, &mut Secret)) {
        visit("url", &mut self.url);
        visit("secret", &mut self.secret);
    }
}

fn twenty() -> u32 {
    20
}
