//! Faults in a request, or in what a browser brought.

use ig_proto::v1::BeginLinkRequest;
use serde_json::{Value, json};

use super::{OWNER, Refusals, rpcs_on_an_account};
use crate::support::sandbox::{BAKERY, Decision};
use crate::support::{HOUR, REDIRECT_URI, Stack, arrival};

/// An account id that nothing has.
const NOBODY: &str = "0193a0de-0000-7000-8000-00000000dead";

pub(super) async fn refused() -> Refusals {
    let stack = &Stack::start_with(&[("REDIRECT_URIS", REDIRECT_URI)]).await;
    let mut refusals = Refusals::default();
    bad_fields(&mut refusals, stack);
    redirect_uri(&mut refusals, stack).await;
    not_found(&mut refusals, stack).await;
    cursor_expired(&mut refusals, stack);
    denied(&mut refusals, stack).await;
    states(&mut refusals, stack).await;
    refusals
}

/// Every field that can be bad is named, all at once.
fn bad_fields(refusals: &mut Refusals, stack: &Stack) {
    let long = "x".repeat(257);
    let calls: [(&str, Value, &[&str]); 18] = [
        (
            "BeginLink",
            json!({"owner": long, "redirect_uri": "http://example.com/", "scopes": ["fine", "Not"],
                "account_id": "7", "session_binding": long}),
            &["owner", "redirect_uri", "scopes[1]", "account_id", "session_binding"],
        ),
        ("BeginLink", json!({}), &["redirect_uri"]),
        ("BeginLink", json!({"redirect_uri": REDIRECT_URI, "scopes": vec!["a"; 21]}), &["scopes"]),
        (
            "Link",
            json!({"code": "a b", "state": "a b", "owner": "a\nb", "session_binding": "a\nb"}),
            &["code", "state", "owner", "session_binding"],
        ),
        ("Link", json!({}), &["authorization_response"]),
        (
            "Link",
            json!({"authorization_response": "code=a&state=b", "code": "a", "state": "b"}),
            &["authorization_response"],
        ),
        ("Link", json!({"authorization_response": "x".repeat(8193)}), &["authorization_response"]),
        ("Get", json!({"owner": long}), &["key", "owner"]),
        ("Get", json!({"instagram_id": "17841x"}), &["instagram_id"]),
        (
            "List",
            json!({"owner": long, "status": 7, "page_size": -1}),
            &["owner", "status", "page_size"],
        ),
        ("Refresh", json!({"account_id": "7", "owner": long}), &["account_id", "owner"]),
        ("Unlink", json!({"owner": long}), &["account_id", "owner"]),
        ("BatchGet", json!({"owner": long}), &["instagram_ids", "account_ids", "owner"]),
        (
            "BatchGet",
            json!({"instagram_ids": ["1", "x"], "account_ids": ["7"]}),
            &["instagram_ids[1]", "account_ids[0]"],
        ),
        (
            "FetchAccessToken",
            json!({"owner": long, "min_ttl": "4320000.1s", "purpose": "a\nb"}),
            &["account_id", "owner", "min_ttl", "purpose"],
        ),
        (
            "Watch",
            json!({"after": "made-up", "consumer": "A", "owner": long, "kinds": [1, 0]}),
            &["after", "consumer", "owner", "kinds[1]"],
        ),
        ("Watch", json!({"start": 0}), &["start"]),
        ("CommitWatch", json!({}), &["consumer", "cursor"]),
    ];
    for (method, request, fields) in calls {
        let printed = refusals.call(&stack.service, method, &request);
        assert_eq!(printed.reason(), "INVALID_FIELD");
        assert_eq!(printed.fields(), fields, "{method} {request}");
    }
    for (request, field) in [
        (json!({"account_id": "7"}), "account_id"),
        (json!({"username": "not a name"}), "username"),
    ] {
        assert_eq!(refusals.call(&stack.service, "Get", &request).fields(), [field]);
    }
    let request = json!({"page_token": "made-up"});
    assert_eq!(refusals.call(&stack.service, "List", &request).fields(), ["page_token"]);
}

