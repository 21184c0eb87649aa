//! `/sandbox/deauthorize` and `/sandbox/data-deletion`: sends the `signed_request` of a person who removes the app.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::{Answered, Input};
use crate::accounts::AccountIndex;
use crate::endpoint::EndpointName;
use crate::grants::RevokeReason;
use crate::sender::{self, Callback, CallbackAnswer, callback_url};
use crate::signing::signed_request;
use crate::world::{Sandbox, World};

/// The algorithm that Instagram names.
const ALGORITHM: &str = "HMAC-SHA256";

/// A request to send.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSignedRequest {
    url: String,
    username: Option<String>,
    /// App-scoped id, of nobody perhaps.
    user_id: Option<String>,
    /// Seconds since 1970; the sandbox's present where it is left out.
    issued_at: Option<i64>,
    /// The app's where it is left out.
    secret: Option<String>,
    algorithm: Option<String>,
    #[serde(default)]
    padding: bool,
    /// Whether the person's tokens end first, as they do when the app is removed.
    #[serde(default = "yes")]
    revoke: bool,
}

fn yes() -> bool {
    true
}

/// A request that was sent.
#[derive(Serialize)]
pub(crate) struct SentRequest {
    #[serde(flatten)]
    answer: CallbackAnswer,
    signed_request: String,
}

#[derive(Serialize)]
struct Payload<'a> {
    user_id: &'a str,
    algorithm: &'a str,
    issued_at: i64,
}

/// Sends the request of a deauthorization.
pub(crate) async fn deauthorize(
    State(sandbox): State<Sandbox>,
    Input(request): Input<NewSignedRequest>,
) -> Answered<SentRequest> {
    send(&sandbox, request, EndpointName::Deauthorize).await
}

/// Sends the request of a data deletion.
pub(crate) async fn delete_data(
    State(sandbox): State<Sandbox>,
    Input(request): Input<NewSignedRequest>,
) -> Answered<SentRequest> {
    send(&sandbox, request, EndpointName::DataDeletion).await
}

async fn send(
    sandbox: &Sandbox,
    request: NewSignedRequest,
    endpoint: EndpointName,
) -> Answered<SentRequest> {
    let url = callback_url(&request.url)?;
    let (signed_request, account) = sign(&mut sandbox.world(), &request)?;
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("signed_request", &signed_request)
        .finish();
    let headers = vec![("Content-Type", "application/x-www-form-urlencoded".to_owned())];
    let answer = sender::send(sandbox, Callback { endpoint, url, account, headers, body }).await;
    Ok(Json(SentRequest { answer, signed_request }))
}

/// The signed request, and the username of the person. Ends the person's tokens where that is wanted.
fn sign(world: &mut World, request: &NewSignedRequest) -> Result<(String, Option<String>), String> {
    let (account, user_id, username) = person(world, request)?;
    if let (Some(account), true) = (account, request.revoke) {
        world.remove_app(account);
    }
    let payload = Payload {
        user_id: &user_id,
        algorithm: request.algorithm.as_deref().unwrap_or(ALGORITHM),
        issued_at: request.issued_at.unwrap_or_else(|| world.clock.now().unix_timestamp()),
    };
    let payload = serde_json::to_string(&payload).map_err(|error| error.to_string())?;
    let secret = request.secret.as_deref().unwrap_or(&world.app.secret);
    Ok((signed_request(secret, &payload, request.padding), username))
}

/// The account, if the sandbox has it, its app-scoped id and its username.
fn person(
    world: &World,
    request: &NewSignedRequest,
) -> Result<(Option<AccountIndex>, String, Option<String>), String> {
    let found = match (&request.username, &request.user_id) {
        (Some(username), None) => {
            let found = world.accounts.find(username);
            Some(found.ok_or_else(|| "`username` is none of the sandbox's".to_owned())?)
        }
        (None, Some(user_id)) => world.accounts.find_id(user_id),
        _ => return Err("a request needs either `username` or `user_id`".to_owned()),
    };
    Ok(match found {
        Some((key, account)) => (Some(key), account.id.clone(), Some(account.username.clone())),
        None => (None, request.user_id.clone().unwrap_or_default(), None),
    })
}

impl World {
    /// Ends the tokens and the subscription of a person who removes the app.
    pub(crate) fn remove_app(&mut self, account: AccountIndex) {
        self.grants.revoke(account, RevokeReason::AppRemoved);
        self.subscriptions.remove(&account);
    }
}
