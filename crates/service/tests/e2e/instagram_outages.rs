//! An Instagram that cannot be reached, answers with errors or takes its word back: what callers and the log are told.

use ig_proto::v1::RefreshResponse;
use tonic::Status;

use crate::rows::answers::Answers;
use crate::support::stub::{Endpoint, Reply, Stub};
use crate::support::{A_DAY_LATER, Service, arrival, reason};

const OWNER: &str = "bakery/4";

/// A proxy's address at which nobody listens.
const NO_PROXY_THERE: &str = "http://127.0.0.1:9";

/// A service whose Instagram is a stub, with an account whose token can be renewed.
async fn linked(stub: &Stub, folder: &std::path::Path) -> (Service, String) {
    Answers::usual().plan(stub);
    let app = ["880000000000041", "5tub5ecret0000000000000000000041"];
    let mut command = Service::command_of(&stub.url, app, folder);
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env(variable, NO_PROXY_THERE).env(variable.to_lowercase(), NO_PROXY_THERE);
    }
    let service = Service::run(command).await;
    let state = service.begin(OWNER).await.state;
    let arrived = format!("https://example.com/instagram/callback?code=AQDoutage1&state={state}#_");
    let account = service.link(arrival(arrived, OWNER)).await.unwrap().account.unwrap();
    stub.advance(A_DAY_LATER);
    service.clock_reaches(stub.now_seconds()).await;
    (service, account.account_id)
}

/// Message that a caller is told.
fn message(answer: Result<RefreshResponse, Status>) -> String {
    let status = answer.unwrap_err();
    let message = status.message().to_owned();
    assert_eq!(reason::<RefreshResponse>(Err(status)), "INSTAGRAM_UNAVAILABLE");
    message
}

#[tokio::test]
async fn callers_and_the_log_tell_unreachable_from_answered_from_of_two_minds() {
    let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
    let (service, account) = &linked(&stub, folder.path()).await;
    let host = format!("host=\"{}\"", stub.url.trim_start_matches("http://"));
    let refresh = async |reply: Reply| {
        Answers::usual().but(Endpoint::Refresh, vec![reply]).plan(&stub);
        message(service.refresh(account).await)
    };

    assert!(refresh(Reply::Reset).await.starts_with("Instagram cannot be reached"));
    let line = service.process.line_with("Instagram is unreachable");
    for part in ["WARN", "endpoint=token_renewal", &host, "connection reset", "left_out=0"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }

    let answered = refresh(Reply::html(503, "<html>busy</html>")).await;
    assert!(answered.starts_with("Instagram answered with an error of its own"), "{answered}");
    let line = service.process.line_with("Instagram answered with an error of its own");
    for part in ["WARN", "endpoint=token_renewal", &host, "HTTP 503"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }

    let refused =
        r#"{"error":{"message":"x","code":190,"error_subcode":460,"fbtrace_id":"ATrace"}}"#;
    let doubtful = refresh(Reply::json(400, refused)).await;
    assert!(doubtful.starts_with("Instagram is of two minds"), "{doubtful}");
    let line = service.process.line_with("Instagram is of two minds");
    for part in ["WARN", account, "instagram_code=190", "instagram_subcode=460", "ATrace", "serves"]
    {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}
