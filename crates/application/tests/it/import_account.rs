//! Tests of importing a token: the account that it becomes, what it takes the place of, and what refuses it.

use std::time::Duration;

use futures_util::FutureExt as _;
use ig_application::{
    ImportAccount, ImportAccountCommand, ImportAccountError, ImportOutcome, ImportedAccount,
    UnlinkAccount,
};
use ig_domain::ports::{InstagramErrorKind, MockInstagram, UserDeletions as _, UserRemovals as _};
use ig_domain::{
    AccountStatus, AccountType, ConfirmationCode, GrantedScopes, ImportedLife, InstagramAccount,
    KeepingPlan, OwnerScope, Profile, ReauthorizationReason, SignedRequest, WebhookSubscription,
};
use ig_test_support::MemoryStore;
use ig_test_support::builders::{self, START, grant, long_lived, parsed, profile};
use rstest::rstest;
use time::OffsetDateTime;
use tokio_util::task::TaskTracker;

use crate::instagram_script::{Readings, failure, reads, refusal, renews, throttled};
use crate::{empty_store, keep, ports, store_with, stored};

const DAY: Duration = Duration::from_hours(24);

/// Moment of the imports, ten days after everything that a test has stored before.
const NOW: OffsetDateTime = START.saturating_add(time::Duration::days(10));

/// A life that begins and ends so many days after [`NOW`], as far as either is told.
fn life(issued: Option<i64>, expires: Option<i64>) -> ImportedLife {
    let after = |days: i64| NOW + time::Duration::days(days);
    ImportedLife::told(issued.map(after), expires.map(after), NOW).unwrap()
}

fn unknown() -> ImportedLife {
    ImportedLife::default()
}

fn command(owner: &str, life: ImportedLife) -> ImportAccountCommand {
    ImportAccountCommand { token: long_lived("IGAA-imported"), owner: parsed(owner), life }
}

/// Account `number`, under an id that no other source of ids makes.
fn account(number: u32, owner: &str, now: OffsetDateTime) -> InstagramAccount {
    let id = builders::account(1000 + number, owner, now).id;
    InstagramAccount { id, ..builders::account(number, owner, now) }
}

async fn import(
    store: &MemoryStore,
    instagram: MockInstagram,
    life: ImportedLife,
) -> Result<ImportedAccount, ImportAccountError> {
    let ports = ports(store, instagram, DAY * 10);
    ImportAccount::new(&ports, TaskTracker::new()).execute(command("shop/7", life), ()).await
}

fn reading(readings: Readings) -> MockInstagram {
    let mut instagram = MockInstagram::new();
    reads(&mut instagram, readings);
    instagram
}

/// An Instagram that knows the token as account 1's, and renews it.
fn willing() -> MockInstagram {
    let mut instagram = reading(vec![Ok(profile(1))]);
    renews(&mut instagram, Ok(()));
    instagram
}

/// An Instagram that knows the token as account 1's, and does not renew it.
fn unwilling() -> MockInstagram {
    let mut instagram = reading(vec![Ok(profile(1))]);
    renews(&mut instagram, Err(throttled()));
    instagram
}

#[tokio::test]
async fn a_token_becomes_an_account_whose_life_is_known_by_its_renewal() {
    let store = empty_store();
    let imported = import(&store, willing(), unknown()).await.unwrap();
    assert_eq!(imported.outcome, ImportOutcome::Created);
    let (account, token) = stored(&store, &imported.view.account).await;
    assert_eq!((account.owner.as_str(), token.as_str()), ("shop/7", "IGAA-renewed"));
    assert_eq!(account.token_issue_time, Some(NOW));
    assert_eq!(account.token_expire_time, Some(NOW + Duration::from_secs(5_183_944)));
    assert_eq!((account.granted_scopes, account.link_time), (GrantedScopes::Unknown, NOW));
    assert_eq!(account.consent_time, OffsetDateTime::UNIX_EPOCH, "any consent outdoes it");
}

#[rstest]
#[case::nothing(unknown(), Some(NOW))]
#[case::its_end(life(None, Some(20)), Some(NOW))]
#[case::its_issue(life(Some(-2), None), Some(NOW))]
#[case::all(life(Some(-2), Some(50)), None)]
#[tokio::test]
async fn a_token_that_is_not_renewed_is_stored_as_it_was_told(
    #[case] life: ImportedLife,
    #[case] due: Option<OffsetDateTime>,
) {
    let store = empty_store();
    let imported = import(&store, unwilling(), life).await.unwrap();
    let (account, token) = stored(&store, &imported.view.account).await;
    assert_eq!((imported.outcome, token.as_str()), (ImportOutcome::Created, "IGAA-imported"));
    let times = (account.token_issue_time, account.token_expire_time);
    assert_eq!(times, (life.issue_time(), life.expire_time()));
    assert_eq!(account.consent_time, life.consent_time());
    let next = account.next_visit_time(&KeepingPlan::default());
    assert_eq!(next.filter(|next| *next <= NOW), due, "one of unknown life is due at once");
}

