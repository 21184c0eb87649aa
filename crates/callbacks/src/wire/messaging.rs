//! Items of `messaging` and `standby`: messages, and what belongs to them.

use ig_domain::{ProfessionalAccountId, ReceivedUpdate, UpdateFacts, UpdateKind};
use serde_json::value::RawValue;
use time::OffsetDateTime;

use super::lenient::{Fields, Raw, fields, flag, number, text};

/// The update of an item of `account`, which `raw` holds.
pub(super) fn update(
    account: &ProfessionalAccountId,
    entry_time: Option<i64>,
    raw: &RawValue,
    item: &Fields<'_>,
    is_standby: bool,
    now: OffsetDateTime,
) -> ReceivedUpdate {
    let (kind, part) = part(item).unwrap_or_default();
    let (sender, recipient) = (text(fields(item.sender).id), text(fields(item.recipient).id));
    let key = text(part.mid);
    let qualifiers: Vec<_> = qualifiers(&kind, item, &part)
        .into_iter()
        .map(|raw| text(raw).unwrap_or_default())
        .collect();
    let facts = UpdateFacts {
        is_standby,
        sender: sender.as_deref(),
        recipient: recipient.as_deref(),
        from: None,
        is_echo: flag(part.is_echo),
        is_self: flag(part.is_self),
        is_deleted: flag(part.is_deleted),
        is_own_comment: false,
        key: key.as_deref(),
        qualifiers: qualifiers.iter().map(AsRef::as_ref).collect(),
        timestamp: number(item.timestamp),
        kind,
    };
    ReceivedUpdate::of(account.clone(), entry_time, &facts, raw.get(), now)
}

/// Whether an item says by one of its parts which kind it is of.
pub(super) fn has_part(item: &Fields<'_>) -> bool {
    part(item).is_some()
}

/// The kind of an item, and the part of it that says more; `None` for a kind that nobody knows here.
fn part<'a>(item: &Fields<'a>) -> Option<(UpdateKind, Fields<'a>)> {
    let kinds = [
        (UpdateKind::Message, item.message),
        (UpdateKind::Reaction, item.reaction),
        (UpdateKind::Postback, item.postback),
        (UpdateKind::Read, item.read),
        (UpdateKind::Edit, item.message_edit),
        (UpdateKind::Referral, item.referral),
    ];
    let (kind, part) = kinds.into_iter().find(|(_, part)| part.is_some())?;
    // A referral has no key of its own.
    let part = if kind == UpdateKind::Referral { None } else { part };
    Some((kind, fields(part)))
}

/// The texts that tell apart updates of one message.
fn qualifiers<'a>(kind: &UpdateKind, item: &Fields<'a>, part: &Fields<'a>) -> Vec<Raw<'a>> {
    match kind {
        UpdateKind::Reaction => vec![part.action, part.emoji, item.timestamp],
        UpdateKind::Read => vec![item.timestamp],
        UpdateKind::Edit => vec![part.num_edit],
        _ => Vec::new(),
    }
}
