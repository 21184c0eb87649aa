//! Tests of hosted consents: the browser at our own callback, and the ticket that its caller presents.

use std::time::Duration;

use ig_application::{
    FinishHostedLink, HostedEnd, LinkAccount, LinkAccountError, LinkedAccount, Presented,
};
use ig_domain::ports::{InstagramErrorKind, MockInstagram, PendingLinks as _, UserDeletions as _};
use ig_domain::{
    AccountType, AuthorizationResponse, ConfirmationCode, LinkEnd, LinkRefusal, PendingLink,
    Profile, Scope, SignedRequest, StateRejection, Ticket, TicketPresentation,
};
use ig_test_support::MemoryStore;
use ig_test_support::builders::{START, parsed, pending_link, presentation, profile};
use rstest::rstest;
use secrecy::ExposeSecret as _;
use tokio_util::task::TaskTracker;

use crate::instagram_script::failure;
use crate::link_account::{willing, willing_as};
use crate::{empty_store, ports};

const RETURN_URL: &str = "https://example.com/linked?tenant=7";

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);

/// A second less than an hour.
const ALMOST: Duration = Duration::from_secs(3599);

/// Instagram, which takes no code now.
fn away() -> MockInstagram {
    let mut away = MockInstagram::new();
    let unavailable = || failure(InstagramErrorKind::Unavailable, 2);
    away.expect_exchange_code().returning(move |_, _| Err(unavailable()));
    away
}

/// A state `state` of shop/7 that lives for an hour.
async fn begun(end: LinkEnd) -> MemoryStore {
    let store = empty_store();
    let session_binding = match &end {
        LinkEnd::ReturnUrl(_) => parsed::<ig_domain::SessionBinding>("session").hash(),
        _ => ig_domain::SessionBinding::default().hash(),
    };
    let pending = PendingLink { end, session_binding, ..pending_link("state", "shop/7", START) };
    store.insert(&pending).await.unwrap();
    store
}

async fn begun_with_return_url() -> MemoryStore {
    begun(LinkEnd::ReturnUrl(parsed(RETURN_URL))).await
}

/// End of the visit with this query.
async fn visit(
    store: &MemoryStore,
    instagram: MockInstagram,
    after: Duration,
    query: &str,
) -> HostedEnd {
    let ports = ports(store, instagram, after);
    let hosted = FinishHostedLink::new(&ports, TaskTracker::new());
    hosted.execute(AuthorizationResponse::parse(query).unwrap()).await.unwrap()
}

/// End of a visit at which Instagram is not asked.
async fn quiet_visit(store: &MemoryStore, after: Duration, query: &str) -> HostedEnd {
    visit(store, MockInstagram::new(), after, query).await
}

fn sent_back(end: HostedEnd) -> String {
    let HostedEnd::SendBack(url) = end else { panic!("{end:?}") };
    url.expose_secret().to_owned()
}

fn is_gone(end: &HostedEnd) -> bool {
    matches!(end, HostedEnd::StateGone)
}

/// The query with which the browser comes to the caller after a visit with `code`.
async fn brought(store: &MemoryStore, after: Duration, code: &str) -> String {
    sent_back(quiet_visit(store, after, &format!("code={code}&state=state")).await)
}

fn with_ticket(url: &str, owner: &str, session: &str) -> Presented {
    match AuthorizationResponse::parse(url).unwrap() {
        AuthorizationResponse::Kept { ticket, state } => Presented::Ticket(TicketPresentation {
            ticket,
            state,
            owner: parsed(owner),
            session_binding: parsed(session),
        }),
        other => panic!("{other:?}"),
    }
}

async fn link(
    store: &MemoryStore,
    instagram: MockInstagram,
    after: Duration,
    presented: Presented,
) -> Result<LinkedAccount, LinkAccountError> {
    let ports = ports(store, instagram, after);
    LinkAccount::new(&ports, TaskTracker::new()).execute(presented, ()).await
}

