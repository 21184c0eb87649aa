//! Bodies as Instagram sends them, and as it does not.

use ig_domain::{Direction, InstagramId, ReceivedUpdate, WebhookUpdate};
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-29 08:00 UTC);
const ACCOUNT: &str = "17841400000000001";
const PEER: &str = "90001";

fn read(body: &str) -> Batch {
    updates(body.as_bytes(), NOW).unwrap()
}

/// The only update of a body, all of which can be read.
fn only(body: &Value) -> ReceivedUpdate {
    let mut batch = read(&body.to_string());
    assert_eq!((batch.updates.len(), batch.unreadable), (1, 0), "{body}");
    batch.updates.remove(0)
}

fn body(entry: &Value) -> Value {
    json!({"object": "instagram", "entry": [entry]})
}

fn messaging(item: &Value) -> Value {
    body(&json!({"id": ACCOUNT, "time": 1_795_900_000_000_i64, "messaging": [item]}))
}

fn change(field: &str, value: &Value) -> Value {
    let changes = json!([{"field": field, "value": value}]);
    body(&json!({"id": ACCOUNT, "time": 1_795_900_000, "changes": changes}))
}

fn flat(field: &str, value: &Value) -> Value {
    body(&json!({"id": ACCOUNT, "time": 1_795_900_000, "field": field, "value": value}))
}

/// An item between a person and the account, with this part.
fn item(name: &str, part: &Value) -> Value {
    let mut item = json!({"sender": {"id": PEER}, "recipient": {"id": ACCOUNT},
        "timestamp": 1_795_900_000_123_i64});
    item[name] = part.clone();
    item
}

/// Field, direction and peer.
fn told(update: &WebhookUpdate) -> (&str, Option<Direction>, Option<&str>) {
    let peer = update.peer_id.as_ref().map(InstagramId::as_str);
    (update.field.as_str(), update.direction, peer)
}

#[rstest]
#[case::message("message", json!({"mid": "m"}), "messages", Some(Direction::Inbound))]
#[case::unsupported(
    "message", json!({"mid": "m", "is_unsupported": true}), "messages", Some(Direction::Inbound)
)]
#[case::reaction(
    "reaction", json!({"mid": "m", "action": "react", "emoji": "\u{2764}"}), "message_reactions",
    Some(Direction::Inbound)
)]
#[case::postback("postback", json!({"mid": "m"}), "messaging_postbacks", Some(Direction::Inbound))]
#[case::read("read", json!({"mid": "m"}), "messaging_seen", Some(Direction::Inbound))]
#[case::edit("message_edit", json!({"mid": "m", "num_edit": "1"}), "message_edit", None)]
#[case::referral("referral", json!({"ref": "r"}), "messaging_referral", None)]
#[case::new("account_linking", json!({}), "", None)]
fn an_item_of_messaging_is_of_its_kind(
    #[case] name: &str,
    #[case] part: Value,
    #[case] field: &str,
    #[case] direction: Option<Direction>,
) {
    let item = item(name, &part);
    let received = only(&messaging(&item));
    assert_eq!(told(&received.update), (field, direction, Some(PEER)));
    assert_eq!(received.account.as_str(), ACCOUNT);
    assert_eq!(received.update.time, datetime!(2026-11-28 21:06:40.123 UTC));
    assert_eq!(received.payload.unwrap().as_str(), item.to_string());
    let standby = only(&body(&json!({"id": ACCOUNT, "standby": [item]})));
    assert_eq!(told(&standby.update), ("standby", direction, Some(PEER)));
}

/// The table of ids: an echo is from the account, and what it sends to itself is marked as both.
#[test]
fn echoes_and_messages_to_oneself_are_told_apart() {
    let sent = |flags: Value| {
        let mut item = item("message", &flags);
        item["message"]["mid"] = json!("m");
        (item["sender"]["id"], item["recipient"]["id"]) = (json!(ACCOUNT), json!(PEER));
        only(&messaging(&item)).update
    };
    let echo = sent(json!({"is_echo": true}));
    assert_eq!(told(&echo), ("messages", Some(Direction::Echo), Some(PEER)));
    let own = sent(json!({"is_echo": true, "is_self": true}));
    assert_eq!(told(&own), ("messages", Some(Direction::OwnAccount), None));
    assert_ne!(sent(json!({"is_deleted": true})).id, echo.id);
}

