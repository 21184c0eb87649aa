//! `publish` of each language does what a reader copies it for: it publishes, and acts on a refusal.

use ig_proto::v1::FetchAccessTokenRequest;
use ig_proto::v1::get_request::Key;
use rstest::rstest;
use serde_json::{Value, json};

use super::{Example, Program};
use crate::support::Stack;
use crate::support::sandbox::CREATOR;

/// Picture that takes Instagram a moment.
const PICTURE: &str = "https://shop.example/bread.jpg?sandbox_seconds=1";

/// Owner of the accounts that the examples link.
const OWNER: &str = "demo";

/// Time in milliseconds after which a call that found Instagram away is to be made again.
const RETRY_DELAY: u64 = 2_000;

/// Result of a run of an example.
struct Run {
    success: bool,
    printed: String,
}

/// Runs to the end, for a new link or for this account.
async fn run(example: Example, stack: &Stack, account_id: Option<&str>) -> Run {
    let Stack { sandbox, service, .. } = stack;
    let mut command = example.command(Program::Publish, &service.address);
    command
        .args(account_id)
        .env("SANDBOX_URL", &sandbox.url)
        .env("SANDBOX_ACCOUNT", CREATOR)
        .env("PICTURE_URL", PICTURE);
    // The connection to the service is kept alive meanwhile.
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    Run { success: output.status.success(), printed: String::from_utf8(printed).unwrap() }
}

#[rstest]
#[tokio::test]
async fn an_example_links_fetches_the_token_and_publishes_with_it(
    #[values(Example::Go, Example::Python, Example::TypeScript, Example::Java)] example: Example,
) {
    let stack = Stack::start().await;
    let run = run(example, &stack, None).await;
    assert!(run.success, "{}", run.printed);
    let account = stack.service.get(Key::Username(CREATOR.to_owned())).await.unwrap();
    assert_eq!(account.owner, OWNER);
    assert!(run.printed.contains(&account.account_id), "{}", run.printed);

    let [created] = requests(&stack, "media").await.try_into().unwrap();
    let [published] = requests(&stack, "media_publish").await.try_into().unwrap();
    let id = &account.professional_account_id;
    for (request, path) in [(&created, "media"), (&published, "media_publish")] {
        assert_eq!(request["path"], format!("/{id}/{path}"));
        // The request had this account's token, and in no URL.
        assert_eq!(request["account"], CREATOR);
        assert_eq!(request["params"].get("access_token"), None);
        assert_eq!(request["status"], 200);
    }
    assert_eq!(created["params"]["image_url"], PICTURE);
    let container = published["params"]["creation_id"].as_str().unwrap();
    let looks = requests(&stack, "id").await;
    assert!(looks.len() >= 2, "it did not wait until the picture was processed: {looks:?}");
    assert!(looks.iter().all(|look| look["path"] == format!("/{container}")), "{looks:?}");
    says_no_token(&stack, &account.account_id, &run).await;
}

#[rstest]
#[tokio::test]
async fn a_token_that_instagram_refused_once_is_put_to_refresh_and_used_again(
    #[values(Example::Go, Example::Python, Example::TypeScript, Example::Java)] example: Example,
) {
    let stack = Stack::start().await;
    let account = stack.service.linked(&stack.sandbox, OWNER, CREATOR).await;
    let read = requests(&stack, "me").await.len();
    let error = json!({ "message": "Error validating access token", "type": "OAuthException",
        "code": 190, "error_subcode": 467, "fbtrace_id": "A1" });
    let fault = json!({ "endpoint": "all", "times": 1, "status": 400, "body": { "error": error } });
    stack.sandbox.fault(fault).await;
    let run = run(example, &stack, Some(&account.account_id)).await;
    assert!(run.success, "{}", run.printed);
    let statuses: Vec<_> =
        requests(&stack, "media").await.iter().map(|request| request["status"].clone()).collect();
    assert_eq!(statuses, [400, 200]);
    assert_eq!(requests(&stack, "me").await.len(), read + 1, "Refresh was not called once");
    assert_eq!(requests(&stack, "media_publish").await.len(), 1);
    says_no_token(&stack, &account.account_id, &run).await;
}

#[rstest]
#[tokio::test]
async fn a_dead_token_ends_with_the_address_at_which_to_consent_again(
    #[values(Example::Go, Example::Python, Example::TypeScript, Example::Java)] example: Example,
) {
    let stack = Stack::start().await;
    let account = stack.service.linked(&stack.sandbox, OWNER, CREATOR).await;
    stack.sandbox.revoke(CREATOR, "password_changed").await;
    let run = run(example, &stack, Some(&account.account_id)).await;
    assert!(!run.success);
    let address = format!("{}/oauth/authorize?", stack.sandbox.url);
    for expected in ["REAUTHORIZATION_REQUIRED: ", "PASSWORD_CHANGED", &address] {
        assert!(run.printed.contains(expected), "no {expected} in {}", run.printed);
    }
    assert_eq!(requests(&stack, "media_publish").await, [Value::Null; 0]);
}

#[rstest]
#[tokio::test]
async fn an_outage_is_ridden_out_by_grpc_itself(
    #[values(Example::Go, Example::Python, Example::TypeScript, Example::Java)] example: Example,
) {
    let stack = Stack::start().await;
    let fault = json!({ "endpoint": "token", "times": 2, "status": 503 });
    stack.sandbox.fault(fault).await;
    let run = run(example, &stack, None).await;
    assert!(run.success, "{}", run.printed);
    let codes: Vec<_> = requests(&stack, "token").await;
    assert_eq!(codes.len(), 3);
    assert!(codes.iter().all(|request| request["code_sha256"] == codes[0]["code_sha256"]));
    let milliseconds = |moment: &Value| moment.as_u64().unwrap();
    for pair in codes.windows(2) {
        let pause = milliseconds(&pair[1]["started_ms"]) - milliseconds(&pair[0]["ended_ms"]);
        assert!(pause >= RETRY_DELAY, "{pause} ms, which is by the library's own clock: {codes:?}");
    }
    assert_eq!(requests(&stack, "media_publish").await.len(), 1);
}

#[rstest]
#[tokio::test]
async fn any_other_refusal_is_shown_by_its_reason(
    #[values(Example::Go, Example::Python, Example::TypeScript, Example::Java)] example: Example,
) {
    let stack = Stack::start().await;
    let run = run(example, &stack, Some("01890000-0000-7000-8000-000000000000")).await;
    assert!(!run.success);
    assert!(run.printed.contains("ACCOUNT_NOT_FOUND: "), "{}", run.printed);
}

async fn requests(stack: &Stack, endpoint: &str) -> Vec<Value> {
    stack.sandbox.requests(endpoint).await
}

/// Asserts that the account's token is nowhere in what was printed.
async fn says_no_token(stack: &Stack, account_id: &str, run: &Run) {
    let request =
        FetchAccessTokenRequest { account_id: account_id.to_owned(), ..Default::default() };
    let answer = stack.service.client.clone().fetch_access_token(request).await.unwrap();
    let token = answer.into_inner().access_token;
    assert!(token.len() > 20);
    assert!(!run.printed.contains(&token), "the token was printed");
}
