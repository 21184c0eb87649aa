use std::os::unix::fs::PermissionsExt as _;

use ig_domain::BearerToken;
use rstest::rstest;
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

/// Number of files in the folder beside the file itself.
fn litter(folder: &TempDir) -> usize {
    fs::read_dir(folder.path()).unwrap().count() - 1
}

#[test]
fn a_caller_is_added_behind_what_is_there() {
    let (folder, path) = folder_with(OWN);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let edit = Edit::of_caller(&path, &stanza("new")).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), OWN, "not before the commit");
    edit.commit().unwrap();
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
    let refused = Edit::of_caller(&path, &stanza("new")).unwrap_err();
    assert!(matches!(refused, EditError::Unusable(_)), "{refused:?}");
    assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
    assert_eq!(litter(&folder), 0);
}

#[test]
fn the_first_caller_makes_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("callers.toml");
    Edit::of_caller(&path, &stanza("new")).unwrap().commit().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), stanza("new").to_toml().unwrap());
}

#[test]
fn a_token_is_added_beside_the_old_one_and_nothing_else_changes() {
    let (_folder, path) = folder_with(OWN);
    Edit::of_token(&path, "old", &hash("new")).unwrap().commit().unwrap();
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
    Edit::of_caller(&link, &stanza("new")).unwrap().commit().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&path).unwrap().contains("name = \"new\""));
}

#[test]
fn what_cannot_be_added_leaves_the_file_as_it_was() {
    let (folder, path) = folder_with(OWN);
    let refused = |edit: Result<Edit, EditError>| edit.unwrap_err();
    assert!(matches!(refused(Edit::of_caller(&path, &stanza("old"))), EditError::Exists));
    let wrong = Stanza { roles: vec!["publish".to_owned()], ..stanza("new") };
    assert!(matches!(refused(Edit::of_caller(&path, &wrong)), EditError::Invalid(_)));
    let unknown = Edit::of_token(&path, "new", &hash("new"));
    assert!(matches!(refused(unknown), EditError::Missing));
    let dropped = Edit::of_caller(&path, &stanza("new")).unwrap();
    let second = Edit::of_caller(&path, &stanza("second"));
    assert!(matches!(refused(second), EditError::Busy(_)));
    drop(dropped);
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), litter(&folder)), (OWN, 0));
    fs::write(&path, "[[caller]]\n").unwrap();
    let broken = Edit::of_caller(&path, &stanza("new"));
    assert!(matches!(refused(broken), EditError::Unusable(_)));
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), litter(&folder)), ("[[caller]]\n", 0));
}

const A: &str = "[[caller]]\nname = 'a'\nroles = ['read']\nowners = ['*'] # all\n";
const B: &str = "  [[caller]] # [[caller]]\n  owners = [\n    'b/*',   # [[caller]]\n  ]\n  roles = ['read']\n  name = \"b\"";
const C: &str = "[[caller]]\nroles = ['admin']\nname = 'c'\nowners = ['*']\n";

#[rstest]
#[case::the_first("a", format!("# Ours.\n{A}\n# Theirs.\n{C}"), format!("# Ours.\n# Theirs.\n{C}"))]
#[case::the_middle("b", format!("{A}\n{B} # end\n\n \n# Of c.\n{C}"), format!("{A}\n# Of c.\n{C}"))]
#[case::the_last("c", format!("{A}\n{C}"), A.to_owned())]
#[case::the_last_before_a_comment("c", format!("{A}\n{C}# The end.\n"), format!("{A}\n# The end.\n"))]
#[case::the_last_without_a_break("b", format!("{A}\n{B}"), A.to_owned())]
#[case::windows_breaks("a", format!("{A}\n{C}").replace('\n', "\r\n"), C.replace('\n', "\r\n"))]
#[case::the_only_one("a", A.to_owned(), String::new())]
fn a_caller_is_taken_out_and_nothing_else_changes(
    #[case] name: &str,
    #[case] text: String,
    #[case] expected: String,
) {
    let (folder, path) = folder_with(&text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    Edit::without_caller(&path, name).unwrap().commit().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    assert_eq!((fs::metadata(&path).unwrap().mode() & 0o777, litter(&folder)), (0o640, 0));
    Table::parse(&expected).unwrap();
}

#[test]
fn what_was_added_and_taken_out_again_leaves_no_trace() {
    for text in [A.to_owned(), format!("{A}\n{C}"), String::new()] {
        let (_folder, path) = folder_with(&text);
        Edit::of_caller(&path, &stanza("new")).unwrap().commit().unwrap();
        Edit::without_caller(&path, "new").unwrap().commit().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn who_cannot_be_taken_out_is_told_and_the_file_stays() {
    let list = "caller = [{ name = 'a', roles = ['read'], owners = ['*'] }]\n";
    let (folder, path) = folder_with(list);
    assert!(matches!(Edit::without_caller(&path, "b").unwrap_err(), EditError::Unknown));
    assert!(matches!(Edit::without_caller(&path, "a").unwrap_err(), EditError::InOneList));
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), litter(&folder)), (list, 0));
}