#[rstest]
#[case::an_hour(-1, false)]
#[case::a_day(-24, true)]
#[tokio::test]
async fn a_token_that_is_known_to_be_young_is_not_renewed(
    #[case] issued_hours: i64,
    #[case] is_renewed: bool,
) {
    let store = empty_store();
    let issue = NOW + time::Duration::hours(issued_hours);
    let life = ImportedLife::told(Some(issue), None, NOW).unwrap();
    let instagram = if is_renewed { willing() } else { reading(vec![Ok(profile(1))]) };
    let imported = import(&store, instagram, life).await.unwrap();
    let renewed = imported.view.account.token_issue_time == Some(NOW);
    assert_eq!(renewed, is_renewed);
}

/// The stored token of account 1 lives until 50 days from now; the imported one is compared as it was told.
#[rstest]
#[case::unknown_end(None, false)]
#[case::earlier(Some(49), false)]
#[case::later(Some(50), true)]
#[tokio::test]
async fn a_living_token_gives_way_to_one_that_is_known_to_live_longer(
    #[case] expires: Option<i64>,
    #[case] is_replaced: bool,
) {
    let former = account(1, "shop/7", START);
    assert!(former.token_expire_time < Some(NOW + DAY * 50));
    let store = store_with(&former).await;
    let instagram = if is_replaced { willing() } else { reading(vec![Ok(profile(1))]) };
    let imported = import(&store, instagram, life(Some(-5), expires)).await.unwrap();
    let (account, token) = stored(&store, &former).await;
    assert_eq!(imported.view.account, account);
    if is_replaced {
        let expected = (ImportOutcome::Replaced, "IGAA-renewed");
        assert_eq!((imported.outcome, token.as_str()), expected);
        assert_eq!(account.revision, former.revision + 1);
        assert_eq!((account.id, account.link_time), (former.id, former.link_time));
        assert_eq!(account.granted_scopes, GrantedScopes::Unknown);
    } else {
        let expected = (ImportOutcome::Unchanged, "IGAA-first");
        assert_eq!((imported.outcome, token.as_str()), expected);
        assert_eq!(account, former);
    }
}

/// So the same file, twice, changes nothing.
#[tokio::test]
async fn an_end_is_no_later_than_the_same_one() {
    let end = Some(NOW + DAY * 50);
    let former = InstagramAccount { token_expire_time: end, ..account(1, "shop/7", START) };
    let store = store_with(&former).await;
    let again = import(&store, reading(vec![Ok(profile(1))]), life(None, Some(50))).await.unwrap();
    assert_eq!((again.outcome, again.view.account), (ImportOutcome::Unchanged, former));
}

#[tokio::test]
async fn a_known_end_is_later_than_an_unknown_one() {
    let former = InstagramAccount { token_expire_time: None, ..account(1, "shop/7", START) };
    let store = store_with(&former).await;
    let unchanged = import(&store, reading(vec![Ok(profile(1))]), unknown()).await.unwrap();
    assert_eq!(unchanged.outcome, ImportOutcome::Unchanged);
    let replaced = import(&store, willing(), life(None, Some(1))).await.unwrap();
    assert_eq!(replaced.outcome, ImportOutcome::Replaced);
}

#[rstest]
#[case::by_the_clock(InstagramAccount { token_expire_time: Some(NOW), ..account(1, "shop/7", START) })]
#[case::by_instagrams_word(InstagramAccount {
    refused: Some(ReauthorizationReason::PasswordChanged),
    subscription: Some(WebhookSubscription { active: true, error: None, check_time: Some(START) }),
    ..account(1, "shop/7", START)
})]
#[tokio::test]
async fn a_dead_token_gives_way_to_any(#[case] dead: InstagramAccount) {
    let store = store_with(&dead).await;
    let imported = import(&store, unwilling(), unknown()).await.unwrap();
    assert_eq!(imported.outcome, ImportOutcome::Replaced);
    assert_eq!(imported.view.status, AccountStatus::Active);
    let (account, token) = stored(&store, &dead).await;
    assert_eq!((account.id, token.as_str()), (dead.id, "IGAA-imported"));
    let known = |account: &InstagramAccount| account.subscription.map(|known| known.active);
    assert_eq!(known(&account), known(&dead));
}

