//! `/sandbox/webhooks`: what is sent, how it is signed, and what is refused.

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::{APP_SECRET, Running, parse, read, start};
use crate::receiver::{Received, Receiver};

const PEER: &str = "910000000000019";
const OWN: &str = "910000000000023";
const MEDIA: &str = "17887498072083520";

async fn running() -> (Running, Receiver) {
    (start().await, Receiver::start(200, "").await)
}

async fn user_id(sandbox: &Running) -> String {
    sandbox.account("mira.paints").await["user_id"].as_str().unwrap().to_owned()
}

/// Sends updates with some more members of the request.
async fn send(sandbox: &Running, receiver: &Receiver, updates: Value, more: Value) -> Value {
    let mut request = json!({ "url": receiver.url("/webhooks/instagram"), "updates": updates });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    sandbox.post("webhooks", request).await
}

/// Verifies the signature over the bytes that came.
fn assert_signed(received: &Received, secret: &str) {
    let header = received.header("x-hub-signature-256").unwrap();
    let keyed = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    let mac = keyed.chain_update(&received.body).finalize().into_bytes();
    let digits: Vec<_> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(header, format!("sha256={}", digits.concat()));
}

#[tokio::test]
async fn a_message_is_sent_signed_and_in_ascii_alone() {
    let (sandbox, receiver) = running().await;
    let message = json!({ "username": "mira.paints", "kind": "message", "text": "</é🎉" });
    let sent = send(&sandbox, &receiver, json!([message]), json!({})).await;
    let request = receiver.one();
    assert_eq!(request.path, "/webhooks/instagram");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("user-agent"), Some("facebookexternalua"));
    assert_signed(&request, APP_SECRET);
    assert!(request.body.contains(r#""text":"\u003C\/\u00e9\ud83c\udf89""#), "{}", request.body);
    assert_eq!((&sent["status"], &sent["answers"][0]["status"]), (&json!(200), &json!(200)));
    let update = &sent["updates"][0];
    assert!(request.body.contains(update["payload"].as_str().unwrap()));
    let (user_id, time) = (user_id(&sandbox).await, &update["timestamp_ms"]);
    assert_eq!(update["entry_id"], user_id);
    let message = json!({ "mid": update["mid"], "text": "</é🎉" });
    let item = json!({
        "sender": { "id": PEER }, "recipient": { "id": user_id }, "timestamp": time, "message": message,
    });
    let entry = json!({ "id": user_id, "time": time, "messaging": [item] });
    assert_eq!(request.json(), json!({ "object": "instagram", "entry": [entry] }));
}

#[tokio::test]
async fn times_are_the_sandboxs_in_milliseconds_with_messages_and_seconds_with_changes() {
    let (sandbox, receiver) = running().await;
    sandbox.post("clock", json!({ "now": "2031-01-01T00:00:00Z" })).await;
    let updates = json!([
        { "username": "mira.paints", "kind": "message" },
        { "username": "mira.paints", "kind": "comment" },
        { "username": "mira.paints", "kind": "read", "timestamp_ms": 1_700_000_000_123_i64 },
    ]);
    send(&sandbox, &receiver, updates, json!({})).await;
    let body = receiver.one().json();
    let time = |entry: usize| body["entry"][entry]["time"].as_i64().unwrap();
    let new_year = 1_924_992_000_i64;
    assert!((0..60_000).contains(&(time(0) - new_year * 1_000)));
    assert!((0..60).contains(&(time(1) - new_year)));
    assert_eq!(time(2), 1_700_000_000_123);
    assert_eq!(body["entry"][2]["messaging"][0]["timestamp"], 1_700_000_000_123_i64);
}

#[rstest]
#[case::echo("echo", json!({ "message": { "mid": "m1", "text": "t", "is_echo": true } }), ("ACCOUNT", PEER))]
#[case::own("self", json!({ "message": { "mid": "m1", "text": "t", "is_echo": true, "is_self": true } }), ("ACCOUNT", OWN))]
#[case::deleted("deleted", json!({ "message": { "mid": "m1", "is_deleted": true } }), (PEER, "ACCOUNT"))]
#[case::edit("edit", json!({ "message_edit": { "mid": "m1", "text": "t", "num_edit": "1" } }), (PEER, "ACCOUNT"))]
#[case::reaction("reaction", json!({ "reaction": { "mid": "m1", "action": "react", "reaction": "love", "emoji": "❤" } }), (PEER, "ACCOUNT"))]
#[case::read("read", json!({ "read": { "mid": "m1" } }), (PEER, "ACCOUNT"))]
#[case::postback("postback", json!({ "postback": { "mid": "m1", "title": "t", "payload": "ORDER" } }), (PEER, "ACCOUNT"))]
#[case::referral("referral", json!({ "referral": { "ref": "t", "source": "SHORTLINK", "type": "OPEN_THREAD" } }), (PEER, "ACCOUNT"))]
#[tokio::test]
async fn items_of_messaging_have_the_documented_form(
    #[case] kind: &str,
    #[case] content: Value,
    #[case] (sender, recipient): (&str, &str),
) {
    let (sandbox, receiver) = running().await;
    let user_id = user_id(&sandbox).await;
    let update = json!({ "username": "mira.paints", "kind": kind, "mid": "m1", "text": "t", "timestamp_ms": 7 });
    send(&sandbox, &receiver, json!([update]), json!({})).await;
    let id = |name| if name == "ACCOUNT" { user_id.as_str() } else { name };
    let mut item = json!({
        "sender": { "id": id(sender) }, "recipient": { "id": id(recipient) }, "timestamp": 7,
    });
    item.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
    assert_eq!(receiver.one().json()["entry"][0]["messaging"], json!([item]));
}

#[rstest]
#[case::comment("comment", "comments", json!({
    "id": "c1", "text": "t", "from": { "id": "5", "username": "a_follower" },
    "media": { "id": MEDIA, "media_product_type": "FEED" },
}))]
#[case::own_comment("own_comment", "comments", json!({
    "id": "c1", "text": "t",
    "from": { "id": "ACCOUNT", "username": "mira.paints", "self_ig_scoped_id": OWN },
    "media": { "id": MEDIA, "media_product_type": "FEED" },
}))]
#[case::mention("mention", "mentions", json!({ "media_id": MEDIA, "comment_id": "c1" }))]
#[case::postback("postback_change", "messaging_postbacks", json!({
    "sender": { "id": "5" }, "recipient": { "id": "ACCOUNT" }, "timestamp": 7000,
    "postback": { "mid": "c1", "title": "t", "payload": "ORDER" },
}))]
#[tokio::test]
async fn changes_have_either_form_with_the_same_value(
    #[case] kind: &str,
    #[case] field: &str,
    #[case] value: Value,
) {
    let (sandbox, receiver) = running().await;
    let user_id = user_id(&sandbox).await;
    let value = parse(&value.to_string().replace("ACCOUNT", &user_id));
    let update = json!({
        "username": "mira.paints", "kind": kind, "id": "c1", "text": "t", "peer": "5", "timestamp_ms": 7_000,
    });
    for shape in ["changes", "flat"] {
        send(&sandbox, &receiver, json!([update]), json!({ "shape": shape })).await;
    }
    let entry = |index: usize| receiver.all()[index].json()["entry"][0].clone();
    let changes = json!([{ "field": field, "value": value }]);
    assert_eq!(entry(0), json!({ "id": user_id, "time": 7, "changes": changes }));
    assert_eq!(entry(1), json!({ "id": user_id, "time": 7, "field": field, "value": value }));
}

