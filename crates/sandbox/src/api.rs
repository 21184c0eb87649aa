//! The way of a request through the API: read, logged, met by a fault or answered.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::answer::Answer;
use crate::call::Call;
use crate::clock::rfc3339;
use crate::code_exchange::exchange_code;
use crate::connection::KillSwitch;
use crate::endpoint::{Endpoint, Node};
use crate::faults::{Connection, Fault};
use crate::graph_error::GraphError;
use crate::long_lived::{exchange, refresh};
use crate::mask::Mask;
use crate::profile::read_profile;
use crate::publishing::{create_container, publish, read_container};
use crate::requests::{Row, RowId};
use crate::subscriptions::subscribed_apps;
use crate::usage::usage_headers;
use crate::world::{Sandbox, World};

/// Timeout of a request's body.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers a request to the API. Like a real server it works on when the caller has gone.
pub(crate) async fn serve_api(
    State(sandbox): State<Sandbox>,
    ConnectInfo(kill_switch): ConnectInfo<KillSwitch>,
    request: Request,
) -> Response {
    let started_ms = sandbox.elapsed_ms();
    let call = match tokio::time::timeout(READ_TIMEOUT, Call::read(request)).await {
        Ok(Ok(call)) => call,
        Ok(Err(status)) => return status.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let work = tokio::spawn(play(sandbox, call, started_ms));
    match work.await {
        Ok((answer, None)) => answer.into_response(),
        Ok((answer, Some(Connection::Cut))) => answer.into_cut_response(),
        Ok((_, Some(Connection::Reset))) => {
            kill_switch.reset();
            StatusCode::OK.into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Plays the fault that meets the call, or just answers; the log gets its row either way.
async fn play(sandbox: Sandbox, call: Call, started_ms: u64) -> (Answer, Option<Connection>) {
    let (row, fault) = begin(&sandbox, &call, started_ms);
    let (answer, connection) = match fault {
        None => (work(&mut sandbox.world(), &call), None),
        Some(fault) => (play_fault(&sandbox, &call, &fault).await, fault.connection()),
    };
    let sent = if connection == Some(Connection::Reset) { 0 } else { answer.status.as_u16() };
    let ended_ms = sandbox.elapsed_ms();
    sandbox.world().requests.end(row, sent, ended_ms);
    (answer, connection)
}

fn begin(sandbox: &Sandbox, call: &Call, started_ms: u64) -> (RowId, Option<Arc<Fault>>) {
    let mask = Mask::of(call, &sandbox.settings().app_secret);
    let mut world = sandbox.world();
    let account = world.account_meant(call);
    let fault = world.faults.take(call.endpoint.name(), account);
    let username = account.and_then(|key| world.accounts.get(key)).map(|it| it.username.clone());
    let time = rfc3339(world.clock.now());
    (world.requests.begin(Row::of_call(call, &mask, time, username, started_ms)), fault)
}

async fn play_fault(sandbox: &Sandbox, call: &Call, fault: &Fault) -> Answer {
    let now = |wanted: bool| wanted.then(|| work(&mut sandbox.world(), call));
    let early = now(fault.works_first());
    tokio::time::sleep(fault.delay()).await;
    let usual = early.or_else(|| now(fault.works()));
    fault.answer(usual)
}

/// The usual answer, with all that follows from it.
fn work(world: &mut World, call: &Call) -> Answer {
    if call.endpoint == Endpoint::Token && !world.app.restricted {
        return exchange_code(world, call);
    }
    let mut answer = match graph(world, call) {
        Ok(answer) => answer,
        Err(error) => error.into_answer(&world.seed.trace()),
    };
    if matches!(call.endpoint, Endpoint::Profile(_)) {
        let account = world.account_meant(call).and_then(|key| world.accounts.get(key));
        let user_id = account.map(|account| account.user_id.as_str());
        answer.headers.extend(usage_headers(world.shapes, user_id));
    }
    answer
}

/// Answers a call to `graph.instagram.com`.
fn graph(world: &mut World, call: &Call) -> Result<Answer, GraphError> {
    let method_fits = call.endpoint.takes(&call.method);
    if world.app.restricted || !method_fits || call.token().is_empty() {
        return Err(GraphError::unsupported(&call.method_name()));
    }
    match &call.endpoint {
        Endpoint::Exchange => exchange(world, call),
        Endpoint::Refresh => refresh(world, call),
        Endpoint::Profile(Node::Id(id)) if world.containers.get(id).is_some() => {
            read_container(world, call, id)
        }
        Endpoint::Profile(node) => read_profile(world, call, node),
        Endpoint::SubscribedApps(node) => subscribed_apps(world, call, node),
        Endpoint::Media(node) => create_container(world, call, node),
        Endpoint::MediaPublish(node) => publish(world, call, node),
        Endpoint::Unknown(rest) => {
            world.living_token(call)?;
            Err(GraphError::unknown_path(rest))
        }
        // The code exchange comes here only while the app is restricted, which is answered above.
        Endpoint::Token => Err(GraphError::unsupported(&call.method_name())),
    }
}
