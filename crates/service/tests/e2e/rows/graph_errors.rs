//! Errors of the Graph API: every code, every subcode, and what their envelope says besides.
//!
//! Sources: <https://developers.facebook.com/docs/graph-api/guides/error-handling>,
//! <https://developers.facebook.com/docs/graph-api/overview/rate-limiting>, and reports of clients.

use super::case::Case;
use super::graph_error::{GraphError, Meaning};

pub(crate) fn cases() -> Vec<Case> {
    let tables = [tokens(), service(), requests(), envelope()];
    tables.iter().flatten().flat_map(GraphError::cases).collect()
}

fn tokens() -> Vec<GraphError> {
    use Meaning::{App, Dead, NewDead};
    const REVOKED: Meaning = Dead("TOKEN_REVOKED");
    const CHECKPOINT: Meaning = Dead("CHECKPOINT");
    const WITHOUT: &str = "190 without subcode";
    const APPLICATION: &str = "190 Error validating application.";
    let expired = "Error validating access token: Session has expired on Sunday, 14-Jun-26 03:00:00 PDT. The current time is Monday, 15-Jun-26 01:22:07 PDT.";
    let password = "Error validating access token: The session has been invalidated because the user changed their password or Facebook has changed the session for security reasons.";
    let dead = |row, subcode, message, meaning| {
        GraphError::new(row, 400, (190, subcode), message, meaning)
    };
    let mut errors = vec![
        dead(
            "190/458",
            458,
            "Error validating access token: The user has not authorized application 880000000000041.",
            REVOKED,
        ),
        dead(
            "190/459",
            459,
            "Error validating access token: The user is enrolled in a blocking, logged-in checkpoint.",
            CHECKPOINT,
        ),
        dead("190/460", 460, password, Dead("PASSWORD_CHANGED")),
        dead("190/463", 463, expired, Dead("TOKEN_EXPIRED")),
        dead(
            "190/464",
            464,
            "Error validating access token: Sessions for the user are not allowed because the user is not a confirmed user.",
            CHECKPOINT,
        ),
        dead(
            "190/466",
            466,
            "Error validating access token: The session has been invalidated by an API call.",
            REVOKED,
        ),
        dead(
            "190/467",
            467,
            "Error validating access token: This may be because the user logged out.",
            REVOKED,
        ),
        dead(
            "190/492",
            492,
            "Error validating access token: Session does not match current stored session.",
            REVOKED,
        ),
        dead(WITHOUT, 0, "Error validating access token: The session is invalid.", REVOKED),
        GraphError {
            name: "expired",
            ..dead(WITHOUT, 0, "The access token has expired.", REVOKED)
        },
        dead(
            "190 Cannot parse access token",
            0,
            "Invalid OAuth access token - Cannot parse access token",
            App,
        ),
        dead(APPLICATION, 0, "Error validating application. Application has been deleted.", App),
        GraphError {
            name: "with a subcode",
            ..dead(
                APPLICATION,
                458,
                "Error validating application. The application has been disabled.",
                App,
            )
        },
        GraphError::new("102", 400, (102, 0), "Session key invalid or no longer valid", REVOKED),
        GraphError::new(
            "452 Session key invalid",
            400,
            (452, 0),
            "Session key invalid. This could be because the session key has an incorrect format, or because the user has revoked this session",
            NewDead,
        ),
    ];
    for status in [200, 401, 403, 500] {
        let name = match status {
            200 => "under HTTP 200",
            401 => "under HTTP 401",
            403 => "under HTTP 403",
            _ => "under HTTP 500",
        };
        errors.push(GraphError {
            name,
            status,
            ..dead("190/463", 463, expired, Dead("TOKEN_EXPIRED"))
        });
    }
    errors
}

fn service() -> Vec<GraphError> {
    use Meaning::{Throttled, Unavailable};
    let abusive = "The action attempted has been deemed abusive or is otherwise disallowed";
    let blocked = |name, headers, seconds| GraphError {
        name,
        headers,
        ..GraphError::new("368", 400, (368, 0), abusive, Throttled(seconds))
    };
    let limit = |row, status, code, message| {
        GraphError::new(row, status, (code, 0), message, Throttled(60))
    };
    vec![
        limit("4", 400, 4, "(#4) Application request limit reached"),
        limit("17", 400, 17, "(#17) User request limit reached"),
        limit("32", 403, 32, "(#32) Page request limit reached"),
        limit("613", 400, 613, "(#613) Calls to this api have exceeded the rate limit."),
        limit(
            "80002",
            400,
            80_002,
            "(#80002) There have been too many calls to this Instagram account. Wait a bit and try again.",
        ),
        limit("341", 400, 341, "(#341) Application limit reached"),
        blocked("as reported", Vec::new(), 3600),
        blocked("with a shorter Retry-After", vec![("Retry-After", "120")], 3600),
        blocked("with a longer Retry-After", vec![("Retry-After", "7200")], 7200),
        GraphError::new("1", 500, (1, 0), "An unknown error occurred", Unavailable),
        GraphError {
            name: "under HTTP 400",
            ..GraphError::new(
                "1",
                400,
                (1, 0),
                "Please reduce the amount of data you are asking for, then retry your request",
                Unavailable,
            )
        },
        GraphError::new(
            "2",
            500,
            (2, 0),
            "An unexpected error has occurred. Please retry your request later.",
            Unavailable,
        ),
    ]
}

