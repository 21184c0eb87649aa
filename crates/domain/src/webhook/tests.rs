use proptest::prelude::*;
use rstest::rstest;
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-29 08:00 UTC);

/// Of the entry: seven seconds of 1970.
const ENTRY_TIME: OffsetDateTime = datetime!(1970-01-01 0:00:07 UTC);

const ACCOUNT: &str = "17841400000000001";
const PEER: &str = "90001";
const PAYLOAD: &str = r#"{"a":1}"#;

fn account() -> ProfessionalAccountId {
    ACCOUNT.parse().unwrap()
}

fn received(facts: &UpdateFacts<'_>) -> WebhookUpdate {
    ReceivedUpdate::of(account(), Some(7), facts, PAYLOAD, NOW).update
}

fn between<'a>(sender: &'a str, recipient: &'a str, kind: UpdateKind) -> UpdateFacts<'a> {
    let (sender, recipient) = (Some(sender), Some(recipient));
    UpdateFacts { kind, sender, recipient, key: Some("mid"), ..UpdateFacts::default() }
}

fn comments() -> UpdateKind {
    UpdateKind::Comment(WebhookField::of_name("comments"))
}

#[rstest]
#[case::message(UpdateKind::Message, "messages", Some(Direction::Inbound))]
#[case::reaction(UpdateKind::Reaction, "message_reactions", Some(Direction::Inbound))]
#[case::postback(UpdateKind::Postback, "messaging_postbacks", Some(Direction::Inbound))]
#[case::read(UpdateKind::Read, "messaging_seen", Some(Direction::Inbound))]
#[case::edit(UpdateKind::Edit, "message_edit", None)]
#[case::referral(UpdateKind::Referral, "messaging_referral", None)]
#[case::mention(UpdateKind::Other(WebhookField::of_name("mentions")), "mentions", None)]
#[case::unknown(UpdateKind::default(), "", None)]
fn each_kind_has_its_field_and_direction(
    #[case] kind: UpdateKind,
    #[case] field: &str,
    #[case] direction: Option<Direction>,
) {
    let facts = between(PEER, ACCOUNT, kind);
    let update = received(&facts);
    assert_eq!((update.field.as_str(), update.direction), (field, direction));
    assert_eq!(update.peer_id, Some(PEER.parse().unwrap()));
    let standby = received(&UpdateFacts { is_standby: true, ..facts });
    assert_eq!((standby.field.as_str(), standby.direction), ("standby", direction));
}

#[test]
fn what_the_account_sent_has_the_recipient_as_peer_or_none() {
    let sent = between(ACCOUNT, PEER, UpdateKind::Message);
    let echo = received(&UpdateFacts { is_echo: true, ..sent.clone() });
    assert_eq!(echo.direction, Some(Direction::Echo));
    assert_eq!(echo.peer_id, Some(PEER.parse().unwrap()));
    // Instagram marks what somebody sends to himself as both.
    let own = received(&UpdateFacts { is_echo: true, is_self: true, ..sent });
    assert_eq!((own.direction, own.peer_id), (Some(Direction::OwnAccount), None));
    let edit = received(&between(ACCOUNT, PEER, UpdateKind::Edit));
    assert_eq!((edit.direction, edit.peer_id), (None, None));
}

#[test]
fn a_comment_has_its_author_as_peer_but_where_that_is_the_account() {
    let facts = UpdateFacts { kind: comments(), from: Some(PEER), ..UpdateFacts::default() };
    let comment = received(&facts);
    assert_eq!((comment.field.as_str(), comment.direction), ("comments", Some(Direction::Inbound)));
    assert_eq!(comment.peer_id, Some(PEER.parse().unwrap()));
    let own = received(&UpdateFacts { is_own_comment: true, ..facts });
    assert_eq!((own.direction, own.peer_id), (Some(Direction::OwnAccount), None));
}

#[test]
fn one_key_is_one_update_whatever_its_payload_and_entry() {
    let facts = between(PEER, ACCOUNT, UpdateKind::Message);
    let again = ReceivedUpdate::of(account(), Some(8), &facts, "{}", NOW).update;
    assert_eq!(received(&facts).id, again.id);
}

