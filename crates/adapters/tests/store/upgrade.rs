//! Replicas of the version before the schedule of visits, beside new ones: they leave its columns as they were.

use std::time::Duration;

use ig_domain::ports::{AccountKey, CompletedLink};
use ig_domain::{
    AccountId, CodeHash, Consent, GrantedScopes, InstagramAccount, LeaseHolder, LinkAttempt, Phase,
    ShortLivedGrant, ShortLivedToken, TroubleCause, VisitFailures,
};
use ig_test_support::builders::{self, START, long_lived, parsed};
use ig_test_support::contract::Ports;
use rstest::rstest;
use time::OffsetDateTime;
use uuid::Uuid;

use super::fixture::{On, TestDatabase};

const DAY: Duration = Duration::from_hours(24);

/// Moment at which every account is due that was linked at [`START`].
const DUE: OffsetDateTime = START.saturating_add(time::Duration::hours(25));

/// The row of an account as that version inserts it.
const INSERTED: &str = "INSERT INTO instagram_account (id, app_id, professional_account_id, owner, username,
    account_type, consent_time, token_issue_time, token_expire_time, link_time, profile_time, update_time, revision)
    SELECT ?, app_id, '17841499999999999', 'shop/8', 'second', account_type, consent_time, token_issue_time,
        token_expire_time, link_time, profile_time, update_time, 1 FROM instagram_account";

/// A renewal by that version.
const RENEWED: &str =
    "UPDATE instagram_account SET token_issue_time = token_issue_time + 90000000000,
    token_expire_time = token_expire_time + 90000000000, profile_time = profile_time + 90000000000,
    update_time = update_time + 90000000000, revision = revision + 1";

fn holder(number: u128) -> LeaseHolder {
    LeaseHolder::from_uuid(Uuid::from_u128(number))
}

async fn link(ports: &Ports) -> InstagramAccount {
    let account = builders::account(1, "shop/7", START);
    let code = CodeHash::from_bytes([1; 32]);
    let pending =
        builders::pending_link("a-state-of-this-very-test-0000000000000000", "shop/7", START);
    ports.pending_links.insert(&pending).await.unwrap();
    let consent =
        Consent { receive_time: START, user_id: None, granted_scopes: GrantedScopes::Unknown };
    let attempt = LinkAttempt {
        code,
        state: pending.state,
        owner: pending.owner,
        session_binding: pending.session_binding,
        redirect_uri: pending.redirect_uri,
        end: pending.end.kind(),
        scopes: pending.scopes,
        account: None,
        create_time: START,
        phase: Phase::Exchanged(ShortLivedGrant {
            token: ShortLivedToken::new(parsed("IGAA-short")),
            consent,
        }),
    };
    ports.link_attempts.create(&attempt, holder(1)).await.unwrap();
    let link = CompletedLink {
        displaced: None,
        account: account.clone(),
        former_revision: None,
        token: Some(long_lived("IGAA-first")),
        missing_scopes: Vec::new(),
        end_time: START,
    };
    ports.link_attempts.complete(&code, holder(1), &link).await.unwrap();
    account
}

async fn due(ports: &Ports, now: OffsetDateTime) -> Vec<AccountId> {
    let claimed = ports.due_accounts.claim_due(now, holder(2), 9).await.unwrap();
    for claimed in &claimed {
        ports.renewal_leases.release(claimed.id, holder(2)).await.unwrap();
    }
    claimed.into_iter().map(|claimed| claimed.id).collect()
}

#[rstest]
#[tokio::test]
async fn accounts_that_were_there_before_the_schedule_get_one(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    let account = link(&ports).await;
    as_the_migration_leaves_them(&*store).await;
    assert_eq!(due(&ports, DUE).await, []);
    assert_eq!(ports.due_accounts.schedule_missed(9).await.unwrap(), 1);
    assert_eq!(ports.due_accounts.schedule_missed(9).await.unwrap(), 0);
    assert_eq!(due(&ports, DUE).await, [account.id]);
}

async fn as_the_migration_leaves_them(store: &dyn TestDatabase) {
    store.run("UPDATE instagram_account SET next_visit_time = NULL, scheduled_revision = 0").await;
}

#[rstest]
#[tokio::test]
async fn an_account_that_a_former_version_inserts_gets_a_schedule(
    #[values((On::Sqlite, "x'0199000000007000000000000000000b'"), (On::Postgres, "'01990000-0000-7000-0000-00000000000b'"))]
    (on, id): (On, &str),
) {
    let store = on.migrated().await;
    let ports = store.ports();
    let account = link(&ports).await;
    store.run(&INSERTED.replacen('?', id, 1)).await;
    assert_eq!(due(&ports, DUE + DAY).await, [account.id]);
    assert_eq!(ports.due_accounts.schedule_missed(9).await.unwrap(), 1);
    assert_eq!(due(&ports, DUE + DAY).await.len(), 2);
}

#[rstest]
#[tokio::test]
async fn an_account_that_a_former_version_renews_gets_another_schedule(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    let account = link(&ports).await;
    let mut failed = account.clone();
    failed.visit_failed(DUE, Some(TroubleCause::RateLimited), 0, Duration::ZERO);
    let failed = failed.succeeding(&account, DUE);
    ports.account_writer.update(&failed, &account, None).await.unwrap();
    store.run(RENEWED).await;
    let renewed = ports.accounts.find(&AccountKey::Id(account.id)).await.unwrap().unwrap();
    assert_eq!(renewed.failures, VisitFailures::default(), "its trouble is over");
    assert_eq!(ports.due_accounts.schedule_missed(9).await.unwrap(), 1);
    assert_eq!(due(&ports, DUE).await, []);
    assert_eq!(due(&ports, DUE + DAY).await, [account.id]);
}

#[rstest]
#[tokio::test]
async fn an_account_that_changes_while_it_is_scheduled_is_scheduled_anew(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    link(&ports).await;
    as_the_migration_leaves_them(&*store).await;
    ports.due_accounts.schedule_missed(9).await.unwrap();
    store.run(RENEWED).await;
    assert_eq!(ports.due_accounts.schedule_missed(9).await.unwrap(), 1);
}

/// Its visit finds out, and is put off.
#[rstest]
#[tokio::test]
async fn an_account_that_cannot_be_read_is_scheduled_and_keeps_no_other_back(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    let account = link(&ports).await;
    as_the_migration_leaves_them(&*store).await;
    store.run("UPDATE instagram_account SET username = 'NOT a handle'").await;
    assert_eq!(ports.due_accounts.schedule_missed(9).await.unwrap(), 1);
    assert_eq!(ports.due_accounts.schedule_missed(9).await.unwrap(), 0);
    let claimed = ports.due_accounts.claim_due(START, holder(3), 9).await.unwrap();
    assert!(claimed[0].found.is_err(), "{claimed:?}");
    ports.due_accounts.put_off(account.id, holder(3), START + DAY).await.unwrap();
    assert_eq!(due(&ports, START).await, []);
    assert_eq!(due(&ports, START + DAY).await, [account.id]);
}
