//! Tests of finishing a link: the account that it becomes, and the reasons that refuse it for good.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use ig_application::{LinkAccount, LinkAccountError, LinkedAccount};
use ig_domain::ports::{
    Cause, InstagramErrorKind, LinkAttempts as _, MockInstagram, MockLinkAttempts,
    PendingLinks as _, StoreError, UserDeletions as _, UserRemovals as _,
};
use ig_domain::{
    AccountType, ConfirmationCode, GrantedScopes, InstagramAccount, LeaseHolder, LinkAttempt,
    LinkRefusal, PendingLink, Phase, Profile, ReauthorizationReason, RequestedScopes, Scope,
    SignedRequest, StateRejection,
};
use ig_test_support::MemoryStore;
use ig_test_support::builders::{
    START, account, grant, parsed, pending_link, presentation, profile,
};
use rstest::rstest;
use tokio_util::task::TaskTracker;

use crate::instagram_script::{exchanges, extends, failure, reads, refusal, throttled};
use crate::{empty_store, ports, store_with, stored};

/// A minute after everything that a test has stored before.
const LATER: Duration = Duration::from_mins(1);

fn use_case(store: &MemoryStore, instagram: MockInstagram, after: Duration) -> LinkAccount {
    LinkAccount::new(&ports(store, instagram, after), TaskTracker::new())
}

/// Links `code` under a state that was made as `pending` says.
async fn link(
    store: &MemoryStore,
    instagram: MockInstagram,
    pending: PendingLink,
) -> Result<LinkedAccount, LinkAccountError> {
    let owner = pending.owner.as_str().to_owned();
    store.insert(&pending).await.unwrap();
    use_case(store, instagram, LATER).execute(presentation("code", "state", &owner), ()).await
}

fn pending(owner: &str) -> PendingLink {
    pending_link("state", owner, START)
}

/// An Instagram through which account 1 can be linked.
pub(crate) fn willing() -> MockInstagram {
    willing_as(profile(1))
}

pub(crate) fn willing_as(profile: Profile) -> MockInstagram {
    let mut instagram = MockInstagram::new();
    let all = RequestedScopes::usual().iter().cloned().collect();
    exchanges(&mut instagram, GrantedScopes::Known(all));
    extends(&mut instagram);
    reads(&mut instagram, vec![Ok(profile)]);
    instagram
}

