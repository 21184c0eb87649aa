//! Values that each setting accepts, and the texts of its errors.

mod help;
mod sources;

use std::time::Duration;

use clap::Parser;
use ig_adapters::instagram::{BaseUrl, GraphApiSettings};
use ig_domain::{RedirectUri, ReturnUrl};
use proptest::prelude::*;
use rstest::rstest;
use secrecy::ExposeSecret;

use super::setting::Setting;
use super::*;

#[derive(Parser)]
struct CommandLine<C: Config> {
    #[command(flatten)]
    flags: Flags<C>,
}

const KEY: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Settings that must be given.
const REQUIRED: [(&str, &str); 2] =
    [("INSTAGRAM_APP_ID", "1234567890123456"), ("INSTAGRAM_APP_SECRET", "planted-secret")];

const PUBLIC_URL: &str = "https://example.com/instagram";

const SANDBOX: [(&str, &str); 4] = [
    ("INSTAGRAM_AUTHORIZE_URL", "http://127.0.0.1:8090/oauth/authorize"),
    ("INSTAGRAM_API_URL", "http://127.0.0.1:8090"),
    ("INSTAGRAM_GRAPH_URL", "http://127.0.0.1:8090"),
    ("SANDBOX_CLOCK_URL", "http://127.0.0.1:8090/sandbox/clock"),
];

/// Reads with these flags and variables; of a variable that is listed twice, the last one counts.
fn with<C: Config>(
    flags: &[&str],
    variables: &[(&str, &str)],
) -> Result<Settings<C>, InvalidSettings> {
    let flags = ["program"].iter().chain(flags);
    let CommandLine::<C> { flags } = CommandLine::try_parse_from(flags).unwrap();
    flags.read(&environment(variables))
}

fn environment(variables: &[(&str, &str)]) -> Variables {
    variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn serve(variables: &[(&str, &str)]) -> Result<ServeConfig, InvalidSettings> {
    with(&[], &[&REQUIRED, variables].concat()).map(|settings| settings.config)
}

fn log(variables: &[(&str, &str)]) -> Result<LogConfig, InvalidSettings> {
    with::<MigrateConfig>(&[], variables).map(|settings| settings.log)
}

fn healthcheck(variables: &[(&str, &str)]) -> HealthcheckConfig {
    with(&[], variables).unwrap().config
}

fn refused(variables: &[(&str, &str)]) -> String {
    serve(variables).err().unwrap().to_string()
}

#[test]
fn only_the_app_must_be_given_and_the_rest_has_defaults() {
    let config = serve(&[]).unwrap();
    let GraphApiSettings { app_id, app_secret, authorize_url, api_url, graph_url, proxy } =
        config.instagram;
    assert_eq!(app_id.as_str(), "1234567890123456");
    assert_eq!(app_secret.expose_secret(), "planted-secret");
    let url = |raw| BaseUrl::parse(raw, false).unwrap();
    assert_eq!(authorize_url, url("https://www.instagram.com/oauth/authorize"));
    assert_eq!(api_url, url("https://api.instagram.com"));
    assert_eq!(graph_url, url("https://graph.instagram.com"));
    assert!(proxy.is_none());
    assert_eq!(config.database.url.expose_secret(), "sqlite://instagram-accounts.db?mode=rwc");
    assert!(config.database.password.is_none());
    assert!(config.token_keys.is_none());
    assert_eq!(config.listen.to_string(), "127.0.0.1:50051");
    assert_eq!(config.metrics_listen.unwrap().to_string(), "127.0.0.1:9464");
    assert!(config.callbacks.is_none());
    assert_eq!(config.links.redirect_uris, []);
    assert!(config.links.hosted.is_none());
    assert_eq!(config.links.state_ttl, Duration::from_mins(15));
    assert_eq!(config.shutdown_timeout, Duration::from_secs(30));
    assert!(config.reflection);
    assert_eq!(config.sandbox_clock_url, None);
    let log = log(&[]).unwrap();
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
#[case::metrics_listen("METRICS_LISTEN", ":9464", "is not an IP address with a port")]
#[case::redirect_uris(
    "REDIRECT_URIS",
    "https://a.example/,",
    "has a wrong item 2: a redirect URI is"
)]
#[case::state_ttl_none("STATE_TTL", "0s", "is not a span of 1s to 365d")]
#[case::state_ttl_long("STATE_TTL", "366d", "is not a span of 1s to 365d")]
#[case::state_ttl_unit("STATE_TTL", "15", "is not a span of 1s to 365d")]
#[case::shutdown_timeout("SHUTDOWN_TIMEOUT", "2h", "is not a span of 1s to 1h")]
#[case::keeper("KEEPER", "1", "is neither true nor false")]
#[case::read_cache_without_unit(
    "READ_CACHE",
    "64",
    "is neither 0 nor a size such as 64MiB, up to 64GiB"
)]
#[case::read_cache_signed(
    "READ_CACHE",
    "+1MiB",
    "is neither 0 nor a size such as 64MiB, up to 64GiB"
)]
#[case::read_cache_huge(
    "READ_CACHE",
    "65GiB",
    "is neither 0 nor a size such as 64MiB, up to 64GiB"
)]
#[case::read_cache_beyond_numbers(
    "READ_CACHE",
    "18446744073709551615GiB",
    "is neither 0 nor a size such as 64MiB, up to 64GiB"
)]
#[case::keeper_in_flight_none("KEEPER_IN_FLIGHT", "0", "is not a number of 1 to 256")]
#[case::keeper_in_flight_many("KEEPER_IN_FLIGHT", "257", "is not a number of 1 to 256")]
#[case::profile_every_often("PROFILE_EVERY", "9m", "is not a span of 10m to 365d")]
#[case::unknown_field("WEBHOOK_FIELDS", "likes", "has a wrong item: \"likes\" is none of")]
#[case::profile_every_rarely("PROFILE_EVERY", "366d", "is not a span of 10m to 365d")]
#[case::reflection("REFLECTION", "on", "is neither true nor false")]
#[case::clock("SANDBOX_CLOCK_URL", "https://127.0.0.1/clock", "is not a plain http URL")]
fn a_wrong_value_is_told_by_its_variable_with_where_it_came_from(
    #[case] variable: &str,
    #[case] value: &str,
    #[case] problem: &str,
) {
    let text = refused(&[(variable, value)]);
    assert!(text.starts_with(&format!("{variable} {problem}")), "{text}");
    let setting = setting::ALL.iter().find(|setting| setting.name == variable).unwrap();
    assert!(text.ends_with(&format!(", for example {variable}={}", setting.example)), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(&format!("(variable {variable}")), "{text}");
    let hidden = setting.secret || value.contains('@');
    assert_eq!(text.contains(&format!("= {value:?})")), !hidden, "{text}");
}

