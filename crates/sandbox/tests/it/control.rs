//! The control interface: accounts, clock, shapes, the request log, and what it refuses.

use std::collections::HashSet;

use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use crate::harness::{APP_ID, APP_SECRET, exchange_path, me_path, parse, read, start};

#[tokio::test]
async fn accounts_are_listed_with_the_app_and_exact_text_ids() {
    let sandbox = start().await;
    let all = sandbox.control(Method::GET, "accounts", json!(null)).await;
    assert_eq!(all["app"], json!({ "id": APP_ID, "secret": APP_SECRET }));
    let accounts = all["accounts"].as_array().unwrap();
    assert_eq!(accounts.len(), 4);
    for account in accounts {
        let id: u64 = account["id"].as_str().unwrap().parse().unwrap();
        assert!(id > 1 << 53 && id.to_string().len() == 17);
        assert!(account["user_id"].as_str().unwrap().starts_with("17841"));
    }
}

#[tokio::test]
async fn a_hundred_thousand_accounts_are_added_and_listed_by_pages() {
    let sandbox = start().await;
    for thousand in 0..100 {
        let name = |number| json!({ "username": format!("user_{thousand}_{number}") });
        let batch: Vec<_> = (0..1_000).map(name).collect();
        let put = sandbox.post("accounts", json!(batch)).await;
        assert_eq!(put["accounts"].as_array().unwrap().len(), 1_000);
    }
    let (mut ids, mut next) = (HashSet::new(), json!("0"));
    for _ in 0..=100 {
        let path = format!("accounts?after={}", next.as_str().unwrap());
        let page = sandbox.control(Method::GET, &path, json!(null)).await;
        ids.extend(page["accounts"].as_array().unwrap().iter().map(|it| it["id"].to_string()));
        next = page["next"].clone();
    }
    assert_eq!((ids.len(), next), (100_004, json!(null)));
    let first = sandbox.control(Method::GET, "accounts", json!(null)).await;
    assert_eq!(
        (first["accounts"].as_array().unwrap().len(), &first["next"]),
        (1_000, &json!("1000"))
    );
    let token = sandbox.long("user_99_999").await;
    let (status, body) = sandbox.get(&me_path(&token)).await;
    assert_eq!((status, &parse(&body)["username"]), (200, &json!("user_99_999")));
    let request = sandbox.request(Method::POST, "/sandbox/accounts");
    let one_more = request.json(&json!({ "username": "one_more" })).send().await.unwrap();
    assert_eq!(one_more.status(), 400);
}

#[tokio::test]
async fn a_page_is_as_long_as_is_asked_for() {
    let sandbox = start().await;
    let page = sandbox.control(Method::GET, "accounts?limit=3", json!(null)).await;
    assert_eq!((page["accounts"].as_array().unwrap().len(), &page["next"]), (3, &json!("3")));
    let page = sandbox.control(Method::GET, "accounts?limit=3&after=3", json!(null)).await;
    assert_eq!((&page["accounts"][0]["username"], page.get("next")), (&json!("plain_shop"), None));
    let page = sandbox.control(Method::GET, "accounts?limit=4", json!(null)).await;
    assert_eq!(page.get("next"), None);
}

#[tokio::test]
async fn a_changed_account_shows_in_the_profile_of_its_old_tokens() {
    let sandbox = start().await;
    let token = sandbox.short("mira.paints").await;
    let user_id = sandbox.account("mira.paints").await["user_id"].clone();
    let renamed =
        json!({ "username": "mira.draws", "user_id": user_id, "id": "31000000000000003" });
    sandbox.post("accounts", renamed).await;
    let (_, body) = sandbox.get(&me_path(&token)).await;
    let profile =
        json!({ "user_id": user_id, "username": "mira.draws", "id": "31000000000000003" });
    assert_eq!(parse(&body), profile);
}

#[tokio::test]
async fn the_clock_is_read_set_and_advanced() {
    let sandbox = start().await;
    let now = sandbox.post("clock", json!({ "now": "2031-01-01T00:00:00Z" })).await;
    assert!(now["now"].as_str().unwrap().starts_with("2031-01-01T00:00:0"));
    sandbox.post("clock", json!({ "advance_seconds": 3_600 })).await;
    let now = sandbox.control(Method::GET, "clock", json!(null)).await;
    let now = now["now"].as_str().unwrap();
    assert!(
        now.starts_with("2031-01-01T01:00:0") && now.contains('.') && now.ends_with('Z'),
        "{now}"
    );
}

