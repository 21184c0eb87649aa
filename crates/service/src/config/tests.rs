//! What each setting accepts, and what its errors say.

use std::ffi::OsString;
use std::fs;

use clap::{CommandFactory as _, Parser};
use proptest::prelude::*;
use rstest::rstest;
use secrecy::ExposeSecret as _;

use super::setting::Default;
use super::*;

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    flags: Flags,
}

const KEY: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// What must be given.
const REQUIRED: [(&str, &str); 2] =
    [("INSTAGRAM_APP_ID", "1234567890123456"), ("INSTAGRAM_APP_SECRET", "planted-secret")];

const SANDBOX: [(&str, &str); 4] = [
    ("INSTAGRAM_AUTHORIZE_URL", "http://127.0.0.1:8090/oauth/authorize"),
    ("INSTAGRAM_API_URL", "http://127.0.0.1:8090"),
    ("INSTAGRAM_GRAPH_URL", "http://127.0.0.1:8090"),
    ("SANDBOX_CLOCK_URL", "http://127.0.0.1:8090/sandbox/clock"),
];

/// Reads with these flags and variables; of a variable that is listed twice, the last one counts.
fn with<T>(flags: &[&str], variables: &[(&str, &str)], read: impl FnOnce(Reader<'_>) -> T) -> T {
    let flags = ["program"].iter().chain(flags);
    let CommandLine { flags } = CommandLine::try_parse_from(flags).unwrap();
    let variable = |name: &str| {
        let found = variables.iter().rev().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| OsString::from(value))
    };
    read(Reader::new(&flags, &variable))
}

fn serve(variables: &[(&str, &str)]) -> Result<ServeConfig, InvalidSettings> {
    with(&[], &[&REQUIRED, variables].concat(), ServeConfig::read)
}

fn refused(variables: &[(&str, &str)]) -> String {
    serve(variables).err().unwrap().to_string()
}

#[test]
fn only_the_app_must_be_given_and_the_rest_has_defaults() {
    let config = serve(&[]).unwrap();
    let GraphApiSettings { app_id, app_secret, authorize_url, api_url, graph_url } =
        config.instagram;
    assert_eq!(app_id.as_str(), "1234567890123456");
    assert_eq!(app_secret.expose_secret(), "planted-secret");
    let url = |raw| BaseUrl::parse(raw, false).unwrap();
    assert_eq!(authorize_url, url("https://www.instagram.com/oauth/authorize"));
    assert_eq!(api_url, url("https://api.instagram.com"));
    assert_eq!(graph_url, url("https://graph.instagram.com"));
    assert_eq!(config.database.url.expose_secret(), "sqlite://instagram-accounts.db?mode=rwc");
    assert!(config.database.password.is_none());
    assert!(config.token_keys.is_none());
    assert_eq!(config.listen.to_string(), "127.0.0.1:50051");
    assert_eq!(config.metrics_listen.unwrap().to_string(), "127.0.0.1:9090");
    assert_eq!(config.redirect_uris, []);
    assert_eq!(config.state_ttl, Duration::from_mins(15));
    assert_eq!(config.shutdown_timeout, Duration::from_secs(30));
    assert!(config.reflection);
    assert_eq!(config.sandbox_clock_url, None);
    let log = with(&[], &[], LogConfig::read).unwrap();
    assert_eq!((log.format, log.filter.to_string()), (LogFormat::Text, "info".to_owned()));
}

