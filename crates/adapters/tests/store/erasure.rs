//! What deleted accounts have left, beside an account that cannot be erased.

use std::time::Duration;

use ig_domain::{ConfirmationCode, DeletionState, SignedRequest};
use ig_test_support::builders::{START, account, audit_entry, parsed};
use ig_test_support::contract::Ports;
use rstest::rstest;

use super::fixture::{On, TestDatabase};
use super::keys::link;

const END: Duration = Duration::from_hours(1);

fn code(number: u32) -> ConfirmationCode {
    parsed(&format!("{number:032x}"))
}

/// Links account `number`, hands its token out, and has its person's data deleted.
async fn delete(ports: &Ports, number: u32) {
    link(ports, number).await;
    let account = account(number, "", START);
    ports.audit.record(&[audit_entry(&account, u64::from(number))]).await.unwrap();
    let user = account.app_scoped_user_id.unwrap();
    let request = SignedRequest { user, issue_time: START };
    ports.user_deletions.delete(&request, &code(number), START).await.unwrap();
}

/// Keeps the audit of account `number` from being changed.
async fn obstruct(store: &dyn TestDatabase, on: On, number: u32) {
    let id = account(number, "", START).id;
    let statement = match on {
        On::Sqlite => format!(
            "CREATE TRIGGER stuck BEFORE UPDATE ON token_audit WHEN hex(OLD.account_id) = '{}' \
             BEGIN SELECT RAISE(ABORT, 'stuck'); END",
            id.as_uuid().simple().to_string().to_uppercase()
        ),
        On::Postgres => format!(
            "CREATE FUNCTION stuck() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'stuck'; END $$; \
             CREATE TRIGGER stuck BEFORE UPDATE ON token_audit FOR EACH ROW \
             WHEN (OLD.account_id = '{id}') EXECUTE FUNCTION stuck()"
        ),
    };
    store.run(&statement).await;
}

#[rstest]
#[tokio::test]
async fn an_account_that_cannot_be_erased_keeps_no_other_from_it(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    delete(&ports, 1).await;
    delete(&ports, 2).await;
    obstruct(&*store, on, 1).await;
    while ports.user_deletions.erase(START + END, 9).await.is_ok_and(|rows| rows > 0) {}
    let mut states = Vec::new();
    for number in [1, 2] {
        let deletion = ports.user_deletions.find(&code(number)).await.unwrap().unwrap();
        states.push(deletion.state);
    }
    assert_eq!(states, [DeletionState::Running, DeletionState::Deleted]);
    let failed = ports.user_deletions.erase(START + END, 9).await;
    assert!(failed.is_err(), "{failed:?}");
}
