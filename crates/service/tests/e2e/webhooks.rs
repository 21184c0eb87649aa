//! Webhooks, from Instagram's sender to a stream of `Watch`.

mod delivery;
mod follower;
#[cfg(target_os = "linux")]
mod memory;

use reqwest::{Client, Method};
use serde_json::json;

use self::follower::Follower;
use crate::support::clients::Clients;
use crate::support::process::address_in;
use crate::support::sandbox::BAKERY;
use crate::support::{Sandbox, Service, Stack};

const SETTINGS: [(&str, &str); 3] = [
    ("HTTP_LISTEN", "127.0.0.1:0"),
    ("PUBLIC_URL", "https://example.com/instagram"),
    ("WEBHOOK_VERIFY_TOKEN", "verify"),
];

/// Moment at which updates happen, in milliseconds.
const MOMENT: i64 = 1_795_900_000_123;

/// URL of a service's webhooks.
fn webhooks_of(service: &Service) -> String {
    let line = service.process.line_with("calls back are answered");
    assert!(line.contains("https://example.com/instagram/webhooks/instagram"), "{line}");
    format!("http://{}/webhooks/instagram", address_in(&line).expect("the line names the address"))
}

/// Settings with these app secrets, the sandbox's first.
fn with_secrets(sandbox: &Sandbox, former: &str) -> Vec<(&'static str, String)> {
    let secrets = format!("{},{former}", sandbox.app_secret);
    let settings = SETTINGS.iter().map(|(name, value)| (*name, (*value).to_owned()));
    settings.chain([("INSTAGRAM_APP_SECRET", secrets)]).collect()
}

#[tokio::test]
async fn meta_learns_that_the_address_is_ours() {
    let stack = Stack::start_with(&SETTINGS).await;
    let client = Client::builder().no_proxy().build().unwrap();
    let check = async |token: &str| {
        let query = [
            ("hub.mode", "subscribe"),
            ("hub.challenge", "1158201444"),
            ("hub.verify_token", token),
        ];
        let answer = client.get(webhooks_of(&stack.service)).query(&query).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(check("verify").await, (200, "1158201444".to_owned()));
    assert_eq!(check("guessed").await, (403, String::new()));
}

/// Every kind and shape that the sandbox knows of is an update of its account.
#[tokio::test]
async fn whatever_instagram_sends_arrives_as_it_was_sent() {
    let stack = Stack::start_with(&SETTINGS).await;
    let account = stack.service.linked(&stack.sandbox, "shop/7", BAKERY).await;
    let kinds = [
        ("message", "messages"),
        ("echo", "messages"),
        ("self", "messages"),
        ("deleted", "messages"),
        ("edit", "message_edit"),
        ("reaction", "message_reactions"),
        ("read", "messaging_seen"),
        ("postback", "messaging_postbacks"),
        ("referral", "messaging_referral"),
        ("standby", "standby"),
        ("comment", "comments"),
        ("own_comment", "comments"),
        ("mention", "mentions"),
        ("postback_change", "messaging_postbacks"),
    ];
    let mut sent = Vec::new();
    for (number, shape) in (0..).zip(["changes", "flat"]) {
        let is_flat = shape == "flat";
        let update = |kind| json!({"username": BAKERY, "kind": kind, "text": "é <b>/", "timestamp_ms": MOMENT + number});
        let mut updates: Vec<_> = kinds.iter().map(|(kind, _)| update(*kind)).collect();
        updates.push(json!({"kind": "test"}));
        let batch = json!({"url": webhooks_of(&stack.service), "updates": updates, "shape": shape,
            "array": is_flat, "one_entry_each": is_flat});
        let answer = stack.sandbox.control(Method::POST, "webhooks", Some(batch)).await;
        assert_eq!(answer["status"], 200, "{answer}");
        let all = answer["updates"].as_array().unwrap().iter();
        sent.extend(all.take(kinds.len()).cloned());
    }
    let mut follower = Follower::default();
    let clients = Clients::of([stack.service.client.clone()]);
    follower.follow_until(&clients, sent.len()).await;
    for (update, (_, field)) in sent.iter().zip(kinds.iter().cycle()) {
        let payload = update["payload"].as_str().unwrap();
        let (event, webhook) = follower.update_with(payload);
        assert_eq!(webhook.field, *field, "{payload}");
        assert_eq!(event.account_id, account.account_id);
        assert_eq!(webhook.payload_size, i64::try_from(payload.len()).unwrap());
        // Comments have seconds.
        assert_eq!(webhook.webhook_time.unwrap().seconds, MOMENT / 1000, "{payload}");
    }
}
