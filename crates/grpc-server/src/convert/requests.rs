//! The requests and responses of `BeginLink`, `Get`, `Refresh` and `Unlink`.

use std::time::Duration;

use ig_application::{BeginLinkCommand, BegunLink, LinkReturn, RefreshedAccount, TokenOutcome};
use ig_domain::ports::AccountKey;
use ig_domain::{AccountId, Owner, RequestedScopes, Scope, TooManyScopes};
use ig_proto::v1;
use ig_proto::v1::get_request::Key;

use super::fields::{Fields, InvalidRequest, Refused};
use super::{account, timestamp};

/// Maximum lifetime of the state of a hosted consent. Ours: an invitation by mail may wait for a week.
const MAX_STATE_TTL: Duration = Duration::from_hours(7 * 24);

/// Command in a `BeginLinkRequest`.
pub(crate) fn begin_link(
    request: &v1::BeginLinkRequest,
) -> Result<BeginLinkCommand, InvalidRequest> {
    let mut fields = Fields::default();
    let owner = fields.parse("owner", &request.owner);
    let link_return = link_return(&mut fields, request);
    let scopes = scopes(&mut fields, &request.scopes);
    let account_id = Some(request.account_id.as_str()).filter(|id| !id.is_empty());
    let account = fields.parse_given("account_id", account_id);
    let session_binding = fields.parse("session_binding", &request.session_binding);
    fields.finish(|| {
        Ok(BeginLinkCommand {
            owner: owner?,
            link_return: link_return?,
            scopes: scopes?,
            force_reauth: request.force_reauth,
            account: account?,
            session_binding: session_binding?,
        })
    })
}

/// The place that the browser comes back to: without a redirect URI, our own callback.
fn link_return(fields: &mut Fields, request: &v1::BeginLinkRequest) -> Result<LinkReturn, Refused> {
    const HOSTED: &str = "only without redirect_uri, for hosted consent";
    let v1::BeginLinkRequest { redirect_uri, return_url, ttl, session_binding, .. } = request;
    if !redirect_uri.is_empty() {
        let mut uri = fields.parse("redirect_uri", redirect_uri).map(LinkReturn::Caller);
        for (field, given) in [("return_url", !return_url.is_empty()), ("ttl", ttl.is_some())] {
            if given {
                uri = Err(fields.refuse(field, HOSTED));
            }
        }
        return uri;
    }
    let url = Some(return_url.as_str()).filter(|url| !url.is_empty());
    let without_url = url.is_none();
    let url = fields.parse_given("return_url", url);
    let ttl = ttl.as_ref().map(|ttl| state_ttl(fields, ttl)).transpose();
    if without_url && !session_binding.is_empty() {
        let description = "only with return_url or redirect_uri: whoever opens the URL links";
        return Err(fields.refuse("session_binding", description));
    }
    Ok(LinkReturn::Hosted { return_url: url?, ttl: ttl? })
}

fn state_ttl(fields: &mut Fields, raw: &prost_types::Duration) -> Result<Duration, Refused> {
    let ttl = Duration::try_from(*raw).ok();
    let ttl = ttl.filter(|ttl| (Duration::from_secs(1)..=MAX_STATE_TTL).contains(ttl));
    ttl.ok_or_else(|| {
        let days = MAX_STATE_TTL.as_secs() / (24 * 60 * 60);
        fields.refuse("ttl", &format!("from 1 second to {days} days"))
    })
}

fn scopes(fields: &mut Fields, raw: &[String]) -> Result<Option<RequestedScopes>, Refused> {
    if raw.is_empty() {
        return Ok(None);
    }
    if raw.len() > RequestedScopes::MAX_SCOPES {
        return Err(fields.refuse("scopes", &TooManyScopes.to_string()));
    }
    let parsed = raw.iter().enumerate();
    let parsed = parsed.map(|(index, raw)| scope(fields, &format!("scopes[{index}]"), raw));
    let parsed: Vec<Result<Scope, Refused>> = parsed.collect();
    let parsed = parsed.into_iter().collect::<Result<Vec<_>, _>>()?;
    RequestedScopes::new(parsed).map(Some).map_err(|error| {
        let description = format!("{error}, instagram_business_basic included");
        fields.refuse("scopes", &description)
    })
}

fn scope(fields: &mut Fields, field: &str, raw: &str) -> Result<Scope, Refused> {
    let scope: Scope = fields.parse(field, raw)?;
    match scope.present_name() {
        None => Ok(scope),
        Some(present) => {
            let description = format!("Instagram renamed this permission: ask for {present}");
            Err(fields.refuse(field, &description))
        }
    }
}

/// A link that has begun, on the wire.
pub(crate) fn begun_link(begun: BegunLink) -> v1::BeginLinkResponse {
    v1::BeginLinkResponse {
        authorization_url: begun.authorization_url,
        state: begun.state.expose().to_owned(),
        expire_time: Some(timestamp(begun.expire_time)),
    }
}

/// Key of the account in a `GetRequest`, and the owner that it must have.
pub(crate) fn get(request: &v1::GetRequest) -> Result<(AccountKey, Option<Owner>), InvalidRequest> {
    let mut fields = Fields::default();
    let key = match &request.key {
        Some(Key::AccountId(raw)) => fields.parse("account_id", raw).map(AccountKey::Id),
        Some(Key::InstagramId(raw)) => fields.parse("instagram_id", raw).map(AccountKey::Instagram),
        Some(Key::Username(raw)) => fields.parse("username", raw).map(AccountKey::Username),
        None => Err(fields.refuse("key", "one of account_id, instagram_id, username is required")),
    };
    let owner = fields.parse_given("owner", request.owner.as_deref());
    fields.finish(|| Ok((key?, owner?)))
}

/// Account in a `RefreshRequest`, and the owner that it must have.
pub(crate) fn refresh(
    request: &v1::RefreshRequest,
) -> Result<(AccountId, Option<Owner>), InvalidRequest> {
    account_of_owner(&request.account_id, request.owner.as_deref())
}

/// Account in an `UnlinkRequest`, and the owner that it must have.
pub(crate) fn unlink(
    request: &v1::UnlinkRequest,
) -> Result<(AccountId, Option<Owner>), InvalidRequest> {
    account_of_owner(&request.account_id, request.owner.as_deref())
}

fn account_of_owner(
    account_id: &str,
    owner: Option<&str>,
) -> Result<(AccountId, Option<Owner>), InvalidRequest> {
    let mut fields = Fields::default();
    let id = fields.parse("account_id", account_id);
    let owner = fields.parse_given("owner", owner);
    fields.finish(|| Ok((id?, owner?)))
}

/// A refreshed account, on the wire.
pub(crate) fn refreshed_account(refreshed: &RefreshedAccount) -> v1::RefreshResponse {
    let outcome = match refreshed.token_outcome {
        TokenOutcome::Renewed => v1::TokenOutcome::Renewed,
        TokenOutcome::TooYoung => v1::TokenOutcome::TooYoung,
    };
    v1::RefreshResponse { account: Some(account(&refreshed.view)), token_outcome: outcome.into() }
}

#[cfg(test)]
mod tests;
