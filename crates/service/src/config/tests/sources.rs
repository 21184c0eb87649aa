//! Sources of values and the meaning of empty ones; no error shows a secret.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use ig_adapters::system::SystemClock;
use rstest::rstest;

use super::super::setting::Empty;
use super::*;
use crate::callers::AdmittedCallers;
use crate::tls::FollowedTls;

#[test]
fn a_flag_outranks_variables_and_files_outrank_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    fs::write(&file, "sqlite://file.db\r\n").unwrap();
    let file = file.to_str().unwrap();
    let url = |flags: &[&str], variables: &[(&str, &str)]| {
        let settings = with::<MigrateConfig>(flags, variables).unwrap();
        settings.config.database.url.expose_secret().to_owned()
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
        let settings = with::<MigrateConfig>(&[], &[variable]).unwrap();
        settings.config.database.password.map(|password| password.expose_secret().to_owned())
    };
    let expected = Some("p@ss/#?%41".to_owned());
    assert_eq!(password(("DATABASE_PASSWORD", "p@ss/#?%41")), expected);
    assert_eq!(password(("DATABASE_PASSWORD_FILE", file.to_str().unwrap())), expected);
}

#[test]
fn an_error_tells_the_flag_the_variable_or_the_file_that_the_value_came_from() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "k1:planted\n").unwrap();
    let file = file.path().to_str().unwrap();
    let told = |flags: &[&str], variables: &[(&str, &str)]| {
        let read = with::<ServeConfig>(flags, &[&REQUIRED, variables].concat());
        read.err().unwrap().to_string()
    };
    let wrong = "STATE_TTL is not a span of 1s to 365d";
    let variable = ("STATE_TTL", "15");
    assert_eq!(
        told(&[], &[variable]),
        format!("{wrong} (variable STATE_TTL = \"15\"), for example STATE_TTL=15m")
    );
    assert_eq!(
        told(&["--state-ttl", "soon"], &[variable]),
        format!("{wrong} (flag --state-ttl = \"soon\"), for example STATE_TTL=15m")
    );
    let by_variable = told(&[], &[("TOKEN_KEYS_FILE", file)]);
    assert!(by_variable.contains(&format!("(file {file} via TOKEN_KEYS_FILE)")), "{by_variable}");
    let by_flag = told(&["--token-keys-file", file], &[]);
    assert!(by_flag.contains(&format!("(file {file} via --token-keys-file)")), "{by_flag}");
    assert!(!by_variable.contains("planted") && !by_flag.contains("planted"), "{by_variable}");
}

#[test]
fn a_value_that_may_be_a_secret_in_a_wrong_place_is_not_shown() {
    let secret = "9f1c4e7ab2d058369f1c4e7ab2d05836";
    let text = refused(&[("INSTAGRAM_APP_ID", secret)]);
    assert!(text.contains("variable INSTAGRAM_APP_ID, whose value is not shown"), "{text}");
    assert!(!text.contains(secret), "{text}");
}

#[test]
fn what_turns_out_wrong_after_reading_is_told_where_it_came_from_too() {
    let flags = CommandLine::<ServeConfig>::try_parse_from(["program", "--grpc-tls-key", "a.key"]);
    let flags = flags.unwrap().flags;
    let variables = environment(&[("DATABASE_URL", "mysql://root:planted@db/x")]);
    let located = |invalid: InvalidSettings| flags.located(invalid.into(), &variables).to_string();
    let key = located(InvalidSettings::of(&setting::GRPC_TLS_KEY, &"names a.key, which is empty"));
    assert!(key.contains("which is empty (flag --grpc-tls-key = \"a.key\"), for"), "{key}");
    let database = located(ig_adapters::persistence::InvalidDatabaseUrl::Scheme.into());
    assert!(
        database.starts_with("DATABASE_URL must begin with sqlite: or postgres:"),
        "{database}"
    );
    assert!(database.ends_with("(variable DATABASE_URL)"), "{database}");
}

#[test]
fn what_is_not_utf_8_is_told() {
    let flags = CommandLine::<ServeConfig>::try_parse_from(["program"]).unwrap().flags;
    let mut variables = environment(&REQUIRED);
    variables.insert("STATE_TTL".into(), OsStr::from_bytes(&[0xff]).into());
    let text = flags.read(&variables).err().unwrap().to_string();
    assert!(text.starts_with("STATE_TTL is not UTF-8 (variable STATE_TTL)"), "{text}");
}