#[test]
fn without_a_key_another_payload_or_entry_is_another_update() {
    for key in [None, Some("")] {
        let facts = UpdateFacts { key, ..between(PEER, ACCOUNT, UpdateKind::Referral) };
        let id = |entry_time, payload| {
            ReceivedUpdate::of(account(), entry_time, &facts, payload, NOW).update.id
        };
        assert_eq!(id(Some(7), PAYLOAD), id(Some(7), PAYLOAD));
        assert_ne!(id(Some(7), PAYLOAD), id(Some(8), PAYLOAD));
        assert_ne!(id(Some(7), PAYLOAD), id(Some(7), "{}"));
    }
}

#[test]
fn a_deleted_message_is_another_update_than_the_message() {
    let facts = between(PEER, ACCOUNT, UpdateKind::Message);
    let deleted = UpdateFacts { is_deleted: true, ..facts.clone() };
    assert_ne!(received(&facts).id, received(&deleted).id);
}

#[rstest]
#[case::seconds(Some(1_795_900_000), datetime!(2026-11-28 21:06:40 UTC))]
#[case::milliseconds(Some(1_795_900_000_123), datetime!(2026-11-28 21:06:40.123 UTC))]
#[case::no_calendar(Some(i64::MAX), ENTRY_TIME)]
#[case::before_1970(Some(-1), ENTRY_TIME)]
#[case::none(None, ENTRY_TIME)]
fn a_time_is_seconds_or_milliseconds_and_else_that_of_the_entry(
    #[case] timestamp: Option<i64>,
    #[case] expected: OffsetDateTime,
) {
    assert_eq!(received(&UpdateFacts { timestamp, ..UpdateFacts::default() }).time, expected);
}

#[test]
fn a_payload_above_the_limit_is_left_out_and_its_size_kept() {
    let size = WebhookPayload::MAX_LENGTH;
    for (size, kept) in [(size, true), (size + 1, false)] {
        let text = "x".repeat(size);
        let received = ReceivedUpdate::of(account(), None, &UpdateFacts::default(), &text, NOW);
        assert_eq!(received.payload.is_some(), kept);
        assert_eq!(usize::try_from(received.update.payload_size), Ok(size));
        assert!(!format!("{received:?}").contains("xx"));
    }
}

#[test]
fn an_id_is_written_in_hexadecimal() {
    let mut bytes = [0; 32];
    bytes[0] = 0xa1;
    let shown = WebhookId::from_bytes(bytes).to_string();
    assert_eq!(shown, format!("a1{}", "0".repeat(62)));
}

#[test]
fn a_field_that_is_no_name_is_empty() {
    for name in ["Messages", "a-b", "é", &"a".repeat(65)] {
        assert_eq!(WebhookField::of_name(name), WebhookField::default(), "{name:?}");
    }
}

proptest! {
    #[test]
    fn the_id_depends_on_every_part(
        parts in prop::collection::vec("[a-c]{0,2}", 0..4),
        others in prop::collection::vec("[a-c]{0,2}", 0..4),
    ) {
        let id = |qualifiers: &[String]| {
            let qualifiers = qualifiers.iter().map(String::as_str).collect();
            received(&UpdateFacts { qualifiers, ..between(PEER, ACCOUNT, UpdateKind::Reaction) }).id
        };
        prop_assert_eq!(id(&parts) == id(&others), parts == others);
    }

    #[test]
    fn any_facts_make_an_update(
        text in ".{0,40}",
        number in any::<i64>(),
        flags in any::<[bool; 5]>(),
        kind in 0..4,
    ) {
        let [is_standby, is_echo, is_self, is_deleted, is_own_comment] = flags;
        let kind = match kind {
            0 => UpdateKind::Message,
            1 => UpdateKind::Edit,
            2 => comments(),
            _ => UpdateKind::Other(WebhookField::of_name(&text)),
        };
        let facts = UpdateFacts {
            kind, is_standby, is_echo, is_self, is_deleted, is_own_comment,
            sender: Some(&text),
            recipient: Some(&text),
            from: Some(&text),
            key: Some(&text),
            qualifiers: vec![&text],
            timestamp: Some(number),
        };
        let received = ReceivedUpdate::of(account(), Some(number), &facts, &text, NOW);
        prop_assert_eq!(received.payload.is_some(), !text.is_empty());
    }
}
