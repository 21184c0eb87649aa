//! Each language's `watch` sees every event of a scripted minute in which both replicas are restarted.

use std::collections::BTreeSet;

use ig_proto::v1::watch_request::From;
use ig_proto::v1::{Event, WatchRequest, WatchStart};
use reqwest::Method;
use serde_json::json;

use super::{Example, Watch};
use crate::support::compose::{ComposeStack, REPLICAS};
use crate::support::sandbox::{BAKERY, CREATOR, NAMELESS};
use crate::support::{A_DAY_LATER, Service, reason};

const OWNER: &str = "shop/7";

/// Kinds of events that the script makes.
const SCRIPTED: [&str; 5] =
    ["LINKED", "CHANGED", "REAUTHORIZATION_REQUIRED", "UNLINKED", "WEBHOOK"];

#[tokio::test]
async fn every_language_sees_every_event_of_a_minute_with_restarts() {
    let (stack, [mut one, mut other]) = ComposeStack::start().await;
    let sandbox = &stack.sandbox;
    let listed = one.linked(sandbox, OWNER, BAKERY).await;
    sandbox.advance(A_DAY_LATER).await;
    for replica in [&one, &other] {
        replica.clock_follows(sandbox).await;
    }
    let address = stack.proxy.url.trim_start_matches("http://");
    let languages = [Example::Go, Example::Python, Example::TypeScript, Example::Java];
    let watches = languages.map(|language| Watch::start(language, address));
    for watch in &watches {
        watch.tells(&format!("LISTED {} - ", listed.account_id)).await;
    }

    one.refresh(&listed.account_id).await.unwrap();
    let revoked = other.linked(sandbox, OWNER, CREATOR).await;
    comment(&stack, BAKERY).await;
    let while_one_restarts = async {
        sandbox.revoke(CREATOR, "app_removed").await;
        assert_eq!(reason(other.refresh(&revoked.account_id).await), "REAUTHORIZATION_REQUIRED");
        other.linked(sandbox, OWNER, CREATOR).await;
    };
    tokio::join!(stack.restart(&mut one, REPLICAS[0]), while_one_restarts);
    comment(&stack, CREATOR).await;
    let while_other_restarts = async {
        comment(&stack, BAKERY).await;
        one.unlink(&revoked.account_id).await.unwrap();
    };
    tokio::join!(stack.restart(&mut other, REPLICAS[1]), while_other_restarts);
    let last = other.linked(sandbox, OWNER, NAMELESS).await;
    other.unlink(&last.account_id).await.unwrap();

    let log = log_until_unlinked(&one, &last.account_id).await;
    let kinds: BTreeSet<_> = log.iter().map(|event| kind(event)).collect();
    assert!(kinds.is_superset(&SCRIPTED.into()), "{kinds:?}");
    for watch in &watches {
        watch.assert_told(&log).await;
    }
}

/// Lets somebody comment on a post of this account.
async fn comment(stack: &ComposeStack, username: &str) {
    let url = format!("{}/webhooks/instagram", stack.proxy.callbacks);
    let batch = json!({ "url": url, "updates": [{ "username": username, "kind": "comment" }] });
    let sent = stack.sandbox.control(Method::POST, "webhooks", Some(batch)).await;
    assert_eq!(sent["status"], 200, "{sent}");
}

/// All events up to the end of this account.
async fn log_until_unlinked(service: &Service, account_id: &str) -> Vec<Event> {
    let from = Some(From::Start(WatchStart::Earliest.into()));
    let request = WatchRequest { from, ..WatchRequest::default() };
    let mut stream = service.client.clone().watch(request).await.unwrap().into_inner();
    let mut log: Vec<Event> = Vec::new();
    let is_last = |event: &Event| event.account_id == account_id && kind(event) == "UNLINKED";
    while !log.iter().any(is_last) {
        log.extend(stream.message().await.unwrap().unwrap().events);
    }
    log
}

/// Name of an event's kind, as the examples print it.
fn kind(event: &Event) -> &'static str {
    event.kind().as_str_name().trim_start_matches("EVENT_KIND_")
}

/// Line of an event.
fn line(event: &Event) -> String {
    let Event { account_id, event_id, revision, .. } = event;
    format!("{} {account_id} {event_id} {revision}", kind(event))
}

impl Watch {
    /// Waits for the last event of the log, and asserts that it has told each event of the log once, those of an account
    /// in their order, but for those that its list shows.
    async fn assert_told(&self, log: &[Event]) {
        self.tells(&line(log.last().expect("there are events"))).await;
        let example = self.example;
        assert!(self.process.printed().contains("going on"), "{example:?} met no restart");
        let told = self.told();
        let listings = told.iter().filter(|line| line.starts_with("LISTED ")).count();
        assert_eq!(listings, 1, "{example:?} listed again: {told:#?}");
        let accounts: BTreeSet<_> = log.iter().map(|event| event.account_id.as_str()).collect();
        for account_id in accounts {
            let listed = format!("LISTED {account_id} - ");
            let listed = told.iter().find_map(|line| line.strip_prefix(&listed));
            let listed: i64 = listed.map_or(0, |revision| revision.parse().unwrap());
            let of_account = log.iter().filter(|event| event.account_id == account_id);
            let is_new = |event: &&Event| event.revision > listed || event.webhook.is_some();
            let expected: Vec<_> = of_account.filter(is_new).map(line).collect();
            let told = told.iter().filter(|line| line.contains(account_id));
            // Before them: the list, and what it shows and a stream told as well. Behind them: what came after the log.
            let told = told.skip_while(|line| **line != expected[0]).take(expected.len());
            assert_eq!(told.cloned().collect::<Vec<_>>(), expected, "{example:?}");
        }
    }
}