/// Before the keeper has visited the account.
#[tokio::test]
async fn an_unlink_after_an_import_ends_the_subscription() {
    let subscription = WebhookSubscription { active: true, error: None, check_time: Some(START) };
    let former =
        InstagramAccount { subscription: Some(subscription), ..account(1, "shop/7", START) };
    let store = store_with(&former).await;
    let imported = import(&store, unwilling(), life(None, Some(60))).await.unwrap();
    assert_eq!(imported.outcome, ImportOutcome::Replaced);
    let mut instagram = MockInstagram::new();
    instagram
        .expect_unsubscribe()
        .once()
        .withf(|token| token.expose() == "IGAA-imported")
        .returning(|_| Ok(()));
    let unlink = UnlinkAccount::new(&ports(&store, instagram, DAY * 11));
    unlink.execute(former.id, &OwnerScope::everyone()).await.unwrap();
    assert!(store.accounts().is_empty());
}

#[tokio::test]
async fn another_owners_account_makes_room_only_when_it_is_dead() {
    let living = account(1, "shop/8", START);
    let store = store_with(&living).await;
    let refused = import(&store, reading(vec![Ok(profile(1))]), life(None, Some(60))).await;
    assert!(matches!(refused, Err(ImportAccountError::OwnedByAnother)), "{refused:?}");
    assert_eq!(stored(&store, &living).await.0, living);
    let dead = InstagramAccount {
        refused: Some(ReauthorizationReason::TokenRevoked),
        ..account(1, "shop/8", START)
    };
    let store = store_with(&dead).await;
    let imported = import(&store, willing(), unknown()).await.unwrap();
    assert_eq!(imported.outcome, ImportOutcome::Created);
    let ids: Vec<_> = store.accounts().into_iter().map(|(account, _)| account.id).collect();
    assert_eq!(ids, [imported.view.account.id]);
    assert_ne!(ids, [dead.id]);
}

#[tokio::test]
async fn a_personal_account_is_refused() {
    let personal = Profile { account_type: AccountType::Personal, ..profile(1) };
    let store = empty_store();
    let refused = import(&store, reading(vec![Ok(personal)]), unknown()).await;
    assert!(matches!(refused, Err(ImportAccountError::PersonalAccount)), "{refused:?}");
    assert!(store.accounts().is_empty());
}

#[tokio::test]
async fn a_token_that_is_refused_twice_is_rejected_with_instagrams_numbers() {
    let store = empty_store();
    let instagram = reading(vec![Err(refusal()), Err(refusal())]);
    match import(&store, instagram, unknown()).await {
        Err(ImportAccountError::TokenRejected(reason, facts)) => {
            assert_eq!((reason, facts.code), (ReauthorizationReason::PasswordChanged, Some(190)));
        }
        other => panic!("{other:?}"),
    }
    let instagram = {
        let mut instagram = reading(vec![Err(refusal()), Ok(profile(1))]);
        renews(&mut instagram, Ok(()));
        instagram
    };
    import(&store, instagram, unknown()).await.expect("a refusal that is taken back is none");
}

/// The witness decides, and an account that is to be imported is never the one that is marked.
#[rstest]
#[case::witness_is_well(vec![Err(refusal()), Err(refusal()), Ok(profile(2))], None)]
#[case::witness_is_refused(
    vec![Err(refusal()), Err(refusal()), Err(refusal())],
    Some(InstagramErrorKind::Unavailable)
)]
#[case::witness_is_not_answered(
    vec![Err(refusal()), Err(refusal()), Err(InstagramErrorKind::Unavailable.into())],
    Some(InstagramErrorKind::Unconfirmed)
)]
#[case::not_confirmed(
    vec![Err(refusal()), Err(InstagramErrorKind::Unavailable.into())],
    Some(InstagramErrorKind::Unconfirmed)
)]
#[case::the_app_is_refused(
    vec![Err(failure(InstagramErrorKind::AppMisconfigured, 100))],
    Some(InstagramErrorKind::AppMisconfigured)
)]
#[tokio::test]
async fn a_refusal_is_held_against_the_token_only_where_it_is_not_the_apps(
    #[case] readings: Readings,
    #[case] expected: Option<InstagramErrorKind>,
) {
    let other = account(2, "shop/7", START);
    let store = store_with(&other).await;
    let refused = import(&store, reading(readings), unknown()).await;
    let kind = match &refused {
        Err(ImportAccountError::TokenRejected(..)) => None,
        Err(ImportAccountError::Instagram(error)) => Some(error.kind),
        other => panic!("{other:?}"),
    };
    assert_eq!(kind, expected);
    assert_eq!(stored(&store, &other).await.0.status(NOW), AccountStatus::Active);
}