/// As if it were not given, it would let everybody in, take any redirect URI, or go without TLS or proxy.
#[rstest]
fn what_is_empty_and_has_no_default_is_refused(
    #[values(
        "INSTAGRAM_APP_ID",
        "INSTAGRAM_APP_SECRET",
        "INSTAGRAM_PROXY_URL",
        "DATABASE_URL",
        "TOKEN_KEYS",
        "CALLERS_FILE",
        "GRPC_TLS_CERT",
        "GRPC_TLS_KEY",
        "GRPC_TLS_CLIENT_CA",
        "REDIRECT_URIS"
    )]
    name: &str,
) {
    let text = refused(&[(name, "")]);
    assert!(text.starts_with(&format!("{name} is given but empty (variable {name}): ")), "{text}");
    assert!(text.contains(&format!("give it a value, for example {name}=")), "{text}");
    assert_eq!(text.contains("leave it out"), !name.starts_with("INSTAGRAM_APP_"), "{text}");
    let setting = setting::ALL.iter().find(|setting| setting.name == name).unwrap();
    let flag = format!("--{}", setting.flag());
    let variables = [&REQUIRED[..], &[(name, setting.example)]].concat();
    let text = with::<ServeConfig>(&[&flag, ""], &variables).err().unwrap().to_string();
    assert!(text.starts_with(&format!("{name} is given but empty (flag {flag})")), "{text}");
    if setting.secret {
        let (file, others) =
            (setting.file_name(), REQUIRED.into_iter().filter(|one| one.0 != name));
        let variables: Vec<_> = others.chain([(file.as_str(), "")]).collect();
        let text = with::<ServeConfig>(&[], &variables).err().unwrap().to_string();
        assert!(
            text.starts_with(&format!("{name} is given but empty (variable {file})")),
            "{text}"
        );
    }
}

#[test]
fn an_empty_app_id_shows_nobody_the_audit_of_every_app() {
    let refused = with::<AuditConfig>(&[], &[("INSTAGRAM_APP_ID", "")]).err().unwrap().to_string();
    assert!(refused.starts_with("INSTAGRAM_APP_ID is given but empty"), "{refused}");
}

#[test]
fn a_file_makes_up_for_an_empty_value() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, KEY).unwrap();
    let file = file.path().to_str().unwrap();
    assert!(serve(&[("TOKEN_KEYS", ""), ("TOKEN_KEYS_FILE", file)]).unwrap().token_keys.is_some());
}

#[test]
fn what_is_empty_and_can_be_done_without_counts_as_not_given() {
    let kept = setting::ALL.iter().filter(|setting| setting.empty == Empty::NotGiven);
    for Setting { name, default, .. } in kept.copied() {
        let harmless = [
            "DATABASE_PASSWORD",
            "HTTP_LISTEN",
            "PUBLIC_URL",
            "RETURN_URLS",
            "SANDBOX_CLOCK_URL",
            "WEBHOOK_FIELDS",
            "WEBHOOK_VERIFY_TOKEN",
        ];
        let is_harmless = harmless.contains(name);
        assert!(matches!(default, setting::Default::Value(_)) || is_harmless, "{name}");
        if let Err(refused) = serve(&[(name, "")]) {
            panic!("{refused}");
        }
    }
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
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let path = path.to_str().unwrap();
    let text = refused(&[("TOKEN_KEYS_FILE", path)]);
    assert!(text.contains(&format!("{path}, which is not readable (No such file")), "{text}");
    assert!(serve(&[("STATE_TTL_FILE", "/nonexistent")]).is_ok());
}

/// A likely slip: the variable for the file, with the secret.
#[rstest]
#[case("DATABASE_PASSWORD_FILE", "planted")]
#[case("DATABASE_PASSWORD_FILE", "/planted/word+w==")]
#[case("INSTAGRAM_APP_SECRET_FILE", "planted-0123456789abcdef0123456789abcdef")]
#[case("TOKEN_KEYS_FILE", "planted:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")]
#[case("INSTAGRAM_PROXY_URL_FILE", "http://user:planted@proxy.internal:3128")]
#[case("CALLERS_FILE", "igacc_planted0123456789abcdef0123456789abcdef")]
#[case("GRPC_TLS_KEY", "-----BEGIN PRIVATE KEY-----\nplanted0123456789abcdef0123456789abcdef")]
#[tokio::test]
async fn a_secret_in_place_of_a_path_is_not_shown(#[case] name: &str, #[case] secret: &str) {
    let rest = REQUIRED.into_iter().filter(|(required, _)| !name.starts_with(required));
    let certificate = (name == "GRPC_TLS_KEY")
        .then_some(("GRPC_TLS_CERT", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")));
    let variables: Vec<_> = rest.chain(certificate).chain([(name, secret)]).collect();
    let flags = CommandLine::<ServeConfig>::try_parse_from(["program"]).unwrap().flags;
    let variables = environment(&variables);
    let invalid = match flags.read(&variables) {
        Err(invalid) => invalid,
        Ok(Settings { config, .. }) => {
            let tls = FollowedTls::start(config.tls).await.map_err(InvalidSettings::from);
            let clock = Arc::new(SystemClock);
            let callers = AdmittedCallers::read(config.callers_file.as_deref(), clock);
            tls.err().or(callers.err()).unwrap()
        }
    };
    let text = flags.located_settings(invalid, &variables).to_string();
    assert!(text.contains("leads nowhere, not shown") && !text.contains("planted"), "{text}");
}

#[test]
fn what_the_command_line_refuses_shows_no_secret() {
    for wrong in [
        &["--instagram-app-secret=planted", "--instagram-app-secret=planted"][..],
        &["--instagram-app-secrets=planted"],
        &["--token-keys", "planted", "--token-key=planted"],
    ] {
        let refused = CommandLine::<ServeConfig>::try_parse_from(["program"].iter().chain(wrong));
        let text = refused.err().unwrap().to_string();
        assert!(!text.contains("planted"), "{text}");
    }
}
