//! `/sandbox/accounts`: the app, and the accounts by pages.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Answered, Asked, Input, understood};
use crate::account::Account;
use crate::world::{App, Sandbox, World};

/// Maximum number of accounts of a page, and the number where none is asked for.
const MAX_PAGE_SIZE: usize = 1_000;

/// A page of the list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    limit: Option<usize>,
    /// Number of accounts before the page.
    after: Option<usize>,
}

/// The app, and some of the accounts.
#[derive(Serialize)]
pub(crate) struct AccountList {
    app: App,
    accounts: Vec<Account>,
    /// The `after` of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// A page of the accounts, in the order in which they came.
pub(crate) async fn list(
    State(sandbox): State<Sandbox>,
    Asked(Page { limit, after }): Asked<Page>,
) -> Answered<AccountList> {
    let (limit, after) = (limit.unwrap_or(MAX_PAGE_SIZE), after.unwrap_or_default());
    if !(1..=MAX_PAGE_SIZE).contains(&limit) {
        return Err(format!("`limit` is 1 to {MAX_PAGE_SIZE}").into());
    }
    let world = sandbox.world();
    let accounts = world.accounts.page(after, limit).to_vec();
    let end = after.saturating_add(accounts.len());
    let next = (end < world.accounts.count()).then(|| end.to_string());
    Ok(Json(AccountList { app: world.app.clone(), accounts, next }))
}

/// Adds or replaces an account, or each of a list; answers those that were put.
pub(crate) async fn put(
    State(sandbox): State<Sandbox>,
    Input(body): Input<Value>,
) -> Answered<AccountList> {
    let mut world = sandbox.world();
    let World { accounts, seed, .. } = &mut *world;
    let keys = if body.is_array() {
        accounts.put_all(understood(serde_json::from_value(body))?, seed)?
    } else {
        vec![accounts.put(understood(serde_json::from_value(body))?, seed)?]
    };
    let accounts = keys.into_iter().filter_map(|key| world.accounts.get(key)).cloned().collect();
    Ok(Json(AccountList { app: world.app.clone(), accounts, next: None }))
}
