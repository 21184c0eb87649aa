use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use clap::Parser;
use ig_adapters::persistence::{DatabaseSettings, SeaOrmStore};
use ig_adapters::sealing::KeyRing;
use rstest::rstest;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::http::{self, HttpLimits};
use crate::keys::Keys;
use crate::meters::unread_store_meter;
use crate::output::Closed;

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    flags: Flags<ServeConfig>,
}

const APP_ID: &str = "1234567890123456";
const KEY: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Other bytes under the id of [`KEY`].
const OTHER_KEY: &str = "k1:Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

/// What is told where nothing is wrong and no account is linked.
const UNCHECKED: &str = "INSTAGRAM_APP_SECRET (warning) was not checked, for want of a living token in the database: run \
                         this again once an account is linked\n";

/// URL of an Instagram that knows the app, and no code and no token.
async fn instagram() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let refusal =
        (StatusCode::BAD_REQUEST, r#"{"error_type":"OAuthException","error_message":"Invalid"}"#);
    let limits = HttpLimits {
        max_connections: 16,
        max_head_size: 16 * 1024,
        keep_alive: false,
        max_lifetime: Duration::from_mins(1),
        drain_timeout: Duration::ZERO,
    };
    let routes = Router::new().fallback(async move || refusal);
    let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
    tokio::spawn(http::serve(listener, routes, limits, stop, tracker));
    url
}