fn refused(answer: Result<LinkedAccount, LinkAccountError>) -> LinkRefusal {
    match answer {
        Err(LinkAccountError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_code_becomes_an_account_with_the_long_lived_token() {
    let store = empty_store();
    let linked = link(&store, willing(), pending("shop/7")).await.unwrap();
    assert!(linked.created);
    let (account, token) = stored(&store, &linked.view.account).await;
    assert_eq!((account.revision, token.as_str()), (1, "IGAA-long"));
    assert_eq!(account.token_issue_time.unwrap(), START + LATER);
}

#[tokio::test]
async fn the_same_call_again_is_a_replay_for_an_hour_and_then_used() {
    let store = empty_store();
    let first = link(&store, willing(), pending("shop/7")).await.unwrap();
    let again = |after| {
        let use_case = use_case(&store, MockInstagram::new(), after);
        async move { use_case.execute(presentation("code", "state", "shop/7"), ()).await }
    };
    let replay = again(Duration::from_hours(1)).await.unwrap();
    assert_eq!(replay.view.account, first.view.account);
    assert!(replay.created, "a replay repeats the first answer");
    let late = again(Duration::from_mins(61)).await;
    let used = matches!(late, Err(LinkAccountError::StateRejected(StateRejection::Used)));
    assert!(used, "{late:?}");
}

/// A removal that is issued after the consent, and comes before the account is stored.
#[tokio::test]
async fn a_person_who_removed_the_app_meanwhile_is_not_linked() {
    let store = empty_store();
    let user = account(1, "", START).app_scoped_user_id.unwrap();
    let request = SignedRequest { user, issue_time: START + LATER };
    store.deauthorize(&request, START).await.unwrap();
    let answer = link(&store, willing(), pending("shop/7")).await;
    assert!(matches!(refused(answer), LinkRefusal::CodeRejected(_)));
    assert!(store.accounts().is_empty());
    let [attempt] = &store.attempts()[..] else { panic!("one attempt") };
    assert!(matches!(attempt.phase, Phase::Ended { .. }), "{attempt:?}");
}

/// The attempt goes with the person's data, while its holder waits for Instagram.
#[tokio::test]
async fn a_link_that_a_deletion_erases_is_refused() {
    let store = empty_store();
    let mut instagram = MockInstagram::new();
    exchanges(&mut instagram, GrantedScopes::Unknown);
    extends(&mut instagram);
    let others = store.clone();
    instagram.expect_profile().once().returning(move |_| {
        let user = profile(1).app_scoped_user_id.unwrap();
        let request = SignedRequest { user, issue_time: START + LATER };
        let code = parsed(&"0".repeat(ConfirmationCode::LENGTH));
        others.delete(&request, &code, START + LATER).now_or_never().unwrap().unwrap();
        Ok(profile(1))
    });
    let answer = link(&store, instagram, pending("shop/7")).await;
    assert!(matches!(refused(answer), LinkRefusal::CodeRejected(_)));
    assert!(store.accounts().is_empty() && store.attempts().is_empty());
    let again = use_case(&store, MockInstagram::new(), LATER);
    let again = again.execute(presentation("code", "state", "shop/7"), ()).await;
    let unknown = matches!(again, Err(LinkAccountError::StateRejected(StateRejection::Unknown)));
    assert!(unknown, "{again:?}");
}

/// The store's clock stands still here, so no lease ends.
#[tokio::test]
async fn waiting_for_an_attempt_that_another_holds_for_ever_ends() {
    let store = empty_store();
    store.insert(&pending("shop/7")).await.unwrap();
    let presented = presentation("code", "state", "shop/7");
    let attempt = LinkAttempt::begin(pending("shop/7"), &presented, START);
    let another = LeaseHolder::from_uuid(*account(1, "", START).id.as_uuid());
    store.create(&attempt, another).await.unwrap();
    let refused = use_case(&store, MockInstagram::new(), LATER).execute(presented, ()).await;
    let Err(LinkAccountError::Store(StoreError::Unavailable(cause))) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(cause.to_string(), "the lease was not given back within 60 seconds");
}

#[rstest]
#[case::nothing_was_begun(StoreError::Overloaded(Cause::new("on purpose")), 0)]
#[case::it_may_be_stored(StoreError::Unavailable(Cause::new("on purpose")), 1)]
#[tokio::test]
async fn a_beginning_that_failed_is_given_back_only_where_it_may_be_stored(
    #[case] error: StoreError,
    #[case] releases: usize,
) {
    let store = empty_store();
    store.insert(&pending("shop/7")).await.unwrap();
    let mut attempts = MockLinkAttempts::new();
    attempts.expect_find().returning(|_| Ok(None));
    attempts.expect_create().once().return_once(|_, _| Err(error));
    let unsent = |_: &_, _: &_, phase: &Phase| matches!(phase, Phase::Unsent);
    attempts.expect_release().withf(unsent).times(releases).returning(|_, _, _| Ok(()));
    let mut ports = ports(&store, MockInstagram::new(), LATER);
    ports.store.link_attempts = Arc::new(attempts);
    let use_case = LinkAccount::new(&ports, TaskTracker::new());
    let answer = use_case.execute(presentation("code", "state", "shop/7"), ()).await;
    assert!(matches!(answer, Err(LinkAccountError::Store(_))), "{answer:?}");
}

#[rstest]
#[case::another_state("code", "other", "shop/7", StateRejection::Used)]
#[case::another_code("other", "state", "shop/7", StateRejection::Used)]
#[case::another_owner("code", "state", "shop/8", StateRejection::OtherOwner)]
#[case::nothing_we_made("other", "other", "shop/7", StateRejection::Unknown)]
#[tokio::test]
async fn a_spent_state_and_its_code_belong_together(
    #[case] code: &str,
    #[case] state: &str,
    #[case] owner: &str,
    #[case] expected: StateRejection,
) {
    let store = empty_store();
    link(&store, willing(), pending("shop/7")).await.unwrap();
    let use_case = use_case(&store, MockInstagram::new(), LATER);
    let answer = use_case.execute(presentation(code, state, owner), ()).await;
    let Err(LinkAccountError::StateRejected(rejection)) = answer else { panic!("{answer:?}") };
    assert_eq!(rejection, expected);
}

#[tokio::test]
async fn relinking_under_the_same_owner_keeps_the_account() {
    let before = account(1, "shop/7", START);
    let store = store_with(&before).await;
    let linked = link(&store, willing(), pending("shop/7")).await.unwrap();
    assert!(!linked.created);
    let (account, token) = stored(&store, &before).await;
    assert_eq!((account.revision, token.as_str()), (2, "IGAA-long"));
    assert_eq!(account.link_time, START);
}

#[tokio::test]
async fn a_new_consent_outranks_a_renewal_of_the_former_that_came_later() {
    let mut before = account(1, "shop/7", START);
    before.take_renewal(&grant("IGAA-first", START + 2 * LATER));
    let store = store_with(&before).await;
    let linked = link(&store, willing(), pending("shop/7")).await.unwrap();
    let all = GrantedScopes::Known(RequestedScopes::usual().iter().cloned().collect());
    assert_eq!(linked.view.account.granted_scopes, all);
    assert_eq!(stored(&store, &before).await.1, "IGAA-long");
}

#[tokio::test]
async fn a_code_that_was_not_taken_is_known_as_such_before_the_caller_is_told() {
    let store = empty_store();
    let mut instagram = MockInstagram::new();
    let away = store.clone();
    instagram.expect_exchange_code().once().return_once(move |_, _| {
        away.set_away(true);
        Err(failure(InstagramErrorKind::Unavailable, 2))
    });
    let answer = link(&store, instagram, pending("shop/7")).await;
    let told = matches!(answer, Err(LinkAccountError::Store(StoreError::Unavailable(_))));
    assert!(told, "the code counts as sent: {answer:?}");
}

#[tokio::test]
async fn a_living_account_of_another_owner_cannot_be_linked() {
    let before = account(1, "shop/8", START);
    let store = store_with(&before).await;
    let answer = link(&store, willing(), pending("shop/7")).await;
    assert_eq!(refused(answer), LinkRefusal::OwnedByAnother);
    assert_eq!(stored(&store, &before).await, (before, "IGAA-first".to_owned()));
}

#[tokio::test]
async fn a_dead_account_of_another_owner_makes_room() {
    let refused = Some(ReauthorizationReason::TokenRevoked);
    let before = InstagramAccount { refused, ..account(1, "shop/8", START) };
    let store = store_with(&before).await;
    let linked = link(&store, willing(), pending("shop/7")).await.unwrap();
    assert!(linked.created);
    let accounts = store.accounts();
    let owners: Vec<_> = accounts.iter().map(|(account, _)| account.owner.as_str()).collect();
    assert_eq!(owners, ["shop/7"]);
}

#[tokio::test]
async fn re_authorisation_takes_exactly_its_account() {
    let before = account(2, "shop/7", START);
    let store = store_with(&before).await;
    let pending = PendingLink { account: Some(before.id), ..pending("shop/7") };
    let answer = link(&store, willing(), pending).await;
    assert_eq!(refused(answer), LinkRefusal::WrongAccount);
    assert_eq!(store.accounts().len(), 1);
}

#[tokio::test]
async fn a_personal_account_is_refused_and_nothing_stored() {
    let store = empty_store();
    let personal = Profile { account_type: AccountType::Personal, ..profile(1) };
    let answer = link(&store, willing_as(personal), pending("shop/7")).await;
    assert_eq!(refused(answer), LinkRefusal::PersonalAccount);
    assert_eq!(store.accounts().len(), 0);
}

#[tokio::test]
async fn without_the_basic_permission_nothing_more_is_asked() {
    let mut instagram = MockInstagram::new();
    exchanges(&mut instagram, GrantedScopes::Known([Scope::content_publish()].into()));
    let answer = link(&empty_store(), instagram, pending("shop/7")).await;
    assert_eq!(refused(answer), LinkRefusal::ScopeMissing { missing: vec![Scope::basic()] });
}

#[tokio::test]
async fn where_instagram_does_not_say_what_was_granted_nothing_is_missing() {
    let mut instagram = MockInstagram::new();
    exchanges(&mut instagram, GrantedScopes::Unknown);
    extends(&mut instagram);
    reads(&mut instagram, vec![Ok(profile(1))]);
    let linked = link(&empty_store(), instagram, pending("shop/7")).await.unwrap();
    assert_eq!(linked.missing_scopes, []);
    assert!(!linked.view.account.granted_scopes.are_known());
}

#[rstest]
#[case::lost(InstagramErrorKind::NoAnswer, LinkRefusal::Interrupted)]
#[case::refused(InstagramErrorKind::CodeRejected, LinkRefusal::CodeRejected(failure(InstagramErrorKind::NoAnswer, 7).facts))]
#[case::unreadable(InstagramErrorKind::Unreadable, LinkRefusal::Unreadable(failure(InstagramErrorKind::NoAnswer, 7).facts))]
#[tokio::test]
async fn a_code_that_may_be_taken_is_never_sent_again(
    #[case] kind: InstagramErrorKind,
    #[case] expected: LinkRefusal,
) {
    let store = empty_store();
    let mut instagram = MockInstagram::new();
    instagram.expect_exchange_code().once().return_once(move |_, _| Err(failure(kind, 7)));
    assert_eq!(refused(link(&store, instagram, pending("shop/7")).await), expected);
    let replay = use_case(&store, MockInstagram::new(), LATER);
    let replay = replay.execute(presentation("code", "state", "shop/7"), ()).await;
    assert_eq!(refused(replay), expected);
}

#[rstest]
#[case::not_sent(InstagramErrorKind::NotSent)]
#[case::unavailable(InstagramErrorKind::Unavailable)]
#[case::throttled(InstagramErrorKind::RateLimited { retry_after: LATER })]
#[case::redirect_uri(InstagramErrorKind::RedirectUriRejected)]
#[case::app(InstagramErrorKind::AppMisconfigured)]
#[case::unknown(InstagramErrorKind::Unexpected)]
#[tokio::test]
async fn a_code_that_was_not_taken_is_sent_again_by_the_same_call(
    #[case] kind: InstagramErrorKind,
) {
    let store = empty_store();
    let mut instagram = MockInstagram::new();
    instagram.expect_exchange_code().once().return_once(move |_, _| Err(failure(kind, 7)));
    let answer = link(&store, instagram, pending("shop/7")).await;
    assert!(matches!(answer, Err(LinkAccountError::Instagram(_))), "{answer:?}");
    let again = use_case(&store, willing(), LATER);
    assert!(again.execute(presentation("code", "state", "shop/7"), ()).await.unwrap().created);
}

#[tokio::test]
async fn after_a_failed_second_leg_the_same_call_goes_on_without_the_code() {
    let store = empty_store();
    let mut instagram = MockInstagram::new();
    exchanges(&mut instagram, GrantedScopes::Unknown);
    extends(&mut instagram);
    reads(&mut instagram, vec![Err(throttled())]);
    let answer = link(&store, instagram, pending("shop/7")).await;
    assert!(matches!(answer, Err(LinkAccountError::Instagram(_))), "{answer:?}");
    assert_eq!(store.accounts().len(), 0);
    let mut instagram = MockInstagram::new();
    extends(&mut instagram);
    reads(&mut instagram, vec![Ok(profile(1))]);
    let again = use_case(&store, instagram, LATER);
    assert!(again.execute(presentation("code", "state", "shop/7"), ()).await.is_ok());
}

#[tokio::test]
async fn a_short_lived_token_past_its_hour_ends_the_attempt() {
    let store = empty_store();
    let mut instagram = MockInstagram::new();
    exchanges(&mut instagram, GrantedScopes::Unknown);
    extends(&mut instagram);
    reads(&mut instagram, vec![Err(throttled())]);
    link(&store, instagram, pending("shop/7")).await.unwrap_err();
    let late = use_case(&store, MockInstagram::new(), LATER + Duration::from_hours(1));
    let late = late.execute(presentation("code", "state", "shop/7"), ()).await;
    assert_eq!(refused(late), LinkRefusal::Interrupted);
}

#[tokio::test]
async fn a_token_refused_as_soon_as_it_was_given_rejects_the_code() {
    let mut instagram = MockInstagram::new();
    exchanges(&mut instagram, GrantedScopes::Unknown);
    extends(&mut instagram);
    reads(&mut instagram, vec![Err(refusal())]);
    let answer = link(&empty_store(), instagram, pending("shop/7")).await;
    assert_eq!(refused(answer), LinkRefusal::CodeRejected(refusal().facts));
}

#[tokio::test]
async fn calls_at_the_same_time_exchange_the_code_once() {
    let store = empty_store();
    store.insert(&pending("shop/7")).await.unwrap();
    let use_case = use_case(&store, willing(), LATER);
    let call = || use_case.execute(presentation("code", "state", "shop/7"), ());
    let (one, other) = tokio::join!(call(), call());
    assert_eq!(one.unwrap().view, other.unwrap().view);
}