/// By the token, since nobody says whose it is: another one is tried.
#[tokio::test]
async fn throttling_of_one_account_is_remembered() {
    let store = empty_store();
    let retry_after = Duration::from_mins(5);
    let limit = failure(InstagramErrorKind::RateLimited { retry_after }, 17);
    let mut instagram = reading(vec![Err(limit.clone()), Ok(profile(1))]);
    renews(&mut instagram, Ok(()));
    let ports = ports(&store, instagram, DAY * 10);
    let imports = ImportAccount::new(&ports, TaskTracker::new());
    for _ in 0..2 {
        match imports.execute(command("shop/7", unknown()), ()).await {
            Err(ImportAccountError::Instagram(error)) => assert_eq!(error, limit),
            other => panic!("{other:?}"),
        }
    }
    let next = ImportAccountCommand { token: long_lived("IGAA-next"), ..command("", unknown()) };
    imports.execute(next, ()).await.expect("it is another account's");
}

#[tokio::test]
async fn throttling_is_remembered() {
    let store = empty_store();
    let mut instagram = reading(vec![Ok(profile(1))]);
    renews(&mut instagram, Err(throttled()));
    let ports = ports(&store, instagram, DAY * 10);
    let imports = ImportAccount::new(&ports, TaskTracker::new());
    imports.execute(command("shop/7", unknown()), ()).await.expect("the renewal alone failed");
    let next = ImportAccountCommand { token: long_lived("IGAA-next"), ..command("", unknown()) };
    let refused = imports.execute(next, ()).await;
    let Err(ImportAccountError::Instagram(error)) = &refused else { panic!("{refused:?}") };
    assert_eq!(error.retry_after(), Duration::from_mins(5), "and nobody was asked");
}

/// Whoever removed the app is not imported by a token that may be older than that.
#[rstest]
#[case::unknown_issue(None, false, true)]
#[case::older(Some(-2), false, true)]
#[case::newer(Some(0), false, false)]
#[case::deleted(Some(-2), true, true)]
#[tokio::test]
async fn a_person_who_removed_the_app_since_is_not_imported(
    #[case] issued: Option<i64>,
    #[case] is_deletion: bool,
    #[case] is_refused: bool,
) {
    let store = empty_store();
    let user = profile(1).app_scoped_user_id.unwrap();
    let request = SignedRequest { user, issue_time: NOW - DAY };
    if is_deletion {
        let code: ConfirmationCode = parsed(&"0".repeat(ConfirmationCode::LENGTH));
        store.delete(&request, &code, NOW).await.unwrap();
    } else {
        store.deauthorize(&request, NOW).await.unwrap();
    }
    let mut instagram = reading(vec![Ok(profile(1))]);
    if issued != Some(0) {
        renews(&mut instagram, Ok(()));
    }
    let imported = import(&store, instagram, life(issued, None)).await;
    assert_eq!(matches!(imported, Err(ImportAccountError::UserRemoved)), is_refused);
    assert_eq!(store.accounts().is_empty(), is_refused);
}

/// A link, or another import, that comes between the renewal and the storing.
#[tokio::test]
async fn an_account_that_is_linked_meanwhile_is_answered_as_it_is() {
    let store = empty_store();
    let mut instagram = reading(vec![Ok(profile(1))]);
    let others = store.clone();
    instagram.expect_renew_token().once().returning(move |_| {
        let linked = account(1, "shop/7", NOW);
        keep(&others, &linked).now_or_never().expect("a store in memory never waits");
        Err(throttled())
    });
    let imported = import(&store, instagram, life(None, Some(20))).await.unwrap();
    assert_eq!(imported.outcome, ImportOutcome::Unchanged);
    assert_eq!(stored(&store, &imported.view.account).await.1, "IGAA-first");
}

/// A link under way comes to its end after the import: its consent is the newer one.
#[rstest]
#[case::unknown_issue(unknown())]
#[case::known_issue(life(Some(-1), Some(60)))]
fn a_link_under_way_wins(#[case] life: ImportedLife) {
    let mut account = account(1, "shop/7", START);
    let imported = life.grant(long_lived("IGAA-imported"));
    let consent = ig_domain::Consent {
        receive_time: life.consent_time(),
        user_id: None,
        granted_scopes: GrantedScopes::Unknown,
    };
    account.take_import(&consent, &imported);
    let newer = builders::consent(NOW);
    assert!(account.take_consent(&newer, &grant("IGAA-linked", NOW), NOW));
}

#[tokio::test]
async fn calls_for_the_same_token_at_the_same_time_share_one_run() {
    let store = empty_store();
    let ports = ports(&store, willing(), DAY * 10);
    let imports = ImportAccount::new(&ports, TaskTracker::new());
    let (one, other) = tokio::join!(
        imports.execute(command("shop/7", unknown()), ()),
        imports.execute(command("shop/7", unknown()), ()),
    );
    assert_eq!(one.unwrap().view, other.unwrap().view);
}
