//! The consent page: its contents, its refusals, and the browser's way on.

use reqwest::Method;
use rstest::rstest;
use serde_json::json;

use crate::harness::{APP_ID, REDIRECT_URI, Running, SCOPES, parse, read, start};

const FORM: [(&str, &str); 5] = [
    ("client_id", APP_ID),
    ("redirect_uri", REDIRECT_URI),
    ("response_type", "code"),
    ("scope", SCOPES),
    ("state", "s1"),
];

async fn submit(sandbox: &Running, more: &[(&str, &str)]) -> (u16, String) {
    let form: Vec<_> = FORM.iter().chain(more).collect();
    let request = sandbox.request(Method::POST, "/oauth/authorize").form(&form);
    let response = request.send().await.unwrap();
    let location =
        response.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), location.unwrap_or_default())
}

#[tokio::test]
async fn the_page_offers_every_account_and_every_asked_permission() {
    let sandbox = start().await;
    let request = sandbox.request(Method::GET, "/oauth/authorize").query(&FORM);
    let response = request.send().await.unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    let (status, page) = read(response).await;
    assert_eq!(status, 200);
    assert!(policy.contains("default-src 'none'"));
    assert!(page.contains(r#"<html lang="en">"#) && page.contains("<title>Allow access?"));
    for username in ["harbour.bakery", "mira.paints", "jonas_private", "plain_shop"] {
        assert!(page.contains(&format!(r#"type="radio" name="account" value="{username}""#)));
    }
    for scope in SCOPES.split(',') {
        let checkbox = format!(r#"type="checkbox" name="grant" value="{scope}" checked"#);
        let label = page.split("<label").find(|label| label.contains(&checkbox)).unwrap();
        assert!(label.split("</label>").next().unwrap().contains(&format!(">{scope}</code>")));
    }
    assert!(!page.contains("instagram_business_manage_insights"));
    assert!(page.contains(">Allow</button>") && page.contains(">Cancel</button>"));
}

#[tokio::test]
async fn the_page_shows_some_of_many_accounts_and_the_chosen_one() {
    let sandbox = start().await;
    let batch: Vec<_> =
        (0..150).map(|number| json!({ "username": format!("user_{number}") })).collect();
    sandbox.post("accounts", json!(batch)).await;
    let page = async |chosen: &str| {
        let request = sandbox.request(Method::GET, "/oauth/authorize").query(&FORM);
        let response = request.query(&[("sandbox_account", chosen)]).send().await.unwrap();
        read(response).await.1
    };
    let ticked = |page: &str, username: &str| {
        page.contains(&format!(r#"name="account" value="{username}" checked"#))
    };
    let first = page("").await;
    assert!(ticked(&first, "harbour.bakery") && first.contains("54 more are not shown"), "{first}");
    assert_eq!(first.matches(r#"name="account""#).count(), 100);
    let chosen = page("user_149").await;
    assert!(ticked(&chosen, "user_149") && chosen.contains("53 more are not shown"), "{chosen}");
    let shown = page("user_7").await;
    assert!(ticked(&shown, "user_7") && shown.contains("54 more are not shown"), "{shown}");
}

#[tokio::test]
async fn hostile_text_stays_text() {
    let sandbox = start().await;
    let hostile = r#""><script>alert(1)</script>"#;
    let account = json!({ "username": "trick", "name": hostile });
    sandbox.post("accounts", account).await;
    let query = FORM.map(|(name, value)| (name, if name == "state" { hostile } else { value }));
    let request = sandbox.request(Method::GET, "/oauth/authorize").query(&query);
    let (_, page) = read(request.send().await.unwrap()).await;
    assert!(!page.contains("<script"), "{page}");
    let request = sandbox.request(Method::GET, "/redirect").query(&[("code", hostile)]);
    let (_, page) = read(request.send().await.unwrap()).await;
    assert!(!page.contains("<script"), "{page}");
}

#[tokio::test]
async fn allowing_sends_the_browser_back_with_a_code_for_what_was_ticked() {
    let sandbox = start().await;
    let ticked = [
        ("account", "mira.paints"),
        ("grant", "instagram_business_manage_comments"),
        ("decision", "allow"),
    ];
    let (status, location) = submit(&sandbox, &ticked).await;
    assert_eq!(status, 303);
    let code = location.strip_prefix("https://shop.example/callback?code=").unwrap();
    let code = code.strip_suffix("&state=s1#_").unwrap();
    let (_, body) = sandbox.exchange(code).await;
    assert_eq!(parse(&body)["permissions"], json!(["instagram_business_manage_comments"]));
}

#[tokio::test]
async fn cancelling_sends_the_browser_back_with_the_documented_error() {
    let sandbox = start().await;
    let expected = "https://shop.example/callback?error=access_denied&error_reason=user_denied\
                    &error_description=The+user+denied+your+request&state=s1";
    let cancelled = [("account", "jonas_private"), ("decision", "deny")];
    assert_eq!(submit(&sandbox, &cancelled).await, (303, expected.to_owned()));
    let skipped = sandbox.authorize(&[("sandbox_decision", "deny")]).await;
    assert_eq!(skipped, (302, expected.to_owned()));
}

#[tokio::test]
async fn the_skip_parameters_grant_all_or_the_named_permissions() {
    let sandbox = start().await;
    let skip = [("sandbox_account", "harbour.bakery"), ("sandbox_decision", "allow")];
    let (status, location) = sandbox.authorize(&skip).await;
    assert!(status == 302 && location.ends_with("&state=s1#_"), "{location}");
    let code = sandbox.code_for("harbour.bakery", "instagram_business_basic").await;
    let (_, body) = sandbox.exchange(&code).await;
    assert_eq!(parse(&body)["permissions"], json!(["instagram_business_basic"]));
    let code = sandbox.code_for("harbour.bakery", "").await;
    let (_, body) = sandbox.exchange(&code).await;
    assert_eq!(parse(&body)["permissions"], json!([]));
}

#[tokio::test]
async fn scopes_may_be_separated_by_blanks() {
    let sandbox = start().await;
    let scopes = "instagram_business_basic instagram_business_manage_insights";
    let skip =
        [("scope", scopes), ("sandbox_account", "harbour.bakery"), ("sandbox_decision", "allow")];
    assert_eq!(sandbox.authorize(&skip).await.0, 302);
}

#[rstest]
#[case::client_id(&[("client_id", "1")], 400, "Invalid platform app")]
#[case::plain_http(&[("redirect_uri", "http://shop.example/")], 400, "Invalid redirect_uri")]
#[case::response_type(&[("response_type", "token")], 400, "Invalid response_type")]
#[case::dead_scope(
    &[("scope", "instagram_business_basic,business_manage_messages")],
    400,
    "Invalid Scopes: business_manage_messages"
)]
#[case::no_scope(&[("scope", "")], 400, "Invalid Scopes")]
#[case::personal_account(&[("sandbox_account", "jonas_private")], 403, "Insufficient developer role")]
#[case::unknown_account(&[("sandbox_account", "nobody")], 400, "Unknown account")]
#[case::more_than_asked(
    &[("sandbox_account", "plain_shop"), ("sandbox_scopes", "instagram_business_manage_insights")],
    400,
    "Invalid Scopes"
)]
#[case::undecided(&[("sandbox_decision", "maybe")], 400, "Invalid sandbox_decision")]
#[tokio::test]
async fn a_refusal_is_a_page_and_never_a_redirect(
    #[case] changes: &[(&str, &str)],
    #[case] expected: u16,
    #[case] heading: &str,
) {
    let sandbox = start().await;
    let usual = FORM.iter().chain(&[("sandbox_decision", "allow")]);
    let kept = usual.filter(|(name, _)| changes.iter().all(|(other, _)| name != other));
    let query: Vec<_> = kept.chain(changes).collect();
    let request = sandbox.request(Method::GET, "/oauth/authorize").query(&query);
    let response = request.send().await.unwrap();
    assert!(!response.headers().contains_key("location"));
    let (status, page) = read(response).await;
    assert_eq!(status, expected);
    assert!(page.contains(&format!("<h1>{heading}</h1>")), "{page}");
}

#[rstest]
#[case::no_decision(&[("account", "mira.paints")])]
#[case::no_account(&[("decision", "allow")])]
#[case::unknown_permission(&[("account", "mira.paints"), ("grant", "all"), ("decision", "allow")])]
#[case::other_client(&[("client_id", "1"), ("decision", "deny")])]
#[case::other_redirect(&[("redirect_uri", "http://evil.example/"), ("decision", "deny")])]
#[tokio::test]
async fn a_form_that_was_tampered_with_is_refused(#[case] changes: &[(&str, &str)]) {
    let sandbox = start().await;
    assert_eq!(submit(&sandbox, changes).await, (400, String::new()));
}

#[tokio::test]
async fn the_redirect_page_shows_the_response_and_the_line_to_paste() {
    let sandbox = start().await;
    let (status, page) = sandbox.get("/redirect?code=AQx&state=s1").await;
    assert_eq!(status, 200);
    assert!(
        page.contains("<h1>Consent given</h1>") && page.contains(">code=AQx&#38;state=s1</pre>")
    );
    let line = page.split("id=\"link\"").nth(1).unwrap();
    let line = line.split_once('>').unwrap().1.split("</pre>").next().unwrap();
    let line = line.replace("&#34;", "\"").replace("&#38;", "&").replace("&#39;", "'");
    assert_eq!(
        line,
        r#"grpcurl -plaintext -d '{"authorization_response":"code=AQx&state=s1","owner":"demo"}' 127.0.0.1:50051 instagram.accounts.v1.InstagramAccountService/Link"#
    );
    let (_, page) = sandbox.get("/redirect?error=access_denied&state=s1").await;
    assert!(page.contains("<h1>No consent</h1>"));
    let (_, page) = sandbox.get("/redirect").await;
    assert!(page.contains("<h1>Nothing arrived</h1>"));
}
