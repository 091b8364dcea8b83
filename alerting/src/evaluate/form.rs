//! What a rule's stored state was made by, and what a change of the rule leaves of it.

use nightjar_model::kinds::alert_rule::AlertRuleSpec;
use sha2::{Digest, Sha256};

/// Stored with the state as one text: the rule's uid, and behind spaces the monitor and a digest of the
/// conditions and of how often they must hold. States of earlier versions have the uid alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Form {
    uid: String,
    /// What was judged, where it is known.
    judged: Option<Judged>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Judged {
    monitor: String,
    conditions: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FormChange {
    None,
    /// Earlier checks were of other conditions; what fires goes on.
    Conditions,
    /// What fires has nothing to do with the rule as it is now, and is closed with this reason.
    Anew(&'static str),
}

impl Form {
    pub(super) fn of(uid: &str, rule: &AlertRuleSpec) -> Self {
        let judged = serde_json::json!([&rule.conditions, rule.match_, rule.for_, &rule.recover]);
        let digest = Sha256::digest(judged.to_string());
        let conditions = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { uid: uid.to_owned(), judged: Some(Judged { monitor: rule.monitor.clone(), conditions }) }
    }

    pub(super) fn change_to(&self, now: &Self) -> FormChange {
        match (&self.judged, &now.judged) {
            _ if self.uid != now.uid => FormChange::Anew("its rule was deleted and made anew"),
            (Some(before), Some(now)) if before.monitor != now.monitor => {
                FormChange::Anew("its rule watches another monitor now")
            }
            (Some(before), Some(now)) if before.conditions != now.conditions => FormChange::Conditions,
            _ => FormChange::None,
        }
    }

    pub(super) fn to_text(&self) -> String {
        match &self.judged {
            Some(judged) => format!("{} {} {}", self.uid, judged.monitor, judged.conditions),
            None => self.uid.clone(),
        }
    }

    pub(super) fn from_text(text: &str) -> Self {
        let mut words = text.splitn(3, ' ').map(str::to_owned);
        let uid = words.next().unwrap_or_default();
        let judged = words.next().zip(words.next()).map(|(monitor, conditions)| Judged { monitor, conditions });
        Self { uid, judged }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn travels_as_text_also_the_earlier_one() {
        let form =
            Form { uid: "u".into(), judged: Some(Judged { monitor: "trade".into(), conditions: "0011".into() }) };
        assert_eq!(Form::from_text(&form.to_text()), form);
        assert_eq!(Form::from_text("u"), Form { uid: "u".into(), judged: None });
        assert_eq!(Form::from_text("u").change_to(&form), FormChange::None);
    }
}
