//! The use cases over a store in memory and an Instagram that answers by script.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test: a panic is how it fails")]

mod begin_link;
mod delete_user_data;
mod fetch_access_token;
mod get_accounts;
mod hosted_link;
mod import_account;
mod instagram_script;
mod keeper;
mod link_account;
mod list_accounts;
mod metrics;
mod read_cache;
mod receive_webhooks;
mod refresh_account;
mod refresh_outages;
mod rotate_keys;
mod slow_instagram;
mod subscriptions;
mod survey_accounts;
mod throttling;
mod watch;
mod witness;

use std::time::Duration;

use ig_application::Ports;
use ig_domain::ports::Ids as _;
use ig_domain::ports::{AccountReader as _, CompletedLink, Instagram, LinkAttempts, PendingLinks};
use ig_domain::{InstagramAccount, LinkAttempt};
use ig_test_support::builders::{self, START, long_lived, parsed, pending_link, presentation};
use ig_test_support::{FakeClock, MemoryStore, SequentialIds};

/// The ports of this store and this Instagram, so long after the start.
fn ports(store: &MemoryStore, instagram: impl Instagram + 'static, after: Duration) -> Ports {
    let clock = FakeClock::at(START);
    clock.advance(after);
    builders::ports(store, instagram, clock)
}

/// A store that keeps this account under the token `IGAA-first`.
async fn store_with(account: &InstagramAccount) -> MemoryStore {
    let store = empty_store();
    keep(&store, account).await;
    store
}

fn empty_store() -> MemoryStore {
    MemoryStore::new(parsed("990602627938098"))
}

/// Links `account` in the store, as a finished attempt does.
async fn keep(store: &MemoryStore, account: &InstagramAccount) {
    keep_with_token(store, account, "IGAA-first").await;
}

async fn keep_with_token(store: &MemoryStore, account: &InstagramAccount, token: &str) {
    let state = format!("state-of-{}", account.id);
    let owner = account.owner.as_str();
    let pending = pending_link(&state, owner, START);
    store.insert(&pending).await.unwrap();
    let presented = presentation(&format!("code-of-{}", account.id), &state, owner);
    let attempt = LinkAttempt::begin(pending, &presented, START);
    let holder = SequentialIds::default().lease_holder();
    store.create(&attempt, holder).await.unwrap();
    let link = CompletedLink {
        displaced: None,
        account: account.clone(),
        former_revision: None,
        token: Some(long_lived(token)),
        missing_scopes: Vec::new(),
        end_time: START,
    };
    store.complete(&attempt.code, holder, &link).await.unwrap();
}

/// The account and the text of its token, as stored.
async fn stored(store: &MemoryStore, account: &InstagramAccount) -> (InstagramAccount, String) {
    let (account, token) = store.find_with_token(account.id).await.unwrap().unwrap();
    (account, token.unwrap().text().expose().to_owned())
}