#[rstest]
#[case::app_id("INSTAGRAM_APP_ID", "app", "is not 1 to 20 digits")]
#[case::app_secret_gap("INSTAGRAM_APP_SECRET", "a,,b", "has an empty item")]
#[case::app_secret_end("INSTAGRAM_APP_SECRET", "a,", "has an empty item")]
#[case::app_secret_blank(
    "INSTAGRAM_APP_SECRET",
    "a b",
    "has an item that is not up to 256 visible"
)]
#[case::authorize_url(
    "INSTAGRAM_AUTHORIZE_URL",
    "http://example.com",
    "must be https, or http to a loop"
)]
#[case::api_url("INSTAGRAM_API_URL", "https://user:pass@example.com", "must not hold a user name")]
#[case::graph_url("INSTAGRAM_GRAPH_URL", "graph", "is not an absolute URL")]
#[case::insecure("INSTAGRAM_INSECURE_HTTP", "yes", "is neither true nor false")]
#[case::token_keys(
    "TOKEN_KEYS",
    "k1:abcd",
    "cannot be used: key 1 is not base64 of exactly 32 bytes"
)]
#[case::listen("GRPC_LISTEN", "localhost", "is not an IP address with a port")]
#[case::metrics_listen("METRICS_LISTEN", ":9090", "is not an IP address with a port")]
#[case::redirect_uris(
    "REDIRECT_URIS",
    "https://a.example/,",
    "has a wrong item 2: a redirect URI is"
)]
#[case::state_ttl_none("STATE_TTL", "0s", "is not a span of 1s to 365d")]
#[case::state_ttl_long("STATE_TTL", "366d", "is not a span of 1s to 365d")]
#[case::state_ttl_unit("STATE_TTL", "15", "is not a span of 1s to 365d")]
#[case::shutdown_timeout("SHUTDOWN_TIMEOUT", "2h", "is not a span of 1s to 1h")]
#[case::reflection("REFLECTION", "on", "is neither true nor false")]
#[case::clock("SANDBOX_CLOCK_URL", "https://127.0.0.1/clock", "is not a plain http URL")]
fn a_wrong_value_is_told_by_its_variable_without_being_repeated(
    #[case] variable: &str,
    #[case] value: &str,
    #[case] problem: &str,
) {
    let text = refused(&[(variable, value)]);
    assert!(text.starts_with(&format!("{variable} {problem}")), "{text}");
    let setting = setting::ALL.iter().find(|setting| setting.name == variable).unwrap();
    assert!(text.ends_with(&format!(", for example {variable}={}", setting.example)), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(!setting.secret || !text.contains(value), "{text}");
}

#[rstest]
#[case::format("LOG_FORMAT", "xml", "is neither text nor json")]
#[case::filter("RUST_LOG", "ig=loud", "is not a list of filter directives")]
#[case::filter_text("RUST_LOG", "¡=[é]", "is not plain ASCII")]
fn a_wrong_setting_of_the_log_is_told(
    #[case] variable: &str,
    #[case] value: &str,
    #[case] problem: &str,
) {
    let text = with(&[], &[(variable, value)], LogConfig::read).err().unwrap().to_string();
    assert!(text.starts_with(&format!("{variable} {problem}, for example {variable}=")), "{text}");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let text = with(&[], &[("STATE_TTL", "soon"), ("GRPC_LISTEN", "")], ServeConfig::read);
    let text = text.err().unwrap().to_string();
    let named: Vec<_> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(named, ["INSTAGRAM_APP_ID", "INSTAGRAM_APP_SECRET", "STATE_TTL"]);
    assert!(text.contains("INSTAGRAM_APP_ID is required, for example"), "{text}");
}

#[test]
fn lists_and_spans_are_read() {
    let config = serve(&[
        ("INSTAGRAM_APP_SECRET", "first, former"),
        ("REDIRECT_URIS", "https://a.example/x, http://localhost:1/"),
        ("STATE_TTL", "30d"),
        ("SHUTDOWN_TIMEOUT", "1m 30s"),
        ("TOKEN_KEYS", KEY),
    ])
    .unwrap();
    assert_eq!(config.instagram.app_secret.expose_secret(), "first");
    let uris: Vec<_> = config.redirect_uris.iter().map(RedirectUri::as_str).collect();
    assert_eq!(uris, ["https://a.example/x", "http://localhost:1/"]);
    assert_eq!(config.state_ttl, Duration::from_hours(30 * 24));
    assert_eq!(config.shutdown_timeout, Duration::from_secs(90));
    assert!(config.token_keys.is_some());
}

#[test]
fn an_empty_address_turns_probes_off_and_outranks_like_any_other() {
    assert_eq!(serve(&[("METRICS_LISTEN", "")]).unwrap().metrics_listen, None);
    let variables = [&REQUIRED[..], &[("METRICS_LISTEN", "127.0.0.1:1")]].concat();
    let config = with(&["--metrics-listen", ""], &variables, ServeConfig::read).unwrap();
    assert_eq!(config.metrics_listen, None);
}

#[rstest]
#[case::certificate(&["GRPC_TLS_CERT"], "GRPC_TLS_CERT is given without GRPC_TLS_KEY: give both")]
#[case::key(&["GRPC_TLS_KEY"], "GRPC_TLS_KEY is given without GRPC_TLS_CERT: give both")]
#[case::authorities(
    &["GRPC_TLS_CLIENT_CA"],
    "GRPC_TLS_CLIENT_CA is given without GRPC_TLS_CERT and GRPC_TLS_KEY: give all three"
)]
#[case::no_key(&["GRPC_TLS_CERT", "GRPC_TLS_CLIENT_CA"], "GRPC_TLS_CERT is given without GRPC_TLS_KEY")]
#[case::no_certificate(&["GRPC_TLS_KEY", "GRPC_TLS_CLIENT_CA"], "GRPC_TLS_KEY is given without")]
fn half_of_tls_is_refused(#[case] given: &[&str], #[case] problem: &str) {
    let variables: Vec<_> = given.iter().map(|name| (*name, "/etc/tls.pem")).collect();
    let text = refused(&variables);
    assert!(text.starts_with(problem), "{text}");
    assert!(text.contains(", for example GRPC_TLS_"), "{text}");
}

