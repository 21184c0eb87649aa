//! Long-lived tokens: exchange, renewal, age and end.

use rstest::rstest;
use serde_json::json;

use crate::harness::{
    access_token, exchange_path, graph_error, me_path, parse, refresh_path, start, without_trace,
};

const OAUTH: &str = "OAuthException";
const DAY: i64 = 86_400;

#[tokio::test]
async fn a_short_token_becomes_one_that_lives_almost_sixty_days() {
    let sandbox = start().await;
    let short = sandbox.short("mira.paints").await;
    let (status, body) = sandbox.get(&format!("/v25.0{}&client_id=1", exchange_path(&short))).await;
    assert_eq!(status, 200);
    let life = parse(&body)["expires_in"].as_i64().unwrap();
    assert!((5_183_944..=5_183_999).contains(&life));
    assert!(body.ends_with(&format!(r#"","token_type":"bearer","expires_in":{life}}}"#)));
    let long = access_token(&body);
    assert_ne!(long, short);
    sandbox.advance(life - 30).await;
    assert_eq!(sandbox.get(&me_path(&long)).await.0, 200);
    sandbox.advance(31).await;
    let (status, body) = sandbox.get(&me_path(&long)).await;
    assert_eq!((status, &parse(&body)["error"]["error_subcode"]), (400, &json!(463)));
}

#[tokio::test]
async fn the_secret_is_judged_before_the_kind_of_token() {
    let sandbox = start().await;
    let long = sandbox.long("mira.paints").await;
    let path = exchange_path(&long);
    let (status, body) = sandbox.get(&path).await;
    let session = "Session key invalid. This could be because the session key has an incorrect \
                   format, or because the user has revoked this session";
    assert_eq!((status, without_trace(&body)), (400, graph_error(session, OAUTH, 452, None)));
    let (status, body) = sandbox.get(&path.replace("client_secret=", "client_secret=x")).await;
    let secret = graph_error("Error validating client secret.", OAUTH, 100, None);
    assert_eq!((status, without_trace(&body)), (400, secret));
}

#[rstest]
#[case::exchange(
    "/access_token?grant_type=ig_refresh_token&access_token=T",
    "Param grant_type must be one of {ig_exchange_token}"
)]
#[case::refresh("/refresh_access_token?access_token=T", "The parameter grant_type is required")]
#[tokio::test]
async fn a_wrong_grant_type_is_named(#[case] path: &str, #[case] message: &str) {
    let sandbox = start().await;
    let token = sandbox.short("mira.paints").await;
    let (status, body) = sandbox.get(&path.replace('T', &token)).await;
    let expected = graph_error(&format!("(#100) {message}"), OAUTH, 100, None);
    assert_eq!((status, without_trace(&body)), (400, expected));
}

#[tokio::test]
async fn a_token_is_renewed_from_a_day_of_age_and_the_old_one_lives_on() {
    let sandbox = start().await;
    let old = sandbox.long("mira.paints").await;
    sandbox.advance(DAY - 30).await;
    let (status, body) = sandbox.get(&refresh_path(&old)).await;
    let young = "(#100) The access token must be at least 24 hours old to be refreshed";
    assert_eq!((status, without_trace(&body)), (400, graph_error(young, OAUTH, 100, None)));
    assert_eq!(sandbox.get(&me_path(&old)).await.0, 200);
    sandbox.advance(30).await;
    let (status, body) = sandbox.get(&refresh_path(&old)).await;
    assert_eq!(status, 200, "{body}");
    let new = access_token(&body);
    assert_ne!(new, old);
    for token in [&new, &old] {
        assert_eq!(sandbox.get(&me_path(token)).await.0, 200);
    }
    sandbox.advance(60 * DAY - DAY).await;
    assert_eq!(sandbox.get(&me_path(&old)).await.0, 400);
    assert_eq!(sandbox.get(&me_path(&new)).await.0, 200);
}

#[tokio::test]
async fn an_expired_token_is_not_renewed() {
    let sandbox = start().await;
    let long = sandbox.long("mira.paints").await;
    sandbox.advance(60 * DAY).await;
    let (status, body) = sandbox.get(&refresh_path(&long)).await;
    assert_eq!((status, &parse(&body)["error"]["error_subcode"]), (400, &json!(463)));
}

#[tokio::test]
async fn renewal_needs_the_basic_permission() {
    let sandbox = start().await;
    let long = sandbox.long_for("mira.paints", "instagram_business_manage_comments").await;
    sandbox.advance(DAY).await;
    let (status, body) = sandbox.get(&refresh_path(&long)).await;
    let message = "(#10) Application does not have permission for this action";
    assert_eq!((status, without_trace(&body)), (403, graph_error(message, OAUTH, 10, None)));
}

#[tokio::test]
async fn a_short_token_ends_after_an_hour() {
    let sandbox = start().await;
    let short = sandbox.short("mira.paints").await;
    sandbox.post("clock", json!({ "now": "2027-01-05T20:00:00Z" })).await;
    let (status, body) = sandbox.get(&exchange_path(&short)).await;
    assert_eq!(status, 400);
    assert!(body.starts_with(
        r#"{"error":{"message":"Error validating access token: Session has expired on "#
    ));
    let time = " The current time is Tuesday, 05-Jan-27 12:00:0";
    assert!(
        body.contains(time)
            && body.contains(r#"PST.","type":"OAuthException","code":190,"error_subcode":463,"#),
        "{body}"
    );
}

#[rstest]
#[case::password(
    "password_changed",
    460,
    "The session has been invalidated because the user changed their password or Facebook has changed the session for security reasons."
)]
#[case::removed("app_removed", 458, "The user has not authorized application 990000000000017.")]
#[case::checkpoint(
    "checkpoint",
    459,
    "You cannot access the app till you log in to www.instagram.com and follow the instructions given."
)]
#[tokio::test]
async fn a_revoked_token_is_refused_everywhere_and_a_new_consent_works(
    #[case] reason: &str,
    #[case] subcode: u32,
    #[case] message: &str,
) {
    let sandbox = start().await;
    let (short, long) = (sandbox.short("mira.paints").await, sandbox.long("mira.paints").await);
    let other = sandbox.long("plain_shop").await;
    sandbox.post("revoke", json!({ "username": "mira.paints", "reason": reason })).await;
    let message = format!("Error validating access token: {message}");
    let expected = graph_error(&message, OAUTH, 190, Some(subcode));
    for path in [me_path(&long), refresh_path(&long), exchange_path(&short)] {
        let (status, body) = sandbox.get(&path).await;
        assert_eq!((status, without_trace(&body)), (400, expected.clone()));
    }
    assert_eq!(sandbox.get(&me_path(&other)).await.0, 200);
    let new = sandbox.long("mira.paints").await;
    assert_eq!(sandbox.get(&me_path(&new)).await.0, 200);
}

