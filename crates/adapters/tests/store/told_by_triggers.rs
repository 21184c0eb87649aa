//! What replicas of versions without events change, beside new ones: triggers tell it.

use ig_domain::ports::AccountKey;
use ig_test_support::builders::{START, account, parsed};
use ig_test_support::contract::Ports;
use rstest::rstest;

use super::fixture::{On, TestDatabase};
use super::keys::link;

/// A change by a former version, which leaves `event_revision` as it is.
fn changed(columns: &str) -> String {
    format!("UPDATE instagram_account SET revision = revision + 1, {columns}")
}

async fn tells(store: &dyn TestDatabase, kind: &str, fields: Option<&str>, cause: Option<&str>) {
    let quoted = |text: Option<&str>| text.map_or("NULL".to_owned(), |text| format!("'{text}'"));
    let told = store
        .number(&format!(
            "SELECT count(*) FROM account_event JOIN instagram_account AS account
                ON account.id = account_id AND account.app_id = account_event.app_id
                AND account.owner = account_event.owner AND account.revision = account_event.revision
                AND account.professional_account_id = account_event.professional_account_id
            WHERE kind = '{kind}' AND changed_fields IS NOT DISTINCT FROM {}
                AND cause IS NOT DISTINCT FROM {}",
            quoted(fields),
            quoted(cause)
        ))
        .await;
    assert_eq!(told, 1, "{kind} {fields:?} {cause:?}");
}

const LIVING: &str = "event_revision = 0";
const DEAD: &str = "event_revision = 0, refused = 'checkpoint'";
const IN_TROUBLE: &str =
    "event_revision = 0, trouble_cause = 'RATE_LIMITED', trouble_since_time = 1";

#[rstest]
#[case(LIVING, "username = 'other'", "CHANGED", Some("username"), None)]
#[case(LIVING, "name = NULL", "CHANGED", Some("name"), None)]
#[case(LIVING, "account_type = 'creator'", "CHANGED", Some("account_type"), None)]
#[case(LIVING, "app_scoped_user_id = '7'", "CHANGED", Some("app_scoped_user_id"), None)]
#[case(LIVING, "exchange_user_id = '7'", "CHANGED", Some("app_scoped_user_id"), None)]
#[case(
    LIVING,
    "profile_picture_url = 'https://cdn.example/2.jpg?oh=1'",
    "CHANGED",
    Some("profile_picture_url"),
    None
)]
#[case(LIVING, "granted_scopes = ''", "CHANGED", Some("granted_scopes"), None)]
#[case(
    LIVING,
    "granted_scopes = NULL",
    "CHANGED",
    Some("granted_scopes,granted_scopes_known"),
    None
)]
#[case(
    LIVING,
    "token_issue_time = token_issue_time + 1, token_expire_time = token_expire_time + 1",
    "CHANGED",
    Some("token_issue_time,token_expire_time"),
    None
)]
#[case(
    LIVING,
    "name = NULL, followers_count = 7, follows_count = 7, media_count = 7",
    "CHANGED",
    Some("name,followers_count,follows_count,media_count"),
    None
)]
#[case(
    LIVING,
    "trouble_cause = 'RATE_LIMITED', scheduled_revision = revision + 1",
    "CHANGED",
    Some("refresh_trouble"),
    Some("RATE_LIMITED")
)]
#[case(
    IN_TROUBLE,
    "trouble_cause = NULL, scheduled_revision = revision + 1",
    "CHANGED",
    Some("refresh_trouble"),
    None
)]
// By a version that knows nothing of trouble: its change makes it void.
#[case(IN_TROUBLE, "username = 'other'", "CHANGED", Some("username,refresh_trouble"), None)]
#[case(
    IN_TROUBLE,
    "refused = 'password_changed'",
    "REAUTHORIZATION_REQUIRED",
    None,
    Some("PASSWORD_CHANGED")
)]
#[case(DEAD, "refused = NULL, name = NULL", "HEALED", None, None)]
#[case(
    DEAD,
    "refused = NULL, consent_time = consent_time + 1",
    "LINKED",
    Some("status,reauthorization_reason"),
    Some("AGAIN")
)]
#[case(LIVING, "consent_time = consent_time + 1", "LINKED", Some(""), Some("AGAIN"))]
#[tokio::test]
async fn a_change_by_a_former_version_is_told(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[case] before: &str,
    #[case] columns: &str,
    #[case] kind: &str,
    #[case] fields: Option<&str>,
    #[case] cause: Option<&str>,
) {
    let store = on.migrated().await;
    link(&store.ports(), 1).await;
    store.run(&format!("UPDATE instagram_account SET {before}")).await;
    store.run("DELETE FROM account_event").await;
    store.run(&changed(columns)).await;
    assert_eq!(store.number("SELECT count(*) FROM account_event").await, 1);
    tells(&*store, kind, fields, cause).await;
}

