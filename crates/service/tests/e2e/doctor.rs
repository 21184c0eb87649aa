//! Findings of `doctor`.

mod cases;
mod pitfalls;

use std::process::{Command, Output};

use rstest::rstest;

use crate::support::sandbox::BAKERY;
use crate::support::{On, Place, Sandbox};

const FORMER: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEWER: &str = "k2:Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";
const OTHER_BYTES: &str = "k1:Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

/// Exit code and output of the doctor.
fn doctor(mut command: Command) -> (Option<i32>, String) {
    let Output { status, stdout, .. } = command.arg("doctor").output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap())
}

/// A role that every server has, and that may read everything.
const READER: (&str, &str) = ("options[role]", "pg_read_all_data");

#[tokio::test]
async fn what_postgres_lacks_or_does_not_let_it_do_is_told_with_the_remedy() {
    let (place, sandbox) = (Place::new(On::Postgres).await, Sandbox::start().await);
    let examine = |option: Option<(&str, &str)>| {
        let mut url = place.schema_url().unwrap();
        if let Some((name, value)) = option {
            url.query_pairs_mut().append_pair(name, value);
        }
        let mut command = place.settings(&sandbox);
        command.env("DATABASE_URL", url.as_str());
        doctor(command)
    };
    let (code, told) = examine(None);
    assert!(told.starts_with("DATABASE_URL (error) names a database that lacks "), "{told}");
    assert!(told.contains(" migrations, first m2026"), "{told}");
    assert!(told.contains(": run `instagram-accounts migrate`"), "{told}");
    assert_eq!((told.lines().count(), code), (1, Some(1)), "{told}");
    assert!(place.settings(&sandbox).arg("migrate").output().unwrap().status.success());
    let unchecked = "INSTAGRAM_APP_SECRET (warning) was not checked, for want of a living token";
    let (code, told) = examine(None);
    assert!(told.starts_with(unchecked), "{told}");
    assert_eq!((told.lines().count(), code), (1, Some(0)), "{told}");

    let unwritable = "DATABASE_URL (error) names a database that cannot be written: ";
    let (code, told) = examine(Some(("options[default_transaction_read_only]", "on")));
    assert!(told.starts_with(&format!("{unwritable}sessions may only read; name the")), "{told}");
    assert_eq!((told.lines().count(), code), (1, Some(1)), "{told}");
    let (code, told) = examine(Some(READER));
    let lacks = "the role lacks DELETE on account_event, INSERT on account_event, UPDATE on accou";
    assert!(told.starts_with(&format!("{unwritable}{lacks}")), "{told}");
    assert!(told.contains("let the tables' owner grant it, such as GRANT INSERT ON"), "{told}");
    assert_eq!((told.lines().count(), code), (1, Some(1)), "{told}");
}

#[rstest]
#[tokio::test]
async fn keys_that_are_missing_or_others_are_told(#[values(On::Sqlite, On::Postgres)] on: On) {
    let (place, sandbox) = (Place::new(on).await, Sandbox::start().await);
    let service = place.serve(&sandbox, &[("TOKEN_KEYS", FORMER)]).await;
    service.linked(&sandbox, "", BAKERY).await;
    let examine = |keys: &str| {
        let mut command = place.settings(&sandbox);
        command.env("TOKEN_KEYS", keys);
        doctor(command)
    };
    let (code, told) = examine(NEWER);
    let expected = "TOKEN_KEYS (warning) lacks keys that stored tokens are sealed under (k1), ";
    assert!(told.starts_with(expected), "{told}");
    assert!(told.contains("put them behind the first one\nINSTAGRAM_APP_SECRET (warning) was not"));
    assert_eq!((told.lines().count(), code), (2, Some(0)), "{told}");
    assert_eq!(examine(&format!("{NEWER},{FORMER}")), (Some(0), String::new()));

    let (code, told) = examine(OTHER_BYTES);
    assert!(
        told.starts_with("TOKEN_KEYS (error) cannot be used: the sealing key \"k1\""),
        "{told}"
    );
    assert!(told.contains("put the former key back"), "{told}");
    assert_eq!((told.lines().count(), code), (1, Some(1)), "{told}");
}