#[test]
fn tls_needs_no_authorities_of_clients() {
    assert_eq!(serve(&[]).unwrap().tls, None);
    let pair = [("GRPC_TLS_CERT", "a.crt"), ("GRPC_TLS_KEY", "a.key")];
    let tls = serve(&pair).unwrap().tls.unwrap();
    assert_eq!((tls.certificate.to_str(), tls.key.to_str()), (Some("a.crt"), Some("a.key")));
    assert_eq!(tls.client_ca, None);
    let all = [&pair[..], &[("GRPC_TLS_CLIENT_CA", "ca.crt")]].concat();
    assert_eq!(serve(&all).unwrap().tls.unwrap().client_ca, Some("ca.crt".into()));
    assert!(with(&[], &pair, read_server).unwrap().1, "healthcheck speaks TLS");
    assert!(!with(&[], &[], read_server).unwrap().1);
}

#[test]
fn the_sandboxs_clock_needs_the_sandbox() {
    assert!(serve(&SANDBOX).unwrap().sandbox_clock_url.is_some());
    for (variable, _) in &SANDBOX[..3] {
        let real = (*variable, "https://graph.instagram.com");
        let text = refused(&[&SANDBOX[..], &[real]].concat());
        let expected = "SANDBOX_CLOCK_URL is refused unless every Instagram URL is plain http";
        assert!(text.starts_with(expected), "{text}");
    }
}

#[test]
fn plain_http_to_other_hosts_is_by_leave_only() {
    let url = ("INSTAGRAM_GRAPH_URL", "http://sandbox:8090");
    assert!(refused(&[url]).starts_with("INSTAGRAM_GRAPH_URL must be https"));
    assert!(serve(&[url, ("INSTAGRAM_INSECURE_HTTP", "true")]).is_ok());
}

#[test]
fn a_flag_outranks_variables_and_files_outrank_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    fs::write(&file, "sqlite://file.db\r\n").unwrap();
    let file = file.to_str().unwrap();
    let url = |flags: &[&str], variables: &[(&str, &str)]| {
        with(flags, variables, read_database).unwrap().url.expose_secret().to_owned()
    };
    let (variable, variable_file) =
        (("DATABASE_URL", "sqlite://variable.db"), ("DATABASE_URL_FILE", file));
    assert_eq!(url(&[], &[variable_file]), "sqlite://file.db");
    assert_eq!(url(&[], &[variable, ("DATABASE_URL_FILE", "")]), "sqlite://variable.db");
    assert_eq!(url(&["--database-url", "sqlite://flag.db"], &[variable_file]), "sqlite://flag.db");
    assert_eq!(url(&["--database-url-file", file], &[variable]), "sqlite://file.db");
}

