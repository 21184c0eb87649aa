//! Requests to the router, over a store in memory.

use axum::body::Body;
use axum::http::{Method, Request};
use axum::response::Response;
use ig_domain::ports::MockInstagram;
use ig_domain::{InstagramAccount, SignedRequest};
use ig_metrics::{Registry, TextFormat};
use ig_test_support::builders::{self, START, account, long_lived, parsed};
use ig_test_support::{FakeClock, MemoryStore, RecordedMetrics};
use rstest::rstest;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::*;
use crate::signed_request::tests::signed;

const PERSON: &str = "17841400000000001";

pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) registry: Registry,
    router: Router,
}

impl World {
    /// A router that accepts the secrets `new` and `former`, and asks Instagram nothing.
    pub(crate) fn new() -> Self {
        Self::accepting(&["new", "former"])
    }

    /// A router that asks this Instagram.
    pub(crate) fn with(instagram: MockInstagram) -> Self {
        Self::of(&["new", "former"], None, instagram)
    }

    /// A router that accepts these secrets, and the verify token `tok en`.
    pub(crate) fn accepting(secrets: &[&str]) -> Self {
        Self::of(secrets, Some("tok en".into()), MockInstagram::new())
    }

    pub(crate) fn without_verify_token() -> Self {
        Self::with(MockInstagram::new())
    }

    /// The router of [`new`](Self::new), and an account with this id.
    pub(crate) fn with_account(id: &str) -> Self {
        let world = Self::new();
        let account =
            InstagramAccount { professional_account_id: parsed(id), ..account(1, "", START) };
        world.store.put_account(account, long_lived("IGAA"));
        world
    }

    fn of(secrets: &[&str], verify_token: Option<SecretString>, instagram: MockInstagram) -> Self {
        let store = MemoryStore::new(parsed("990602627938098"));
        let mut registry = Registry::new("test", "1");
        let ports = builders::ports(&store, instagram, FakeClock::at(START));
        let (shared, clock) = (Arc::new(store.clone()), Arc::new(FakeClock::at(START)));
        let metrics = Arc::new(RecordedMetrics::default());
        let callbacks = Callbacks {
            secrets: AppSecrets::new(secrets.iter().copied().map(SecretString::from).collect()),
            hosted_link: FinishHostedLink::new(&ports, TaskTracker::new()),
            deauthorize: Deauthorize { removals: shared.clone(), clock: clock.clone() },
            delete_user_data: DeleteUserData {
                deletions: shared.clone(),
                clock: clock.clone(),
                ids: Arc::clone(&ports.ids),
                tracker: TaskTracker::new(),
            },
            find_deletion: FindDeletion { deletions: shared.clone() },
            webhooks: ReceiveWebhooks::new(shared, metrics, TaskTracker::new()),
            verify_token,
            clock,
            meters: CallbackMeters::register(&mut registry),
        };
        let router = router(callbacks, parsed("https://example.com/instagram"));
        Self { store, registry, router }
    }

    pub(crate) async fn answer(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: impl Into<Body>) -> Response {
        let request = Request::builder().method(method).uri(path).body(body.into());
        self.answer(request.unwrap()).await
    }

    /// Sends this as a deauthorize callback; returns the status.
    async fn deauthorize(&self, signed_request: &str) -> u16 {
        let form = format!("signed_request={signed_request}");
        self.send(Method::POST, DEAUTHORIZE, form).await.status().as_u16()
    }

    /// Whether no removal came to the store.
    fn is_untouched(&self) -> bool {
        self.store.deauthorizations().is_empty()
    }
}

/// A payload that was issued so many seconds after [`START`].
fn payload(after: i64) -> String {
    let issued = START.unix_timestamp() + after;
    format!(r#"{{"algorithm":"HMAC-SHA256","issued_at":{issued},"user_id":"{PERSON}"}}"#)
}

#[tokio::test]
async fn an_unknown_path_is_not_found_and_hardened_too() {
    let world = World::new();
    for method in [Method::GET, Method::HEAD, Method::POST] {
        let response = world.send(method, "/else", Body::empty()).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["referrer-policy"], "no-referrer");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    }
}

#[tokio::test]
async fn a_callback_is_posted() {
    let world = World::new();
    for method in [Method::GET, Method::HEAD, Method::PUT] {
        let response = world.send(method, DEAUTHORIZE, Body::empty()).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()["allow"], "POST");
    }
}

