//! Check that a request is gRPC. A web page can send others to any address that its visitor reaches.

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use tonic::body::Body;

/// The media types of gRPC messages in protobuf. Text after `;` is a parameter.
///
/// Source: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.
const MEDIA_TYPES: [&str; 2] = ["application/grpc", "application/grpc+proto"];

/// The answer to a request that is not gRPC: 405 to another method than `POST`, 415 to another content type. `None`
/// where it is gRPC.
pub(super) fn refusal<B>(request: &Request<B>) -> Option<Response<Body>> {
    let is_post = request.method() == Method::POST;
    if is_post && is_grpc(request.headers()) {
        return None;
    }
    let mut response = Response::new(Body::empty());
    if is_post {
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    } else {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    }
    Some(response)
}

/// Whether there is one content type, and it is one of gRPC's.
fn is_grpc(headers: &HeaderMap) -> bool {
    let mut sent = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (sent.next(), sent.next()) else { return false };
    let media_type = only.to_str().ok().and_then(|text| text.split(';').next());
    media_type.is_some_and(|sent| {
        MEDIA_TYPES.iter().any(|known| sent.trim_ascii_end().eq_ignore_ascii_case(known))
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::bare(&["application/grpc"], true)]
    #[case::proto(&["application/grpc+proto"], true)]
    #[case::upper_case(&["Application/GRPC"], true)]
    #[case::a_parameter(&["application/grpc; charset=utf-8"], true)]
    #[case::a_parameter_behind_a_blank(&["application/grpc+proto ;a=b"], true)]
    #[case::json_messages(&["application/grpc+json"], false)]
    #[case::web(&["application/grpc-web"], false)]
    #[case::web_text(&["application/grpc-web-text+proto"], false)]
    #[case::text(&["text/plain"], false)]
    #[case::a_form(&["application/x-www-form-urlencoded"], false)]
    #[case::a_parameter_that_looks_like_it(&["text/plain; application/grpc"], false)]
    #[case::empty(&[""], false)]
    #[case::none(&[], false)]
    #[case::two(&["application/grpc", "text/plain"], false)]
    fn only_the_media_types_of_grpc_are_grpc(#[case] sent: &[&'static str], #[case] grpc: bool) {
        let mut headers = HeaderMap::new();
        for value in sent {
            headers.append(CONTENT_TYPE, HeaderValue::from_static(value));
        }
        assert_eq!(is_grpc(&headers), grpc);
    }
}
