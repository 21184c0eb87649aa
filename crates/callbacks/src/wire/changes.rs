//! Values of fields: comments and the like, in `changes` or flat in their entry.

use ig_domain::{ProfessionalAccountId, ReceivedUpdate, UpdateFacts, UpdateKind, WebhookField};
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::lenient::{Raw, fields, number, object, text};
use super::messaging;

/// Fields whose values may be shaped as items of `messaging` are.
const MESSAGING_FIELDS: [&str; 7] = [
    "messages",
    "message_reactions",
    "messaging_postbacks",
    "messaging_seen",
    "messaging_referral",
    "message_edit",
    STANDBY,
];

/// Field of what another app answers at the moment.
const STANDBY: &str = "standby";

/// The update of the value of `field`.
pub(super) fn update(
    account: &ProfessionalAccountId,
    entry_time: Option<i64>,
    field: Raw<'_>,
    raw: &RawValue,
    now: OffsetDateTime,
) -> ReceivedUpdate {
    let value = object(raw).unwrap_or_default();
    let field = text(field).unwrap_or_default();
    if MESSAGING_FIELDS.contains(&&*field) && messaging::has_part(&value) {
        return messaging::update(account, entry_time, raw, &value, field == STANDBY, now);
    }
    let (sender, recipient) = (text(fields(value.sender).id), text(fields(value.recipient).id));
    let author = fields(value.from);
    let (from, key) = (text(author.id), text(value.id.or(value.comment_id)));
    let facts = UpdateFacts {
        kind: kind(&field),
        sender: sender.as_deref(),
        recipient: recipient.as_deref(),
        from: from.as_deref(),
        is_own_comment: author.self_ig_scoped_id.is_some(),
        key: key.as_deref(),
        timestamp: number(value.timestamp),
        ..UpdateFacts::default()
    };
    ReceivedUpdate::of(account.clone(), entry_time, &facts, raw.get(), now)
}

fn kind(field: &str) -> UpdateKind {
    let name = WebhookField::of_name(field);
    match field {
        "comments" | "live_comments" => UpdateKind::Comment(name),
        _ => UpdateKind::Other(name),
    }
}
