//! A role that owns nothing, with the grants that docs/POSTGRESQL.md names and no others.

use std::time::Duration;

use ig_domain::{DeletionState, InstagramAccount, RemovalOutcome, SignedRequest};
use ig_test_support::builders::{START, account, audit_entry, long_lived, parsed, received};
use ig_test_support::contract::Ports;

use super::fixture::{self, Postgres, TestDatabase as _};
use super::keys::{APP, link};

const PAGE: &str = include_str!("../../../../docs/POSTGRESQL.md");

/// The statements of the page that grant something, for this role.
fn grants(role: &str) -> String {
    let blocks = PAGE.split("```sql\n").skip(1).filter_map(|block| block.split("```").next());
    let grants = blocks.filter(|block| block.starts_with("GRANT")).collect::<String>();
    assert!(grants.contains(" ON SCHEMA public TO replica;"), "{grants}");
    grants
        .replace("ON SCHEMA public", &format!("ON SCHEMA {}", role.replace("_role", "")))
        .replace("TO replica", &format!("TO {role}"))
}

/// The store of a role with the page's grants.
async fn granted(store: &Postgres) -> Ports {
    let role = store.role_without_grants().await;
    store.run(&grants(&role)).await;
    let database = fixture::open(Postgres::url_of(&role).as_str());
    assert!(matches!(database.refused_writing().await, Ok(None)));
    fixture::ports(database, parsed(APP), &fixture::key(1))
}

#[tokio::test]
async fn the_grants_of_the_page_are_enough_to_link_and_to_remove() {
    let store = Postgres::migrated().await;
    let ports = granted(&store).await;
    let user = account(1, "", START).app_scoped_user_id.unwrap();
    let request = |after| SignedRequest { user: user.clone(), issue_time: START + after };
    link(&ports, 1).await;
    let stored = account(1, "", START);
    let renamed = InstagramAccount { username: parsed("renamed"), ..stored.clone() };
    let renamed = renamed.succeeding(&stored, START);
    ports.account_writer.update(&renamed, &stored, Some(long_lived("renewed"))).await.unwrap();
    let entry = audit_entry(&renamed, 1);
    assert_eq!(ports.audit.record(std::slice::from_ref(&entry)).await.unwrap(), [entry.id].into());
    let hour = Duration::from_hours(1);
    assert_eq!(ports.audit.purge_before(START + hour, 9).await.unwrap(), 1);
    let stored_updates = ports.webhooks.store(&[received(&stored, 1, 9)]).await.unwrap();
    assert_eq!(stored_updates.stored, 1);
    ports.hosted_codes.keep(&parsed("code"), &parsed("state"), START).await.unwrap();
    let deauthorized = ports.user_removals.deauthorize(&request(Duration::ZERO), START).await;
    let done = RemovalOutcome::Done { accounts: vec![stored.id] };
    assert_eq!(deauthorized.unwrap(), done);
    let code = parsed(&"0".repeat(32));
    let deleted = ports.user_deletions.delete(&request(hour), &code, START).await;
    assert_eq!(deleted.unwrap(), (code.clone(), done));
    while ports.user_deletions.erase(START + hour, 9).await.unwrap() > 0 {}
    let deletion = ports.user_deletions.find(&code).await.unwrap().unwrap();
    assert_eq!(deletion.state, DeletionState::Deleted);
    while ports.link_attempts.sweep(START + 999 * hour, 9).await.unwrap() > 0 {}
}
