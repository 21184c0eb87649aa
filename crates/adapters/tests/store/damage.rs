//! Rows that nobody here wrote are reported, not shown, and nothing panics.

use std::error::Error;
use std::time::Duration;

use ig_domain::ports::{
    ATTEMPT_LEASE, AccountKey, AccountPage, AuditPage, BatchKey, CompletedLink, RENEWAL_LEASE,
    StoreError,
};
use ig_domain::{
    AccountType, CodeHash, GrantedScopes, InstagramAccount, LeaseHolder, LinkAttempt, LinkOutcome,
    LinkRefusal, OwnerScope, Phase, ReauthorizationReason, Scope, StateHash,
};
use ig_test_support::builders::{self, START, long_lived, parsed, pending_link, presentation};
use ig_test_support::contract::Ports;
use rstest::rstest;
use uuid::Uuid;

use super::fixture::{On, Sqlite, TestDatabase};

/// Columns of an account that a copy takes over; those that it leaves out may be null.
const COPIED: &str = "owner, username, name, profile_picture_url, account_type, consent_time, token_issue_time, \
    token_expire_time, link_time, profile_time, update_time, revision";

/// An attempt that goes on and one that has ended with an account.
async fn fill(ports: &Ports) -> (StateHash, [CodeHash; 2]) {
    let holder = LeaseHolder::from_uuid(Uuid::from_u128(1));
    let mut codes = Vec::new();
    for (code, state) in [("code-1", "state-1"), ("code-2", "state-2")] {
        let pending = pending_link(state, "", START);
        ports.pending_links.insert(&pending).await.unwrap();
        let attempt = LinkAttempt::begin(pending, &presentation(code, state, ""), START);
        ports.link_attempts.create(&attempt, holder).await.unwrap();
        codes.push(attempt.code);
    }
    let link = CompletedLink {
        displaced: None,
        account: builders::account(1, "", START),
        former_revision: None,
        token: Some(long_lived("token")),
        missing_scopes: Vec::new(),
        end_time: START,
    };
    ports.link_attempts.advance(&codes[0], holder, &Phase::Sent).await.unwrap();
    ports.link_attempts.complete(&codes[1], holder, &link).await.unwrap();
    (pending_link("state-1", "", START).state, [codes[0], codes[1]])
}

#[rstest]
#[case::username("UPDATE instagram_account SET username = 'Planted Ü'")]
#[case::professional_id("UPDATE instagram_account SET professional_account_id = 'planted'")]
#[case::time("UPDATE instagram_account SET link_time = 9223372036854775807")]
#[case::cut_token("UPDATE account_token SET sealed_token = {byte}")]
#[case::no_seal("UPDATE account_token SET sealed_token = 'planted'")]
#[case::no_outcome("UPDATE link_attempt SET outcome = NULL")]
#[case::no_account("UPDATE link_attempt SET linked_account_id = NULL")]
#[case::no_sealed_token("UPDATE link_attempt SET phase = 'exchanged'")]
#[case::redirect_uri("UPDATE link_attempt SET redirect_uri = 'planted'")]
#[case::state_hash("UPDATE link_attempt SET state_hash = {byte}")]
#[case::owner("UPDATE pending_link SET owner = 'planted' || {newline}")]
#[case::binding("UPDATE pending_link SET session_binding_hash = 'planted'")]
#[case::spender("UPDATE pending_link SET spent_by = {byte}")]
#[tokio::test]
async fn a_damaged_row_is_corrupt_and_is_not_shown(
    #[case] damage: &str,
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let (newline, byte) = match on {
        On::Sqlite => ("char(10)", "x'01'"),
        On::Postgres => ("chr(10)", r"'\x01'"),
    };
    let damage = damage.replace("{newline}", newline).replace("{byte}", byte);
    assert_corrupt(&*on.migrated().await, &damage).await;
}

/// It is counted all the same.
#[rstest]
#[tokio::test]
async fn a_damaged_row_is_left_out_of_the_worst_accounts(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    fill(&ports).await;
    let later = START + Duration::from_hours(48);
    assert_eq!(ports.surveys.worst(later, 10).await.unwrap().len(), 1);
    store.run("UPDATE instagram_account SET username = 'Planted Ü'").await;
    assert_eq!(ports.surveys.worst(later, 10).await.unwrap(), []);
    let survey = ports.surveys.survey(later).await.unwrap();
    assert_eq!((survey.active, survey.overdue), (1, 1));
}

/// Else nobody would see another one.
#[rstest]
#[case::troubles("UPDATE account_survey SET in_trouble = 'planted'")]
#[case::time("UPDATE account_survey SET survey_time = 9223372036854775807")]
#[tokio::test]
async fn a_damaged_survey_counts_as_none_and_the_next_takes_its_place(
    #[case] damage: &str,
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let surveys = store.ports().surveys;
    let survey = surveys.survey(START).await.unwrap();
    surveys.keep(&survey).await.unwrap();
    assert_eq!(store.run(damage).await, 1);
    assert_eq!(surveys.last().await.unwrap(), None);
    surveys.keep(&survey).await.unwrap();
    assert_eq!(surveys.last().await.unwrap(), Some(survey));
}

