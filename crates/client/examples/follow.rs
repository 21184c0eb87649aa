//! Keeps a copy of all accounts by `List` and `Watch`, and has the token of each that is linked.
//!
//! `cargo run -p instagram-accounts-client --example follow [URL]`, with `cargo xtask up` running.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use instagram_accounts_client::proto::{Event, EventKind, InstagramAccount, ListRequest};
use instagram_accounts_client::{
    AccountsClient, ClientOptions, Refusal, TokenCache, WatchError, WatchMessage, WatchOptions,
};

/// Service of `cargo xtask up`.
const URL: &str = "http://127.0.0.1:50051";

/// Time that the work with a token takes.
const MIN_TTL: Duration = Duration::from_hours(1);

/// The accounts by id.
type Accounts = BTreeMap<String, InstagramAccount>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| URL.to_owned());
    // In production an https URL, with `ca_certificate`, and `bearer_file` or `client_certificate`.
    let client = AccountsClient::connect(ClientOptions::new(url)).await?;
    let tokens = TokenCache::new(client.clone(), "the example of the Rust client");
    loop {
        let (mut copy, cursor) = listed(&client).await?;
        println!("listed {} accounts", copy.len());
        let end = follow(&client, &tokens, &mut copy, cursor).await?;
        let WatchError::CursorExpired(_) = end else { return Err(end.into()) };
        // Away for longer than events are kept, or the database was restored: begin with the list again.
    }
}

/// All accounts, page by page, and the cursor of the first page.
async fn listed(client: &AccountsClient) -> Result<(Accounts, String), Refusal> {
    let mut page = client.list(ListRequest::default()).await?;
    let cursor = std::mem::take(&mut page.watch_cursor);
    let mut accounts = Accounts::new();
    loop {
        accounts.extend(page.accounts.into_iter().map(|found| (found.account_id.clone(), found)));
        if page.next_page_token.is_empty() {
            return Ok((accounts, cursor));
        }
        let page_token = page.next_page_token;
        page = client.list(ListRequest { page_token, ..Default::default() }).await?;
    }
}

/// Follows what happens until the stream ends.
async fn follow(
    client: &AccountsClient,
    tokens: &TokenCache,
    copy: &mut Accounts,
    cursor: String,
) -> Result<WatchError, Refusal> {
    let mut watch = client.watch(WatchOptions::new().after(cursor));
    loop {
        match watch.next().await {
            Some(Ok(message)) => take(tokens, copy, message).await?,
            Some(Err(end)) => return Ok(end),
            None => unreachable!("a stream ends by an error"),
        }
    }
}

/// Brings the copy up to date. An account of a message is at least as new as the message's events.
async fn take(
    tokens: &TokenCache,
    copy: &mut Accounts,
    message: WatchMessage,
) -> Result<(), Refusal> {
    for event in &message.events {
        println!("{}: {}", event.account_id, event.kind().as_str_name());
        if matches!(event.kind(), EventKind::Unlinked | EventKind::Deleted) {
            copy.remove(&event.account_id);
        }
    }
    for account in message.accounts {
        let known = copy.get(&account.account_id).map(|known| known.revision);
        if known.is_none_or(|revision| revision <= account.revision) {
            copy.insert(account.account_id.clone(), account);
        }
    }
    for event in &message.events {
        if event.kind() == EventKind::Linked && copy.contains_key(&event.account_id) {
            show_token(tokens, event).await?;
        }
    }
    println!("{} accounts", copy.len());
    Ok(())
}

async fn show_token(tokens: &TokenCache, event: &Event) -> Result<(), Refusal> {
    let token = tokens.token(&event.account_id, Some(&event.owner), MIN_TTL).await;
    match token {
        // `token.expose()` is the token itself: for Instagram, and for nobody else.
        Ok(token) => println!("{}: has the token", token.professional_account_id()),
        // It may have died, or be gone, meanwhile.
        Err(refusal) if refusal.reason().is_some() => println!("{}: {refusal}", event.account_id),
        Err(refusal) => return Err(refusal),
    }
    Ok(())
}