#[tokio::test]
async fn a_cleared_checkpoint_heals_and_nothing_else_does() {
    let sandbox = start().await;
    let revoke = async |username: &str, reason: &str| {
        sandbox.post("revoke", json!({ "username": username, "reason": reason })).await;
    };
    let mira = sandbox.long("mira.paints").await;
    let shop = sandbox.long("plain_shop").await;
    revoke("mira.paints", "checkpoint").await;
    revoke("plain_shop", "password_changed").await;
    revoke("plain_shop", "checkpoint").await;
    for username in ["mira.paints", "plain_shop"] {
        revoke(username, "checkpoint_cleared").await;
    }
    assert_eq!(sandbox.get(&me_path(&mira)).await.0, 200);
    let (_, body) = sandbox.get(&me_path(&shop)).await;
    assert_eq!(parse(&body)["error"]["error_subcode"], 460);
}

#[tokio::test]
async fn a_token_of_the_dashboard_needs_no_consent_and_is_renewed_when_it_is_old_enough() {
    let sandbox = start().await;
    let made = sandbox.post("tokens", json!({ "username": "mira.paints" })).await;
    let (token, life) = (made["access_token"].as_str().unwrap(), made["expires_in"].as_i64());
    assert!((5_183_944..=5_183_999).contains(&life.unwrap()), "{made}");
    assert_eq!(parse(&sandbox.get(&me_path(token)).await.1)["username"], "mira.paints");
    assert_eq!(sandbox.get(&refresh_path(token)).await.0, 400);
    let (_, body) = sandbox.get(&exchange_path(token)).await;
    assert_eq!(parse(&body)["error"]["code"], 452);
    let old = json!({ "username": "mira.paints", "age_seconds": DAY });
    let old = sandbox.post("tokens", old).await;
    let (token, rest) = (old["access_token"].as_str().unwrap(), old["expires_in"].as_i64());
    assert!((5_183_944 - DAY..=5_183_999 - DAY).contains(&rest.unwrap()), "{old}");
    assert_eq!(sandbox.get(&refresh_path(token)).await.0, 200);
    sandbox.advance(rest.unwrap()).await;
    assert_eq!(parse(&sandbox.get(&me_path(token)).await.1)["error"]["error_subcode"], 463);
}

#[tokio::test]
async fn a_token_may_be_made_so_old_that_it_is_expired() {
    let sandbox = start().await;
    let dead = json!({ "username": "mira.paints", "age_seconds": 60 * DAY });
    let dead = sandbox.post("tokens", dead).await;
    assert_eq!(dead["expires_in"], 0);
    let (_, body) = sandbox.get(&refresh_path(dead["access_token"].as_str().unwrap())).await;
    assert_eq!(parse(&body)["error"]["error_subcode"], 463);
}

#[tokio::test]
async fn a_later_revocation_outranks_a_checkpoint_and_meets_no_later_token() {
    let sandbox = start().await;
    let revoke = async |reason: &str| {
        sandbox.post("revoke", json!({ "username": "mira.paints", "reason": reason })).await;
    };
    let subcode = async |token: &str| {
        parse(&sandbox.get(&me_path(token)).await.1)["error"]["error_subcode"].clone()
    };
    let first = sandbox.long("mira.paints").await;
    revoke("password_changed").await;
    let second = sandbox.long("mira.paints").await;
    revoke("checkpoint").await;
    assert_eq!([subcode(&first).await, subcode(&second).await], [460, 459]);
    revoke("app_removed").await;
    let third = sandbox.long("mira.paints").await;
    revoke("checkpoint_cleared").await;
    assert_eq!([subcode(&first).await, subcode(&second).await], [458, 458]);
    assert_eq!(sandbox.get(&me_path(&third)).await.0, 200);
}