#[test]
fn a_comment_is_one_in_changes_and_flat() {
    for field in ["comments", "live_comments"] {
        let value = json!({"id": "c", "text": "hello", "from": {"id": PEER, "username": "p"}});
        let (one, other) = (only(&change(field, &value)), only(&flat(field, &value)));
        assert_eq!(one, other);
        assert_eq!(told(&one.update), (field, Some(Direction::Inbound), Some(PEER)));
        assert_eq!(one.update.time, datetime!(2026-11-28 21:06:40 UTC));
        assert_eq!(one.payload.unwrap().as_str(), value.to_string());
        let older = json!({"comment_id": "c", "from": {"id": PEER}});
        assert_eq!(only(&change(field, &older)).update.id, other.update.id);
    }
    let own = json!({"id": "c", "from": {"id": ACCOUNT, "self_ig_scoped_id": "7"}});
    let own = only(&change("comments", &own)).update;
    assert_eq!(told(&own), ("comments", Some(Direction::OwnAccount), None));
}

#[test]
fn a_postback_is_one_wherever_it_comes() {
    let item = item("postback", &json!({"mid": "m", "title": "t"}));
    let (here, there) = (only(&messaging(&item)), only(&change("messaging_postbacks", &item)));
    assert_eq!(here.update.id, there.update.id);
    assert_eq!(told(&here.update), told(&there.update));
}

#[rstest]
#[case::mention("mentions", json!({"comment_id": "c", "media_id": "1"}), "mentions", None)]
#[case::insights("story_insights", json!({"media_id": "1", "reach": -1}), "story_insights", None)]
#[case::no_name("Über", json!({"id": "1"}), "", None)]
#[case::from("other", json!({"from": {"id": 90001}}), "other", Some(PEER))]
fn other_fields_are_kept_as_they_are_named(
    #[case] field: &str,
    #[case] value: Value,
    #[case] expected: &str,
    #[case] peer: Option<&str>,
) {
    assert_eq!(told(&only(&change(field, &value)).update), (expected, None, peer));
}

/// A message, what became of it, and its direction are the same wherever they come.
#[rstest]
#[case::message("messages", "message", json!({"mid": "m"}))]
#[case::deletion("messages", "message", json!({"mid": "m", "is_deleted": true}))]
#[case::echo("messages", "message", json!({"mid": "m", "is_echo": true}))]
#[case::own("messages", "message", json!({"mid": "m", "is_echo": true, "is_self": true}))]
#[case::reaction("message_reactions", "reaction", json!({"mid": "m", "action": "react", "emoji": "x"}))]
#[case::read("messaging_seen", "read", json!({"mid": "m"}))]
#[case::edit("message_edit", "message_edit", json!({"mid": "m", "num_edit": "1"}))]
#[case::referral("messaging_referral", "referral", json!({"ref": "m"}))]
fn an_item_of_messaging_is_one_in_changes(
    #[case] field: &str,
    #[case] part: &str,
    #[case] value: Value,
) {
    let item = item(part, &value);
    let here = only(&messaging(&item));
    for there in [change(field, &item), flat(field, &item)] {
        let there = only(&there);
        assert_eq!(told(&there.update), told(&here.update));
        // An item without a key of its own goes by the time of its entry, too.
        assert_eq!(there.update.id == here.update.id, part != "referral");
        assert_eq!(there.payload, here.payload);
    }
    let standby = only(&change("standby", &item)).update;
    assert_eq!(told(&standby).0, "standby");
}

#[test]
fn a_deletion_in_changes_is_no_repetition_of_its_message() {
    let sent = item("message", &json!({"mid": "m", "text": "hello"}));
    let deleted = item("message", &json!({"mid": "m", "is_deleted": true}));
    let [sent, deleted] = [sent, deleted].map(|item| only(&change("messages", &item)).update.id);
    assert_ne!(sent, deleted);
}

/// Its loop guard must not depend on a flag alone.
#[test]
fn a_message_that_the_account_sent_is_an_echo_without_its_flag() {
    let sent = json!({"sender": {"id": ACCOUNT}, "recipient": {"id": PEER},
        "timestamp": 1_795_900_000_000_u64, "message": {"mid": "m"}});
    let update = only(&messaging(&sent)).update;
    assert_eq!(told(&update), ("messages", Some(Direction::Echo), Some(PEER)));
}

#[test]
fn a_value_that_is_no_object_is_kept_beside_an_empty_list() {
    let entry =
        json!({"id": ACCOUNT, "time": 1_795_900_000, "changes": [], "field": "new", "value": [1]});
    let received = only(&body(&entry));
    assert_eq!(told(&received.update), ("new", None, None));
    assert_eq!(received.payload.unwrap().as_str(), "[1]");
}

