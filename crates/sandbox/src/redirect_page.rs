//! `/redirect`: the page to which the demo's browser comes back, with the line that finishes the link.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use crate::pages::{Outcome, RedirectPage, html};
use crate::params::Params;
use crate::world::Sandbox;

/// Shows the authorization response that arrived and the `Link` call to paste.
pub(crate) async fn show_response(
    State(sandbox): State<Sandbox>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = ascii(&query.unwrap_or_default());
    let params = Params::from_urlencoded(query.as_bytes());
    let outcome = match (params.get("code"), params.get("error")) {
        (Some(_), None) => Outcome::Allowed,
        (_, Some(_)) => Outcome::Refused,
        (None, None) => Outcome::Nothing,
    };
    let settings = sandbox.settings();
    let command = link_command(&query, &settings.link_owner, &settings.grpc_address);
    let owner = &settings.link_owner;
    html(StatusCode::OK, &RedirectPage { query: &query, outcome, command: &command, owner })
}

#[derive(Serialize)]
struct LinkRequest<'a> {
    authorization_response: &'a str,
    owner: &'a str,
}

/// The grpcurl line, safe to paste into a POSIX shell whatever the query holds.
fn link_command(query: &str, owner: &str, grpc_address: &str) -> String {
    let request = LinkRequest { authorization_response: query, owner };
    let request = serde_json::to_string(&request).unwrap_or_default();
    format!(
        "grpcurl -plaintext -d {} {} instagram.accounts.v1.InstagramAccountService/Link",
        shell_word(&request),
        shell_word(grpc_address),
    )
}

/// Quotes a text for a POSIX shell where it needs it.
fn shell_word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:-_/".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The same query with everything but visible ASCII percent-encoded: a terminal takes it as text.
fn ascii(query: &str) -> String {
    let encode = |byte: u8| match byte {
        byte if byte.is_ascii_graphic() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    query.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn an_everyday_response_becomes_the_line_of_the_manual() {
        assert_eq!(
            link_command("code=AQx&state=s", "demo", "127.0.0.1:50051"),
            r#"grpcurl -plaintext -d '{"authorization_response":"code=AQx&state=s","owner":"demo"}' 127.0.0.1:50051 instagram.accounts.v1.InstagramAccountService/Link"#
        );
    }

    /// Words of a command line, as a real shell splits it.
    fn words(line: &str) -> Vec<String> {
        let script = format!("grpcurl() {{ printf '%s\\0' \"$@\"; }}; {line}");
        let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_terminator('\0').map(str::to_owned).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_query_and_no_owner_escapes_its_quotes(
            query in r#"['"`$\\!;&|a-z%é ]{0,40}"#,
            owner in r#"['"`$\\!;&|a-z é\n]{0,20}"#,
        ) {
            let query = ascii(&query);
            let words = words(&link_command(&query, &owner, "127.0.0.1:50051"));
            prop_assert_eq!(words.len(), 5);
            let request: Value = serde_json::from_str(&words[2]).unwrap();
            prop_assert_eq!(request["authorization_response"].as_str(), Some(query.as_str()));
            prop_assert_eq!(request["owner"].as_str(), Some(owner.as_str()));
        }
    }
}
