//! `/me/subscribed_apps` and `/{id}/subscribed_apps`: which webhooks the account sends.

use axum::http::{Method, StatusCode};
use serde_json::json;

use crate::answer::Answer;
use crate::call::Call;
use crate::endpoint::Node;
use crate::graph_error::GraphError;
use crate::scope::Scope;
use crate::world::World;

/// The webhook fields, and the permission that each needs.
const FIELDS: [(&str, Scope); 11] = [
    ("comments", Scope::ManageComments),
    ("live_comments", Scope::ManageComments),
    ("message_edit", Scope::ManageMessages),
    ("message_reactions", Scope::ManageMessages),
    ("messages", Scope::ManageMessages),
    ("messaging_handover", Scope::ManageMessages),
    ("messaging_optins", Scope::ManageMessages),
    ("messaging_postbacks", Scope::ManageMessages),
    ("messaging_referral", Scope::ManageMessages),
    ("messaging_seen", Scope::ManageMessages),
    ("standby", Scope::ManageMessages),
];

/// Lists (GET), sets (POST) or ends (DELETE) the account's subscription.
pub(crate) fn subscribed_apps(
    world: &mut World,
    call: &Call,
    node: &Node,
) -> Result<Answer, GraphError> {
    let token = world.living_token(call)?;
    world.account_of(token, node, call)?;
    let grant = token.grant.clone();
    if !grant.scopes.contains(&Scope::Basic) {
        return Err(GraphError::permission());
    }
    match call.method {
        Method::POST => {
            let fields = asked_fields(call)?;
            if fields.iter().any(|(_, needed)| !grant.scopes.contains(needed)) {
                return Err(GraphError::permission());
            }
            let names = fields.into_iter().map(|(name, _)| name).collect();
            world.subscriptions.insert(grant.account, names);
        }
        Method::DELETE => {
            world.subscriptions.remove(&grant.account);
        }
        _ => {
            let subscribed = world.subscriptions.get(&grant.account);
            let data: Vec<_> =
                subscribed.into_iter().map(|names| json!({ "subscribed_fields": names })).collect();
            return Ok(Answer::json(StatusCode::OK, &json!({ "data": data })));
        }
    }
    Ok(Answer::json(StatusCode::OK, &json!({ "success": true })))
}

fn asked_fields(call: &Call) -> Result<Vec<(&'static str, Scope)>, GraphError> {
    let list = call.parameter("subscribed_fields");
    let names = list.into_iter().flat_map(|list| list.split(',')).map(str::trim);
    let fields = names.filter(|name| !name.is_empty()).map(|name| {
        let known = FIELDS.into_iter().find(|(field, _)| *field == name);
        known.ok_or_else(|| {
            GraphError::parameter(format!("Param subscribed_fields has an unknown value: {name}"))
        })
    });
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    if fields.is_empty() {
        return Err(GraphError::parameter("The parameter subscribed_fields is required"));
    }
    Ok(fields)
}
