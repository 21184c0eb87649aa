//! Instagram's calls back: HTTP in, use cases out. It stores nothing, and no header of a request becomes part of a URL.

#[cfg_attr(not(test), expect(dead_code, reason = "the routes that read a body come next"))]
mod body;
mod headers;
#[cfg_attr(not(test), expect(dead_code, reason = "the routes that verify a signature come next"))]
mod signature;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::map_response;

/// Routes of all callbacks. What is none of them is answered 404.
pub fn router() -> Router {
    Router::new().fallback(|| async { StatusCode::NOT_FOUND }).layer(map_response(headers::harden))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Method, Request};
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn an_unknown_path_is_not_found_and_hardened_too() {
        for method in [Method::GET, Method::HEAD, Method::POST] {
            let request = Request::builder().method(method).uri("/else").body(Body::empty());
            let response = router().oneshot(request.unwrap()).await.unwrap();
            assert_eq!(response.status(), StatusCode::NOT_FOUND);
            assert_eq!(response.headers()["cache-control"], "no-store");
            assert_eq!(response.headers()["referrer-policy"], "no-referrer");
            assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        }
    }
}
