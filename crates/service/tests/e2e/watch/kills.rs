//! Replicas behind the stack's proxy are killed while a client follows every change.

use futures_util::future::join_all;
use ig_proto::v1::InstagramAccount;
use ig_proto::v1::instagram_account_service_client::InstagramAccountServiceClient;
use reqwest::Method;
use serde_json::json;
use tonic::transport::Channel;

use super::copy::unlink;
use crate::support::account_copy::AccountCopy;
use crate::support::clients::Clients;
use crate::support::compose::{ComposeStack, REPLICAS};
use crate::support::sandbox::BAKERY;

/// Number of accounts that go around each kill, half of them just before it.
const ACCOUNTS: usize = 8;

const OWNER: &str = "shop/7";

#[tokio::test]
async fn a_client_behind_the_proxy_is_told_everything_though_each_replica_is_killed() {
    let (stack, mut replicas) = ComposeStack::start().await;
    let mut accounts = Vec::new();
    for number in 0..ACCOUNTS * REPLICAS.len() {
        let username = format!("person_{number}");
        let account = json!({ "username": username });
        stack.sandbox.control(Method::POST, "accounts", Some(account)).await;
        accounts.push(replicas[0].linked(&stack.sandbox, OWNER, &username).await);
    }
    let proxy = Channel::from_shared(stack.proxy.url.clone()).unwrap().connect().await.unwrap();
    let clients = Clients::of([InstagramAccountServiceClient::new(proxy)]);

    let mut copy = AccountCopy::default();
    let kills = async {
        let chunks = accounts.chunks(ACCOUNTS);
        for ((replica, name), accounts) in replicas.iter_mut().zip(REPLICAS).zip(chunks) {
            let (before, meanwhile) = accounts.split_at(ACCOUNTS / 2);
            unlink_all(&clients, before).await;
            tokio::join!(stack.kill(replica, name), unlink_all(&clients, meanwhile));
        }
    };
    copy.follow(&clients, kills).await;
    let last = replicas[1].linked(&stack.sandbox, OWNER, BAKERY).await;
    copy.assert_ends_at(&clients, &last).await;
    assert_eq!(copy.accounts.len(), 1);
    assert!(copy.lists == 1 && copy.resumes > 0, "{} and {}", copy.lists, copy.resumes);
}

async fn unlink_all(clients: &Clients, accounts: &[InstagramAccount]) {
    join_all(accounts.iter().map(|account| unlink(clients, account.clone()))).await;
}