#[rstest]
#[case::format("LOG_FORMAT", "xml", "is neither text nor json")]
#[case::filter("RUST_LOG", "ig=loud", "is not a level or a list of filter directives")]
#[case::filter_level("RUST_LOG", "wran", "would log nothing of this service")]
#[case::filter_text("RUST_LOG", "¡=[é]", "is not plain ASCII")]
fn a_wrong_setting_of_the_log_is_told(
    #[case] variable: &str,
    #[case] value: &str,
    #[case] problem: &str,
) {
    let text = log(&[(variable, value)]).err().unwrap().to_string();
    assert!(text.starts_with(&format!("{variable} {problem}")), "{text}");
    assert!(
        text.contains(&format!("(variable {variable} = {value:?}), for example {variable}=")),
        "{text}"
    );
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let wrong = [("STATE_TTL", "soon"), ("GRPC_LISTEN", ""), ("LOG_FORMAT", "xml")];
    let text = with::<ServeConfig>(&[], &wrong);
    let text = text.err().unwrap().to_string();
    let named: Vec<_> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(named, ["INSTAGRAM_APP_ID", "INSTAGRAM_APP_SECRET", "STATE_TTL", "LOG_FORMAT"]);
    assert!(text.contains("INSTAGRAM_APP_ID is required, for example"), "{text}");
}

#[test]
fn lists_and_spans_are_read() {
    let config = serve(&[
        ("INSTAGRAM_APP_SECRET", "first, former"),
        ("REDIRECT_URIS", "https://a.example/x, http://localhost:1/"),
        ("STATE_TTL", "30d"),
        ("SHUTDOWN_TIMEOUT", "1m 30s"),
        ("KEEPER", "false"),
        ("KEEPER_IN_FLIGHT", "64"),
        ("PROFILE_EVERY", "6h"),
        ("WEBHOOK_FIELDS", "messages, comments"),
        ("TOKEN_KEYS", KEY),
    ])
    .unwrap();
    assert_eq!(config.instagram.app_secret.expose_secret(), "first");
    let secrets: Vec<_> = config.app_secrets.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!(secrets, ["first", "former"]);
    let uris: Vec<_> = config.links.redirect_uris.iter().map(RedirectUri::as_str).collect();
    assert_eq!(uris, ["https://a.example/x", "http://localhost:1/"]);
    assert_eq!(config.links.state_ttl, Duration::from_hours(30 * 24));
    assert_eq!(config.shutdown_timeout, Duration::from_secs(90));
    assert_eq!((config.keeper, config.keeper_in_flight), (false, 64));
    assert_eq!(config.plan.reading_interval, Duration::from_hours(6));
    let fields: Vec<_> = config.plan.webhook_fields.iter().collect();
    assert_eq!(fields, ["comments", "messages"]);
    assert!(config.token_keys.is_some());
}

