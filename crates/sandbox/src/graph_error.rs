//! Refusals of `graph.instagram.com`, in its envelope.

use axum::http::StatusCode;
use serde::Serialize;
use time::OffsetDateTime;
use time::macros::{format_description, offset};

use crate::answer::Answer;
use crate::grants::Trouble;

/// An error of the Graph API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GraphError {
    status: StatusCode,
    message: String,
    kind: &'static str,
    code: u32,
    subcode: Option<u32>,
    /// Text for the person; only publishing has one.
    for_person: Option<String>,
}

impl GraphError {
    /// The app as a whole is turned away, or the method is wrong, or there is no token.
    pub(crate) fn unsupported(method: &str) -> Self {
        let message = format!("Unsupported request - method type: {method}");
        Self { kind: "IGApiException", ..Self::new(100, message) }
    }

    /// The token is no token of ours.
    pub(crate) fn unreadable_token() -> Self {
        Self::new(190, "Invalid OAuth access token - Cannot parse access token")
    }

    /// The token's life is over.
    pub(crate) fn expired(expires: OffsetDateTime, now: OffsetDateTime) -> Self {
        let message = format!(
            "Error validating access token: Session has expired on {}. The current time is {}.",
            pacific(expires),
            pacific(now)
        );
        Self { subcode: Some(463), ..Self::new(190, message) }
    }

    /// The token was ended early.
    pub(crate) fn trouble(trouble: Trouble, app_id: &str) -> Self {
        let (subcode, message) = match trouble {
            Trouble::PasswordChanged => (
                460,
                "The session has been invalidated because the user changed their password or \
                 Facebook has changed the session for security reasons."
                    .to_owned(),
            ),
            Trouble::AppRemoved => {
                (458, format!("The user has not authorized application {app_id}."))
            }
            Trouble::Checkpoint => (
                459,
                "You cannot access the app till you log in to www.instagram.com and follow the \
                 instructions given."
                    .to_owned(),
            ),
        };
        let message = format!("Error validating access token: {message}");
        Self { subcode: Some(subcode), ..Self::new(190, message) }
    }

    /// A long-lived token where a short-lived one belongs.
    pub(crate) fn session_key() -> Self {
        let message = "Session key invalid. This could be because the session key has an incorrect \
                       format, or because the user has revoked this session";
        Self::new(452, message)
    }

    /// The app secret is wrong.
    pub(crate) fn client_secret() -> Self {
        Self::new(100, "Error validating client secret.")
    }

    /// A parameter is missing or wrong; `text` says which.
    pub(crate) fn parameter(text: impl Into<String>) -> Self {
        Self::new(100, format!("(#100) {}", text.into()))
    }

    /// A field that this kind of object does not have.
    pub(crate) fn field(name: &str, node: &str) -> Self {
        Self::parameter(format!("Tried accessing nonexisting field ({name}) on node type ({node})"))
    }

    /// A permission was not granted.
    pub(crate) fn permission() -> Self {
        let message = "(#10) Application does not have permission for this action";
        Self { status: StatusCode::FORBIDDEN, ..Self::new(10, message) }
    }

    /// No such object, or not this token's.
    pub(crate) fn missing_object(id: &str, method: &str) -> Self {
        let message = format!(
            "Unsupported {method} request. Object with ID '{id}' does not exist, cannot be loaded \
             due to missing permissions, or does not support this operation. Please read the Graph \
             API documentation at https://developers.facebook.com/docs/graph-api"
        );
        Self { kind: "IGApiException", subcode: Some(33), ..Self::new(100, message) }
    }

