use std::time::Duration;

use ig_domain::BearerToken;
use ig_domain::ports::Authorization;
use ig_test_support::FakeClock;
use ig_test_support::builders::START;

use super::super::Stanza;
use super::*;

fn stanza(name: &str) -> String {
    let token: BearerToken = name.parse().unwrap();
    let stanza = Stanza {
        name: name.to_owned(),
        roles: vec!["read".to_owned()],
        owners: vec!["*".to_owned()],
        ..Stanza::default()
    };
    stanza.with_token(&token.hash()).to_toml().unwrap()
}

fn file(path: PathBuf) -> CallersFile {
    CallersFile::new(path, Arc::new(FakeClock::at(START)))
}

/// Whether a caller's token, which is its name, is good.
fn knows(callers: &CallersFile, name: &str) -> bool {
    let token: BearerToken = name.parse().unwrap();
    let authorization = Authorization::Bearer(&token);
    callers.authenticate(Credentials { authorization, certificate_names: &[] }).is_ok()
}

#[test]
fn only_the_callers_of_the_last_right_text_are_known() {
    let callers = file(PathBuf::new());
    assert!(!knows(&callers, "a"));
    callers.apply(&stanza("a")).unwrap();
    assert!(knows(&callers, "a"));
    let broken = callers.apply("[[caller]]\nname = ").unwrap_err();
    assert!(matches!(broken, CallersFileError::Invalid(_)), "{broken}");
    assert!(knows(&callers, "a"));
    callers.apply(&stanza("b")).unwrap();
    assert!(!knows(&callers, "a") && knows(&callers, "b"));
    assert_eq!(callers.count(), 1);
}

#[test]
fn what_is_no_readable_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = |path: PathBuf| file(path).read().unwrap_err();
    assert_eq!(refusal(folder.path().to_owned()), CallersFileError::NotAFile);
    let missing = CallersFileError::Unreadable(io::ErrorKind::NotFound);
    assert_eq!(refusal(folder.path().join("missing")), missing);
    let path = folder.path().join("file");
    fs::write(&path, [b'a', 0xff]).unwrap();
    assert_eq!(refusal(path.clone()), CallersFileError::NotText);
    fs::write(&path, vec![b'#'; 1024 * 1024 + 1]).unwrap();
    assert_eq!(refusal(path), CallersFileError::TooLarge);
}

#[test]
fn a_swapped_link_is_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    let [link, other] = ["link", "other"].map(|name| folder.path().join(name));
    fs::write(&link, "").unwrap();
    let callers = file(link.clone());
    assert_eq!(callers.read().unwrap(), "");
    fs::write(&other, "# other").unwrap();
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&other, &link).unwrap();
    assert_eq!(callers.read().unwrap(), "# other");
}

#[test]
fn the_next_caller_that_expires_is_known() {
    let clock = FakeClock::at(START);
    let callers = CallersFile::new(PathBuf::new(), Arc::new(clock.clone()));
    let expiring = |name: &str, time: &str| format!("{}expire_time = {time}\n", stanza(name));
    let (first, second) = ("2026-11-25T08:00:00Z", "2026-11-26T08:00:00Z");
    let all = [stanza("a"), expiring("b", second), expiring("c", first)].concat();
    callers.apply(&all).unwrap();
    let day = Duration::from_hours(24);
    assert_eq!(callers.next_expire_time(), Some(START + day));
    clock.advance(day);
    assert_eq!(callers.next_expire_time(), Some(START + 2 * day), "that one has expired");
    clock.advance(day);
    assert_eq!(callers.next_expire_time(), None);
}