#[tokio::test]
async fn every_accepted_secret_signs_and_is_counted() {
    let world = World::new();
    for secret in ["new", "former"] {
        assert_eq!(world.deauthorize(&signed(&payload(0), secret)).await, 200);
    }
    assert_eq!(world.deauthorize(&signed(&payload(0), "other")).await, 400);
    let [kept] = &world.store.deauthorizations()[..] else { panic!("the same request twice") };
    assert_eq!(*kept, SignedRequest { user: parsed(PERSON), issue_time: START });
    let counted = world.registry.text(TextFormat::Classic).unwrap();
    for line in [
        r#"test_signed_requests_total{secret="first"} 1"#,
        r#"test_signed_requests_total{secret="second"} 1"#,
        r#"test_signed_requests_total{secret="none"} 1"#,
        r#"test_callback_requests_total{endpoint="deauthorize",status="200"} 2"#,
        r#"test_callback_requests_total{endpoint="deauthorize",status="400"} 1"#,
    ] {
        assert!(counted.contains(line), "{line}\n{counted}");
    }
}

#[rstest]
#[case::forged(&signed(&payload(0), "other"))]
#[case::another_payload(&format!("{}x", signed(&payload(0), "new")))]
#[case::truncated(&signed(&payload(0), "new").replace('.', "&"))]
#[case::a_short_signature(&signed(&payload(0), "new").replacen(|_| true, "", 4))]
#[case::no_signature(&format!(".{}", signed(&payload(0), "new").split_once('.').unwrap().1))]
#[case::three_parts(&format!("{}.x", signed(&payload(0), "new")))]
#[case::wrongly_encoded("%ff%ff.%ff")]
#[case::no_payload(&signed("", "new"))]
#[case::no_json(&signed("user", "new"))]
#[case::another_algorithm(&signed(&payload(0).replace("SHA256", "SHA1"), "new"))]
#[case::from_the_future(&signed(&payload(301), "new"))]
#[case::empty("")]
#[case::twice(&format!("{0}&signed_request={0}", signed(&payload(0), "new")))]
#[tokio::test]
async fn what_is_malformed_or_badly_signed_changes_nothing(#[case] signed_request: &str) {
    let world = World::new();
    assert_eq!(world.deauthorize(signed_request).await, 400);
    assert!(world.is_untouched());
}

#[tokio::test]
async fn a_form_that_is_too_large_is_refused() {
    let world = World::new();
    let signed = signed(&payload(0), "new");
    assert_eq!(world.deauthorize(&format!("{signed}&a={}", "a".repeat(16 * 1024))).await, 413);
    assert!(world.is_untouched());
}

#[tokio::test]
async fn without_the_store_meta_is_to_try_again() {
    let world = World::new();
    world.store.set_away(true);
    let form = format!("signed_request={}", signed(&payload(0), "new"));
    let response = world.send(Method::POST, DEAUTHORIZE, form).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
}

#[tokio::test]
async fn a_deletion_has_a_code_and_a_page_below_the_public_url_whatever_the_headers_claim() {
    let world = World::new();
    let form = format!("signed_request={}", signed(&payload(0), "new"));
    let mut answers = Vec::new();
    for host in ["evil.example", "example.com"] {
        let request = Request::post(DATA_DELETION).header("host", host);
        let request = request.header("x-forwarded-host", host).body(Body::from(form.clone()));
        let response = world.router.clone().oneshot(request.unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "application/json");
        answers.push(text(response).await);
    }
    assert_eq!(answers[0], answers[1], "the same request has one code");
    let answer: serde_json::Value = serde_json::from_str(&answers[0]).unwrap();
    let (url, code) = (answer["url"].as_str().unwrap(), &answer["confirmation_code"]);
    let base = "https://example.com/instagram";
    assert_eq!(url, format!("{base}/data-deletion/{}", code.as_str().unwrap()));
    let page = world.send(Method::GET, url.strip_prefix(base).unwrap(), Body::empty()).await;
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.headers().contains_key("content-security-policy"));
    let page = text(page).await;
    assert!(page.contains("There is nothing to delete") && !page.contains(PERSON), "{page}");
}

#[tokio::test]
async fn an_unknown_code_has_no_deletion_and_a_forged_request_none_either() {
    let world = World::new();
    for code in ["0", "0123456789abcdef0123456789abcdef", "%00", "%ff"] {
        let path = format!("{DATA_DELETION}/{code}");
        let page = world.send(Method::GET, &path, Body::empty()).await;
        assert_eq!(page.status(), StatusCode::NOT_FOUND);
    }
    for signed in [signed(&payload(0), "other"), signed(&payload(301), "new"), String::new()] {
        let form = format!("signed_request={signed}");
        let response = world.send(Method::POST, DATA_DELETION, form).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    }
    world.store.set_away(true);
    let form = format!("signed_request={}", signed(&payload(0), "new"));
    let response = world.send(Method::POST, DATA_DELETION, form).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

async fn text(response: Response) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.into()).unwrap()
}