#[rstest]
#[case("0", 0)]
#[case("512KiB", 512 << 10)]
#[case("64MiB", 64 << 20)]
#[case("64GiB", 64 << 30)]
fn a_size_is_read(#[case] text: &str, #[case] bytes: u64) {
    assert_eq!(serve(&[("READ_CACHE", text)]).unwrap().read_cache, bytes);
}

#[rstest]
#[case::the_same("127.0.0.1:5000", "127.0.0.1:5000", true)]
#[case::every_address("0.0.0.0:5000", "127.0.0.1:5000", true)]
#[case::of_both_families("127.0.0.1:5000", "[::]:5000", true)]
#[case::another_address("127.0.0.1:5000", "127.0.0.2:5000", false)]
#[case::another_family("0.0.0.0:5000", "[::1]:5000", false)]
#[case::free_ones("127.0.0.1:0", "127.0.0.1:0", false)]
fn probes_and_calls_are_not_answered_at_one_address(
    #[case] grpc: &str,
    #[case] metrics: &str,
    #[case] refused: bool,
) {
    let settings =
        [("ALLOW_ANONYMOUS", "true"), ("GRPC_LISTEN", grpc), ("METRICS_LISTEN", metrics)];
    let told = serve(&settings).err().map(|invalid| invalid.to_string()).unwrap_or_default();
    assert_eq!(told.starts_with("METRICS_LISTEN is where GRPC_LISTEN is"), refused, "{told}");
    assert_eq!(told.is_empty(), !refused, "{told}");
}

#[rstest]
#[case::alone("127.0.0.1:8080", "", "PUBLIC_URL is required with HTTP_LISTEN")]
#[case::of_calls("127.0.0.1:50051", PUBLIC_URL, "HTTP_LISTEN is where GRPC_LISTEN is")]
#[case::of_probes("127.0.0.1:9464", PUBLIC_URL, "HTTP_LISTEN is where METRICS_LISTEN is")]
#[case::no_address("8080", PUBLIC_URL, "HTTP_LISTEN is not an IP address with a port")]
#[case::in_the_clear("127.0.0.1:8080", "http://example.com", "PUBLIC_URL cannot be used: ")]
fn calls_back_need_an_address_of_their_own_and_a_url(
    #[case] listen: &str,
    #[case] public_url: &str,
    #[case] begin: &str,
) {
    let told = refused(&[("HTTP_LISTEN", listen), ("PUBLIC_URL", public_url)]);
    assert!(told.starts_with(begin), "{told}");
}

#[test]
fn a_verify_token_is_visible_ascii() {
    let read = |raw| serve(&[("WEBHOOK_VERIFY_TOKEN", raw)]).map(|config| config.verify_token);
    assert!(read("").unwrap().is_none());
    let longest = "x".repeat(256);
    assert_eq!(read(&longest).unwrap().unwrap().expose_secret(), longest);
    for planted in ["planted token", "plänted", &"x".repeat(257)] {
        let told = refused(&[("WEBHOOK_VERIFY_TOKEN", planted)]);
        assert!(told.starts_with("WEBHOOK_VERIFY_TOKEN is not 1 to 256 visible"), "{told}");
        assert!(!told.contains(planted), "{told}");
    }
}

