//! Tokens of an older system, adopted over real gRPC and by the command.

mod command;

use ig_proto::v1::get_request::Key;
use ig_proto::v1::watch_request::From;
use ig_proto::v1::{
    AccountStatus, EventKind, ImportRequest, ImportResponse, ListRequest, TokenOutcome,
    WatchRequest, WatchStart,
};
use prost_types::Timestamp;
use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use tonic::{Response, Status};

use crate::support::sandbox::{BAKERY, CREATOR};
use crate::support::{A_DAY_LATER, HOUR, On, Sandbox, Service, Stack, eventually, reason, refusal};

const DAY: i64 = 24 * HOUR;

/// A request for this token, of which nothing else is known.
fn request(access_token: &str, owner: &str) -> ImportRequest {
    let (access_token, owner) = (access_token.to_owned(), owner.to_owned());
    ImportRequest { access_token, owner, ..ImportRequest::default() }
}

async fn import(service: &Service, request: ImportRequest) -> Result<ImportResponse, Status> {
    service.client.clone().import(request).await.map(Response::into_inner)
}

/// A moment, so many seconds after the sandbox's present one.
async fn moment(sandbox: &Sandbox, after: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: sandbox.now_seconds().await + after, nanos: 0 })
}

/// The events so far, as their kinds, causes and changed fields.
async fn told(service: &Service) -> Vec<(EventKind, String, Vec<String>)> {
    let from = Some(From::Start(WatchStart::Earliest.into()));
    let request = WatchRequest { from, ..WatchRequest::default() };
    let mut stream = service.client.clone().watch(request).await.unwrap().into_inner();
    let mut told = Vec::new();
    loop {
        let message = stream.message().await.unwrap().unwrap();
        told.extend(message.events.into_iter().map(|event| {
            let fields = event.changed_fields.clone().unwrap_or_default().paths;
            (event.kind(), event.cause, fields)
        }));
        if message.caught_up {
            return told;
        }
    }
}

/// Number of requests at `/me` and at the renewal.
async fn asked(sandbox: &Sandbox) -> [usize; 2] {
    [sandbox.requests("me").await.len(), sandbox.requests("refresh").await.len()]
}

#[rstest]
#[tokio::test]
async fn a_token_of_which_nothing_is_known_is_renewed_at_once(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let stack = Stack::start_on(on, &[]).await;
    let Stack { sandbox, service, .. } = &stack;
    let token = sandbox.token(BAKERY, 40 * DAY).await;
    let imported = import(service, request(&token, "shop/7")).await.unwrap();
    assert!(imported.created);
    let account = imported.account.unwrap();
    let now = sandbox.now_seconds().await;
    assert!(account.token_expire_time.unwrap().seconds > now + 59 * DAY, "{account:?}");
    assert!(account.token_issue_time.unwrap().seconds <= now);
    assert_eq!((account.username.as_str(), account.owner.as_str()), (BAKERY, "shop/7"));
    assert!(!account.granted_scopes_known && account.granted_scopes.is_empty());
    assert_eq!(service.get(Key::Username(BAKERY.to_owned())).await.unwrap(), account);
    assert_eq!(asked(sandbox).await, [1, 1]);

    let again = import(service, request(&token, "shop/7")).await.unwrap();
    assert_eq!((again.account.unwrap(), again.created), (account.clone(), false));
    assert_eq!(asked(sandbox).await, [2, 1], "nothing is renewed that is not stored");
    let handed = service.fetch(&account.account_id, 50).await.unwrap();
    assert_ne!(handed.access_token, token);
    let linked = (EventKind::Linked, "IMPORT".to_owned(), Vec::new());
    assert_eq!(told(service).await, [linked]);
}