async fn rejected(store: &MemoryStore, after: Duration, presented: Presented) -> StateRejection {
    match link(store, MockInstagram::new(), after, presented).await {
        Err(LinkAccountError::StateRejected(rejection)) => rejection,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn without_a_return_url_the_visit_links_once_to_the_owner_who_began() {
    let store = begun(LinkEnd::Page).await;
    let first = visit(&store, willing(), SECOND, "code=code&state=state#_").await;
    let again = quiet_visit(&store, HOUR, "code=code&state=state").await;
    for end in [first, again] {
        let HostedEnd::Linked { username, missing_scopes, .. } = end else { panic!("{end:?}") };
        assert_eq!((username.as_str(), missing_scopes), ("account_1", vec![]));
    }
    let [(account, _)] = &store.accounts()[..] else { panic!("one account") };
    assert_eq!(account.owner, parsed("shop/7"));
    let late = quiet_visit(&store, 3 * HOUR, "code=code&state=state").await;
    assert!(is_gone(&late), "its replay hour is over: {late:?}");
    let other = quiet_visit(&store, SECOND, "code=other&state=state").await;
    assert!(is_gone(&other), "a state serves one code: {other:?}");
}

#[tokio::test]
async fn a_second_visit_has_the_refusal_of_the_first() {
    let store = begun(LinkEnd::Page).await;
    let personal = Profile { account_type: AccountType::Personal, ..profile(1) };
    let first = visit(&store, willing_as(personal), SECOND, "code=code&state=state").await;
    let again = quiet_visit(&store, SECOND, "code=code&state=state").await;
    for end in [first, again] {
        assert!(matches!(end, HostedEnd::Refused(LinkRefusal::PersonalAccount)), "{end:?}");
    }
}

#[tokio::test]
async fn a_reload_goes_on_where_instagram_could_not_help() {
    let store = begun(LinkEnd::Page).await;
    let failed = visit(&store, away(), SECOND, "code=code&state=state").await;
    assert!(matches!(failed, HostedEnd::Failed(_)), "{failed:?}");
    let linked = visit(&store, willing(), SECOND, "code=code&state=state").await;
    assert!(matches!(linked, HostedEnd::Linked { .. }), "{linked:?}");
}

/// The person, who knows of no code, allows once more.
#[tokio::test]
async fn another_code_goes_on_where_instagram_did_not_take_the_first() {
    let store = begun(LinkEnd::Page).await;
    let failed = visit(&store, away(), SECOND, "code=first&state=state").await;
    assert!(matches!(failed, HostedEnd::Failed(_)), "{failed:?}");
    let denied = quiet_visit(&store, SECOND, "error=access_denied&state=state").await;
    assert!(matches!(denied, HostedEnd::Denied(_)), "the link lives on: {denied:?}");
    let linked = visit(&store, willing(), SECOND, "code=second&state=state").await;
    assert!(matches!(linked, HostedEnd::Linked { .. }), "{linked:?}");
    for query in ["code=first&state=state", "code=third&state=state"] {
        let late = quiet_visit(&store, SECOND, query).await;
        assert!(is_gone(&late), "{query}: {late:?}");
    }
}

#[tokio::test]
async fn another_ticket_goes_on_where_instagram_did_not_take_the_first() {
    let store = begun_with_return_url().await;
    let first = with_ticket(&brought(&store, SECOND, "first").await, "shop/7", "session");
    let failed = link(&store, away(), SECOND, first.clone()).await;
    assert!(matches!(failed, Err(LinkAccountError::Instagram(_))), "{failed:?}");
    let second = brought(&store, SECOND, "second").await;
    let stranger = rejected(&store, SECOND, with_ticket(&second, "shop/8", "session")).await;
    assert_eq!(stranger, StateRejection::OtherOwner);
    assert_eq!(store.attempts().len(), 1, "a stranger discards nothing");
    let second = with_ticket(&second, "shop/7", "session");
    assert!(link(&store, willing(), SECOND, second).await.unwrap().created);
    assert_eq!(rejected(&store, SECOND, first).await, StateRejection::Used);
}

/// Its caller has the code, and sends it again.
#[tokio::test]
async fn a_state_of_a_caller_takes_no_other_code() {
    let store = begun(LinkEnd::Caller).await;
    let presented = |code| presentation(code, "state", "shop/7");
    let failed = link(&store, away(), SECOND, presented("first").into()).await;
    assert!(matches!(failed, Err(LinkAccountError::Instagram(_))), "{failed:?}");
    let other = rejected(&store, SECOND, presented("second").into()).await;
    assert_eq!(other, StateRejection::Used);
}

#[tokio::test]
async fn with_a_return_url_the_visit_links_nothing_and_the_session_that_began_does() {
    let store = begun_with_return_url().await;
    let url = brought(&store, SECOND, "code").await;
    assert!(url.starts_with("https://example.com/linked?tenant=7&state=state&ticket="), "{url}");
    assert_eq!(brought(&store, 2 * SECOND, "code").await, url, "a second hit");
    assert!(store.accounts().is_empty() && store.attempts().is_empty());

    for (owner, session, expected) in [
        ("shop/8", "session", StateRejection::OtherOwner),
        ("shop/7", "another", StateRejection::OtherSession),
    ] {
        let refused = rejected(&store, SECOND, with_ticket(&url, owner, session)).await;
        assert_eq!(refused, expected, "{owner} {session}");
    }
    assert!(store.attempts().is_empty());

    let presented = with_ticket(&url, "shop/7", "session");
    let linked = link(&store, willing(), SECOND, presented.clone()).await.unwrap();
    let replay = link(&store, MockInstagram::new(), HOUR, presented.clone()).await.unwrap();
    assert!(linked.created && replay.created);
    assert_eq!(replay.view.account, linked.view.account);
    let late = rejected(&store, HOUR + 2 * SECOND, presented).await;
    assert_eq!(late, StateRejection::Used, "its replay hour is over");
    assert_eq!(brought(&store, 2 * HOUR, "code").await, url, "the back button, much later");
}

/// A code that the caller got hold of on another way is nothing that it may bring, also once the link has ended.
#[tokio::test]
async fn a_hosted_state_takes_no_code_from_a_caller() {
    for end in [LinkEnd::Page, LinkEnd::ReturnUrl(parsed(RETURN_URL))] {
        let store = begun(end.clone()).await;
        let mut presented = presentation("code", "state", "shop/7");
        if end != LinkEnd::Page {
            presented.session_binding = parsed("session");
        }
        let before = rejected(&store, SECOND, presented.clone().into()).await;
        if end == LinkEnd::Page {
            visit(&store, willing(), SECOND, "code=code&state=state").await;
        } else {
            let url = brought(&store, SECOND, "code").await;
            let presented = with_ticket(&url, "shop/7", "session");
            link(&store, willing(), SECOND, presented).await.unwrap();
        }
        let after = rejected(&store, SECOND, presented.into()).await;
        assert_eq!((before, after), (StateRejection::Unknown, StateRejection::Unknown), "{end:?}");
    }
}

#[tokio::test]
async fn a_ticket_serves_no_other_state_and_nobody_guesses_one() {
    let store = begun_with_return_url().await;
    let end = LinkEnd::ReturnUrl(parsed(RETURN_URL));
    let other = PendingLink { end, ..pending_link("other", "shop/8", START) };
    store.insert(&other).await.unwrap();
    let url = brought(&store, SECOND, "code").await;
    for url in [
        url.replace("state=state", "state=other"),
        format!("?state=other&ticket={}", "a".repeat(Ticket::LENGTH)),
    ] {
        let refused = rejected(&store, SECOND, with_ticket(&url, "shop/8", "")).await;
        assert_eq!(refused, StateRejection::Unknown);
    }
    let stolen = quiet_visit(&store, SECOND, "code=code&state=other").await;
    assert!(is_gone(&stolen), "a code has one state: {stolen:?}");
}

#[tokio::test]
async fn a_ticket_lives_as_long_as_its_code() {
    let store = begun_with_return_url().await;
    let came = ALMOST;
    let url = brought(&store, came, "code").await;
    let presented = || with_ticket(&url, "shop/7", "session");
    let late = link(&store, MockInstagram::new(), came + HOUR, presented()).await;
    let expired = matches!(late, Err(LinkAccountError::Refused(LinkRefusal::CodeRejected(_))));
    assert!(expired, "{late:?}");
    let in_time = came + ALMOST;
    let linked = link(&store, willing(), in_time, presented()).await.unwrap();
    assert!(linked.created, "beyond the end of the state");
    let replay = link(&store, MockInstagram::new(), came + HOUR, presented()).await.unwrap();
    assert!(replay.created);
}

#[tokio::test]
async fn of_two_codes_the_first_that_is_presented_spends_the_state() {
    let store = begun_with_return_url().await;
    let (first, second) =
        (brought(&store, SECOND, "one").await, brought(&store, SECOND, "two").await);
    assert_ne!(first, second);
    let presented = with_ticket(&second, "shop/7", "session");
    link(&store, willing(), SECOND, presented).await.unwrap();
    let late = rejected(&store, SECOND, with_ticket(&first, "shop/7", "session")).await;
    assert_eq!(late, StateRejection::Used);
    let third = quiet_visit(&store, SECOND, "code=three&state=state").await;
    assert!(is_gone(&third), "{third:?}");
}

#[tokio::test]
async fn a_denial_is_shown_or_passed_on_and_spends_nothing() {
    let denied =
        "error=access_denied&error_reason=user_denied&error_description=No+%26+state=2&state=state";
    let page = begun(LinkEnd::Page).await;
    let end = quiet_visit(&page, SECOND, denied).await;
    let HostedEnd::Denied(denial) = end else { panic!("{end:?}") };
    assert_eq!(denial.error_reason.as_deref(), Some("user_denied"));
    let linked = visit(&page, willing(), SECOND, "code=code&state=state").await;
    assert!(matches!(linked, HostedEnd::Linked { .. }), "{linked:?}");

    let returning = begun_with_return_url().await;
    let url = sent_back(quiet_visit(&returning, SECOND, denied).await);
    assert_eq!(
        url,
        "https://example.com/linked?tenant=7&state=state&error=access_denied&error_reason=user_denied"
    );
    let short = "error=access_denied&error_description=No+%26+never&state=state";
    let url = sent_back(quiet_visit(&returning, SECOND, short).await);
    assert!(url.ends_with("&error=access_denied&error_description=No+%26+never"), "{url}");
    brought(&returning, SECOND, "code").await;
}

#[rstest]
#[case::code("code=code")]
#[case::denial("error=access_denied")]
#[tokio::test]
async fn a_state_that_is_over_or_not_hosted_is_gone(#[case] parameter: &str) {
    let query = format!("{parameter}&state=state");
    let page = begun(LinkEnd::Page).await;
    let gone = async |store: &MemoryStore, after, query: &str| {
        let end = quiet_visit(store, after, query).await;
        assert!(is_gone(&end), "{query} {after:?} {end:?}");
    };
    gone(&page, SECOND, &format!("{parameter}&state=another")).await;
    gone(&page, HOUR, &query).await;
    gone(&begun_with_return_url().await, HOUR, &query).await;
    gone(&begun(LinkEnd::Caller).await, SECOND, &query).await;
    let ticket = "a".repeat(Ticket::LENGTH);
    gone(&page, SECOND, &format!("ticket={ticket}&state=state")).await;
    visit(&page, willing(), SECOND, "code=first&state=state").await;
    gone(&page, SECOND, &query).await;
    gone(&page, SECOND, "error=access_denied").await;
}

#[tokio::test]
async fn unticked_permissions_are_told() {
    let store = begun(LinkEnd::Page).await;
    let mut instagram = MockInstagram::new();
    let basic = ig_domain::GrantedScopes::Known([Scope::basic()].into());
    crate::instagram_script::exchanges(&mut instagram, basic);
    crate::instagram_script::extends(&mut instagram);
    crate::instagram_script::reads(&mut instagram, vec![Ok(profile(1))]);
    let end = visit(&store, instagram, SECOND, "code=code&state=state").await;
    let HostedEnd::Linked { missing_scopes, .. } = end else { panic!("{end:?}") };
    assert_eq!(missing_scopes, [Scope::content_publish()]);
}

/// However late the ticket is presented, the code came before.
#[tokio::test]
async fn a_ticket_of_a_person_deleted_meanwhile_is_refused() {
    let store = begun_with_return_url().await;
    let url = brought(&store, SECOND, "code").await;
    let user = profile(1).app_scoped_user_id.unwrap();
    let request = SignedRequest { user, issue_time: START + 10 * SECOND };
    let code = parsed(&"0".repeat(ConfirmationCode::LENGTH));
    store.delete(&request, &code, START + 11 * SECOND).await.unwrap();
    let presented = with_ticket(&url, "shop/7", "session");
    let linked = link(&store, willing(), 20 * SECOND, presented).await;
    let refused = matches!(linked, Err(LinkAccountError::Refused(LinkRefusal::CodeRejected(_))));
    assert!(refused, "{linked:?}");
    assert!(store.accounts().is_empty());
}