#[test]
fn calls_back_are_answered_where_it_is_said() {
    for nowhere in [&[][..], &[("HTTP_LISTEN", "")], &[("PUBLIC_URL", PUBLIC_URL)]] {
        assert!(serve(nowhere).unwrap().callbacks.is_none());
    }
    let config = serve(&[("HTTP_LISTEN", "0.0.0.0:8080"), ("PUBLIC_URL", PUBLIC_URL)]).unwrap();
    let callbacks = config.callbacks.unwrap();
    assert_eq!(callbacks.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(callbacks.public_url.as_str(), PUBLIC_URL);
}

/// Another replica may answer at the public URL.
#[test]
fn consent_is_hosted_where_there_is_a_public_url() {
    let without = serve(&[("RETURN_URLS", "https://example.com/app")]).unwrap();
    assert!(without.links.hosted.is_none());
    let urls = "https://example.com/app/, http://localhost:3000/linked?a=b";
    for settings in
        [&[("PUBLIC_URL", PUBLIC_URL), ("RETURN_URLS", urls)][..], &[("PUBLIC_URL", PUBLIC_URL)]]
    {
        let hosted = serve(settings).unwrap().links.hosted.unwrap();
        assert_eq!(hosted.redirect_uri.as_str(), format!("{PUBLIC_URL}/oauth/callback"));
        let listed: Vec<_> = hosted.return_urls.iter().map(ReturnUrl::as_str).collect();
        let expected: Vec<_> = urls.split(", ").filter(|_| settings.len() > 1).collect();
        assert_eq!(listed, expected);
    }
    let told = refused(&[("RETURN_URLS", "https://example.com/app, http://example.com")]);
    assert!(told.starts_with("RETURN_URLS has a wrong item 2: "), "{told}");
}

#[test]
fn an_empty_address_turns_probes_off_and_outranks_like_any_other() {
    assert_eq!(serve(&[("METRICS_LISTEN", "")]).unwrap().metrics_listen, None);
    let variables = [&REQUIRED[..], &[("METRICS_LISTEN", "127.0.0.1:1")]].concat();
    let settings = with::<ServeConfig>(&["--metrics-listen", ""], &variables).unwrap();
    assert_eq!(settings.config.metrics_listen, None);
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
    assert!(healthcheck(&pair).tls, "healthcheck speaks TLS");
    assert!(!healthcheck(&[]).tls);
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
fn a_proxy_s_url_may_hold_a_password_which_no_error_shows() {
    let proxy = ("INSTAGRAM_PROXY_URL", "https://user:planted%40word@proxy.internal");
    let shown = format!("{:?}", serve(&[proxy]).unwrap().instagram.proxy.unwrap());
    assert_eq!(shown, "ProxyUrl(\"proxy.internal:443\")");
    let text = refused(&[("INSTAGRAM_PROXY_URL", "socks5://user:planted@proxy.internal")]);
    assert!(text.starts_with("INSTAGRAM_PROXY_URL must be http or https"), "{text}");
    let text = refused(&[("INSTAGRAM_PROXY_URL", "http://user:planted/word@proxy.internal")]);
    assert!(text.contains("must be percent-encoded") && !text.contains("planted"), "{text}");
}

/// Warnings about settings that can be used.
fn warnings(variables: &[(&str, &str)]) -> Vec<String> {
    let usual = [REQUIRED[0], ("INSTAGRAM_APP_SECRET", "0123456789abcdef0123456789ABCDEF")];
    let settings = with::<ServeConfig>(&[], &[&usual, variables].concat()).unwrap();
    settings.warnings.iter().map(Problem::to_string).collect()
}

#[rstest]
#[case::short("planted", 1)]
#[case::not_hexadecimal("0123456789abcdef0123456789abcdeg", 1)]
#[case::one_of_a_list("0123456789abcdef0123456789abcdef,planted", 2)]
fn an_unusual_app_secret_is_told_without_being_shown(
    #[case] secret: &str,
    #[case] position: usize,
) {
    let told = warnings(&[("INSTAGRAM_APP_SECRET", secret)]);
    let expected =
        format!("INSTAGRAM_APP_SECRET has an item {position} that is not 32 hexadecimal digits");
    assert!(told.len() == 1 && told[0].starts_with(&expected), "{told:?}");
    assert!(!told[0].contains("planted") && !told[0].contains("abcdeg"), "{told:?}");
}

#[test]
fn usual_settings_are_told_nothing_of() {
    assert_eq!(warnings(&[("PATH", "/bin"), ("INSTAGRAM_ACCOUNTS_PORT", "tcp://1")]), [""; 0]);
}

#[test]
fn a_misspelt_variable_is_told_also_where_settings_are_refused() {
    assert!(warnings(&[("DATABSE_URL", "sqlite://a.db")])[0].starts_with("DATABASE_URL is not"));
    let misspelt = [("INSTAGRAM_APPID", "1234567890123456"), REQUIRED[1]];
    let refused = with::<ServeConfig>(&[], &misspelt).err().unwrap();
    assert!(refused.to_string().starts_with("INSTAGRAM_APP_ID is required"), "{refused}");
    let told: Vec<_> = refused.warnings().iter().map(Problem::to_string).collect();
    assert!(told.iter().any(|told| told.contains("the variable INSTAGRAM_APPID,")), "{told:?}");
}

proptest! {
    #[test]
    fn reading_never_panics_and_never_shows_a_secret(raw in "[^\0]{0,80}", which in 0..setting::ALL.len()) {
        let setting = setting::ALL[which];
        let _ = log(&[(setting.name, &raw)]);
        if let Err(refused) = serve(&[(setting.name, &raw)]) {
            let text = refused.to_string();
            prop_assert!(text.starts_with(setting.name), "{}", text);
            // A shorter one may be in the text by chance.
            prop_assert!(!setting.secret || raw.len() < 12 || !text.contains(&raw), "{}", text);
        }
    }

    #[test]
    fn a_span_of_any_length_is_kept_or_refused(seconds in any::<u64>()) {
        let read = parse::span(&format!("{seconds}s"), &setting::STATE_TTL);
        let fits = (1..=365 * 24 * 60 * 60).contains(&seconds);
        prop_assert_eq!(read, if fits { Ok(Duration::from_secs(seconds)) } else { Err("is not a span of 1s to 365d".to_owned()) });
    }
}
