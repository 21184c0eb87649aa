use std::os::unix::fs::PermissionsExt as _;

use ig_domain::BearerToken;
use tempfile::TempDir;

use super::*;

/// Somebody's own file, with comments and a format of its own.
const OWN: &str = "# Ours.\n[[caller]]\nname = 'old'   # the first\ntoken_sha256 = [ # one\n  '0000000000000000000000000000000000000000000000000000000000000001',\n]\nroles=['admin']\nowners=['*']";

fn stanza(name: &str) -> Stanza {
    let stanza = Stanza {
        name: name.to_owned(),
        roles: vec!["read".to_owned()],
        owners: vec!["shop/*".to_owned()],
        ..Stanza::default()
    };
    stanza.with_token(&hash(name))
}

fn hash(token: &str) -> BearerHash {
    token.parse::<BearerToken>().unwrap().hash()
}

fn folder_with(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("callers.toml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

/// What is in the folder beside the file itself.
fn litter(folder: &TempDir) -> usize {
    fs::read_dir(folder.path()).unwrap().count() - 1
}

#[test]
fn a_caller_is_added_behind_what_is_there() {
    let (folder, path) = folder_with(OWN);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let addition = Addition::of_caller(&path, &stanza("new")).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), OWN, "not before the commit");
    addition.commit().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, format!("{OWN}\n\n{}", stanza("new").to_toml().unwrap()));
    let table = Table::parse(&text).unwrap();
    assert!(table.has("old") && table.has("new"));
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
    assert_eq!(litter(&folder), 0);
}

#[test]
fn a_file_that_may_be_there_and_cannot_be_looked_at_is_not_taken_for_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("callers.toml");
    std::os::unix::fs::symlink(&path, &path).unwrap();
    let refused = Addition::of_caller(&path, &stanza("new")).unwrap_err();
    assert!(matches!(refused, AdditionError::Unusable(_)), "{refused:?}");
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
    assert_eq!(litter(&folder), 0);
}

#[test]
fn the_first_caller_makes_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("callers.toml");
    Addition::of_caller(&path, &stanza("new")).unwrap().commit().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), stanza("new").to_toml().unwrap());
}

#[test]
fn a_token_is_added_beside_the_old_one_and_nothing_else_changes() {
    let (_folder, path) = folder_with(OWN);
    Addition::of_token(&path, "old", &hash("new")).unwrap().commit().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let added = format!("[\"{}\", # one", hash("new").to_hex());
    assert_eq!(text, OWN.replace("[ # one", &added));
    Table::parse(&text).unwrap();
}

#[test]
fn a_link_stays_a_link() {
    let (folder, path) = folder_with(OWN);
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    Addition::of_caller(&link, &stanza("new")).unwrap().commit().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&path).unwrap().contains("name = \"new\""));
}

#[test]
fn what_cannot_be_added_leaves_the_file_as_it_was() {
    let (folder, path) = folder_with(OWN);
    let refused = |addition: Result<Addition, AdditionError>| addition.unwrap_err();
    assert!(matches!(refused(Addition::of_caller(&path, &stanza("old"))), AdditionError::Exists));
    let wrong = Stanza { roles: vec!["publish".to_owned()], ..stanza("new") };
    assert!(matches!(refused(Addition::of_caller(&path, &wrong)), AdditionError::Invalid(_)));
    let unknown = Addition::of_token(&path, "new", &hash("new"));
    assert!(matches!(refused(unknown), AdditionError::Missing));
    let dropped = Addition::of_caller(&path, &stanza("new")).unwrap();
    let second = Addition::of_caller(&path, &stanza("second"));
    assert!(matches!(refused(second), AdditionError::Busy(_)));
    drop(dropped);
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), litter(&folder)), (OWN, 0));
    fs::write(&path, "[[caller]]\n").unwrap();
    let broken = Addition::of_caller(&path, &stanza("new"));
    assert!(matches!(refused(broken), AdditionError::Unusable(_)));
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), litter(&folder)), ("[[caller]]\n", 0));
}