/// A row that one `Get` would report as damaged costs the others nothing.
#[rstest]
#[tokio::test]
async fn a_damaged_row_is_left_out_of_lists_and_batches(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    fill(&ports).await;
    let id = match on {
        On::Sqlite => "randomblob(16)",
        On::Postgres => "gen_random_uuid()",
    };
    let copies = format!(
        "INSERT INTO instagram_account (id, app_id, professional_account_id, {COPIED}) \
         SELECT {id}, app_id, professional_account_id || n, {COPIED} FROM instagram_account, \
         (SELECT 1 AS n UNION SELECT 2 UNION SELECT 3 UNION SELECT 4) AS numbers"
    );
    assert_eq!(store.run(&copies).await, 4);
    let ids = "professional_account_id";
    store
        .run(&format!("UPDATE instagram_account SET username = 'Planted Ü' WHERE {ids} LIKE '%1' OR {ids} LIKE '%2'"))
        .await;
    let page =
        |limit| AccountPage { owners: OwnerScope::everyone(), status: None, after: None, limit };
    let whole = ports.accounts.list(&page(100)).await.unwrap();
    let damaged =
        store.number("SELECT count(*) FROM instagram_account WHERE username = 'Planted Ü'").await;
    assert!(damaged > 0);
    assert_eq!(i64::try_from(whole.len()).unwrap(), 5 - damaged);
    for limit in 1..=whole.len() {
        let listed = ports.accounts.list(&page(limit.try_into().unwrap())).await.unwrap();
        assert_eq!(listed, whole[..limit], "a page is as long as if nothing were damaged");
    }
    let keys: Vec<_> = ["1", "2", "3", "4"]
        .map(|digit| {
            let id = builders::account(1, "", START).professional_account_id;
            BatchKey::Instagram(parsed(&format!("{id}{digit}")))
        })
        .into();
    let found = ports.accounts.find_many(&keys).await.unwrap();
    assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true, true]);
    assert!(matches!(
        ports.accounts.find(&keys[0].clone().into()).await,
        Err(StoreError::Corrupt(_))
    ));
}

/// A roll-back meets what a newer version has stored.
#[rstest]
#[tokio::test]
async fn names_that_only_a_newer_version_knows_read_as_the_nearest_safe_meaning(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    let (_, [begun, ended]) = fill(&ports).await;
    for newer in [
        "UPDATE instagram_account SET account_type = 'future', refused = 'future', \
         granted_scopes = 'instagram_business_basic,Future'",
        "UPDATE link_attempt SET phase = 'future' WHERE phase = 'sent'",
        "UPDATE link_attempt SET outcome = 'future' WHERE phase = 'ended'",
        "ALTER TABLE instagram_account ADD COLUMN future TEXT",
        "INSERT INTO seaql_migrations VALUES ('m29990101_000001_create_future', 1)",
    ] {
        store.run(newer).await;
    }
    store.database().migrate().await.unwrap();
    ports.probe.check().await.unwrap();
    let id = builders::account(1, "", START).id;
    let account = ports.accounts.find(&AccountKey::Id(id)).await.unwrap().unwrap();
    assert_eq!(account.account_type, AccountType::Unknown);
    assert_eq!(account.refused, Some(ReauthorizationReason::TokenRevoked));
    let GrantedScopes::Known(granted) = account.granted_scopes else { panic!("{account:?}") };
    assert_eq!(Vec::from_iter(granted), [parsed::<Scope>("instagram_business_basic")]);
    let begun = ports.link_attempts.find(&begun).await.unwrap().unwrap();
    assert!(matches!(begun.phase, Phase::Sent), "{:?}", begun.phase);
    let ended = ports.link_attempts.find(&ended).await.unwrap().unwrap();
    let interrupted = LinkOutcome::Refused(LinkRefusal::Interrupted);
    assert!(matches!(ended.phase, Phase::Ended { outcome, .. } if outcome == interrupted));
}

/// A later version destroys tokens and keeps accounts.
#[rstest]
#[tokio::test]
async fn an_account_whose_token_is_destroyed_is_found_without_one(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let store = on.migrated().await;
    let ports = store.ports();
    fill(&ports).await;
    assert_eq!(store.run("DELETE FROM account_token").await, 1);
    let account = builders::account(1, "", START);
    let (found, token) = ports.accounts.find_with_token(account.id).await.unwrap().unwrap();
    assert_eq!((found, token.is_none()), (account.clone(), true));
    // A new consent gives it one again.
    let next = InstagramAccount { revision: 2, ..account.clone() };
    ports.account_writer.update(&next, &account, Some(long_lived("anew"))).await.unwrap();
    let (found, token) = ports.accounts.find_with_token(account.id).await.unwrap().unwrap();
    assert_eq!((found, token.unwrap().text().expose()), (next, "anew"));
}