/// A folder with an SQLite database that `serve` would be content with.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn migrated() -> Self {
        let place = Self::new();
        let database = Database::open(&DatabaseSettings::of(&place.url())).unwrap();
        database.migrate().await.unwrap();
        database.close().await.unwrap();
        place
    }

    /// The same, where `serve` ran with this key.
    async fn sealed_under(key: &str) -> Self {
        let place = Self::migrated().await;
        let database = Database::open(&DatabaseSettings::of(&place.url())).unwrap();
        let (database, meter) = (Arc::new(database), unread_store_meter());
        let app_id = APP_ID.parse().unwrap();
        let keys = Arc::new(Keys::default());
        let store = SeaOrmStore::new(Arc::clone(&database), app_id, keys, meter);
        key.parse::<KeyRing>().unwrap().verify_and_keep(&store).await.unwrap();
        database.close().await.unwrap();
        place
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn url(&self) -> String {
        format!("sqlite://{}?mode=rwc", self.path("accounts.db"))
    }

    fn put(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    /// Every file with what it holds.
    fn files(&self) -> BTreeMap<OsString, Vec<u8>> {
        let files = fs::read_dir(&self.0).unwrap().map(|file| file.unwrap());
        let files = files.filter(|file| file.file_type().unwrap().is_file());
        files.map(|file| (file.file_name(), fs::read(file.path()).unwrap())).collect()
    }

    /// Text and exit code of the doctor, which has left every file as it was.
    async fn told(&self, settings: &[(&str, &str)], offline: bool) -> (String, ExitCode) {
        // Every HTTP client panics without one; another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let flags = CommandLine::try_parse_from(["program"]).unwrap().flags;
        let (url, instagram) = (self.url(), instagram().await);
        let usual = [
            ("INSTAGRAM_AUTHORIZE_URL", instagram.as_str()),
            ("INSTAGRAM_API_URL", instagram.as_str()),
            ("INSTAGRAM_GRAPH_URL", instagram.as_str()),
            ("INSTAGRAM_APP_ID", APP_ID),
            ("INSTAGRAM_APP_SECRET", "0123456789abcdef0123456789abcdef"),
            ("DATABASE_URL", url.as_str()),
            ("GRPC_LISTEN", "127.0.0.1:0"),
            ("METRICS_LISTEN", ""),
        ];
        let variables = usual.iter().chain(settings);
        let variables = variables.map(|(name, value)| (name.into(), value.into())).collect();
        let (before, mut out) = (self.files(), Vec::new());
        let code = run(&flags, &variables, offline, &mut out).await.unwrap();
        assert_eq!(self.files(), before, "the doctor wrote something");
        (String::from_utf8(out).unwrap(), code)
    }
}

#[rstest]
#[tokio::test]
async fn where_nothing_is_wrong_nothing_is_said(#[values(true, false)] offline: bool) {
    let told = if offline { "" } else { UNCHECKED };
    let nothing = (told.to_owned(), ExitCode::SUCCESS);
    assert_eq!(Place::new().told(&[], offline).await, nothing, "the start makes file and key");
    assert_eq!(Place::migrated().await.told(&[], offline).await, nothing);
    assert_eq!(Place::migrated().await.told(&[("TOKEN_KEYS", KEY)], offline).await, nothing);
}

#[tokio::test]
async fn a_database_in_use_is_asked_too() {
    let place = Place::migrated().await;
    let database = Database::open(&DatabaseSettings::of(&place.url())).unwrap();
    assert!(!database.anything_sealed().await.unwrap());
    assert_eq!(place.told(&[], false).await, (UNCHECKED.to_owned(), ExitCode::SUCCESS));
}

#[tokio::test]
async fn a_warning_is_told_and_is_no_failure() {
    let wrong = [("INSTAGRAM_APP_SECRET", "planted"), ("DATABSE_URL", "planted")];
    let (told, code) = Place::new().told(&wrong, true).await;
    let lines: Vec<_> = told.lines().collect();
    assert_eq!((lines.len(), code), (2, ExitCode::SUCCESS), "{told}");
    assert!(lines[0].starts_with("INSTAGRAM_APP_SECRET (warning) has an item 1"), "{told}");
    assert!(lines[1].starts_with("DATABASE_URL (warning) is not read from the variable DATABSE"));
    assert!(!told.contains("planted"), "{told}");
}

#[tokio::test]
async fn all_wrong_settings_are_told_each_in_a_line() {
    let wrong = [("STATE_TTL", "15"), ("RUST_LOG", "wran"), ("TOKEN_KEYS", "planted")];
    let (told, code) = Place::new().told(&wrong, false).await;
    let begins: Vec<_> = told.lines().map(|line| line.split(" (error) ").next().unwrap()).collect();
    assert_eq!((begins, code), (vec!["TOKEN_KEYS", "STATE_TTL", "RUST_LOG"], ExitCode::FAILURE));
    assert!(told.contains("(variable STATE_TTL = \"15\"), for example STATE_TTL=15m\n"), "{told}");
}

#[rstest]
#[tokio::test]
async fn every_file_that_stops_the_start_is_told(#[values(true, false)] offline: bool) {
    let place = Place::migrated().await;
    let callers = place.put("callers.toml", "[[caller]]\nname = ");
    let tls = place.put("tls.pem", "planted");
    place.put("accounts.db.keys", "planted");
    let wrong = [("CALLERS_FILE", &callers), ("GRPC_TLS_CERT", &tls), ("GRPC_TLS_KEY", &tls)];
    let wrong = wrong.map(|(name, value)| (name, value.as_str()));
    let (told, code) = place.told(&wrong, offline).await;
    let lines: Vec<_> = told.lines().collect();
    let warnings = usize::from(!offline);
    assert_eq!((lines.len(), code), (3 + warnings, ExitCode::FAILURE), "{told}");
    assert!(lines[0].starts_with("CALLERS_FILE (error) ("), "{told}");
    assert!(lines[0].contains("cannot be used: line 2"), "{told}");
    assert!(lines[1].starts_with("GRPC_TLS_CERT (error) names "), "{told}");
    assert!(lines[2].starts_with("TOKEN_KEYS (error) is not given, and the key file"), "{told}");
    assert!(!told.contains("planted"), "{told}");
}

#[rstest]
#[tokio::test]
async fn other_bytes_under_a_known_key_id_are_told_unless_offline(
    #[values(true, false)] configured: bool,
) {
    let place = Place::sealed_under(KEY).await;
    let told = async |key: &str, offline: bool| {
        if configured {
            return place.told(&[("TOKEN_KEYS", key)], offline).await;
        }
        let file = place.put("accounts.db.keys", key);
        fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
        place.told(&[], offline).await
    };
    assert_eq!(told(KEY, false).await, (UNCHECKED.to_owned(), ExitCode::SUCCESS));
    assert_eq!(told(OTHER_KEY, true).await, (String::new(), ExitCode::SUCCESS));
    let (told, code) = told(OTHER_KEY, false).await;
    let expected = "TOKEN_KEYS (error) cannot be used: the sealing key \"k1\" is not the key of";
    assert!(told.starts_with(expected), "{told}");
    assert_eq!((told.lines().count(), code), (1, ExitCode::FAILURE), "{told}");
}

#[rstest]
#[case::a_folder_that_is_missing("sqlite:///nonexistent/accounts.db?mode=rwc")]
#[case::a_file_that_must_be_there("sqlite:///proc/nonexistent.db?mode=rw")]
#[case::a_server_that_is_away("postgres://user:planted@127.0.0.1:1/accounts")]
#[tokio::test]
async fn a_database_that_cannot_be_asked_is_told_unless_offline(#[case] url: &str) {
    let settings = [("DATABASE_URL", url), ("TOKEN_KEYS", KEY)];
    let (told, code) = Place::new().told(&settings, false).await;
    assert!(told.starts_with("DATABASE_URL (error) names a database that cannot be"), "{told}");
    assert!(!told.contains("planted"), "{told}");
    assert_eq!((told.lines().count(), code), (1, ExitCode::FAILURE), "{told}");
    let quiet = (String::new(), ExitCode::SUCCESS);
    assert_eq!(Place::new().told(&settings, true).await, quiet);
}

#[tokio::test]
async fn what_a_start_would_migrate_is_no_finding() {
    let place = Place::new();
    place.put("accounts.db", "");
    assert_eq!(place.told(&[], false).await, (UNCHECKED.to_owned(), ExitCode::SUCCESS));
}

#[tokio::test]
async fn an_address_that_is_taken_is_a_warning_and_a_foreign_one_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let settings = [
        ("GRPC_LISTEN", taken.as_str()),
        ("METRICS_LISTEN", "192.0.2.1:1"),
        ("HTTP_LISTEN", "192.0.2.1:2"),
        ("PUBLIC_URL", "https://example.com"),
        ("WEBHOOK_FIELDS", "comments"),
        ("WEBHOOK_VERIFY_TOKEN", "verify"),
    ];
    let (told, code) = Place::new().told(&settings, true).await;
    let lines: Vec<_> = told.lines().collect();
    assert_eq!((lines.len(), code), (3, ExitCode::FAILURE), "{told}");
    assert!(lines[0].starts_with("METRICS_LISTEN (error) is 192.0.2.1:1, which cannot"), "{told}");
    assert!(lines[1].starts_with("HTTP_LISTEN (error) is 192.0.2.1:2, which cannot"), "{told}");
    let expected = format!("GRPC_LISTEN (warning) is {taken}, which is taken");
    assert!(lines[2].starts_with(&expected), "{told}");
}

