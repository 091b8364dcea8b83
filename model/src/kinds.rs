//! The kinds of document, each in a file of its own; this file is where a new kind is entered.

pub mod alert_rule;
pub mod contact;
pub mod dingtalk_robot;
pub mod email_server;
pub mod monitor;
pub mod subscription;
pub mod webhook;

use serde_json::Value;

use crate::problem::Problems;
use crate::secret::Secret;

/// Another resource that a document names, and where it names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub kind: Kind,
    pub name: String,
    /// Path in the document, e.g. `spec.contacts[1]`.
    pub path: String,
}

/// What each kind must be able to say of itself.
pub trait Document {
    /// Adds what is wrong with the document in itself. Paths are relative to `spec`.
    fn validate(&self, problems: &mut Problems);

    /// Adds what is hardly meant so, asked only when a document is written: one that is stored goes on
    /// as it is.
    fn validate_written(&self, _problems: &mut Problems) {}

    /// The resources it names. Paths are relative to `spec`.
    fn references(&self) -> Vec<Reference> {
        Vec::new()
    }

    /// Adds what is wrong given the resources it refers to, e.g. a column the monitor does not have.
    fn validate_with(&self, _lookup: &dyn Fn(Kind, &str) -> Option<Spec>, _problems: &mut Problems) {}

    /// Where its secrets are sent to; whoever writes another place must know them. Empty for documents
    /// whose secrets go nowhere.
    fn secrets_go_to(&self) -> String {
        String::new()
    }

    /// Visits each secret with its path relative to `spec`.
    fn visit_secrets(&mut self, _visit: &mut dyn FnMut(&str, &mut Secret)) {}
}

macro_rules! kinds {
    ($($kind:ident, $plural:literal, $spec:ty;)+) => {
        /// The kinds of document.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind { $($kind,)+ }

        /// What a document of each kind says under `spec`.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Spec { $($kind(Box<$spec>),)+ }

        impl Kind {
            pub const ALL: [Self; [$(stringify!($kind)),+].len()] = [$(Self::$kind),+];

            /// As written after `kind:`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => stringify!($kind),)+ }
            }

            /// As written in paths of the API.
            pub const fn plural(self) -> &'static str {
                match self { $(Self::$kind => $plural,)+ }
            }
        }

        impl Spec {
            pub fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind,)+ }
            }

            /// Decodes what stands under `spec`, reporting every problem; does not yet validate.
            pub fn decode(kind: Kind, value: &Value, problems: &mut Problems) -> Option<Self> {
                match kind { $(Kind::$kind => crate::decode::decode("spec", value, problems).map(Self::$kind),)+ }
            }

            /// As [`Spec::decode`], but gives what is left of a spec with problems; with whether
            /// nothing that has a meaning had to be left out.
            pub fn salvage(kind: Kind, value: &Value, problems: &mut Problems) -> (Option<Self>, bool) {
                match kind {
                    $(Kind::$kind => {
                        let salvage = crate::decode::salvage("spec", value, problems);
                        (salvage.value.map(Self::$kind), salvage.whole)
                    })+
                }
            }

            /// As shown: secrets as `***`.
            pub fn to_value(&self) -> Value {
                let value = match self { $(Self::$kind(spec) => serde_json::to_value(spec),)+ };
                value.unwrap_or(Value::Null)
            }

            fn document(&self) -> &dyn Document {
                match self { $(Self::$kind(spec) => spec.as_ref(),)+ }
            }

            fn document_mut(&mut self) -> &mut dyn Document {
                match self { $(Self::$kind(spec) => spec.as_mut(),)+ }
            }
        }

        $(impl From<$spec> for Spec {
            fn from(spec: $spec) -> Self {
                Self::$kind(Box::new(spec))
            }
        })+
    };
}

kinds! {
    Monitor, "monitors", monitor::MonitorSpec;
    AlertRule, "alert-rules", alert_rule::AlertRuleSpec;
    Contact, "contacts", contact::ContactSpec;
    ContactGroup, "contact-groups", contact::ContactGroupSpec;
    DingtalkRobot, "dingtalk-robots", dingtalk_robot::DingtalkRobotSpec;
    Webhook, "webhooks", webhook::WebhookSpec;
    EmailServer, "email-servers", email_server::EmailServerSpec;
    Subscription, "subscriptions", subscription::SubscriptionSpec;
}

impl Kind {
    /// The kind written `name` in a document: `AlertRule`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// As a path of the API or a user on the command line writes it: `alert-rules`, `alert-rule`, `AlertRule`.
    pub fn from_path(text: &str) -> Option<Self> {
        let wanted = text.replace(['-', '_'], "").to_lowercase();
        Self::ALL
            .into_iter()
            .find(|kind| wanted == kind.name().to_lowercase() || wanted == kind.plural().replace('-', ""))
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Spec {
    pub fn validate(&self, problems: &mut Problems) {
        self.document().validate(problems);
    }

    /// As [`Spec::validate`], and what only a writer is told of.
    pub fn validate_written(&self, problems: &mut Problems) {
        self.document().validate(problems);
        self.document().validate_written(problems);
    }

    /// The resources it names, with paths from the document's root.
    pub fn references(&self) -> Vec<Reference> {
        let mut references = self.document().references();
        references.iter_mut().for_each(|r| r.path = format!("spec.{}", r.path));
        references
    }

    /// Reports what is wrong given what it refers to. `lookup` sees the documents of the same
    /// workspace, those of the same request included.
    pub fn validate_with(&self, lookup: &dyn Fn(Kind, &str) -> Option<Spec>, problems: &mut Problems) {
        let built_in = |kind, name: &str| crate::builtin::monitor(name).filter(|_| kind == Kind::Monitor);
        let lookup: &dyn Fn(Kind, &str) -> Option<Spec> =
            &|kind, name| built_in(kind, name).map(|spec| spec.as_ref().clone().into()).or_else(|| lookup(kind, name));
        for reference in self.references() {
            if lookup(reference.kind, &reference.name).is_none() {
                problems.add(
                    &reference.path,
                    format!("there is no {} `{}` in this workspace", reference.kind, reference.name),
                );
            }
        }
        problems.within("spec", |p| self.document().validate_with(lookup, p));
    }

    /// Where its secrets are sent to. May hold a secret itself: to be compared, not shown.
    pub fn secrets_go_to(&self) -> String {
        self.document().secrets_go_to()
    }

    pub fn visit_secrets(&mut self, visit: &mut dyn FnMut(&str, &mut Secret)) {
        self.document_mut().visit_secrets(visit);
    }

    pub fn as_monitor(&self) -> Option<&monitor::MonitorSpec> {
        match self {
            Self::Monitor(spec) => Some(spec),
            _ => None,
        }
    }
}

/// The references of a list of names at `path`.
fn references_of(kind: Kind, path: &str, names: &[String]) -> impl Iterator<Item = Reference> {
    names.iter().enumerate().map(move |(index, name)| Reference {
        kind,
        name: name.clone(),
        path: format!("{path}[{index}]"),
    })
}