/// PostgreSQL keeps such out by its types.
#[rstest]
#[case::number("UPDATE instagram_account SET revision = 'planted'")]
#[case::uuid("UPDATE link_attempt SET account_id = 'planted'")]
#[tokio::test]
async fn a_value_of_another_type_is_corrupt_and_is_not_shown(#[case] damage: &str) {
    assert_corrupt(&Sqlite::migrated().await, damage).await;
}

#[tokio::test]
async fn a_value_of_another_type_costs_lists_and_batches_its_own_row_only() {
    let store = On::Sqlite.migrated().await;
    let ports = store.ports();
    fill(&ports).await;
    let copy = format!(
        "INSERT INTO instagram_account (id, app_id, professional_account_id, {COPIED}) \
         SELECT randomblob(16), app_id, professional_account_id || '1', {COPIED} FROM instagram_account"
    );
    assert_eq!(store.run(&copy).await, 1);
    let account = builders::account(1, "", START);
    let copied = parsed(&format!("{}1", account.professional_account_id));
    let id = account.id.as_uuid().simple();
    let damage = format!("UPDATE instagram_account SET revision = 'planted' WHERE id <> x'{id}'");
    assert_eq!(store.run(&damage).await, 1);
    let page =
        AccountPage { owners: OwnerScope::everyone(), status: None, after: None, limit: 100 };
    assert_eq!(ports.accounts.list(&page).await.unwrap(), std::slice::from_ref(&account));
    let keys = [BatchKey::Instagram(copied), BatchKey::Id(account.id)];
    assert_eq!(ports.accounts.find_many(&keys).await.unwrap(), [None, Some(account)]);
}

#[rstest]
#[case::a_value_that_nobody_wrote("purpose = 'planted' || {newline}", [On::Sqlite, On::Postgres].as_slice())]
#[case::a_value_of_another_type("revision = 'planted'", [On::Sqlite].as_slice())]
#[tokio::test]
async fn a_damaged_audit_entry_is_left_out_of_its_page(#[case] damage: &str, #[case] on: &[On]) {
    for on in on {
        let store = on.migrated().await;
        let ports = store.ports();
        fill(&ports).await;
        let account = builders::account(1, "", START);
        for number in 1..=5 {
            ports.audit.record(&[builders::audit_entry(&account, number)]).await.unwrap();
        }
        let page = |limit| AuditPage { limit, ..AuditPage::default() };
        let whole = ports.audit_reader.entries(&page(9)).await.unwrap();
        let newline = if let On::Sqlite = on { "char(10)" } else { "chr(10)" };
        let damage = damage.replace("{newline}", newline);
        let [lost, ..] = whole.as_slice() else { panic!("{whole:?}") };
        let id = match on {
            On::Sqlite => format!("x'{}'", lost.id.as_uuid().simple()),
            On::Postgres => format!("'{}'", lost.id.as_uuid()),
        };
        assert_eq!(store.run(&format!("UPDATE token_audit SET {damage} WHERE id = {id}")).await, 1);
        for limit in 1..=4 {
            let listed = ports.audit_reader.entries(&page(limit)).await.unwrap();
            assert_eq!(listed, whole[1..=usize::try_from(limit).unwrap()]);
            let shown = store.database().audit_entries(None, &page(limit)).await.unwrap();
            assert_eq!(shown, listed);
        }
    }
}

async fn assert_corrupt(store: &dyn TestDatabase, damage: &str) {
    let ports = store.ports();
    let (state, codes) = fill(&ports).await;
    assert!(store.run(damage).await > 0);

    let id = builders::account(1, "", START).id;
    let mut results = vec![
        ports.accounts.find(&AccountKey::Id(id)).await.map(drop),
        ports.accounts.find_with_token(id).await.map(drop),
        ports.pending_links.find(&state).await.map(drop),
    ];
    for code in codes {
        results.push(ports.link_attempts.find(&code).await.map(drop));
    }
    let causes: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert!(!causes.is_empty());
    for error in causes {
        assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
        let source = error.source().unwrap();
        let shown = format!("{error} {error:?} {source} {source:?}").to_lowercase();
        assert!(!shown.contains("planted"), "{shown}");
    }
}

#[rstest]
#[case::sqlite(On::Sqlite, "CAST(unixepoch('subsec') * 1000000 AS INTEGER)")]
#[case::postgres(On::Postgres, "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)")]
#[tokio::test]
async fn a_lease_lasts_its_lifetime_by_the_databases_clock(#[case] on: On, #[case] now: &str) {
    let store = on.migrated().await;
    let ports = store.ports();
    fill(&ports).await;
    let account = builders::account(1, "", START).id;
    let holder = LeaseHolder::from_uuid(Uuid::from_u128(1));
    assert!(ports.renewal_leases.claim(account, holder).await.unwrap());
    for (table, lifetime) in [("renewal_lease", RENEWAL_LEASE), ("link_attempt", ATTEMPT_LEASE)] {
        let left = store.number(&format!("SELECT max(lease_end) - {now} FROM {table}")).await;
        let left = Duration::from_micros(left.try_into().unwrap());
        let passed = lifetime.checked_sub(left);
        assert!(passed.is_some_and(|passed| passed <= Duration::from_secs(4)), "{table}: {left:?}");
    }
}