/// By our own list, and by Instagram, which says the same of a wrong app secret.
async fn redirect_uri(refusals: &mut Refusals, stack: &Stack) {
    let request = json!({"redirect_uri": "https://example.com/elsewhere"});
    let printed = refusals.call(&stack.service, "BeginLink", &request);
    assert_eq!(
        (printed.reason(), printed.fields()),
        ("REDIRECT_URI_REJECTED", vec!["redirect_uri"])
    );

    let Stack { sandbox, service, .. } = stack;
    let body = json!({"error_type": "OAuthException", "code": 400, "error_message":
        "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the OAuth dialog request"});
    sandbox.fault(json!({"endpoint": "token", "times": 1, "status": 400, "body": body})).await;
    let presented = service.consent(sandbox, OWNER, BAKERY).await;
    let request =
        json!({"authorization_response": presented.authorization_response, "owner": OWNER});
    let printed = refusals.call(service, "Link", &request);
    assert_eq!(printed.reason(), "REDIRECT_URI_REJECTED");
    assert!(printed.message.contains("redirect URI") && printed.message.contains("app secret"));
    assert_eq!(printed.facts()["instagram_code"], "400");
    // The operator has acted: the same call goes through.
    service.link(presented).await.unwrap();
}

async fn not_found(refusals: &mut Refusals, stack: &Stack) {
    let Stack { sandbox, service, .. } = stack;
    let account = service.linked(sandbox, OWNER, BAKERY).await;
    let fenced = json!({"account_id": account.account_id, "owner": "shop/8"});
    for request in [json!({"account_id": NOBODY}), fenced] {
        for method in rpcs_on_an_account() {
            let printed = refusals.call(service, method, &request);
            assert_eq!(printed.reason(), "ACCOUNT_NOT_FOUND");
        }
    }
    let unknown = json!({"redirect_uri": REDIRECT_URI, "owner": OWNER, "account_id": NOBODY});
    assert_eq!(refusals.call(service, "BeginLink", &unknown).reason(), "ACCOUNT_NOT_FOUND");
}

/// Of a consumer that never committed, and of a moment before the window.
fn cursor_expired(refusals: &mut Refusals, stack: &Stack) {
    for request in [json!({"consumer": "copy"}), json!({"since": "2020-01-01T00:00:00Z"})] {
        let printed = refusals.call(&stack.service, "Watch", &request);
        assert_eq!(printed.reason(), "CURSOR_EXPIRED");
        assert!(printed.message.contains("List"), "{printed:?}");
    }
}

async fn denied(refusals: &mut Refusals, stack: &Stack) {
    let Stack { sandbox, service, .. } = stack;
    let url = service.begin(OWNER).await.authorization_url;
    let arrived = sandbox.decide(&url, BAKERY, Decision::Deny).await;
    let request = json!({"authorization_response": arrived, "owner": OWNER});
    let printed = refusals.call(service, "Link", &request);
    assert_eq!(printed.reason(), "CONSENT_DENIED");
    assert_eq!(printed.facts()["error"], "access_denied");
    assert_eq!(printed.facts()["error_reason"], "user_denied");
    assert_eq!(printed.facts()["error_description"], "The user denied your request");
}

/// Each cause for which a state does not serve.
async fn states(refusals: &mut Refusals, stack: &Stack) {
    let Stack { sandbox, service, .. } = stack;
    let mut rejected = |request: &Value, cause| {
        let printed = refusals.call(service, "Link", request);
        assert_eq!((printed.reason(), printed.facts()["cause"]), ("STATE_REJECTED", cause));
    };
    rejected(&json!({"code": "AQnobody", "state": "made-up", "owner": OWNER}), "UNKNOWN");

    let bound = BeginLinkRequest {
        owner: OWNER.to_owned(),
        session_binding: "session-1".to_owned(),
        ..BeginLinkRequest::default()
    };
    let begun = service.begin_as(bound).await;
    let arrived = sandbox.decide(&begun.authorization_url, BAKERY, Decision::Allow).await;
    let request = |owner: &str, session: &str| json!({"authorization_response": arrived, "owner": owner, "session_binding": session});
    rejected(&request("shop/8", "session-1"), "OTHER_OWNER");
    rejected(&request(OWNER, "session-2"), "OTHER_SESSION");
    let presented = arrival(arrived.clone(), OWNER);
    let presented =
        ig_proto::v1::LinkRequest { session_binding: "session-1".to_owned(), ..presented };
    service.link(presented).await.unwrap();
    let again = json!({"code": "AQanother", "state": begun.state, "owner": OWNER,
        "session_binding": "session-1"});
    rejected(&again, "USED");

    let late = service.begin(OWNER).await;
    stack.advance(HOUR).await;
    rejected(&json!({"code": "AQlate", "state": late.state, "owner": OWNER}), "EXPIRED");
}