#[tokio::test]
async fn a_token_that_is_too_young_keeps_an_unknown_end_until_its_first_renewal() {
    let stack = Stack::start().await;
    let Stack { sandbox, service, .. } = &stack;
    let token = sandbox.token(BAKERY, HOUR).await;
    let issue_time = moment(sandbox, -HOUR).await;
    let imported = import(service, ImportRequest { issue_time, ..request(&token, "") }).await;
    let account = imported.unwrap().account.unwrap();
    assert_eq!((account.token_issue_time, account.token_expire_time), (issue_time, None));
    assert_eq!(account.status(), AccountStatus::Active);
    assert_eq!(account.next_refresh_time.unwrap().seconds, issue_time.unwrap().seconds + DAY);
    assert_eq!(asked(sandbox).await, [1, 0]);
    let listed = service.list(ListRequest::default()).await.unwrap().accounts;
    assert_eq!(listed, std::slice::from_ref(&account));

    // For min_ttl an unknown end is an hour away.
    let mut hour = crate::support::service::fetch(&account.account_id, 0);
    hour.min_ttl = Some(prost_types::Duration { seconds: HOUR, nanos: 0 });
    let handed = service.client.clone().fetch_access_token(hour).await.unwrap().into_inner();
    assert_eq!((handed.access_token, handed.expire_time), (token, None));
    let unmet = refusal(service.fetch(&account.account_id, 1).await);
    assert_eq!(
        (unmet.reason.as_str(), unmet.metadata["cause"].as_str()),
        ("MIN_TTL_UNMET", "TOO_YOUNG")
    );
    assert_eq!(unmet.metadata.get("expire_time"), None);

    stack.advance(A_DAY_LATER).await;
    let refreshed = service.refresh(&account.account_id).await.unwrap();
    assert_eq!(refreshed.token_outcome(), TokenOutcome::Renewed);
    let known = refreshed.account.unwrap();
    assert!(known.token_expire_time.unwrap().seconds > sandbox.now_seconds().await + 59 * DAY);
    let told = told(service).await;
    let (kind, _, fields) = told.last().unwrap();
    assert_eq!(
        (*kind, fields.join(",").as_str()),
        (EventKind::Changed, "token_issue_time,token_expire_time")
    );
}

/// The keeper renews what the import could not, within seconds.
#[tokio::test]
async fn a_token_of_unknown_life_is_due_at_once_and_its_webhooks_are_reconciled() {
    let settings = [("KEEPER", "true"), ("WEBHOOK_FIELDS", "comments,messages")];
    let stack = Stack::start_with(&settings).await;
    let Stack { sandbox, service, .. } = &stack;
    let token = sandbox.token(BAKERY, 40 * DAY).await;
    let refused = json!({"error": {"message": "(#10) Application does not have permission for this action",
        "type": "OAuthException", "code": 10}});
    sandbox
        .fault(json!({ "endpoint": "refresh", "times": 1, "status": 403, "body": refused }))
        .await;
    let imported = import(service, request(&token, "shop/7")).await.unwrap().account.unwrap();
    assert_eq!((imported.token_issue_time, imported.token_expire_time), (None, None));
    let kept = eventually("the keeper knows its life, and its webhooks", async || {
        let found = service.get(Key::AccountId(imported.account_id.clone())).await.unwrap();
        let is_subscribed = found.webhook_subscription.as_ref().is_some_and(|one| one.active);
        (is_subscribed && found.token_expire_time.is_some()).then_some(found)
    })
    .await;
    assert_eq!(kept.status(), AccountStatus::Active);
    assert_eq!(kept.refresh_trouble, None);
}

#[tokio::test]
async fn what_cannot_be_of_a_token_is_named() {
    let stack = Stack::start().await;
    let Stack { sandbox, service, .. } = &stack;
    let token = sandbox.token(BAKERY, 0).await;
    let (past, future) = (moment(sandbox, -HOUR).await, moment(sandbox, HOUR).await);
    let good = request(&token, "shop/7");
    for (bad, fields) in [
        (ImportRequest { issue_time: future, ..good.clone() }, "issue_time"),
        (ImportRequest { expire_time: past, ..good.clone() }, "expire_time"),
        (ImportRequest { issue_time: past, expire_time: past, ..good.clone() }, "expire_time"),
        (ImportRequest { access_token: String::new(), ..good.clone() }, "access_token"),
        (ImportRequest { owner: "o".repeat(129), ..good.clone() }, "owner"),
    ] {
        let status = import(service, bad).await.unwrap_err();
        assert!(status.message().starts_with(&format!("{fields}: ")), "{}", status.message());
        assert!(!status.message().contains(&token));
        assert_eq!(reason(Err::<(), _>(status)), "INVALID_FIELD");
    }
    assert_eq!(asked(sandbox).await, [0, 0]);
}