fn requests() -> Vec<GraphError> {
    use Meaning::{App, Unexpected};
    const RANGE: &str = "200-299";
    const UNSUPPORTED: &str = "100 Unsupported request";
    let get = "Unsupported request - method type: get";
    let post = "Unsupported request - method type: post";
    let permission = "(#10) Application does not have permission for this action";
    let advanced =
        "(#200) App does not have Advanced Access to instagram_business_basic permission";
    let range = |name, code| GraphError {
        name,
        ..GraphError::new(RANGE, 403, (code, 0), "(#299) Permission error", App)
    };
    let unsupported = |name, message| GraphError {
        name,
        kind: "IGApiException",
        ..GraphError::new(UNSUPPORTED, 400, (100, 0), message, App)
    };
    vec![
        GraphError::new("10", 403, (10, 0), permission, App),
        GraphError::new(
            "10/2534022",
            400,
            (10, 2_534_022),
            "(#10) This message is sent outside of allowed window.",
            App,
        ),
        GraphError::new(
            "3",
            400,
            (3, 0),
            "(#3) Application does not have the capability to make this API call.",
            App,
        ),
        GraphError { name: "200", ..GraphError::new(RANGE, 403, (200, 0), advanced, App) },
        range("230", 230),
        range("299", 299),
        GraphError::new(
            "100 parameter",
            400,
            (100, 0),
            "(#100) Tried accessing nonexisting field (shoe_size)",
            Unexpected,
        ),
        GraphError::new(
            "100/33",
            400,
            (100, 33),
            "Unsupported get request. Object with ID '27100000000000691' does not exist, cannot be loaded due to missing permissions, or does not support this operation",
            Unexpected,
        ),
        GraphError::new(
            "101",
            400,
            (101, 0),
            "Error validating application. Cannot get application info due to a system error.",
            App,
        ),
        GraphError {
            name: "in other words",
            ..GraphError::new("101", 400, (101, 0), "Missing client_id parameter.", App)
        },
        unsupported("get", get),
        unsupported("post", post),
        GraphError::new(
            "100 Error validating client secret.",
            400,
            (100, 0),
            "Error validating client secret.",
            App,
        ),
        GraphError::new(
            "2500 Unknown path components",
            500,
            (2500, 0),
            "Unknown path components: /nowhere",
            Unexpected,
        ),
        GraphError::new(
            "unknown",
            400,
            (7_654, 321),
            "A thing that nobody has seen yet",
            Unexpected,
        ),
    ]
}

/// Errors whose envelope says something besides its code.
fn envelope() -> Vec<GraphError> {
    use Meaning::{App, Dead, Throttled, Unavailable};
    const TRANSIENT: &str = "is_transient";
    const TYPE: &str = "type says nothing";
    const WHOLE: &str = "every member of the envelope";
    const FORTY: &str = "4 with is_transient and 1349210 under HTTP 403";
    let transient = r#","is_transient":true"#;
    let dead = "Error validating access token: The session is invalid.";
    let limit = "(#4) Application request limit reached";
    vec![
        GraphError {
            name: "with 190",
            more: transient,
            ..GraphError::new(TRANSIENT, 400, (190, 460), dead, Unavailable)
        },
        GraphError {
            name: "with an unknown code",
            more: transient,
            ..GraphError::new(TRANSIENT, 400, (7_654, 0), "Try again", Unavailable)
        },
        GraphError {
            name: "false",
            more: r#","is_transient":false"#,
            ..GraphError::new(TRANSIENT, 400, (190, 460), dead, Dead("PASSWORD_CHANGED"))
        },
        GraphError {
            name: "IGApiException with 190",
            kind: "IGApiException",
            ..GraphError::new(TYPE, 400, (190, 467), dead, Dead("TOKEN_REVOKED"))
        },
        GraphError {
            name: "IGApiException with 2",
            kind: "IGApiException",
            ..GraphError::new(TYPE, 500, (2, 0), "Service temporarily unavailable", Unavailable)
        },
        GraphError {
            more: r#","is_transient":false,"error_user_title":"Nicht erlaubt","error_user_msg":"Die App darf das nicht.","error_data":{"blame_field_specs":[["fields"]]}"#,
            ..GraphError::new(
                WHOLE,
                403,
                (10, 0),
                "(#10) Application does not have permission for this action",
                App,
            )
        },
        GraphError {
            more: transient,
            ..GraphError::new(FORTY, 403, (4, 1_349_210), limit, Throttled(60))
        },
    ]
}
