//! `/sandbox/tokens`: long-lived tokens without consent, as the button of Meta's App Dashboard makes them.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use time::Duration;

use super::{Answered, Input};
use crate::grants::Grant;
use crate::scope::Scope;
use crate::world::{Sandbox, World};

/// A wanted token.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    username: String,
    #[serde(default)]
    age_seconds: u32,
}

/// A made token.
#[derive(Serialize)]
pub(crate) struct MadeToken {
    access_token: String,
    /// Seconds until its end, 0 where that is past.
    expires_in: i64,
}

/// Makes a token with every permission, as old as is wanted.
pub(crate) async fn make(
    State(sandbox): State<Sandbox>,
    Input(NewToken { username, age_seconds }): Input<NewToken>,
) -> Answered<MadeToken> {
    let mut world = sandbox.world();
    let World { accounts, grants, clock, seed, .. } = &mut *world;
    let found = accounts.find(&username);
    let (account, found) = found.ok_or_else(|| "`username` is none of the sandbox's".to_owned())?;
    if found.is_personal() {
        return Err("a personal account cannot be used with the app".to_owned().into());
    }
    let grant = Grant { account, scopes: Scope::ALL.into() };
    let issued = clock.now() - Duration::seconds(age_seconds.into());
    let (access_token, life_seconds) = grants.issue_long(grant, issued, seed);
    let expires_in = (life_seconds - i64::from(age_seconds)).max(0);
    Ok(Json(MadeToken { access_token, expires_in }))
}