/// Sent from the App Dashboard, to see whether anything arrives: its account is nobody's.
#[test]
fn the_test_of_the_dashboard_is_an_update_of_nobody() {
    let value = json!({"sender": {"id": "12334"}, "recipient": {"id": "23245"},
        "timestamp": "1527459824", "message": {"mid": "random_mid", "text": "random_text"}});
    let changes = json!([{"field": "messages", "value": value}]);
    let received = only(&body(&json!({"id": "0", "time": 1_795_900_000, "changes": changes})));
    assert_eq!(received.account.as_str(), "0");
    assert_eq!(told(&received.update), ("messages", Some(Direction::Inbound), Some("12334")));
    assert_eq!(received.update.time, datetime!(2018-05-27 22:23:44 UTC));
}

#[test]
fn a_body_may_be_an_array_and_an_entry_may_have_several_lists() {
    let entry = json!({"id": 17_841_400_000_000_001_u64, "messaging": [item("message", &json!({"mid": "1"}))],
        "standby": [item("message", &json!({"mid": "2"}))],
        "changes": [{"field": "comments", "value": {"id": "3"}}], "unknown": [1]});
    let both = json!([body(&entry), body(&entry)]);
    let batch = read(&both.to_string());
    let fields: Vec<_> = batch.updates.iter().map(|one| one.update.field.as_str()).collect();
    let expected = ["messages", "standby", "comments"];
    assert_eq!((fields, batch.unreadable), ([expected, expected].concat(), 0));
    assert!(batch.updates.iter().all(|one| one.account.as_str() == ACCOUNT));
}

/// Its payload is what was signed, escapes and blanks and unknown fields too.
#[test]
fn a_payload_is_byte_for_byte_as_it_came() {
    let item =
        r#"{ "message":{"mid":"a\/b","text":"\u00e9\u003C\ud83d","new":[1e400]} ,"x": null}"#;
    let text = format!(
        r#"{{"object":"instagram","entry":[{{"id":"{ACCOUNT}","messaging":[ {item} ]}}]}}"#
    );
    let batch = read(&text);
    let payload = batch.updates[0].payload.as_ref().unwrap();
    assert_eq!(payload.as_str(), item);
    let same = read(&text.replace(r"a\/b", "a/b"));
    assert_eq!(batch.updates[0].update.id, same.updates[0].update.id);
}

/// What tells apart updates of one message, and what does not.
#[test]
fn the_key_of_an_update_is_what_instagram_says_it_is() {
    let id = |name: &str, part: Value, timestamp: i64| {
        let mut item = item(name, &part);
        item["timestamp"] = json!(timestamp);
        only(&messaging(&item)).update.id
    };
    let message =
        |text: &str, timestamp| id("message", json!({"mid": "m", "text": text}), timestamp);
    assert_eq!(message("a", 1), message("b", 2));
    let reaction = |action: &str, emoji: &str, timestamp| {
        id("reaction", json!({"mid": "m", "action": action, "emoji": emoji}), timestamp)
    };
    let ids = [
        message("a", 1),
        reaction("react", "x", 1),
        reaction("unreact", "x", 1),
        reaction("react", "y", 1),
        reaction("react", "x", 2),
        id("read", json!({"mid": "m"}), 1),
        id("read", json!({"mid": "m"}), 2),
        id("message_edit", json!({"mid": "m", "num_edit": 1}), 1),
        id("message_edit", json!({"mid": "m", "num_edit": 2}), 1),
    ];
    for (place, id) in ids.iter().enumerate() {
        assert!(!ids[..place].contains(id), "{place}");
    }
    let edit = |number: Value| id("message_edit", json!({"mid": "m", "num_edit": number}), 1);
    assert_eq!(edit(json!(1)), edit(json!("1")));
}

#[rstest]
#[case::nothing("{}", 1)]
#[case::number("7", 1)]
#[case::null("null", 1)]
#[case::empty_array("[]", 0)]
#[case::array_of_others("[1,[],{}]", 3)]
#[case::another_object(r#"{"object":"page","entry":[{"id":"1","messaging":[{}]}]}"#, 1)]
#[case::no_entries(r#"{"object":"instagram"}"#, 1)]
#[case::an_object_of_entries(r#"{"object":"instagram","entry":{"id":"1"}}"#, 1)]
#[case::no_account(r#"{"object":"instagram","entry":[{"messaging":[{}]}]}"#, 1)]
#[case::no_id(r#"{"object":"instagram","entry":[{"id":"x","messaging":[{}]}]}"#, 1)]
#[case::a_float(r#"{"object":"instagram","entry":[{"id":1.0,"messaging":[{}]}]}"#, 1)]
#[case::no_lists(r#"{"object":"instagram","entry":[{"id":"1"}]}"#, 1)]
#[case::no_list(r#"{"object":"instagram","entry":[{"id":"1","messaging":{},"changes":7}]}"#, 2)]
#[case::no_items(r#"{"object":"instagram","entry":[{"id":"1","messaging":[1,"x",null]}]}"#, 3)]
#[case::no_value(
    r#"{"object":"instagram","entry":[{"id":"1","changes":[{"field":"comments"}]}]}"#,
    1
)]
#[case::twice(r#"{"object":"instagram","object":"instagram","entry":[]}"#, 1)]
fn what_is_no_update_is_counted(#[case] body: &str, #[case] unreadable: u64) {
    let batch = read(body);
    assert_eq!((batch.updates.len(), batch.unreadable), (0, unreadable));
}

