//! Events on the wire.

use ig_domain::{
    AccountEvent, Direction, EventChange, EventKind, LoggedEvent, WebhookPayload, WebhookUpdate,
};
use ig_proto::v1;
use prost_types::FieldMask;

use super::timestamp;

/// An event as callers see it; `happened` is what `logged` tells. `payload` is that of an update, if it is stored and
/// opens.
pub(crate) fn event(
    logged: &LoggedEvent,
    happened: &AccountEvent,
    payload: Option<&WebhookPayload>,
) -> v1::Event {
    let AccountEvent { account_id, professional_account_id, owner, revision, change } = happened;
    v1::Event {
        event_id: logged.id.to_string(),
        kind: event_kind(change.kind()).into(),
        event_time: Some(timestamp(logged.time)),
        account_id: account_id.to_string(),
        professional_account_id: professional_account_id.to_string(),
        owner: owner.to_string(),
        revision: *revision,
        changed_fields: change
            .fields()
            .map(|fields| FieldMask { paths: fields.names().map(str::to_owned).collect() }),
        cause: change.cause().unwrap_or_default().to_owned(),
        webhook: match change {
            EventChange::Webhook(update) => Some(webhook(update, payload)),
            _ => None,
        },
    }
}

fn webhook(update: &WebhookUpdate, payload: Option<&WebhookPayload>) -> v1::WebhookEvent {
    let WebhookUpdate { id, field, direction, peer_id, time, payload_size } = update;
    v1::WebhookEvent {
        webhook_id: id.to_string(),
        field: field.as_str().to_owned(),
        direction: direction.map_or(v1::Direction::Unspecified, self::direction).into(),
        peer_id: peer_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        webhook_time: Some(timestamp(*time)),
        payload: payload.map(|payload| payload.as_str().into()).unwrap_or_default(),
        payload_size: *payload_size,
    }
}

fn direction(direction: Direction) -> v1::Direction {
    match direction {
        Direction::Inbound => v1::Direction::Inbound,
        Direction::Echo => v1::Direction::Echo,
        Direction::OwnAccount => v1::Direction::Self_,
    }
}

/// The kind on the wire.
fn event_kind(kind: EventKind) -> v1::EventKind {
    match kind {
        EventKind::Linked => v1::EventKind::Linked,
        EventKind::Changed => v1::EventKind::Changed,
        EventKind::ReauthorizationRequired => v1::EventKind::ReauthorizationRequired,
        EventKind::Healed => v1::EventKind::Healed,
        EventKind::Unlinked => v1::EventKind::Unlinked,
        EventKind::Deleted => v1::EventKind::Deleted,
        EventKind::Webhook => v1::EventKind::Webhook,
    }
}

/// The kind of a request; `None` where it is none.
pub(super) fn requested_kind(raw: i32) -> Option<EventKind> {
    match v1::EventKind::try_from(raw).ok()? {
        v1::EventKind::Unspecified => None,
        v1::EventKind::Linked => Some(EventKind::Linked),
        v1::EventKind::Changed => Some(EventKind::Changed),
        v1::EventKind::ReauthorizationRequired => Some(EventKind::ReauthorizationRequired),
        v1::EventKind::Healed => Some(EventKind::Healed),
        v1::EventKind::Unlinked => Some(EventKind::Unlinked),
        v1::EventKind::Deleted => Some(EventKind::Deleted),
        v1::EventKind::Webhook => Some(EventKind::Webhook),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_read_as_it_is_shown() {
        for &kind in EventKind::ALL {
            let shown = event_kind(kind);
            assert_eq!(requested_kind(shown.into()), Some(kind));
            assert_eq!(shown.as_str_name(), format!("EVENT_KIND_{}", kind.as_str()));
        }
        assert_eq!((requested_kind(0), requested_kind(99)), (None, None));
    }

    #[test]
    fn a_direction_has_the_name_by_which_the_store_knows_it() {
        for &direction in Direction::ALL {
            let shown = super::direction(direction).as_str_name();
            assert_eq!(shown, format!("DIRECTION_{}", direction.as_str()));
        }
    }

    /// A field that the mask names is one of the account as callers see it.
    #[test]
    fn the_fields_of_a_mask_are_those_of_the_message() {
        use prost::Message as _;
        let files = prost_types::FileDescriptorSet::decode(ig_proto::FILE_DESCRIPTOR_SET).unwrap();
        let messages = files.file.iter().flat_map(|file| &file.message_type);
        let account =
            messages.clone().find(|message| message.name() == "InstagramAccount").unwrap();
        let known: Vec<_> =
            account.field.iter().map(prost_types::FieldDescriptorProto::name).collect();
        for field in ig_domain::ChangedField::ALL {
            assert!(known.contains(&field.as_str()), "{field:?}");
        }
    }
}
