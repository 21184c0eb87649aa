//! Promise of sealing: a token opens where it was sealed, and nowhere else.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proptest::prelude::*;
use rstest::rstest;
use secrecy::ExposeSecret;

use super::*;

fn context() -> SealContext {
    SealContext { table: "account_token", row: b"row 1".to_vec(), purpose: "long-lived token" }
}

fn item(id: &str, byte: u8) -> String {
    format!("{id}:{}", BASE64_STANDARD.encode([byte; KEY_BYTES]))
}

fn ring(items: &[String]) -> KeyRing {
    items.join(",").parse().unwrap()
}

#[test]
fn a_sealed_token_opens_in_its_own_context() {
    let ring = ring(&[item("k1", 1)]);
    let sealed = ring.seal(&context(), "IGAA-token").unwrap();
    assert_eq!(ring.open(&context(), &sealed).unwrap().expose_secret(), "IGAA-token");
    assert!(!sealed.windows(4).any(|window| window == b"IGAA"));
}

#[rstest]
#[case::another_table(SealContext { table: "link_attempt", ..context() })]
#[case::another_row(SealContext { row: b"row 2".to_vec(), ..context() })]
#[case::another_purpose(SealContext { purpose: "short-lived token", ..context() })]
#[case::the_same_bytes_cut_elsewhere(SealContext { table: "account_tokenrow 1", row: Vec::new(), ..context() })]
fn a_sealed_token_opens_nowhere_else(#[case] elsewhere: SealContext) {
    let ring = ring(&[item("k1", 1)]);
    let sealed = ring.seal(&context(), "IGAA-token").unwrap();
    assert!(matches!(ring.open(&elsewhere, &sealed), Err(SealError::Rejected)));
}

#[test]
fn the_first_key_seals_and_every_key_opens() {
    let former = ring(&[item("old", 1)]).seal(&context(), "former").unwrap();
    let both = ring(&[item("new", 2), item("old", 1)]);
    assert_eq!(both.open(&context(), &former).unwrap().expose_secret(), "former");
    let sealed = both.seal(&context(), "present").unwrap();
    assert_eq!(key_id(&sealed), Some("new"));
    let gone = ring(&[item("old", 1)]).open(&context(), &sealed);
    assert!(matches!(gone, Err(SealError::UnknownKey(id)) if id == "new"));
}

#[test]
fn another_key_of_the_same_id_does_not_open() {
    let sealed = ring(&[item("k1", 1)]).seal(&context(), "token").unwrap();
    assert!(matches!(ring(&[item("k1", 2)]).open(&context(), &sealed), Err(SealError::Rejected)));
}

#[test]
fn the_same_token_never_seals_to_the_same_bytes() {
    let ring = ring(&[item("k1", 1)]);
    assert_ne!(ring.seal(&context(), "token").unwrap(), ring.seal(&context(), "token").unwrap());
}

#[rstest]
#[case::nothing("", InvalidKeyRing::NoId(1))]
#[case::no_id(BASE64_STANDARD.encode([1; 32]), InvalidKeyRing::NoId(1))]
#[case::upper_case(item("K1", 1), InvalidKeyRing::Id(1))]
#[case::empty_id(item("", 1), InvalidKeyRing::Id(1))]
#[case::long_id(item(&"k".repeat(33), 1), InvalidKeyRing::Id(1))]
#[case::short_key(format!("k1:{}", BASE64_STANDARD.encode([1; 31])), InvalidKeyRing::Key(1))]
#[case::long_key(format!("k1:{}", BASE64_STANDARD.encode([1; 33])), InvalidKeyRing::Key(1))]
#[case::no_base64("k1:?".to_owned(), InvalidKeyRing::Key(1))]
#[case::a_comma_too_many(format!("{},", item("k1", 1)), InvalidKeyRing::NoId(2))]
#[case::one_id_twice([item("k1", 1), item("k1", 2)].join(","), InvalidKeyRing::Repeated(2))]
fn a_broken_key_ring_is_refused_by_position(
    #[case] raw: impl AsRef<str>,
    #[case] expected: InvalidKeyRing,
) {
    assert_eq!(raw.as_ref().parse::<KeyRing>().err(), Some(expected));
}

