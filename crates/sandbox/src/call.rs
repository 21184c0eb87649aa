//! One request to the API, read in full.

use axum::RequestExt;
use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{HeaderMap, Method, StatusCode, header};

use crate::endpoint::Endpoint;
use crate::params::Params;

/// Maximum size of a request's body, in bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// A request to the API.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) endpoint: Endpoint,
    pub(crate) query: Params,
    pub(crate) form: Params,
    bearer: Option<String>,
}

impl Call {
    /// Reads the request; a body in an encoding that the endpoint does not take counts as empty.
    pub(crate) async fn read(request: Request) -> Result<Self, StatusCode> {
        let (parts, body) = request.with_limited_body().into_parts();
        let body = to_bytes(body, BODY_LIMIT).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
        let path = parts.uri.path().to_owned();
        let endpoint = Endpoint::parse(&path);
        Ok(Self {
            query: Params::from_urlencoded(parts.uri.query().unwrap_or_default().as_bytes()),
            bearer: bearer(&parts.headers),
            form: read_form(&parts.headers, body, endpoint.takes_json()).await,
            endpoint,
            method: parts.method,
            path,
        })
    }

    /// The access token: the query wins over a form, and both over the header.
    pub(crate) fn token(&self) -> &str {
        self.parameter("access_token").or(self.bearer.as_deref()).unwrap_or_default()
    }

    /// A parameter: the query wins over a form.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.get(name).or_else(|| self.form.get(name))
    }

    /// Every parameter, those of the query first.
    pub(crate) fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query.iter().chain(self.form.iter())
    }

    /// The token of the header.
    pub(crate) fn bearer(&self) -> Option<&str> {
        self.bearer.as_deref()
    }

    /// The names in `fields`, each once, and `id` always.
    pub(crate) fn fields(&self) -> Vec<&str> {
        let mut names = Vec::new();
        let asked = self.query.all("fields").flat_map(|list| list.split(',')).map(str::trim);
        for name in asked.filter(|name| !name.is_empty()).chain(["id"]) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The method's name as error texts have it.
    pub(crate) fn method_name(&self) -> String {
        self.method.as_str().to_ascii_lowercase()
    }
}

/// The token of an `Authorization: Bearer` header.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

async fn read_form(headers: &HeaderMap, body: Bytes, json: bool) -> Params {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    match media_type.trim().to_ascii_lowercase().as_str() {
        "application/x-www-form-urlencoded" => Params::from_urlencoded(&body),
        "application/json" if json => Params::from_json(&body),
        "multipart/form-data" => read_multipart(headers, body).await.unwrap_or_default(),
        _ => Params::default(),
    }
}

/// Reads the parts of a multipart form; `None` where it is malformed.
async fn read_multipart(headers: &HeaderMap, body: Bytes) -> Option<Params> {
    let mut request = Request::new(body.into());
    request.headers_mut().clone_from(headers);
    let mut form = Multipart::from_request(request, &()).await.ok()?;
    let mut pairs = Vec::new();
    while let Some(field) = form.next_field().await.ok()? {
        let name = field.name().unwrap_or_default().to_owned();
        let value = field.bytes().await.ok()?;
        pairs.push((name, String::from_utf8_lossy(&value).into_owned()));
    }
    Some(pairs.into_iter().collect())
}
