//! Drafts become rows of the queue. The de-duplication key says what may be told only once: this
//! change of this alert to this receiver.

use nightjar_model::alert::{Notification, NotificationStatus};
use sha2::{Digest, Sha256};

use super::{Flow, Occurrence, Passage, Stage, channel_name};
use crate::evaluation::{Change, stable_id};

const STAGE: &str = "queue";

pub(super) struct Queue;

impl Stage for Queue {
    fn pass(&self, occurrence: &Occurrence<'_>, passage: &mut Passage) -> Flow {
        for draft in std::mem::take(&mut passage.drafts) {
            let Some(payload) = draft.payload else { continue };
            let channel = channel_name(draft.channel);
            let change = match occurrence.change {
                // Each reminder is a message of its own.
                Change::Reminded => format!("{}@{}", payload.change, occurrence.at.millis()),
                _ => payload.change.clone(),
            };
            let dedup_key = format!("{}/{change}/{channel}/{}", occurrence.alert.id, draft.receiver);
            let id = stable_id(occurrence.now, &Sha256::digest(&dedup_key));
            let reason = format!("{channel} `{}` will be told", draft.receiver);
            passage.note_of(occurrence, STAGE, "passed", reason, Some(id.clone()));
            passage.notifications.push(Notification {
                id,
                workspace: occurrence.alert.workspace.clone(),
                dedup_key,
                alert: occurrence.alert.id.clone(),
                channel: draft.channel,
                receiver: draft.receiver,
                status: NotificationStatus::Pending,
                attempts: 0,
                created_at: occurrence.now,
                next_attempt_at: occurrence.now,
                sent_at: None,
                payload: payload.to_value(),
                last_answer: None,
            });
        }
        Flow::On
    }
}
