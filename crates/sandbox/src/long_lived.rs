//! `GET /access_token` and `GET /refresh_access_token`: tokens that live for almost 60 days.

use axum::http::StatusCode;
use serde::Serialize;
use time::Duration;

use crate::answer::Answer;
use crate::call::Call;
use crate::grants::Grant;
use crate::graph_error::GraphError;
use crate::scope::Scope;
use crate::world::World;

/// Minimum age of a token that is to be renewed.
///
/// Source: <https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login>.
const MIN_REFRESH_AGE: Duration = Duration::DAY;

/// Short-lived to long-lived; the secret is judged before the token.
pub(crate) fn exchange(world: &mut World, call: &Call) -> Result<Answer, GraphError> {
    grant_type(call, "ig_exchange_token")?;
    if call.query.text("client_secret") != world.app.secret {
        return Err(GraphError::client_secret());
    }
    let token = world.living_token(call)?;
    if token.long_lived {
        return Err(GraphError::session_key());
    }
    let grant = token.grant.clone();
    Ok(issue(world, grant))
}

/// Long-lived to a newer long-lived; the old one lives on until its own end.
pub(crate) fn refresh(world: &mut World, call: &Call) -> Result<Answer, GraphError> {
    grant_type(call, "ig_refresh_token")?;
    let token = world.living_token(call)?;
    if world.clock.now() - token.issued < MIN_REFRESH_AGE {
        let text = "The access token must be at least 24 hours old to be refreshed";
        return Err(GraphError::parameter(text));
    }
    if !token.grant.scopes.contains(&Scope::Basic) {
        return Err(GraphError::permission());
    }
    let grant = token.grant.clone();
    Ok(issue(world, grant))
}

fn grant_type(call: &Call, expected: &str) -> Result<(), GraphError> {
    match call.query.text("grant_type") {
        "" => Err(GraphError::parameter("The parameter grant_type is required")),
        given if given != expected => {
            Err(GraphError::parameter(format!("Param grant_type must be one of {{{expected}}}")))
        }
        _ => Ok(()),
    }
}

#[derive(Serialize)]
struct LongLived {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
}

fn issue(world: &mut World, grant: Grant) -> Answer {
    let now = world.clock.now();
    let (access_token, expires_in) = world.grants.issue_long(grant, now, &mut world.seed);
    Answer::json(StatusCode::OK, &LongLived { access_token, token_type: "bearer", expires_in })
}
