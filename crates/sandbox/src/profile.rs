//! `GET /me` and `GET /{id}`: the fields of an account.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::account::Account;
use crate::answer::{Answer, Fields, Wrapped};
use crate::call::Call;
use crate::endpoint::Node;
use crate::graph_error::GraphError;
use crate::scope::Scope;
use crate::shapes::MeShape;
use crate::world::World;

/// The wanted fields in the order in which they were asked for, and `id` always.
pub(crate) fn read_profile(world: &World, call: &Call, node: &Node) -> Result<Answer, GraphError> {
    let token = world.living_token(call)?;
    let account = world.account_of(token, node, call)?;
    if !token.grant.scopes.contains(&Scope::Basic) {
        return Err(GraphError::permission());
    }
    let mut fields = Fields(Vec::new());
    for name in call.fields() {
        if let Some(value) = field(account, name)? {
            fields.0.push((name, value));
        }
    }
    match world.shapes.me {
        MeShape::Flat => Ok(Answer::json(StatusCode::OK, &fields)),
        MeShape::Wrapped => Ok(Answer::json(StatusCode::OK, &Wrapped { data: [fields] })),
    }
}

/// One field's value; `None` where the account has none.
fn field(account: &Account, name: &str) -> Result<Option<Value>, GraphError> {
    Ok(match name {
        "id" => Some(json!(account.id)),
        "user_id" => Some(json!(account.user_id)),
        "username" => Some(json!(account.username)),
        "name" => account.name.as_ref().map(|name| json!(name)),
        "account_type" => Some(json!(account.kind)),
        "profile_picture_url" => account.profile_picture_url.as_ref().map(|url| json!(url)),
        "followers_count" => Some(json!(account.followers_count)),
        "follows_count" => Some(json!(account.follows_count)),
        "media_count" => Some(json!(account.media_count)),
        "biography" | "website" => None,
        _ => return Err(GraphError::field(name, "IGUser")),
    })
}
