//! `POST /oauth/access_token`: an authorization code becomes a short-lived token.

use axum::http::StatusCode;
use serde::Serialize;

use crate::answer::{Answer, Wrapped};
use crate::call::Call;
use crate::grants::{Code, Grant};
use crate::scope::Scope;
use crate::shapes::TokenShape;
use crate::world::World;

/// Reason for which a code is not exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    ClientId,
    GrantType,
    UnknownCode,
    UsedCode,
    ExpiredCode,
    RedirectUriOrSecret,
}

impl Refusal {
    fn message(self) -> &'static str {
        match self {
            Self::ClientId => "Invalid platform app",
            Self::GrantType => "Invalid grant_type",
            Self::UnknownCode => "Invalid authorization code",
            Self::UsedCode => "This authorization code has been used",
            Self::ExpiredCode => "Matching code was not found or was already used",
            Self::RedirectUriOrSecret => {
                "Error validating verification code. Please make sure your redirect_uri is identical \
                 to the one you used in the OAuth dialog request"
            }
        }
    }
}

/// The flat error of this endpoint.
#[derive(Serialize)]
struct FlatError {
    error_type: &'static str,
    code: u16,
    error_message: &'static str,
}

/// Spends the code and issues a token, or says what is wrong and spends nothing.
pub(crate) fn exchange_code(world: &mut World, call: &Call) -> Answer {
    let grant = match check(world, call) {
        Ok(code) => code.grant.clone(),
        Err(refusal) => {
            let error_message = refusal.message();
            let error = FlatError { error_type: "OAuthException", code: 400, error_message };
            return Answer::json(StatusCode::BAD_REQUEST, &error);
        }
    };
    let now = world.clock.now();
    world.grants.spend(call.form.text("code"));
    let token = world.grants.issue_short(grant.clone(), now, &mut world.seed);
    token_answer(world, &grant, &token)
}

fn check<'a>(world: &'a World, call: &Call) -> Result<&'a Code, Refusal> {
    let form = &call.form;
    if form.text("client_id") != world.app.id {
        return Err(Refusal::ClientId);
    }
    if form.text("grant_type") != "authorization_code" {
        return Err(Refusal::GrantType);
    }
    let code = world.grants.code(form.text("code")).ok_or(Refusal::UnknownCode)?;
    if code.used {
        return Err(Refusal::UsedCode);
    }
    if code.expires <= world.clock.now() {
        return Err(Refusal::ExpiredCode);
    }
    if form.text("redirect_uri") != code.redirect_uri
        || form.text("client_secret") != world.app.secret
    {
        return Err(Refusal::RedirectUriOrSecret);
    }
    Ok(code)
}

#[derive(Serialize)]
struct TokenBody<'a> {
    access_token: &'a str,
    user_id: UserId<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<Permissions<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum UserId<'a> {
    Number(u64),
    Text(&'a str),
}

#[derive(Serialize)]
#[serde(untagged)]
enum Permissions<'a> {
    List(&'a [Scope]),
    Text(String),
}

fn token_answer(world: &World, grant: &Grant, access_token: &str) -> Answer {
    let id = world.accounts.get(grant.account).map_or("0", |account| account.id.as_str());
    let number = id.parse().map_or(UserId::Text(id), UserId::Number);
    let list = Permissions::List(&grant.scopes);
    let commas = || {
        let names: Vec<_> = grant.scopes.iter().map(|scope| scope.name()).collect();
        Permissions::Text(names.join(","))
    };
    let flat = |user_id, permissions| TokenBody { access_token, user_id, permissions };
    match world.shapes.token {
        TokenShape::Flat => Answer::json(StatusCode::OK, &flat(number, Some(list))),
        TokenShape::Wrapped => {
            Answer::json(StatusCode::OK, &Wrapped { data: [flat(number, Some(list))] })
        }
        TokenShape::WrappedDocumented => {
            let body = Wrapped { data: [flat(UserId::Text(id), Some(commas()))] };
            Answer::json(StatusCode::OK, &body)
        }
        TokenShape::FlatCommaString => Answer::json(StatusCode::OK, &flat(number, Some(commas()))),
        TokenShape::FlatWithoutPermissions => Answer::json(StatusCode::OK, &flat(number, None)),
    }
}
