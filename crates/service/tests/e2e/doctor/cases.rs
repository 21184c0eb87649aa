//! Ways in which a deployment may be broken, each with what the doctor tells of it.

use serde_json::{Value, json};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Duration, OffsetDateTime};

const HTTP_DATE: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

/// Something broken, and the one line that tells it.
pub(super) struct Case {
    /// A fault of the sandbox; null for none.
    pub(super) fault: Value,
    /// Settings beside the usual ones. `SANDBOX` stands for the sandbox's URL.
    pub(super) settings: Vec<(&'static str, &'static str)>,
    pub(super) begins: &'static str,
    pub(super) remedy: &'static str,
}

/// A case of settings alone.
fn set(
    settings: &[(&'static str, &'static str)],
    begins: &'static str,
    remedy: &'static str,
) -> Case {
    Case { fault: Value::Null, settings: settings.to_vec(), begins, remedy }
}

/// A case of a sandbox with this fault.
fn fault(fault: Value, begins: &'static str, remedy: &'static str) -> Case {
    Case { fault, settings: Vec::new(), begins, remedy }
}

/// Cases of settings that are wrong by themselves, of a deployment whose public URL is plain http.
pub(super) fn of_settings() -> Vec<Case> {
    let insecure = ("INSTAGRAM_INSECURE_HTTP", "true");
    let real = ("INSTAGRAM_AUTHORIZE_URL", "https://www.instagram.com/oauth/authorize");
    let public = ("PUBLIC_URL", "https://example.com");
    let system_clock = ("SANDBOX_CLOCK_URL", "");
    let dead = ("INSTAGRAM_AUTHORIZE_URL", "http://api.instagram.com/oauth/authorize");
    let facebook = ("INSTAGRAM_GRAPH_URL", "http://graph.facebook.com/v25.0");
    let old = ("INSTAGRAM_GRAPH_URL", "http://127.0.0.1:1/v21.0");
    let redirect = |uri| [system_clock, real, public, ("REDIRECT_URIS", uri)];
    vec![
        set(
            &[insecure, dead],
            "INSTAGRAM_AUTHORIZE_URL (error) is at api.instagram.com, whose page of consent has been dead",
            "set https://www.instagram.com/oauth/authorize",
        ),
        set(
            &[insecure, facebook],
            "INSTAGRAM_GRAPH_URL (error) is at graph.facebook.com, which belongs to Facebook",
            "set https://graph.instagram.com",
        ),
        set(
            &[old],
            "INSTAGRAM_GRAPH_URL (warning) names version 21 of the API, and version 21 ends on 2027",
            "name a newer one, or none",
        ),
        set(
            &redirect("https://example.com/a,https://example.com/b?tenant=7"),
            "REDIRECT_URIS (warning) has an item 2 that has a query",
            "register a URI without one",
        ),
        set(
            &redirect("https://example.com/%253Fa"),
            "REDIRECT_URIS (warning) has an item 1 that is percent-encoded twice",
            "as it is registered in the App Dashboard",
        ),
        set(
            &redirect("http://localhost/a"),
            "REDIRECT_URIS (warning) has an item 1 that is plain http, which Instagram refuses",
            "register an https URI",
        ),
        set(
            &[system_clock, real],
            "PUBLIC_URL (error) is plain http, which stays on this machine",
            "give it an https URL",
        ),
        set(&[("PUBLIC_URL", "")], "PUBLIC_URL (error) is required with HTTP_LISTEN", "PUBLIC_URL"),
        set(
            &[("RETURN_URLS", "http://example.com/app")],
            "RETURN_URLS (error) has a wrong item 1",
            "https",
        ),
        set(
            &[("WEBHOOK_VERIFY_TOKEN", "")],
            "WEBHOOK_VERIFY_TOKEN (error) is not given, though HTTP_LISTEN is",
            "enter the same text under Webhooks in the App Dashboard",
        ),
        set(
            &[("WEBHOOK_FIELDS", "")],
            "WEBHOOK_FIELDS (warning) is not given, though HTTP_LISTEN is",
            "name fields, such as comments,messages",
        ),
    ]
}

fn skewed_clock(now: OffsetDateTime, ahead: Duration) -> Value {
    let date = (now + ahead).format(HTTP_DATE).unwrap();
    json!({ "endpoint": "me", "headers": { "date": date } })
}

