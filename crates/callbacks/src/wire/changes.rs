//! Values of fields: comments and the like, in `changes` or flat in their entry.

use ig_domain::{ProfessionalAccountId, ReceivedUpdate, UpdateFacts, UpdateKind, WebhookField};
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::lenient::{Fields, Raw, fields, number, object, text};

/// The update of the value of `field`; `None` where it is no object.
pub(super) fn update(
    account: &ProfessionalAccountId,
    entry_time: Option<i64>,
    field: Raw<'_>,
    raw: &RawValue,
    now: OffsetDateTime,
) -> Option<ReceivedUpdate> {
    let value = object(raw)?;
    let field = text(field).unwrap_or_default();
    let (sender, recipient) = (text(fields(value.sender).id), text(fields(value.recipient).id));
    let author = fields(value.from);
    let (from, key) = (text(author.id), text(key(&value)));
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
    Some(ReceivedUpdate::of(account.clone(), entry_time, &facts, raw.get(), now))
}

fn kind(field: &str) -> UpdateKind {
    let name = WebhookField::of_name(field);
    match field {
        "comments" | "live_comments" => UpdateKind::Comment(name),
        "messaging_postbacks" => UpdateKind::Postback,
        _ => UpdateKind::Other(name),
    }
}

/// The value's own key, wherever it has one.
fn key<'a>(value: &Fields<'a>) -> Raw<'a> {
    let (message, postback) = (fields(value.message), fields(value.postback));
    message.mid.or(postback.mid).or(value.id).or(value.comment_id)
}