#[test]
fn debug_shows_ids_and_no_key() {
    assert_eq!(format!("{:?}", ring(&[item("new", 2), item("old", 1)])), r#"["new", "old"]"#);
}

proptest! {
    #[test]
    fn damaged_bytes_never_open_and_never_panic(
        secret in "[!-~]{1,200}",
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
        cut in any::<prop::sample::Index>(),
    ) {
        let ring = ring(&[item("k1", 1)]);
        let mut sealed = ring.seal(&context(), &secret).unwrap();
        prop_assert!(ring.open(&context(), &sealed[..cut.index(sealed.len())]).is_err());
        let at = at.index(sealed.len());
        sealed[at] ^= flip;
        prop_assert!(ring.open(&context(), &sealed).is_err());
    }

    #[test]
    fn reading_a_key_ring_never_panics(raw in ".{0,200}") {
        let _ = raw.parse::<KeyRing>();
    }
}

#[test]
fn a_key_file_is_made_once_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.db.keys");
    let sealed = KeyFile::load_or_create(&path, true).unwrap();
    assert!(sealed.is_new);
    let sealed = sealed.ring.seal(&context(), "token").unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let again = KeyFile::load_or_create(&path, false).unwrap();
    assert!(!again.is_new);
    assert_eq!(again.ring.open(&context(), &sealed).unwrap().expose_secret(), "token");
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 1, "no draft is left behind");
}

#[test]
fn every_made_key_has_an_id_of_its_own() {
    let make = || {
        let folder = tempfile::tempdir().unwrap();
        KeyFile::load_or_create(&folder.path().join("keys"), true).unwrap().ring.ids()
    };
    let (first, second) = (make(), make());
    assert!(first[0].starts_with("made-"), "{first:?}");
    assert_ne!(first, second);
}

#[rstest]
#[case::group(0o640)]
#[case::everybody(0o604)]
#[case::for_writing(0o620)]
fn a_key_file_that_others_can_get_at_is_refused_with_the_remedy(#[case] mode: u32) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.db.keys");
    KeyFile::load_or_create(&path, true).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    let refused = KeyFile::load_or_create(&path, true).unwrap_err();
    assert!(matches!(refused, KeyFileError::Exposed(_, refused) if refused == mode));
    let remedy = format!("`chmod 600 {}`", path.display());
    assert!(refused.to_string().ends_with(&remedy), "{refused}");
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    assert!(!KeyFile::load_or_create(&path, false).unwrap().is_new);
}

#[test]
fn starters_at_once_end_with_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.db.keys");
    let start = || KeyFile::load_or_create(&path, true).unwrap();
    let files: Vec<_> = std::thread::scope(|scope| {
        let starters: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        starters.into_iter().map(|starter| starter.join().unwrap()).collect()
    });
    assert_eq!(files.iter().filter(|file| file.is_new).count(), 1);
    let sealed = files[0].ring.seal(&context(), "token").unwrap();
    for file in &files {
        assert_eq!(file.ring.open(&context(), &sealed).unwrap().expose_secret(), "token");
    }
}

#[test]
fn no_key_is_made_where_something_is_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.db.keys");
    let refused = KeyFile::load_or_create(&path, false).unwrap_err();
    assert!(matches!(refused, KeyFileError::Missing(_)), "{refused}");
    assert!(!path.exists());
}

#[test]
fn a_damaged_key_file_is_refused_without_showing_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.db.keys");
    std::fs::write(&path, "k1:planted-secret").unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let refused = KeyFile::load_or_create(&path, true).unwrap_err();
    assert!(matches!(refused, KeyFileError::Malformed(_, InvalidKeyRing::Key(1))));
    assert!(!format!("{refused:?}").contains("planted"));
}

#[test]
fn a_folder_that_is_missing_is_an_error() {
    let refused = KeyFile::load_or_create(Path::new("/nonexistent/accounts.db.keys"), true);
    assert!(matches!(refused, Err(KeyFileError::Io(..))));
}

/// By it a database finds what is sealed under a key.
#[test]
fn what_is_sealed_under_a_key_lies_in_its_range_and_in_no_other() {
    let ids = ["k", "k1", "k10", "k2", "l", "-", "z"];
    for id in ids {
        let ring: KeyRing = KeyRing::new_entry(id).unwrap().expose_secret().parse().unwrap();
        let sealed = ring.seal(&context(), "token").unwrap();
        assert_eq!(key_id(&sealed), Some(id));
        assert_eq!(key_id(&sealed[..sealed.len().min(MAX_HEAD_BYTES)]), Some(id));
        let within = ids.into_iter().filter(|id| sealed_range(id).contains(&sealed));
        assert_eq!(within.collect::<Vec<_>>(), [id]);
    }
}
