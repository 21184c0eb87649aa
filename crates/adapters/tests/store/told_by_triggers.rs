//! What replicas of versions without events change, beside new ones: triggers tell it.

use std::collections::BTreeSet;

use ig_domain::ports::AccountKey;
use ig_domain::{AccountEvent, ChangedField, ChangedFields, InstagramAccount, UnlinkCause};
use ig_test_support::builders::{START, account, parsed};
use ig_test_support::contract::{Ports, StoreUnderTest as _};
use rstest::rstest;
use sea_orm::sqlx::{self, AssertSqlSafe, Connection as _, PgConnection};

use super::fixture::{On, Postgres, TestDatabase};
use super::keys::link;

/// A change by a former version, which leaves `event_revision` as it is.
fn changed(columns: &str) -> String {
    format!("UPDATE instagram_account SET revision = revision + 1, {columns}")
}

const LIVING: &str = "event_revision = 0";
const DEAD: &str = "event_revision = 0, refused = 'checkpoint'";
const IN_TROUBLE: &str =
    "event_revision = 0, trouble_cause = 'RATE_LIMITED', trouble_since_time = 1";

/// Changes, each behind what it is made to.
const CHANGES: [(&str, &str); 20] = [
    (LIVING, "username = 'other'"),
    (LIVING, "name = NULL"),
    (LIVING, "account_type = 'creator'"),
    (LIVING, "app_scoped_user_id = '7'"),
    (LIVING, "exchange_user_id = '7'"),
    (LIVING, "profile_picture_url = 'https://cdn.example/2.jpg?oh=1'"),
    (LIVING, "granted_scopes = ''"),
    (LIVING, "granted_scopes = NULL"),
    (LIVING, "token_issue_time = token_issue_time + 1"),
    (LIVING, "token_expire_time = token_expire_time + 1"),
    (LIVING, "name = NULL, followers_count = 7"),
    (LIVING, "name = NULL, follows_count = 7, media_count = 7"),
    (
        LIVING,
        "trouble_cause = 'RATE_LIMITED', trouble_since_time = 1, scheduled_revision = revision + 1",
    ),
    (IN_TROUBLE, "trouble_cause = NULL, scheduled_revision = revision + 1"),
    // By a version that knows nothing of trouble: its change makes it void.
    (IN_TROUBLE, "username = 'other'"),
    (IN_TROUBLE, "refused = 'password_changed'"),
    (DEAD, "refused = NULL, name = NULL"),
    (DEAD, "refused = NULL, consent_time = consent_time + 1"),
    (LIVING, "consent_time = consent_time + 1"),
    (LIVING, "consent_time = consent_time + 1, username = 'other'"),
];

/// Whatever field differs.
#[rstest]
#[tokio::test]
async fn a_change_by_a_former_version_is_told_as_the_domain_tells_it(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    let mut fields = BTreeSet::new();
    for (number, (before, columns)) in (1..).zip(CHANGES) {
        link(&ports, number).await;
        store.run(&format!("UPDATE instagram_account SET {before}")).await;
        let former = find(&ports, number).await;
        store.run("DELETE FROM account_event").await;
        store.run(&changed(columns)).await;
        let told = events(&ports).await;
        let expected = AccountEvent::between(&former, &find(&ports, number).await).unwrap();
        assert_eq!(told, [Some(expected.clone())], "{before}; {columns}");
        fields.extend(expected.change.fields().into_iter().flat_map(names));
        store.run("DELETE FROM instagram_account").await;
    }
    // A former version subscribes nobody, so the triggers do not know that field.
    fields.insert(ChangedField::WebhookSubscription.as_str());
    let all: BTreeSet<_> = ChangedField::ALL.iter().map(|field| field.as_str()).collect();
    assert_eq!(fields, all);
}

fn names(fields: &ChangedFields) -> Vec<&'static str> {
    fields.names().collect()
}

async fn find(ports: &Ports, number: u32) -> InstagramAccount {
    let key = AccountKey::Id(account(number, "", START).id);
    ports.accounts.find(&key).await.unwrap().unwrap()
}

/// All events that are kept, in the order of their numbers; `None` where one cannot be read.
async fn events(ports: &Ports) -> Vec<Option<AccountEvent>> {
    ports.event_log.look(None).await.unwrap();
    ports.event_log.number_waiting().await.unwrap();
    let events = ports.event_log.page(0, 100).await.unwrap();
    events.into_iter().map(|event| event.event).collect()
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
    let ports = store.ports();
    link(&ports, 1).await;
    let linked = find(&ports, 1).await;
    store.run("CREATE TABLE copy AS SELECT * FROM instagram_account").await;
    store.run("UPDATE copy SET event_revision = 0").await;
    store.run("DELETE FROM instagram_account").await;
    store.run("INSERT INTO instagram_account SELECT * FROM copy").await;
    let (comes, goes) =
        (AccountEvent::linked(&linked), AccountEvent::unlinked(&linked, UnlinkCause::Unlink));
    assert_eq!(events(&ports).await, [&comes, &goes, &comes].map(|event| Some(event.clone())));
}

/// A role of single grants gets those on new tables after the migration, while former versions still serve.
#[tokio::test]
async fn a_former_version_needs_no_grant_on_newer_tables() {
    let store = Postgres::migrated().await;
    let role = store.role().await;
    link(&store.ports(), 1).await;
    store.run("CREATE TABLE copy AS SELECT * FROM instagram_account").await;
    store.run("UPDATE copy SET event_revision = 0").await;
    let lacking = format!("REVOKE ALL ON account_event, event_log, event_consumer FROM {role}");
    store.run(&lacking).await;
    store.run(&format!("GRANT SELECT ON copy TO {role}")).await;
    let mut former = PgConnection::connect(Postgres::url_of(&role).as_str()).await.unwrap();
    for change in [
        changed("username = 'other'"),
        "DELETE FROM instagram_account".to_owned(),
        "INSERT INTO instagram_account SELECT * FROM copy".to_owned(),
    ] {
        sqlx::raw_sql(AssertSqlSafe(change)).execute(&mut former).await.unwrap();
    }
    assert_eq!(revisions(&store.ports()).await, [1, 2, 3, 1]);
}

/// Revisions of all events in the order of their numbers; 0 where an event cannot be read.
async fn revisions(ports: &Ports) -> Vec<i64> {
    let events = events(ports).await;
    events.into_iter().map(|event| event.map_or(0, |event| event.revision)).collect()
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
    let mut next = find(&ports, 1).await;
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
    store.run("UPDATE account_event SET kind = 'NEWER' WHERE number = 2").await;
    assert_eq!(revisions(&ports).await, [1, 0, 1]);
    let owner = "x".repeat(129);
    store.run(&format!("UPDATE account_event SET owner = '{owner}' WHERE number = 3")).await;
    assert_eq!(revisions(&ports).await, [1, 0, 0]);
}
