//! Test messages: sent at once, in the form of real ones, without the queue.

use async_trait::async_trait;
use nightjar_model::alert::{Channel, Receiver};
use nightjar_model::kinds::Spec;
use nightjar_model::kinds::contact::ContactSpec;
use nightjar_model::kinds::webhook::WebhookFormat;
use nightjar_model::ports::TestSender;
use nightjar_model::{Error, ErrorKind, Kind, ResourceKey, Result};

use crate::Alerting;
use crate::channels::Outcome;
use crate::definitions::Definitions;
use crate::evaluation::stable_id;
use crate::message::{self, Message};
use crate::payload::Content;

/// Robots through which a contact is mentioned for a test.
const MOST_ROBOTS: usize = 3;

#[async_trait]
impl TestSender for Alerting {
    async fn test_send(&self, key: &ResourceKey, to: Option<&str>) -> Result<String> {
        let definitions = self.definitions.current().await?;
        let resource =
            definitions.resource(key).ok_or_else(|| Error::not_found(format!("there is no {key}; save it first")))?;
        match &resource.spec {
            Spec::DingtalkRobot(_) => self.test_robot(&definitions, key, Vec::new()).await,
            Spec::Webhook(webhook) => {
                let message = self.test_message(key, None);
                let content = match webhook.format {
                    WebhookFormat::Nightjar => message.nightjar_json(),
                    WebhookFormat::Alertmanager => message.alertmanager_json(&key.name),
                    WebhookFormat::Text => message.plain(),
                };
                self.test(key, None, content).await
            }
            Spec::EmailServer(_) => {
                let to = to.ok_or_else(|| {
                    Error::new(ErrorKind::InvalidInput, "say where to send the test mail: `to`, an address")
                })?;
                self.test(key, Some(to), self.test_message(key, None).mail()).await
            }
            Spec::Contact(contact) => self.test_contact(&definitions, key, contact).await,
            _ => Err(Error::new(
                ErrorKind::InvalidInput,
                format!("a {} cannot be sent to; test a DingtalkRobot, Webhook, EmailServer or Contact", key.kind),
            )),
        }
    }
}

impl Alerting {
    /// By mail if the contact has an address, and by a mention from the robots of its groups.
    async fn test_contact(
        &self,
        definitions: &Definitions,
        key: &ResourceKey,
        contact: &ContactSpec,
    ) -> Result<String> {
        let mut answers = Vec::new();
        if contact.email.is_some() {
            let answer = self.test(key, None, self.test_message(key, Some(contact)).mail()).await?;
            answers.push(format!("email: {answer}"));
        }
        if let Some(dingtalk) = &contact.dingtalk {
            let mut robots: Vec<&String> = definitions
                .of(Kind::ContactGroup, &key.workspace)
                .filter_map(|resource| match &resource.spec {
                    Spec::ContactGroup(group) if group.contacts.contains(&key.name) => Some(&group.robots),
                    _ => None,
                })
                .flatten()
                .collect();
            robots.sort();
            robots.dedup();
            for robot in robots.into_iter().take(MOST_ROBOTS) {
                let robot = ResourceKey::new(Kind::DingtalkRobot, &key.workspace, robot);
                let answer = self.test_robot(definitions, &robot, vec![dingtalk.mobile.clone()]).await?;
                answers.push(format!("robot `{}`: {answer}", robot.name));
            }
        }
        if answers.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the contact cannot be reached: give it an email address, or a DingTalk mobile and a group with a robot",
            ));
        }
        Ok(answers.join("; "))
    }

    /// A test counts among the robot's messages of the minute: one too many would silence it for ten.
    async fn test_robot(&self, definitions: &Definitions, key: &ResourceKey, mobiles: Vec<String>) -> Result<String> {
        let most = definitions.robot(&key.workspace, &key.name).map_or(1, |robot| robot.max_per_minute);
        let (workspace, name) = (key.workspace.clone(), key.name.clone());
        let receiver = Receiver { workspace, channel: Channel::Dingtalk, name };
        self.deliver.reserve(&receiver, most).map_err(|until| {
            Error::new(
                ErrorKind::TooManyRequests,
                format!(
                    "the robot `{}` has sent its {most} messages of this minute; try again after {until}",
                    key.name
                ),
            )
        })?;
        self.test(key, None, self.test_message(key, None).markdown(mobiles)).await
    }

    fn test_message(&self, key: &ResourceKey, contact: Option<&ContactSpec>) -> Message<'static> {
        let language = contact.and_then(|contact| contact.language).unwrap_or(self.config.language);
        let zone = contact.and_then(|contact| contact.timezone.as_deref()?.parse().ok());
        let zone = zone.unwrap_or_else(|| self.config.zone());
        message::test_message(&key.workspace, &key.name, self.clock.now(), language, zone)
    }

    async fn test(&self, key: &ResourceKey, to: Option<&str>, content: Result<Content, String>) -> Result<String> {
        let content = content.map_err(Error::internal)?;
        let now = self.clock.now();
        let id = stable_id(now, key.to_string().as_bytes());
        match self.channels.send_to(key, to, &format!("test-{id}"), &content).await {
            Outcome::Sent(answer) => Ok(answer),
            Outcome::Retry { reason, .. } => Err(Error::unavailable(format!("not delivered: {reason}"))),
            Outcome::Refused(reason) => Err(Error::unavailable(format!("refused: {reason}"))),
        }
    }
}