#[tokio::test]
async fn probes_at_the_address_of_calls_are_told() {
    let settings = [("GRPC_LISTEN", "127.0.0.1:50051"), ("METRICS_LISTEN", "127.0.0.1:50051")];
    let (told, code) = Place::new().told(&settings, true).await;
    assert!(told.starts_with("METRICS_LISTEN (error) is where GRPC_LISTEN is: give it"), "{told}");
    assert!(told.contains("(variable METRICS_LISTEN = \"127.0.0.1:50051\")"), "{told}");
    assert_eq!((told.lines().count(), code), (1, ExitCode::FAILURE), "{told}");
}

/// Folder in which not even root makes a file.
const UNWRITABLE_FOLDER: &str = "/proc";

#[rstest]
#[tokio::test]
async fn a_folder_that_lets_no_file_be_made_is_told(#[values(true, false)] offline: bool) {
    let url = format!("sqlite://{UNWRITABLE_FOLDER}/accounts.db?mode=rwc");
    let (told, code) = Place::new().told(&[("DATABASE_URL", &url)], offline).await;
    let expected = "DATABASE_URL (error) names a database that cannot be written: /proc cannot be";
    assert!(told.starts_with(expected), "{told}");
    assert!(told.contains("let the user of this process write the file"), "{told}");
    // No token, as there is no file.
    let warnings = usize::from(!offline);
    assert_eq!((told.lines().count(), code), (1 + warnings, ExitCode::FAILURE), "{told}");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_told() {
    let place = Place::migrated().await;
    // Nobody writes a folder as a file, whatever rights he has.
    let log = place.path("accounts.db-wal");
    fs::create_dir(&log).unwrap();
    let (told, code) = place.told(&[], true).await;
    assert!(told.contains(&format!("cannot be written: {log} cannot be written: ")), "{told}");
    assert_eq!((told.lines().count(), code), (1, ExitCode::FAILURE), "{told}");
}

/// Standard output of `doctor | head`. The exit code tells the findings all the same.
#[rstest]
#[case::nothing_wrong("15m", ExitCode::SUCCESS)]
#[case::something_wrong("15", ExitCode::FAILURE)]
#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_error(#[case] ttl: &str, #[case] expected: ExitCode) {
    let flags = CommandLine::try_parse_from(["program"]).unwrap().flags;
    let settings = [
        ("INSTAGRAM_APP_ID", "1234567890123456"),
        // A warning at least.
        ("INSTAGRAM_APP_SECRET", "planted"),
        ("STATE_TTL", ttl),
    ];
    let variables = settings.map(|(name, value)| (name.into(), value.into())).into();
    let code = run(&flags, &variables, true, &mut Closed).await.unwrap();
    assert_eq!(code, expected);
}

#[tokio::test]
async fn postgres_without_keys_is_told_offline_too() {
    let settings = [("DATABASE_URL", "postgres://user@127.0.0.1:1/accounts")];
    let (told, code) = Place::new().told(&settings, true).await;
    assert!(told.starts_with("TOKEN_KEYS (error) is required with PostgreSQL"), "{told}");
    assert_eq!(code, ExitCode::FAILURE);
}

#[tokio::test]
async fn a_sandbox_that_is_away_is_told_unless_offline() {
    let settings = [
        ("INSTAGRAM_AUTHORIZE_URL", "http://127.0.0.1:1/oauth/authorize"),
        ("INSTAGRAM_API_URL", "http://127.0.0.1:1"),
        ("INSTAGRAM_GRAPH_URL", "http://127.0.0.1:1"),
        ("SANDBOX_CLOCK_URL", "http://127.0.0.1:1/sandbox/clock"),
    ];
    let (told, code) = Place::new().told(&settings, false).await;
    assert!(told.starts_with("SANDBOX_CLOCK_URL (error) gives no time"), "{told}");
    assert_eq!(code, ExitCode::FAILURE);
    assert_eq!(Place::new().told(&settings, true).await, (String::new(), ExitCode::SUCCESS));
}
