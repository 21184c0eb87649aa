//! Events on the wire.

use ig_domain::{AccountEvent, EventKind, LoggedEvent};
use ig_proto::v1;
use prost_types::FieldMask;

use super::timestamp;

/// An event as callers see it; `happened` is what `logged` tells.
pub(crate) fn event(logged: &LoggedEvent, happened: &AccountEvent) -> v1::Event {
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