#[rstest]
#[tokio::test]
async fn a_stored_token_gives_way_where_it_is_dead_or_known_to_end_earlier(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let stack = Stack::start_on(on, &[]).await;
    let Stack { sandbox, service, .. } = &stack;
    let linked = service.linked(sandbox, "shop/7", BAKERY).await;
    stack.advance(2 * DAY).await;
    let token = sandbox.token(BAKERY, A_DAY_LATER).await;
    let end = linked.token_expire_time.unwrap();
    let of_shop = |expire_time| ImportRequest { expire_time, ..request(&token, "shop/7") };
    for earlier in [None, Some(Timestamp { seconds: end.seconds - 1, nanos: 0 }), Some(end)] {
        let kept = import(service, of_shop(earlier)).await.unwrap();
        assert_eq!((kept.account.unwrap(), kept.created), (linked.clone(), false));
    }
    assert_eq!(asked(sandbox).await[1], 0);
    let later = Some(Timestamp { seconds: end.seconds + 1, nanos: 0 });
    let replaced = import(service, of_shop(later)).await.unwrap();
    let account = replaced.account.unwrap();
    assert!(!replaced.created && !account.granted_scopes_known);
    assert_eq!((&account.account_id, account.revision), (&linked.account_id, linked.revision + 1));
    assert!(account.token_expire_time.unwrap().seconds > end.seconds + DAY);

    let another = ImportRequest { owner: "shop/8".to_owned(), ..of_shop(later) };
    assert_eq!(reason(import(service, another.clone()).await), "OWNED_BY_ANOTHER");
    sandbox.revoke(BAKERY, "password_changed").await;
    assert_eq!(reason(service.refresh(&linked.account_id).await), "REAUTHORIZATION_REQUIRED");
    let rejected = refusal(import(service, another.clone()).await);
    assert_eq!(rejected.reason, "TOKEN_REJECTED");
    assert_eq!(rejected.metadata["instagram_subcode"], "460");
    let fresh = sandbox.token(BAKERY, 0).await;
    let moved = import(service, request(&fresh, "shop/8")).await.unwrap();
    assert!(moved.created);
    assert_ne!(moved.account.unwrap().account_id, linked.account_id);

    let told = told(service).await;
    let told: Vec<_> = told.iter().map(|(kind, cause, _)| (*kind, cause.as_str())).collect();
    let expected = [
        (EventKind::Linked, "FIRST"),
        (EventKind::Linked, "IMPORT"),
        (EventKind::ReauthorizationRequired, "PASSWORD_CHANGED"),
        (EventKind::Unlinked, "OTHER_OWNER"),
        (EventKind::Linked, "IMPORT"),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_dead_account_of_the_same_owner_is_alive_again_under_its_id() {
    let stack = Stack::start().await;
    let Stack { sandbox, service, .. } = &stack;
    let linked = service.linked(sandbox, "shop/7", BAKERY).await;
    sandbox.revoke(BAKERY, "app_removed").await;
    assert_eq!(reason(service.refresh(&linked.account_id).await), "REAUTHORIZATION_REQUIRED");
    let token = sandbox.token(BAKERY, 0).await;
    let imported = import(service, request(&token, "shop/7")).await.unwrap();
    let account = imported.account.unwrap();
    assert!(!imported.created);
    assert_eq!(account.account_id, linked.account_id);
    assert_eq!(account.status(), AccountStatus::Active);
}

#[tokio::test]
async fn refusals_of_the_app_and_throttling_are_told_as_what_they_are() {
    let stack = Stack::start().await;
    let Stack { sandbox, service, .. } = &stack;
    let token = sandbox.token(BAKERY, 2 * DAY).await;
    let of_shop = || request(&token, "shop/7");

    let person = sandbox.account(CREATOR).await;
    let body = json!({"id": person["id"], "user_id": person["user_id"], "username": CREATOR, "account_type": "PERSONAL"});
    sandbox.fault(json!({"endpoint": "me", "times": 1, "status": 200, "body": body})).await;
    assert_eq!(reason(import(service, of_shop()).await), "PERSONAL_ACCOUNT");

    sandbox.control(Method::POST, "app", Some(json!({ "state": "restricted" }))).await;
    assert_eq!(reason(import(service, of_shop()).await), "APP_MISCONFIGURED");
    sandbox.control(Method::POST, "app", Some(json!({ "state": "ok" }))).await;
    assert_eq!(
        reason(import(service, request("no-token-of-theirs", "")).await),
        "APP_MISCONFIGURED"
    );

    sandbox.fault(json!({"endpoint": "me", "times": 1, "status": 503, "body": "busy"})).await;
    sandbox.fault(json!({"endpoint": "me", "times": 1, "status": 503, "body": "busy"})).await;
    sandbox.fault(json!({"endpoint": "me", "status": 503, "body": "busy"})).await;
    assert_eq!(reason(import(service, of_shop()).await), "INSTAGRAM_UNAVAILABLE");
    sandbox.clear_faults().await;

    // Throttled between the reading and the renewal: the account is stored with what is known.
    let limit = json!({"error": {"message": "(#4) Application request limit reached", "type": "OAuthException", "code": 4}});
    sandbox.fault(json!({"endpoint": "refresh", "times": 1, "status": 403, "body": limit, "headers": {"Retry-After": "120"}})).await;
    let imported = import(service, of_shop()).await.unwrap().account.unwrap();
    assert_eq!((imported.token_issue_time, imported.token_expire_time), (None, None));
    let next = sandbox.token(CREATOR, 2 * DAY).await;
    let before = asked(sandbox).await;
    assert_eq!(reason(import(service, request(&next, "shop/7")).await), "RATE_LIMITED");
    assert_eq!(asked(sandbox).await, before, "it is answered from memory");
    stack.advance(121).await;
    import(service, request(&next, "shop/7")).await.unwrap();
    service.refresh(&imported.account_id).await.unwrap();
}

/// A consent of which more is known outdoes a token of unknown origin, whichever is stored first.
#[rstest]
#[tokio::test]
async fn a_link_under_way_outdoes_an_import(#[values(On::Sqlite, On::Postgres)] on: On) {
    let stack = Stack::start_on(on, &[]).await;
    let Stack { sandbox, service, .. } = &stack;
    let token = sandbox.token(BAKERY, 2 * DAY).await;
    let consent = service.consent(sandbox, "shop/7", BAKERY).await;
    sandbox.fault(json!({"endpoint": "exchange", "times": 1, "delay_ms": 3_000})).await;
    let mut client = service.client.clone();
    let link = tokio::spawn(async move { client.link(consent).await });
    sandbox.reached("exchange", 1).await;
    let imported = import(service, request(&token, "shop/7")).await.unwrap();
    assert!(imported.created && !link.is_finished(), "the import came first");
    let linked = link.await.unwrap().unwrap().into_inner();
    let account = linked.account.unwrap();
    assert!(!linked.created && account.granted_scopes_known);
    assert_eq!(account.account_id, imported.account.unwrap().account_id);
    let again = import(service, request(&token, "shop/7")).await.unwrap();
    assert_eq!(again.account.unwrap(), account);
    let told: Vec<_> = told(service).await.into_iter().map(|(_, cause, _)| cause).collect();
    assert_eq!(told, ["IMPORT", "AGAIN"]);
}

#[tokio::test]
async fn of_two_imports_at_once_by_two_replicas_one_makes_the_account() {
    let stack = Stack::start_on(On::Postgres, &[]).await;
    let replica = stack.replica().await;
    let token = stack.sandbox.token(BAKERY, 2 * DAY).await;
    stack.sandbox.fault(json!({"endpoint": "refresh", "times": 2, "delay_ms": 500})).await;
    let (one, other) = tokio::join!(
        import(&stack.service, request(&token, "shop/7")),
        import(&replica, request(&token, "shop/7")),
    );
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_ne!(one.created, other.created);
    assert_eq!(one.account, other.account);
    assert_eq!(told(&replica).await.len(), 1);
}