#[tokio::test]
async fn standby_the_dashboards_test_and_raw_values_have_their_places() {
    let (sandbox, receiver) = running().await;
    let updates = r#"[
        {"username":"mira.paints","kind":"standby"},
        {"kind":"test"},
        {"entry_id":"42","kind":"raw","field":"story_insights","value":{"reach" : -1, "é": 1e400}},
        {"entry_id":"42","kind":"raw","value":{"account_linking":{}}}
    ]"#;
    let url = receiver.url("/");
    let request = format!(r#"{{"url":"{url}","ascii":false,"updates":{updates}}}"#);
    let request = sandbox.request(Method::POST, "/sandbox/webhooks").body(request);
    let (status, answer) = read(request.send().await.unwrap()).await;
    assert_eq!(status, 200, "{answer}");
    let request = receiver.one();
    assert_signed(&request, APP_SECRET);
    let raw = r#""changes":[{"field":"story_insights","value":{"reach" : -1, "é": 1e400}}]"#;
    assert!(request.body.contains(raw), "{}", request.body);
    assert!(request.body.contains(r#""messaging":[{"account_linking":{}}]"#), "{}", request.body);
    assert!(request.body.contains(r#""standby":[{"sender":"#), "{}", request.body);
    let test = r#"{"id":"0","time":"#;
    assert!(request.body.contains(test), "{}", request.body);
    assert!(request.body.contains(r#""timestamp":"1527459824""#), "{}", request.body);
}

#[tokio::test]
async fn updates_of_one_account_share_an_entry_unless_each_is_to_have_its_own() {
    let (sandbox, receiver) = running().await;
    let of = |username: &str, kind: &str| json!({ "username": username, "kind": kind });
    let updates = json!([
        of("mira.paints", "message"),
        of("mira.paints", "read"),
        of("plain_shop", "message"),
        of("plain_shop", "comment"),
        of("plain_shop", "mention"),
        of("mira.paints", "message"),
    ]);
    send(&sandbox, &receiver, updates.clone(), json!({})).await;
    send(&sandbox, &receiver, updates.clone(), json!({ "shape": "flat" })).await;
    send(&sandbox, &receiver, updates, json!({ "one_entry_each": true, "array": true })).await;
    let bodies: Vec<_> = receiver.all().iter().map(Received::json).collect();
    let sizes = |body: &Value| -> Vec<usize> {
        let entries = body["entry"].as_array().unwrap();
        let size = |entry: &Value| {
            let list = entry.get("messaging").or_else(|| entry.get("changes"));
            list.map_or(1, |list| list.as_array().unwrap().len())
        };
        entries.iter().map(size).collect()
    };
    assert_eq!(sizes(&bodies[0]), [2, 1, 2, 1]);
    assert_eq!(sizes(&bodies[1]), [2, 1, 1, 1, 1]);
    assert_eq!(sizes(&bodies[2][0]), [1; 6]);
}

#[tokio::test]
async fn a_batch_holds_a_thousand_updates_shuffled_and_repeated_byte_for_byte() {
    let (sandbox, receiver) = running().await;
    let update = |number: u32| {
        let username = if number.is_multiple_of(2) { "mira.paints" } else { "plain_shop" };
        json!({ "username": username, "kind": "message", "mid": format!("m{number}") })
    };
    let updates: Vec<_> = (0..1_000).map(update).collect();
    let more = json!({ "shuffle": true, "repeat": 3 });
    let sent = send(&sandbox, &receiver, json!(updates), more).await;
    let all = receiver.all();
    assert_eq!((all.len(), sent["answers"].as_array().unwrap().len()), (3, 3));
    assert!(all.iter().all(|one| one.body == all[0].body));
    let mids = |value: &Value| value["mid"].as_str().unwrap().to_owned();
    let told: Vec<_> = sent["updates"].as_array().unwrap().iter().map(mids).collect();
    let entries = all[0].json()["entry"].as_array().unwrap().clone();
    let items = entries.iter().flat_map(|entry| entry["messaging"].as_array().unwrap());
    let came: Vec<_> = items.map(|item| mids(&item["message"])).collect();
    assert_eq!(told, came);
    let mut ordered: Vec<u32> =
        came.iter().map(|mid| mid.trim_start_matches('m').parse().unwrap()).collect();
    assert!(!ordered.is_sorted());
    ordered.sort_unstable();
    assert!(ordered.into_iter().eq(0..1_000));
}

#[tokio::test]
async fn another_secret_another_signature_or_none_are_sent_as_they_are_wanted() {
    let (sandbox, receiver) = running().await;
    let updates = json!([{ "username": "mira.paints", "kind": "message" }]);
    for more in [
        json!({ "secret": "a former one" }),
        json!({ "signature": "sha256=zz" }),
        json!({ "signature": "" }),
    ] {
        send(&sandbox, &receiver, updates.clone(), more).await;
    }
    let all = receiver.all();
    assert_signed(&all[0], "a former one");
    assert_eq!(all[1].header("x-hub-signature-256"), Some("sha256=zz"));
    assert_eq!(all[2].header("x-hub-signature-256"), None);
}

#[tokio::test]
async fn updates_of_accounts_without_subscription_stay_away_where_that_is_wanted() {
    let (sandbox, receiver) = running().await;
    let updates = json!([
        { "username": "mira.paints", "kind": "message" },
        { "username": "plain_shop", "kind": "comment" },
    ]);
    let subscribed = json!({ "only_subscribed": true });
    let sent = send(&sandbox, &receiver, updates.clone(), subscribed.clone()).await;
    assert_eq!((&sent["status"], &sent["answers"]), (&json!(0), &json!([])));
    let token = sandbox.short("mira.paints").await;
    let path = format!("/me/subscribed_apps?subscribed_fields=comments&access_token={token}");
    sandbox.request(Method::POST, &path).send().await.unwrap();
    let sent = send(&sandbox, &receiver, updates, subscribed).await;
    // As with Instagram, a subscription brings every field.
    assert_eq!(sent["updates"].as_array().unwrap().len(), 1);
    assert_eq!(receiver.one().json()["entry"][0]["id"], user_id(&sandbox).await);
}

#[tokio::test]
async fn answers_are_told_and_requests_are_logged() {
    let (sandbox, receiver) = (start().await, Receiver::start(401, "no").await);
    let updates = json!([{ "username": "mira.paints", "kind": "message" }]);
    let sent = send(&sandbox, &receiver, updates.clone(), json!({})).await;
    assert_eq!(sent["status"], 401);
    assert_eq!(sent["answers"], json!([{ "status": 401, "body": "no" }]));
    // Port 9 of loopback is nobody's.
    let request = json!({ "url": "http://127.0.0.1:9/w", "updates": updates });
    let sent = sandbox.post("webhooks", request).await;
    assert_eq!((&sent["status"], &sent["answers"][0]["status"]), (&json!(0), &json!(0)));
    assert!(!sent["answers"][0]["error"].as_str().unwrap().is_empty());
    let log = sandbox.log().await;
    let rows: Vec<_> =
        log.iter().map(|row| (&row["endpoint"], &row["path"], &row["status"])).collect();
    let webhook = json!("webhook");
    assert_eq!(
        rows,
        [
            (&webhook, &json!("/webhooks/instagram"), &json!(401)),
            (&webhook, &json!("/w"), &json!(0))
        ]
    );
    assert_eq!(log[1]["params"], json!({ "url": "http://127.0.0.1:9/w" }));
}

#[rstest]
#[case::no_account(json!([{ "kind": "message" }]), json!({}))]
#[case::two_accounts(json!([{ "kind": "message", "username": "plain_shop", "entry_id": "1" }]), json!({}))]
#[case::unknown_account(json!([{ "kind": "message", "username": "nobody" }]), json!({}))]
#[case::no_id(json!([{ "kind": "message", "entry_id": "x" }]), json!({}))]
#[case::unknown_kind(json!([{ "kind": "like", "username": "plain_shop" }]), json!({}))]
#[case::raw_without_value(json!([{ "kind": "raw", "username": "plain_shop" }]), json!({}))]
#[case::value_of_a_message(json!([{ "kind": "message", "username": "plain_shop", "value": {} }]), json!({}))]
#[case::field_of_a_message(json!([{ "kind": "message", "username": "plain_shop", "field": "x" }]), json!({}))]
#[case::no_updates(json!([]), json!({}))]
#[case::never(json!([{ "kind": "test" }]), json!({ "repeat": 0 }))]
#[case::too_often(json!([{ "kind": "test" }]), json!({ "repeat": 101 }))]
#[case::no_header(json!([{ "kind": "test" }]), json!({ "signature": "a\r\nb: c" }))]
#[case::tls(json!([{ "kind": "test" }]), json!({ "url": "https://127.0.0.1:9/" }))]
#[case::no_url(json!([{ "kind": "test" }]), json!({ "url": "callback" }))]
#[tokio::test]
async fn a_senseless_batch_is_refused_with_a_reason(#[case] updates: Value, #[case] more: Value) {
    let (sandbox, receiver) = running().await;
    let mut request = json!({ "url": receiver.url("/"), "updates": updates });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let request = sandbox.request(Method::POST, "/sandbox/webhooks").json(&request);
    let (status, body) = read(request.send().await.unwrap()).await;
    assert_eq!(status, 400);
    assert!(!parse(&body)["error"].as_str().unwrap().is_empty());
    assert!(receiver.all().is_empty());
}
