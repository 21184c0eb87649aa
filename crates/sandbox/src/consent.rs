//! `/oauth/authorize`: the page that asks the person, and the form that comes back from it.

use axum::extract::{RawForm, RawQuery, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::authorize::{Authorization, Decision, Refusal};
use crate::pages::{ConsentPage, RefusalPage, html};
use crate::params::Params;
use crate::scope::{Scope, parse_scopes};
use crate::world::{Sandbox, World};

/// Parameters of the request that the consent form repeats.
const REPEATED: [&str; 5] = ["client_id", "redirect_uri", "response_type", "scope", "state"];

/// Shows the consent page, or skips it where the `sandbox_…` parameters decide.
pub(crate) async fn ask_consent(
    State(sandbox): State<Sandbox>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = Params::from_urlencoded(query.unwrap_or_default().as_bytes());
    answer_query(&query, &mut sandbox.world()).unwrap_or_else(|refusal| refuse(&refusal))
}

fn answer_query(query: &Params, world: &mut World) -> Result<Response, Refusal> {
    let authorization = Authorization::read(query, &world.app.id)?;
    if let Some(decision) = decision_in_query(query, &authorization)? {
        let location = authorization.conclude(decision, world)?;
        return Ok(redirect(StatusCode::FOUND, location));
    }
    let repeated = REPEATED.iter().filter_map(|name| Some((*name, query.get(name)?))).collect();
    let chosen = query.text("sandbox_account");
    let accounts = &world.accounts;
    let page = ConsentPage::new(&world.app.id, repeated, accounts, chosen, &authorization.scopes);
    Ok(html(StatusCode::OK, &page))
}

/// Takes the consent form; everything in it is checked again.
pub(crate) async fn take_consent(
    State(sandbox): State<Sandbox>,
    RawForm(form): RawForm,
) -> Response {
    let form = Params::from_urlencoded(&form);
    answer_form(&form, &mut sandbox.world()).unwrap_or_else(|refusal| refuse(&refusal))
}

fn answer_form(form: &Params, world: &mut World) -> Result<Response, Refusal> {
    let authorization = Authorization::read(form, &world.app.id)?;
    let location = authorization.conclude(decision_in_form(form)?, world)?;
    Ok(redirect(StatusCode::SEE_OTHER, location))
}

/// The decision that the skip parameters bring; `None` leaves it to the person.
fn decision_in_query(
    query: &Params,
    authorization: &Authorization,
) -> Result<Option<Decision>, Refusal> {
    match query.get("sandbox_decision") {
        None => Ok(None),
        Some("deny") => Ok(Some(Decision::Deny)),
        Some("allow") => {
            let scopes = match query.get("sandbox_scopes") {
                Some(list) => granted(list)?,
                None => authorization.scopes.clone(),
            };
            let username = query.text("sandbox_account").to_owned();
            Ok(Some(Decision::Allow { username, scopes }))
        }
        Some(_) => Err(Refusal::new("Invalid sandbox_decision", "It must be allow or deny.")),
    }
}

fn decision_in_form(form: &Params) -> Result<Decision, Refusal> {
    match form.text("decision") {
        "deny" => Ok(Decision::Deny),
        "allow" => {
            let list: Vec<_> = form.all("grant").collect();
            let username = form.text("account").to_owned();
            Ok(Decision::Allow { username, scopes: granted(&list.join(","))? })
        }
        _ => Err(Refusal::new("No decision", "Go back and choose Allow or Cancel.")),
    }
}

fn granted(list: &str) -> Result<Vec<Scope>, Refusal> {
    let explanation = "A permission was granted that Instagram does not have.";
    parse_scopes(list).map_err(|unknown| {
        Refusal::new(format!("Invalid Scopes: {}", unknown.join(", ")), explanation)
    })
}

fn refuse(refusal: &Refusal) -> Response {
    let page = RefusalPage { message: &refusal.message, explanation: refusal.explanation };
    html(refusal.status, &page)
}

/// Sends the browser on; its next stop learns nothing of the URL with the client's state.
fn redirect(status: StatusCode, location: String) -> Response {
    let headers: [(HeaderName, String); 3] = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    (status, headers).into_response()
}
