//! Reasons for which a code never becomes an account.

use ig_proto::v1::BeginLinkRequest;
use serde_json::{Value, json};

use super::{OWNER, Refusals};
use crate::support::Stack;
use crate::support::sandbox::{BAKERY, CREATOR, Decision};

pub(super) async fn refused() -> Refusals {
    let stack = &Stack::start().await;
    let Stack { sandbox, service, .. } = stack;
    let mut refusals = Refusals::default();
    // Final outcomes are replayed, so each is called twice.
    let mut refused = |reason: &str, request: Value| {
        for _ in 0..2 {
            assert_eq!(refusals.call(service, "Link", &request).reason(), reason);
        }
    };

    let state = service.begin(OWNER).await.state;
    refused("CODE_REJECTED", json!({"code": "AQunknown", "state": state, "owner": OWNER}));

    let person = sandbox.account(CREATOR).await;
    let profile = json!({"id": person["id"], "user_id": person["user_id"],
        "username": CREATOR, "account_type": "PERSONAL"});
    let personal = json!({"endpoint": "me", "times": 1, "status": 200, "body": profile});
    sandbox.fault(personal).await;
    refused(
        "PERSONAL_ACCOUNT",
        arrived(
            stack,
            service.begin(OWNER).await.authorization_url,
            CREATOR,
            Decision::Allow,
            OWNER,
        )
        .await,
    );

    let scopes = Decision::AllowOnly("instagram_business_content_publish");
    let url = service.begin(OWNER).await.authorization_url;
    refused("SCOPE_MISSING", arrived(stack, url, CREATOR, scopes, OWNER).await);

    let linked = service.linked(sandbox, OWNER, BAKERY).await;
    let exactly = BeginLinkRequest {
        owner: OWNER.to_owned(),
        account_id: linked.account_id.clone(),
        ..BeginLinkRequest::default()
    };
    let url = service.begin_as(exactly).await.authorization_url;
    refused("WRONG_ACCOUNT", arrived(stack, url, CREATOR, Decision::Allow, OWNER).await);

    let url = service.begin("shop/8").await.authorization_url;
    refused("OWNED_BY_ANOTHER", arrived(stack, url, BAKERY, Decision::Allow, "shop/8").await);

    let lost = json!({"endpoint": "token", "times": 1, "connection": "reset", "after": true});
    sandbox.fault(lost).await;
    let url = service.begin(OWNER).await.authorization_url;
    refused("LINK_INTERRUPTED", arrived(stack, url, CREATOR, Decision::Allow, OWNER).await);

    assert_eq!(refusals.0["SCOPE_MISSING"].facts()["missing_scopes"], "instagram_business_basic");
    refusals
}

/// The request of a link after a person decided.
async fn arrived(
    stack: &Stack,
    authorization_url: String,
    username: &str,
    decision: Decision<'_>,
    owner: &str,
) -> Value {
    let arrived = stack.sandbox.decide(&authorization_url, username, decision).await;
    json!({"authorization_response": arrived, "owner": owner})
}