#[tokio::test]
async fn whoever_waits_for_a_change_of_the_clock_is_answered_with_it() {
    let sandbox = start().await;
    let clock = sandbox.control(Method::GET, "clock", json!(null)).await;
    assert_eq!(clock["changes"], 0);
    let waiting = sandbox.control(Method::GET, "clock?after=0", json!(null));
    let (told, set) =
        tokio::join!(waiting, sandbox.post("clock", json!({ "now": "2031-01-01T00:00:00Z" })));
    assert!(told["now"].as_str().unwrap().starts_with("2031-01-01T00:00:0"), "{told}");
    assert_eq!((&told["changes"], &set["changes"]), (&json!(1), &json!(1)));
    // The number says that this caller missed a change, so there is nothing to wait for.
    let told = sandbox.control(Method::GET, "clock?after=0", json!(null)).await;
    assert_eq!(told["changes"], 1);
}

#[tokio::test]
async fn shapes_change_one_by_one_and_go_back_together() {
    let sandbox = start().await;
    let first = json!({ "token": "flat", "me": "flat", "usage": "documented" });
    assert_eq!(sandbox.control(Method::GET, "shapes", json!(null)).await, first);
    sandbox.post("shapes", json!({ "me": "wrapped" })).await;
    let second = sandbox.post("shapes", json!({ "usage": "none" })).await;
    assert_eq!(second, json!({ "token": "flat", "me": "wrapped", "usage": "none" }));
    let third = sandbox.post("shapes", json!({ "usage_percent": 80 })).await;
    let all = json!({ "token": "flat", "me": "wrapped", "usage": "none", "usage_percent": 80 });
    assert_eq!(third, all);
    assert_eq!(sandbox.control(Method::DELETE, "shapes", json!(null)).await, first);
}

#[tokio::test]
async fn the_log_tells_all_but_secrets() {
    let sandbox = start().await;
    let code = sandbox.code("mira.paints").await;
    let (_, body) = sandbox.exchange(&code).await;
    let token = parse(&body)["access_token"].as_str().unwrap().to_owned();
    sandbox.get(&exchange_path(&token)).await;
    sandbox.request(Method::GET, "/v25.0/me?fields=id").bearer_auth(&token).send().await.unwrap();
    sandbox.exchange("AQnone").await;
    let log = sandbox.log().await;
    let text = serde_json::to_string(&log).unwrap();
    for secret in [code.as_str(), token.as_str(), APP_SECRET] {
        assert!(!text.contains(secret));
    }
    let endpoints: Vec<_> = log.iter().map(|row| row["endpoint"].as_str().unwrap()).collect();
    assert_eq!(endpoints, ["token", "exchange", "me", "token"]);
    assert_eq!(log[0]["params"]["code"], "***");
    assert_eq!(log[0]["params"]["client_secret"], "***");
    assert_eq!(log[0]["params"]["client_id"], APP_ID);
    assert_eq!((&log[0]["method"], &log[0]["status"]), (&json!("POST"), &json!(200)));
    assert_eq!(log[0]["account"], "mira.paints");
    assert_eq!(log[2]["path"], "/v25.0/me");
    assert_eq!(log[2]["params"], json!({ "fields": "id" }));
    assert_eq!((&log[3]["status"], log[3].get("account")), (&json!(400), None));
    assert!(log[1]["started_ms"].as_u64() >= log[0]["ended_ms"].as_u64());
    sandbox.control(Method::DELETE, "requests", json!(null)).await;
    assert!(sandbox.log().await.is_empty());
}