#[rstest]
#[case::counts(LIVING, "followers_count = 7, follows_count = 7, media_count = 7")]
#[case::query_of_the_picture(LIVING, "profile_picture_url = 'https://cdn.example/1.jpg?oh=7'")]
#[case::times(LIVING, "profile_time = profile_time + 1, update_time = update_time + 1")]
#[case::a_new_reason(DEAD, "refused = 'password_changed'")]
#[case::within_trouble(IN_TROUBLE, "trouble_attempts = 7, scheduled_revision = revision + 1")]
#[tokio::test]
async fn what_is_no_event_is_not_told(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[case] before: &str,
    #[case] columns: &str,
) {
    let store = on.migrated().await;
    link(&store.ports(), 1).await;
    store.run(&format!("UPDATE instagram_account SET {before}")).await;
    store.run("DELETE FROM account_event").await;
    store.run(&changed(columns)).await;
    assert_eq!(store.number("SELECT count(*) FROM account_event").await, 0);
}

#[rstest]
#[tokio::test]
async fn an_account_of_a_former_version_comes_and_goes(#[values(On::Sqlite, On::Postgres)] on: On) {
    let store = on.migrated().await;
    link(&store.ports(), 1).await;
    store.run("CREATE TABLE copy AS SELECT * FROM instagram_account").await;
    store.run("UPDATE copy SET event_revision = 0").await;
    store.run("DELETE FROM instagram_account").await;
    store.run("DELETE FROM account_event WHERE kind = 'LINKED'").await;
    let gone = "SELECT count(*) FROM account_event JOIN copy ON copy.id = account_id
        AND copy.revision + 1 = account_event.revision WHERE kind = 'UNLINKED' AND cause = 'UNLINK'
        AND changed_fields IS NULL";
    assert_eq!(store.number(gone).await, 1);
    store.run("INSERT INTO instagram_account SELECT * FROM copy").await;
    tells(&*store, "LINKED", None, Some("FIRST")).await;
    assert_eq!(store.number("SELECT count(*) FROM account_event").await, 2);
}

/// Revisions of all events in the order of their numbers; 0 where an event cannot be read.
async fn revisions(ports: &Ports) -> Vec<i64> {
    ports.event_log.look(None).await.unwrap();
    ports.event_log.number_waiting().await.unwrap();
    let events = ports.event_log.page(0, 100).await.unwrap();
    events.into_iter().map(|event| event.event.map_or(0, |event| event.revision)).collect()
}

#[rstest]
#[tokio::test]
async fn changes_by_former_and_new_versions_are_told_once_each_and_in_order(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    link(&ports, 1).await;
    store.run(&changed("username = 'first'")).await;
    let key = AccountKey::Id(account(1, "", START).id);
    let mut next = ports.accounts.find(&key).await.unwrap().unwrap();
    for name in ["second", "third"] {
        let former = next.clone();
        next.username = parsed(name);
        next = next.succeeding(&former, START);
        ports.account_writer.update(&next, &former, None).await.unwrap();
    }
    store.run(&changed("username = 'fourth'")).await;
    store.run("DELETE FROM instagram_account").await;
    link(&ports, 2).await;
    ports.account_writer.remove(account(2, "", START).id, 1).await.unwrap();
    assert_eq!(revisions(&ports).await, [1, 2, 3, 4, 5, 6, 1, 2]);
}

#[rstest]
#[tokio::test]
async fn an_event_of_a_newer_version_stands_in_nobodys_way(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    for number in 1..=3 {
        link(&ports, number).await;
    }
    assert_eq!(revisions(&ports).await, [1, 1, 1]);
    store.run("UPDATE account_event SET kind = 'DELETED' WHERE number = 2").await;
    assert_eq!(revisions(&ports).await, [1, 0, 1]);
    let owner = "x".repeat(129);
    store.run(&format!("UPDATE account_event SET owner = '{owner}' WHERE number = 3")).await;
    assert_eq!(revisions(&ports).await, [1, 0, 0]);
}
