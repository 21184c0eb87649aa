use ig_domain::BearerToken;
use ig_domain::ports::Authorization;
use ig_test_support::FakeClock;
use ig_test_support::builders::START;
use tempfile::TempDir;

use super::super::Stanza;
use super::*;

struct Setting {
    folder: TempDir,
    callers: CallersFile,
}

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

fn opened(text: &str) -> Setting {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("callers.toml");
    fs::write(&path, text).unwrap();
    let callers = CallersFile::open(path, Arc::new(FakeClock::at(START))).unwrap();
    Setting { folder, callers }
}

impl Setting {
    fn write(&self, text: &str) {
        fs::write(self.callers.path(), text).unwrap();
    }

    /// Whether a caller's token, which is its name, is good.
    fn knows(&self, name: &str) -> bool {
        let token: BearerToken = name.parse().unwrap();
        let credentials =
            Credentials { authorization: Authorization::Bearer(&token), certificate_names: &[] };
        self.callers.authenticate(credentials).is_ok()
    }
}

#[test]
fn a_change_counts_once_it_was_seen_twice() {
    let setting = opened(&stanza("a"));
    assert_eq!(setting.callers.look(), Ok(Look::Unsettled));
    assert_eq!(setting.callers.look(), Ok(Look::Known));
    // An editor empties the file first.
    setting.write("");
    assert_eq!(setting.callers.look(), Ok(Look::Unsettled));
    assert!(setting.knows("a"), "nobody is lost while the file is written");
    setting.write(&stanza("b"));
    assert_eq!(setting.callers.look(), Ok(Look::Unsettled));
    assert!(setting.knows("a") && !setting.knows("b"));
    assert_eq!(setting.callers.look(), Ok(Look::New));
    assert!(!setting.knows("a") && setting.knows("b"));
    assert_eq!((setting.callers.look(), setting.callers.count()), (Ok(Look::Known), 1));
}

#[test]
fn a_broken_file_leaves_the_callers_as_they_were() {
    let setting = opened(&stanza("a"));
    setting.write("[[caller]]\nname = ");
    setting.callers.look().unwrap();
    let broken = setting.callers.look().unwrap_err();
    assert!(matches!(broken, CallersFileError::Invalid(_)), "{broken}");
    fs::remove_file(setting.callers.path()).unwrap();
    setting.callers.look().unwrap();
    let gone = setting.callers.look().unwrap_err();
    assert_eq!(gone.to_string(), "it cannot be read (entity not found)");
    assert!(setting.knows("a"));
    setting.write(&stanza("a"));
    setting.callers.look().unwrap();
    assert_eq!(setting.callers.look(), Ok(Look::Known));
}

#[test]
fn what_is_no_readable_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(FakeClock::at(START));
    let refusal = |path: PathBuf| CallersFile::open(path, Arc::clone(&clock)).err().unwrap();
    assert_eq!(refusal(folder.path().to_owned()), CallersFileError::NotAFile);
    let missing = CallersFileError::Unreadable(io::ErrorKind::NotFound);
    assert_eq!(refusal(folder.path().join("missing")), missing);
    let file = folder.path().join("file");
    fs::write(&file, [b'a', 0xff]).unwrap();
    assert_eq!(refusal(file.clone()), CallersFileError::NotText);
    fs::write(&file, vec![b'#'; 1024 * 1024 + 1]).unwrap();
    assert_eq!(refusal(file), CallersFileError::TooLarge);
}

#[test]
fn a_swapped_link_is_a_change() {
    let setting = opened("");
    let other = setting.folder.path().join("other");
    fs::write(&other, stanza("b")).unwrap();
    fs::remove_file(setting.callers.path()).unwrap();
    std::os::unix::fs::symlink(&other, setting.callers.path()).unwrap();
    setting.callers.look().unwrap();
    assert_eq!(setting.callers.look(), Ok(Look::New));
    assert!(setting.knows("b"));
}