#[tokio::test]
async fn a_secret_shows_under_no_name_in_no_path_and_in_no_encoding() {
    let sandbox = start().await;
    let (code, token) = (sandbox.code("mira.paints").await, sandbox.long("mira.paints").await);
    let encoded: Vec<_> = token.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let encoded = encoded.concat();
    let bearer = "token-of-another-client";
    for path in [
        format!("/me?app_key={APP_SECRET}&note=see+{code}&{token}=1"),
        format!("/me?twice={}", encoded.replace('%', "%25")),
        format!("/{token}/media"),
        format!("/v25.0/{encoded}"),
        format!("/{bearer}?again={bearer}"),
    ] {
        sandbox.request(Method::GET, &path).bearer_auth(bearer).send().await.unwrap();
    }
    let form = [("client_id", APP_ID), ("password", APP_SECRET), ("auth_code", &code)];
    sandbox.request(Method::POST, "/oauth/access_token").form(&form).send().await.unwrap();
    let log = sandbox.log().await;
    let text = serde_json::to_string(&log).unwrap();
    for secret in [&code, &token, &encoded, APP_SECRET, bearer] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let row = log.last().unwrap();
    let masked = json!({ "client_id": APP_ID, "password": "***", "auth_code": "***" });
    assert_eq!(row["params"], masked);
    assert_eq!(log[log.len() - 2]["path"], "/***");
}

#[tokio::test]
async fn the_redirect_page_says_what_to_replace_in_its_line() {
    let sandbox = start().await;
    let (_, page) = sandbox.get("/redirect?code=AQx&state=s").await;
    assert!(page.contains("The line is for the owner <code>demo</code>"), "{page}");
    for name in ["owner", "session_binding", "STATE_REJECTED"] {
        assert!(page.contains(&format!("<code>{name}</code>")), "{name}: {page}");
    }
}

#[tokio::test]
async fn a_code_is_logged_by_its_hash() {
    let sandbox = start().await;
    sandbox.exchange("abc").await;
    let log = sandbox.log().await;
    // The SHA-256 test vector of FIPS 180-2 for `abc`.
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(log[0]["code_sha256"], hash);
}

#[rstest]
#[case::no_number("clock?after=now")]
#[case::unknown_member("clock?since=0")]
#[case::no_limit("accounts?limit=0")]
#[case::no_cursor("accounts?after=plain_shop")]
#[case::more_than_a_page("accounts?limit=1001")]
#[tokio::test]
async fn a_senseless_control_query_gets_a_reason(#[case] path: &str) {
    let sandbox = start().await;
    let (status, body) = sandbox.get(&format!("/sandbox/{path}")).await;
    assert_eq!(status, 400);
    assert!(!parse(&body)["error"].as_str().unwrap().is_empty());
}

#[rstest]
#[case::not_json("clock", "now", 400)]
#[case::empty_change("clock", "{}", 400)]
#[case::unknown_member("shapes", r#"{"tokens":"flat"}"#, 400)]
#[case::unknown_shape("shapes", r#"{"token":"round"}"#, 400)]
#[case::numeric_id("accounts", r#"{"username":"a","id":31000000000000003}"#, 400)]
#[case::no_username("accounts", "{}", 400)]
#[case::no_username_in_a_list("accounts", "[{}]", 400)]
#[case::no_account("accounts", "7", 400)]
#[case::token_of_nobody("tokens", r#"{"username":"nobody"}"#, 400)]
#[case::token_of_a_person("tokens", r#"{"username":"jonas_private"}"#, 400)]
#[case::token_of_tomorrow("tokens", r#"{"username":"plain_shop","age_seconds":-1}"#, 400)]
#[case::unknown_user("revoke", r#"{"username":"nobody","reason":"checkpoint"}"#, 400)]
#[case::unknown_reason("revoke", r#"{"username":"mira.paints","reason":"mood"}"#, 400)]
#[case::unknown_state("app", r#"{"state":"gone"}"#, 400)]
#[case::idle_fault("faults", r#"{"endpoint":"me"}"#, 400)]
#[case::wrong_path("weather", "{}", 404)]
#[case::wrong_method("requests", "{}", 405)]
#[tokio::test]
async fn a_senseless_control_request_gets_a_reason(
    #[case] path: &str,
    #[case] body: &'static str,
    #[case] expected: u16,
) {
    let sandbox = start().await;
    let request = sandbox.request(Method::POST, &format!("/sandbox/{path}")).body(body);
    let (status, body) = read(request.send().await.unwrap()).await;
    assert_eq!(status, expected);
    assert!(!parse(&body)["error"].as_str().unwrap().is_empty());
}