#[test]
fn an_item_that_cannot_be_read_spoils_no_other() {
    let message = item("message", &json!({"mid": "m"}));
    let good = json!({"id": ACCOUNT, "messaging": [7, message]});
    let body = json!({"object": "instagram", "entry": [{"id": null}, good, 1]});
    let batch = read(&body.to_string());
    assert_eq!((batch.updates.len(), batch.unreadable), (1, 3));
    // Of wrong types where we read, or twice: it is an update all the same.
    for item in [
        r#"{"message":{"mid":{},"is_echo":"x"},"sender":7,"timestamp":[]}"#,
        r#"{"message":7,"sender":{"id":[]}}"#,
        r#"{"message":{"mid":"a"},"message":{"mid":"b"}}"#,
        r#"{"message":{"mid":"\ud83d"}}"#,
    ] {
        let body =
            format!(r#"{{"object":"instagram","entry":[{{"id":"1","messaging":[{item}]}}]}}"#);
        let batch = read(&body);
        assert_eq!((batch.updates.len(), batch.unreadable), (1, 0), "{item}");
        assert_eq!(batch.updates[0].payload.as_ref().unwrap().as_str(), item);
    }
}

#[rstest]
#[case::empty("")]
#[case::cut(r#"{"object":"instagram","entry":[{"id":"1""#)]
#[case::two("{} {}")]
#[case::trailing("[1,]")]
#[case::a_word("instagram")]
fn what_is_no_json_is_no_batch(#[case] body: &str) {
    assert_eq!(updates(body.as_bytes(), NOW).unwrap_err(), BatchError::NotJson);
}

#[test]
fn bytes_that_are_no_utf_8_are_no_batch() {
    assert_eq!(updates(b"{\"object\":\"\xff\"}", NOW).unwrap_err(), BatchError::NotJson);
}

#[test]
fn depth_and_number_are_bounded() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let _ = updates(deep.as_bytes(), NOW);
    let items = |number| vec!["{}"; number].join(",");
    let body = |number| {
        let items = items(number);
        format!(r#"{{"object":"instagram","entry":[{{"id":"1","messaging":[{items}]}}]}}"#)
    };
    assert_eq!(read(&body(10_000)).updates.len(), 10_000);
    assert_eq!(updates(body(10_001).as_bytes(), NOW).unwrap_err(), BatchError::TooMany);
}

/// JSON with the names that we read, in any place.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9]{1,22}|instagram|comments|.{0,10}".prop_map(Value::from),
    ];
    let name = prop::sample::select(vec![
        "object",
        "entry",
        "id",
        "time",
        "messaging",
        "standby",
        "changes",
        "field",
        "value",
        "sender",
        "recipient",
        "from",
        "timestamp",
        "message",
        "reaction",
        "postback",
        "read",
        "message_edit",
        "mid",
        "comment_id",
        "is_echo",
        "num_edit",
    ]);
    leaf.prop_recursive(6, 64, 8, move |inner| {
        let object = prop::collection::hash_map(name.clone(), inner.clone(), 0..8);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            object.prop_map(|fields| {
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }),
        ]
    })
}

proptest! {
    #[test]
    fn reading_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = updates(&bytes, NOW);
    }

    #[test]
    fn reading_any_json_never_panics_and_loses_no_item(
        entries in prop::collection::vec(any_json(), 0..4),
        items in prop::collection::vec(any_json(), 0..4),
    ) {
        let entry = json!({"id": ACCOUNT, "messaging": items, "standby": entries});
        let body = json!({"object": "instagram", "entry": [entry]}).to_string();
        let batch = updates(body.as_bytes(), NOW).unwrap();
        let read = batch.updates.len() as u64 + batch.unreadable;
        prop_assert_eq!(read, (items.len() + entries.len()) as u64);
        let body = json!({"object": "instagram", "entry": entries}).to_string();
        prop_assert!(updates(body.as_bytes(), NOW).is_ok());
    }
}
