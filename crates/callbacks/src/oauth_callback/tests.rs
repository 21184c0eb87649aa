//! Browsers at the callback, over a store in memory.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use ig_domain::ports::{GraphFacts, InstagramErrorKind, MockInstagram, PendingLinks as _};
use ig_domain::{LinkEnd, LinkRefusal, PendingLink, PublicUrl, Scope};
use ig_test_support::builders::{START, parsed, pending_link};
use rstest::rstest;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::OAUTH_CALLBACK;
use crate::tests::World;

async fn begin(world: &World, end: LinkEnd) {
    let pending = PendingLink { end, ..pending_link("state", "shop/7", START) };
    world.store.insert(&pending).await.unwrap();
}

async fn visit(world: &World, method: Method, query: &str) -> Response {
    world.send(method, &format!("{OAUTH_CALLBACK}?{query}"), Body::empty()).await
}

async fn html(response: Response) -> (HeaderMap, String) {
    let (head, body) = response.into_parts();
    let bytes = to_bytes(body, 64 * 1024).await.unwrap();
    (head.headers, String::from_utf8(bytes.to_vec()).unwrap())
}

async fn shown(page: &Page) -> String {
    html(page.answer(StatusCode::OK)).await.1
}

#[test]
fn browsers_come_to_the_path_that_instagram_is_told() {
    let url: PublicUrl = parsed("https://example.com");
    assert_eq!(url.oauth_callback().as_str(), format!("https://example.com{OAUTH_CALLBACK}"));
}

#[tokio::test]
async fn a_page_has_its_own_style_and_may_load_nothing_else() {
    let (headers, page) = html(Page::Cancelled.answer(StatusCode::OK)).await;
    let (_, rest) = page.split_once("<style>").unwrap();
    let (style, _) = rest.split_once("</style>").unwrap();
    let hash = BASE64_STANDARD.encode(Sha256::digest(style));
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert_eq!(
        policy,
        format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
    );
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(headers["x-frame-options"], "DENY");
    assert_eq!(headers["cross-origin-opener-policy"], "same-origin");
    for absent in ["<script", "<form", "<a ", "<img", "<link", "http://", "https://", " style="] {
        assert!(!page.contains(absent), "{absent}");
    }
}

#[tokio::test]
async fn the_page_of_a_link_says_which_account_and_which_permissions() {
    let missing_scopes = vec![parsed("instagram_business_manage_comments"), parsed("new_scope")];
    let page = shown(&Page::Linked { username: parsed("bakery"), missing_scopes }).await;
    for text in ["@bakery is linked", "read and answer comments", "<li>new_scope</li>"] {
        assert!(page.contains(text), "{text}: {page}");
    }
}

#[rstest]
#[case::rejected(LinkRefusal::CodeRejected(GraphFacts::default()), Page::Expired)]
#[case::interrupted(LinkRefusal::Interrupted, Page::Expired)]
#[case::personal(LinkRefusal::PersonalAccount, Page::PersonalAccount)]
#[case::unticked(LinkRefusal::ScopeMissing { missing: vec![Scope::basic()] }, Page::PermissionMissing)]
#[case::another(LinkRefusal::WrongAccount, Page::WrongAccount)]
#[case::elsewhere(LinkRefusal::OwnedByAnother, Page::OwnedByAnother)]
#[case::unreadable(LinkRefusal::Unreadable(GraphFacts::default()), Page::OurTrouble)]
fn each_refusal_has_its_page(#[case] refusal: LinkRefusal, #[case] page: Page) {
    assert_eq!(Page::of_refusal(&refusal), page);
}

#[tokio::test]
async fn each_page_has_one_heading_that_is_its_title() {
    let pages = [
        Page::Linked { username: parsed("bakery"), missing_scopes: vec![] },
        Page::Cancelled,
        Page::NotOpen,
        Page::PermissionMissing,
        Page::PersonalAccount,
        Page::WrongAccount,
        Page::OwnedByAnother,
        Page::Expired,
        Page::OurTrouble,
        Page::StillWorking,
    ];
    for page in pages {
        let html = shown(&page).await;
        let (_, rest) = html.split_once("<title>").unwrap();
        let (title, _) = rest.split_once("</title>").unwrap();
        assert_eq!(html.matches("<h1>").count(), 1);
        assert!(html.contains(&format!("<h1>{title}</h1>")), "{html}");
        assert!(html.contains("<html lang=\"en\">") && html.contains("name=\"viewport\""));
    }
}

#[rstest]
#[case::nothing("")]
#[case::no_state("code=code")]
#[case::unknown("code=code&state=unknown")]
#[case::twice("code=one&code=two&state=state")]
#[case::an_error_of_nobodys("error=access_denied")]
#[case::bad_bytes("code=%00&state=state")]
#[case::a_ticket("ticket=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa&state=state")]
#[tokio::test]
async fn what_no_living_state_sent_is_a_bad_request(#[case] query: &str) {
    let world = World::new();
    begin(&world, LinkEnd::Page).await;
    let response = visit(&world, Method::GET, query).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let (headers, page) = html(response).await;
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["referrer-policy"], "no-referrer");
    assert!(page.contains("This link does not work any more"), "{page}");
    assert!(world.store.attempts().is_empty());
}

#[tokio::test]
async fn a_browser_is_sent_on_and_a_look_at_the_headers_does_nothing() {
    let world = World::new();
    begin(&world, LinkEnd::ReturnUrl(parsed("https://example.com/linked"))).await;
    let query = "code=code&state=state";
    let head = visit(&world, Method::HEAD, query).await;
    assert_eq!(head.status(), StatusCode::OK);
    let first = visit(&world, Method::GET, query).await;
    assert_eq!(first.status(), StatusCode::SEE_OTHER);
    let url = first.headers()["location"].to_str().unwrap();
    assert!(url.starts_with("https://example.com/linked?state=state&ticket="), "{url}");
    assert_eq!(first.headers()["referrer-policy"], "no-referrer");
    let post = visit(&world, Method::POST, query).await;
    assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[rstest]
#[case::the_app(InstagramErrorKind::AppMisconfigured, "This app is not open to you yet")]
#[case::an_outage(InstagramErrorKind::Unavailable, "Something went wrong on our side")]
#[tokio::test]
async fn what_instagram_could_not_do_is_said(
    #[case] kind: InstagramErrorKind,
    #[case] heading: &str,
) {
    let mut instagram = MockInstagram::new();
    let error = move || ig_domain::ports::InstagramError { kind, facts: GraphFacts::default() };
    instagram.expect_exchange_code().returning(move |_, _| Err(error()));
    let world = World::with(instagram);
    begin(&world, LinkEnd::Page).await;
    let response = visit(&world, Method::GET, "code=code&state=state").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(html(response).await.1.contains(heading));
}

#[tokio::test]
async fn without_the_store_a_page_asks_to_reload() {
    let world = World::new();
    world.store.set_away(true);
    let response = visit(&world, Method::GET, "code=code&state=state").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let (headers, page) = html(response).await;
    assert_eq!(headers["retry-after"], "60");
    assert!(page.contains("Something went wrong on our side"), "{page}");
}

#[tokio::test(start_paused = true)]
async fn a_browser_does_not_wait_for_ever() {
    let begun = tokio::time::Instant::now();
    let late = answer(std::future::pending()).await;
    assert_eq!((late.status(), begun.elapsed()), (StatusCode::OK, CALLBACK_TIMEOUT));
    assert!(html(late).await.1.contains("Still working on it"));
}