#[test]
fn the_password_of_the_database_is_taken_as_it_is_and_may_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    fs::write(&file, "p@ss/#?%41\n").unwrap();
    let password = |variable| {
        let database = with(&[], &[variable], read_database).unwrap();
        database.password.map(|password| password.expose_secret().to_owned())
    };
    let expected = Some("p@ss/#?%41".to_owned());
    assert_eq!(password(("DATABASE_PASSWORD", "p@ss/#?%41")), expected);
    assert_eq!(password(("DATABASE_PASSWORD_FILE", file.to_str().unwrap())), expected);
    assert_eq!(password(("DATABASE_PASSWORD", "")), None);
}

#[test]
fn a_value_and_a_file_at_once_are_refused() {
    let both = [("TOKEN_KEYS", KEY), ("TOKEN_KEYS_FILE", "/run/keys")];
    let text = refused(&both);
    assert!(text.starts_with("TOKEN_KEYS and TOKEN_KEYS_FILE are given both: give one"), "{text}");
}

#[rstest]
#[case::empty("\n", "which is empty")]
#[case::large(&"x".repeat(64 * 1024 + 1), "which is larger than 65536 bytes")]
fn a_file_that_will_not_do_is_named(#[case] content: &str, #[case] problem: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, content).unwrap();
    let path = file.path().to_str().unwrap();
    let text = refused(&[("TOKEN_KEYS_FILE", path)]);
    assert!(text.contains("TOKEN_KEYS_FILE") && text.contains(path), "{text}");
    assert!(text.contains(problem), "{text}");
}

#[test]
fn a_missing_file_is_named_and_only_secrets_come_from_files() {
    let text = refused(&[("TOKEN_KEYS_FILE", "/nonexistent/keys")]);
    assert!(text.contains("/nonexistent/keys, which is not readable (No such file"), "{text}");
    assert!(serve(&[("STATE_TTL_FILE", "/nonexistent")]).is_ok());
}

#[test]
fn the_help_shows_every_setting_with_its_default() {
    let help = CommandLine::command().term_width(0).render_long_help().to_string();
    for setting in setting::ALL {
        let name = setting.name;
        let default = match setting.default {
            Default::Required => "required",
            Default::Unset(default) | Default::Value(default) => default,
        };
        assert!(help.contains(&format!("[variable: {name}] [default: {default}]")), "{name}");
        assert!(help.contains(&format!("--{} <", setting.flag())), "{name}");
        assert_eq!(help.contains(&format!("[variable: {name}_FILE]")), setting.secret, "{name}");
    }
}

#[test]
fn what_the_command_line_refuses_shows_no_secret() {
    for wrong in [
        &["--instagram-app-secret=planted", "--instagram-app-secret=planted"][..],
        &["--instagram-app-secrets=planted"],
        &["--token-keys", "planted", "--token-key=planted"],
    ] {
        let refused = CommandLine::try_parse_from(["program"].iter().chain(wrong));
        let text = refused.err().unwrap().to_string();
        assert!(!text.contains("planted"), "{text}");
    }
}

proptest! {
    #[test]
    fn reading_never_panics_and_never_shows_a_secret(raw in "[^\0]{0,80}", which in 0..setting::ALL.len()) {
        let setting = setting::ALL[which];
        let _ = with(&[], &[(setting.name, &raw)], LogConfig::read);
        if let Err(refused) = serve(&[(setting.name, &raw)]) {
            let text = refused.to_string();
            prop_assert!(text.starts_with(setting.name), "{}", text);
            // A shorter one may be in the text by chance.
            prop_assert!(!setting.secret || raw.len() < 12 || !text.contains(&raw), "{}", text);
        }
    }

    #[test]
    fn a_span_of_any_length_is_kept_or_refused(seconds in any::<u64>()) {
        let read = parse::state_ttl(&format!("{seconds}s"));
        let fits = (1..=365 * 24 * 60 * 60).contains(&seconds);
        prop_assert_eq!(read, if fits { Ok(Duration::from_secs(seconds)) } else { Err("is not a span of 1s to 365d") });
    }
}
