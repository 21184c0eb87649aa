//! An answer of the API before it goes out, whole or cut off in the middle.

use std::io;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// Content type of Instagram's JSON.
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=UTF-8");

/// Status, headers and exact bytes.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// The envelope of some successes.
#[derive(Serialize)]
pub(crate) struct Wrapped<T> {
    pub(crate) data: [T; 1],
}

/// A JSON object that keeps the order of its members.
pub(crate) struct Fields<'a>(pub(crate) Vec<(&'a str, Value)>);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl Answer {
    /// A compact JSON body.
    pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => Self {
                status,
                headers: HeaderMap::from_iter([(header::CONTENT_TYPE, JSON)]),
                body: body.into(),
            },
            Err(_) => Self::empty(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// A status alone.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// Promises the whole body, sends half of it, and then breaks the connection off.
    pub(crate) fn into_cut_response(self) -> Response {
        let half = self.body.slice(..self.body.len() / 2);
        let promised = HeaderValue::from(self.body.len().max(1));
        let broken = stream::once(async {
            // Bytes written so far leave only when the body has nothing to give for a moment.
            tokio::task::yield_now().await;
            Err(io::Error::from(io::ErrorKind::ConnectionAborted))
        });
        let body = Body::from_stream(stream::iter([Ok(half)]).chain(broken));
        let mut response = (self.status, self.headers, body).into_response();
        response.headers_mut().insert(header::CONTENT_LENGTH, promised);
        response
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let Self { status, headers, body } = self;
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}
