//! Envelopes of Instagram's errors: two, and a legacy one.

use ig_domain::ports::GraphFacts;
use serde_json::Value;

use super::wire::integer;

/// Maximum length of a trace id in characters. Ours.
const MAX_TRACE_ID_LENGTH: usize = 64;

/// An error as Instagram worded it.
pub(super) struct ErrorEnvelope {
    /// The envelope that it came in.
    pub(super) dialect: Dialect,
    /// Instagram's own numbers for it.
    pub(super) facts: GraphFacts,
    /// `is_transient`.
    pub(super) transient: bool,
    /// `type` or `error_type`; says nothing in the Graph dialect.
    pub(super) error_type: String,
    /// The message in lower case; to be compared, never to be shown.
    pub(super) message: String,
}

/// The two kinds of numbers that `code` may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `{"error":{…}}`; its code is a Graph code.
    ///
    /// Source: <https://developers.facebook.com/docs/graph-api/guides/error-handling>.
    Graph,
    /// `{"error_type","code","error_message"}` of the code exchange, or the same in the `{"meta":{…}}` of
    /// the API before 2020; its code is an HTTP status.
    ///
    /// Source: <https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login>.
    Token,
}

impl ErrorEnvelope {
    /// The error in an answer, whatever its HTTP status; `None` where there is none.
    pub(super) fn find(body: &Value) -> Option<Self> {
        if let Some(error) = body.get("error").filter(|error| error.is_object()) {
            return Some(Self::graph(error));
        }
        [Some(body), body.get("meta")].into_iter().flatten().find_map(Self::token)
    }

    fn graph(error: &Value) -> Self {
        let facts = GraphFacts {
            code: error.get("code").and_then(integer),
            subcode: error.get("error_subcode").and_then(integer),
            fbtrace_id: error.get("fbtrace_id").and_then(Value::as_str).and_then(trace_id),
        };
        Self {
            dialect: Dialect::Graph,
            facts,
            transient: error.get("is_transient").and_then(Value::as_bool).unwrap_or_default(),
            error_type: lowered(error, "type"),
            message: lowered(error, "message"),
        }
    }

    fn token(fields: &Value) -> Option<Self> {
        let error_type = lowered(fields, "error_type");
        let message = lowered(fields, "error_message");
        if error_type.is_empty() && message.is_empty() {
            return None;
        }
        let code = fields.get("code").and_then(integer);
        let facts = GraphFacts { code, ..GraphFacts::default() };
        Some(Self { dialect: Dialect::Token, facts, transient: false, error_type, message })
    }
}

/// A text in lower case; empty where there is none.
fn lowered(fields: &Value, name: &str) -> String {
    fields.get(name).and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase()
}

/// The trace id without what does not belong into a log line.
fn trace_id(raw: &str) -> Option<String> {
    let visible = raw.chars().filter(char::is_ascii_graphic);
    let id: String = visible.take(MAX_TRACE_ID_LENGTH).collect();
    (!id.is_empty()).then_some(id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_graph_error_gives_up_its_numbers_also_as_text() {
        let body = json!({"error": {
            "message": "Error validating access token: Session has expired on Monday.",
            "type": "OAuthException", "code": "190", "error_subcode": 463,
            "fbtrace_id": "AbC\n1 2-_é",
        }});
        let envelope = ErrorEnvelope::find(&body).unwrap();
        assert_eq!(envelope.dialect, Dialect::Graph);
        let trace_id = Some("AbC12-_".to_owned());
        let facts = GraphFacts { code: Some(190), subcode: Some(463), fbtrace_id: trace_id };
        assert_eq!(envelope.facts, facts);
        assert!(!envelope.transient);
    }

    #[test]
    fn an_answer_without_an_error_is_none() {
        for body in
            [json!({"access_token": "t"}), json!({"error": null}), json!([]), json!("error")]
        {
            assert!(ErrorEnvelope::find(&body).is_none(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn a_trace_id_is_bounded_and_visible(raw in ".{0,200}") {
            if let Some(id) = trace_id(&raw) {
                prop_assert!((1..=64).contains(&id.len()));
                prop_assert!(id.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
    }
}
