//! What each receiver is told, in its language and zone.

use nightjar_model::alert::Channel;

use super::{Flow, Occurrence, Passage, Stage, channel_name};
use crate::message::Message;
use crate::payload::{Content, Payload};

const STAGE: &str = "render";

pub(super) struct Render {
    pub(super) external_url: Option<String>,
}

impl Stage for Render {
    fn pass(&self, occurrence: &Occurrence<'_>, passage: &mut Passage) -> Flow {
        let mut drafts = std::mem::take(&mut passage.drafts);
        let mut broken_template = None;
        drafts.retain_mut(|draft| {
            let message = Message::new(occurrence, draft.language, draft.zone, self.external_url.as_deref());
            broken_template = message.broken_template().map(str::to_owned).or(broken_template.take());
            let content = match draft.channel {
                Channel::Dingtalk => message.markdown(draft.mobiles.clone()),
                Channel::Email => message.mail(),
                Channel::Webhook => {
                    let webhook = occurrence.definitions.webhook(&occurrence.alert.workspace, &draft.receiver);
                    let format = webhook.map(|webhook| webhook.format).unwrap_or_default();
                    message.body(format, &draft.receiver)
                }
            };
            match content {
                Ok(content) => {
                    draft.payload = Some(Payload { minute_end: occurrence.at, change: message.status(), content });
                    true
                }
                Err(error) => {
                    let to = format!("{} `{}`", channel_name(draft.channel), draft.receiver);
                    passage.note(occurrence, STAGE, "stopped", format!("{to}: {error}"));
                    false
                }
            }
        });
        if let Some(error) = broken_template {
            let reason = format!("the rule's message.text cannot be rendered, the standard text is sent: {error}");
            passage.note(occurrence, STAGE, "passed", reason);
        }
        passage.drafts = drafts;
        if passage.drafts.is_empty() { Flow::Stop } else { Flow::On }
    }
}

impl Message<'_> {
    fn body(&self, format: nightjar_model::kinds::webhook::WebhookFormat, receiver: &str) -> Result<Content, String> {
        use nightjar_model::kinds::webhook::WebhookFormat;
        match format {
            WebhookFormat::Nightjar => self.nightjar_json(),
            WebhookFormat::Alertmanager => self.alertmanager_json(receiver),
            WebhookFormat::Text => self.plain(),
        }
    }
}