fn graph_error(endpoint: &str, code: i64, message: &str) -> Value {
    json!({ "endpoint": endpoint, "status": 400, "body": { "error": { "message": message, "code": code } } })
}

/// Cases of a deployment that is broken though each setting is right by itself, at `now`.
pub(super) fn of_answers(now: OffsetDateTime) -> Vec<Case> {
    let not_checked = "INSTAGRAM_APP_SECRET (warning) was not checked, since Instagram's answer";
    let refused = "INSTAGRAM_APP_ID (error) is an app that Instagram refuses for everybody";
    let page = json!({ "endpoint": "token", "status": 502, "body": "<html>Bad gateway</html>" });
    let portal = json!({ "endpoint": "me", "status": 200, "body": "<html>Please log in</html>" });
    vec![
        set(
            &[("INSTAGRAM_API_URL", "http://127.0.0.1:1")],
            "INSTAGRAM_API_URL (error) cannot be asked: 127.0.0.1:1 is not reached (Connection refused",
            "check name resolution and firewall, or set INSTAGRAM_PROXY_URL",
        ),
        set(
            &[("INSTAGRAM_GRAPH_URL", "http://127.0.0.1:1")],
            "INSTAGRAM_GRAPH_URL (error) cannot be asked: 127.0.0.1:1 is not reached (Connection refused",
            "check name resolution and firewall, or set INSTAGRAM_PROXY_URL",
        ),
        fault(
            page,
            "INSTAGRAM_API_URL (error) is answered with HTTP 502",
            "check the URL, and what",
        ),
        fault(portal, "INSTAGRAM_GRAPH_URL (error) is answered with HTTP 200", "check the URL"),
        fault(
            graph_error("me", 190, "Invalid OAuth access token - Cannot parse access token"),
            "INSTAGRAM_GRAPH_URL (error) names a host that takes tokens of another kind",
            "set https://graph.instagram.com",
        ),
        fault(
            skewed_clock(now, Duration::hours(2)),
            "clock (error) of this machine is 1h ",
            "behind Instagram's, by which tokens end and requests are dated: let it follow a time server",
        ),
        fault(
            skewed_clock(now, Duration::seconds(-200)),
            "clock (warning) of this machine is ",
            "ahead of Instagram's, by which tokens end and requests are dated: let it follow a time server",
        ),
        fault(
            json!({ "endpoint": "token", "status": 400, "body": { "error_type": "OAuthException", "code": 400, "error_message": "Invalid platform app" } }),
            "INSTAGRAM_APP_ID (error) is not known to Instagram (Invalid platform app)",
            "copy id and secret from *API setup with Instagram login* of the App Dashboard, not Facebook's",
        ),
        fault(
            graph_error("exchange", 101, "Error validating application. It has been deleted."),
            refused,
            "look in the App Dashboard for a restriction",
        ),
        fault(
            graph_error("me", 100, "Unsupported request - method type: get"),
            refused,
            "Advanced Access and the accepted invitations of testers",
        ),
        fault(
            graph_error("exchange", 2, "Service temporarily unavailable"),
            not_checked,
            "run this again later",
        ),
        set(
            &[("INSTAGRAM_APP_SECRET", "00000000000000000000000000000000")],
            "INSTAGRAM_APP_SECRET (error) is wrong, so no link succeeds and no webhook is known",
            "put the Instagram app secret of *API setup with Instagram login* first, not Facebook's",
        ),
        set(
            &[("WEBHOOK_VERIFY_TOKEN", "another")],
            "PUBLIC_URL (warning) does not lead to our webhooks: 127.0.0.1:",
            "HTTP 403; whoever answers knows another verify token: give WEBHOOK_VERIFY_TOKEN to every",
        ),
        set(
            &[("PUBLIC_URL", "http://127.0.0.1:1")],
            "PUBLIC_URL (warning) does not lead to our webhooks: 127.0.0.1:1 is not reached (Connection",
            "if `serve` runs, check name, port and certificate from outside",
        ),
        set(
            &[("PUBLIC_URL", "SANDBOX")],
            "PUBLIC_URL (warning) does not lead to our webhooks: 127.0.0.1:",
            "let it lead to HTTP_LISTEN, with the path behind it unchanged, and without a redirect",
        ),
        set(
            &[("WEBHOOK_FIELDS", "comments,messages,standby")],
            "WEBHOOK_FIELDS (warning) names messages and standby, for which no linked account has",
            "ask for it in `scopes` of BeginLink, or leave the field out",
        ),
    ]
}