    /// A path that leads nowhere; Instagram answers it with a 500.
    pub(crate) fn unknown_path(rest: &str) -> Self {
        let message = format!("Unknown path components: {rest}");
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, ..Self::new(2500, message) }
    }

    /// The error as it goes out, under a trace id.
    pub(crate) fn into_answer(self, fbtrace_id: &str) -> Answer {
        let error = Detail {
            message: &self.message,
            kind: self.kind,
            code: self.code,
            error_subcode: self.subcode,
            is_transient: self.for_person.as_ref().map(|_| false),
            error_user_msg: self.for_person.as_deref(),
            fbtrace_id,
        };
        Answer::json(self.status, &Envelope { error })
    }

    fn new(code: u32, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status: StatusCode::BAD_REQUEST,
            message,
            kind: "OAuthException",
            code,
            subcode: None,
            for_person: None,
        }
    }
}

/// Refusals to publish.
///
/// Source: <https://developers.facebook.com/docs/instagram-platform/instagram-graph-api/reference/error-codes>, which
/// has the texts for people; the messages of 9004 and 9007 were recorded.
impl GraphError {
    /// Something else than a picture.
    pub(crate) fn media_type(given: &str) -> Self {
        let text = format!("The media type {given} is unknown.");
        Self::publishing(100, 2_207_023, text.clone(), text)
    }

    /// A picture's address that cannot be fetched.
    pub(crate) fn no_media(address: &str) -> Self {
        let text = format!("The media could not be fetched from this uri: {address}");
        Self::publishing(
            9_004,
            2_207_052,
            "Only photo or video can be accepted as media type.",
            text,
        )
    }

    /// A caption with too many characters.
    pub(crate) fn caption(length: usize, limit: usize) -> Self {
        let text = format!(
            "The submitted image's caption was {length} characters long. The maximum number of \
             characters permitted for a caption is {limit}. Please submit media with a shorter caption."
        );
        Self::publishing(36_004, 2_207_010, text.clone(), text)
    }

    /// No container of the account's, or it waited for too long.
    pub(crate) fn no_container(id: &str) -> Self {
        let text = format!(
            "The media builder with creation id = {id} does not exist or has been expired."
        );
        Self::publishing(24, 2_207_008, text.clone(), text)
    }

    /// A container that cannot be published, now or ever.
    pub(crate) fn not_ready() -> Self {
        let text = "The media is not ready for publishing, please wait for a moment";
        Self::publishing(9_007, 2_207_027, "Media ID is not available", text)
    }

    /// The account has published enough for 24 hours.
    pub(crate) fn posting_limit() -> Self {
        let text = "You reached maximum number of posts that is allowed to be published by Content \
                    Publishing API.";
        Self::publishing(9, 2_207_042, text, text)
    }

    fn publishing(
        code: u32,
        subcode: u32,
        message: impl Into<String>,
        for_person: impl Into<String>,
    ) -> Self {
        let for_person = Some(for_person.into());
        Self { subcode: Some(subcode), for_person, ..Self::new(code, message) }
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    error: Detail<'a>,
}

#[derive(Serialize)]
struct Detail<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    code: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_subcode: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_transient: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_user_msg: Option<&'a str>,
    fbtrace_id: &'a str,
}

/// A time as the Graph API writes it in texts: `Tuesday, 24-Nov-26 00:12:00 PST`, winter time all year.
fn pacific(time: OffsetDateTime) -> String {
    let form = format_description!(
        "[weekday], [day]-[month repr:short]-[year repr:last_two] [hour]:[minute]:[second] PST"
    );
    time.to_offset(offset!(-8)).format(&form).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn an_expired_token_is_refused_in_the_documented_words() {
        let error =
            GraphError::expired(datetime!(2026-11-24 8:12 UTC), datetime!(2026-11-25 8:12:30 UTC));
        assert_eq!(
            error.into_answer("Abc").body,
            r#"{"error":{"message":"Error validating access token: Session has expired on Tuesday, 24-Nov-26 00:12:00 PST. The current time is Wednesday, 25-Nov-26 00:12:30 PST.","type":"OAuthException","code":190,"error_subcode":463,"fbtrace_id":"Abc"}}"#
        );
    }
}
