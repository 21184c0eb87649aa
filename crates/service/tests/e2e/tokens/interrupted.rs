//! Killed between the entry in the audit and the answer: the entry stands.

use nix::sys::signal::Signal;
use prost::Message as _;
use reqwest::Client;

use super::{command, handed_out};
use crate::support::Stack;
use crate::support::sandbox::BAKERY;
use crate::support::service::fetch;

/// A caller that takes the head of an answer, and of its body not a byte.
fn reluctant() -> Client {
    let client = Client::builder().http2_prior_knowledge().no_proxy();
    client.http2_initial_stream_window_size(0).build().unwrap()
}

#[tokio::test]
async fn killed_before_the_token_is_sent_its_entry_stands() {
    let mut stack = Stack::start().await;
    let account = stack.service.linked(&stack.sandbox, "shop/7", BAKERY).await;
    let message = fetch(&account.account_id, 0).encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let path = "instagram.accounts.v1.InstagramAccountService/FetchAccessToken";
    let answer = reluctant()
        .post(format!("http://{}/{path}", stack.service.address))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-request-id", "killed-1")
        .body([&[0], length.as_slice(), message.as_slice()].concat())
        .send()
        .await
        .unwrap();
    assert!(!answer.headers().contains_key("grpc-status"), "{answer:?}");
    // The service has answered, and cannot send the token to one who does not take it.
    stack.service.process.signal(Signal::SIGKILL);
    stack.service.process.ended().await;
    answer.bytes().await.unwrap_err();

    let [entry] = handed_out(command(&stack)).try_into().unwrap();
    assert_eq!(entry["request_id"], "killed-1");
    assert_eq!(entry["account_id"], account.account_id);
    stack.service = stack.replica().await;
    stack.service.fetch(&account.account_id, 0).await.unwrap();
    assert_eq!(handed_out(command(&stack)).len(), 2);
}
