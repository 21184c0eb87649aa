//! Accounts that may be put, and the replacement of one that is there already.

use rstest::rstest;

use super::*;

fn accounts() -> (Accounts, Seed) {
    let mut seed = Seed::new(1);
    (Accounts::seeded(&mut seed), seed)
}

fn put(accounts: &mut Accounts, seed: &mut Seed, json: &str) -> Result<AccountIndex, String> {
    accounts.put(serde_json::from_str(json).unwrap(), seed)
}

fn put_all(
    accounts: &mut Accounts,
    seed: &mut Seed,
    json: &str,
) -> Result<Vec<AccountIndex>, String> {
    accounts.put_all(serde_json::from_str(json).unwrap(), seed)
}

fn list(accounts: &Accounts) -> &[Account] {
    accounts.page(0, usize::MAX)
}

#[test]
fn the_seeded_accounts_are_of_every_kind() {
    let (accounts, _) = accounts();
    let types: Vec<_> = list(&accounts).iter().map(|account| account.kind.as_str()).collect();
    assert_eq!(types, ["BUSINESS", "MEDIA_CREATOR", "PERSONAL", "BUSINESS"]);
    let (_, plain) = accounts.find("plain_shop").unwrap();
    assert_eq!((&plain.name, &plain.profile_picture_url), (&None, &None));
}

#[test]
fn replacing_by_username_keeps_the_ids_that_are_not_given() {
    let (mut accounts, mut seed) = accounts();
    let before = accounts.find("mira.paints").map(|(key, account)| (key, account.clone())).unwrap();
    put(&mut accounts, &mut seed, r#"{"username":"mira.paints","media_count":5}"#).unwrap();
    let (key, after) = accounts.find("mira.paints").unwrap();
    assert_eq!((key, &after.user_id, &after.id), (before.0, &before.1.user_id, &before.1.id));
    assert_eq!((after.media_count, after.name.as_deref()), (5, None));
    assert_eq!(list(&accounts).len(), 4);
}

#[test]
fn a_known_user_id_under_a_new_username_is_a_rename() {
    let (mut accounts, mut seed) = accounts();
    let (key, user_id) =
        accounts.find("mira.paints").map(|(key, account)| (key, account.user_id.clone())).unwrap();
    let json = format!(r#"{{"username":"mira.draws","user_id":"{user_id}"}}"#);
    put(&mut accounts, &mut seed, &json).unwrap();
    assert_eq!(accounts.find("mira.draws").unwrap().0, key);
    assert!(accounts.find("mira.paints").is_none());
    put(&mut accounts, &mut seed, r#"{"username":"mira.paints"}"#).unwrap();
    assert_ne!(accounts.find("mira.paints").unwrap().0, key);
}

#[test]
fn a_new_account_gets_ids_of_its_own() {
    let (mut accounts, mut seed) = accounts();
    put(&mut accounts, &mut seed, r#"{"username":"fresh"}"#).unwrap();
    let (_, fresh) = accounts.find("FRESH").unwrap();
    assert!(fresh.user_id.starts_with("17841"));
    assert!(list(&accounts).iter().filter(|account| account.id == fresh.id).count() == 1);
}

#[rstest]
#[case::username(r#"{"username":"no spaces"}"#, "`username`")]
#[case::user_id(r#"{"username":"a","user_id":"12x"}"#, "`user_id`")]
#[case::leading_zero(r#"{"username":"a","id":"012"}"#, "`id`")]
#[case::beyond_64_bits(r#"{"username":"a","id":"18446744073709551616"}"#, "`id`")]
#[case::account_type(r#"{"username":"a","account_type":""}"#, "`account_type`")]
fn malformed_fields_are_named(#[case] json: &str, #[case] field: &str) {
    let (mut accounts, mut seed) = accounts();
    assert!(put(&mut accounts, &mut seed, json).unwrap_err().contains(field));
    assert_eq!(list(&accounts).len(), 4);
}

#[test]
fn ids_of_another_account_are_refused() {
    let (mut accounts, mut seed) = accounts();
    let (_, bakery) = accounts.find("harbour.bakery").unwrap();
    let (user_id, id) = (bakery.user_id.clone(), bakery.id.clone());
    for (field, value) in [("user_id", user_id), ("id", id)] {
        let json = format!(r#"{{"username":"mira.paints","{field}":"{value}"}}"#);
        assert!(put(&mut accounts, &mut seed, &json).unwrap_err().contains(field));
    }
}

#[test]
fn a_page_holds_what_comes_behind_those_before_it() {
    let (accounts, _) = accounts();
    let page = |after, limit| {
        let page = accounts.page(after, limit).iter();
        page.map(|account| account.username.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(page(0, 2), ["harbour.bakery", "mira.paints"]);
    assert_eq!(page(2, 2), ["jonas_private", "plain_shop"]);
    assert_eq!(page(3, 2), ["plain_shop"]);
    assert!(page(4, 2).is_empty() && page(usize::MAX, 2).is_empty());
}

#[test]
fn a_list_is_put_as_a_whole() {
    let (mut accounts, mut seed) = accounts();
    let json =
        r#"[{"username":"one"},{"username":"plain_shop","media_count":9},{"username":"two"}]"#;
    let keys = put_all(&mut accounts, &mut seed, json).unwrap();
    let names: Vec<_> = keys.iter().map(|key| &accounts.get(*key).unwrap().username).collect();
    assert_eq!(names, ["one", "plain_shop", "two"]);
    assert_eq!((list(&accounts).len(), accounts.find("PLAIN_shop").unwrap().1.media_count), (6, 9));
}

#[test]
fn a_list_with_a_bad_account_changes_nothing() {
    let (mut accounts, mut seed) = accounts();
    let before = format!("{:?}", list(&accounts));
    let mira = accounts.find("mira.paints").unwrap().1.user_id.clone();
    let json = format!(
        r#"[{{"username":"one"}},{{"username":"mira.draws","user_id":"{mira}"}},
            {{"username":"mira.paints"}},{{"username":"no blanks"}}]"#
    );
    let refusal = put_all(&mut accounts, &mut seed, &json).unwrap_err();
    assert!(refusal.starts_with("account 4 of the list: `username`"), "{refusal}");
    assert_eq!(format!("{:?}", list(&accounts)), before);
    assert!(["one", "mira.draws"].into_iter().all(|name| accounts.find(name).is_none()));
    assert_eq!(accounts.find("mira.paints").unwrap().1.user_id, mira);
    put(&mut accounts, &mut seed, &format!(r#"{{"username":"mira.paints","user_id":"{mira}"}}"#))
        .unwrap();
}

#[test]
fn a_list_has_an_end() {
    let (mut accounts, mut seed) = accounts();
    let batch = |count| {
        let account = |number| format!(r#"{{"username":"user_{number}"}}"#);
        format!("[{}]", (0..count).map(account).collect::<Vec<_>>().join(","))
    };
    let refusal = put_all(&mut accounts, &mut seed, &batch(MAX_BATCH_SIZE + 1)).unwrap_err();
    assert!(refusal.contains("1000"), "{refusal}");
    assert_eq!(put_all(&mut accounts, &mut seed, &batch(MAX_BATCH_SIZE)).unwrap().len(), 1_000);
}

#[test]
fn a_made_up_id_is_nobody_elses() {
    let mut later = Seed::new(1);
    let (mut accounts, mut seed) = accounts();
    let next = Accounts::seeded(&mut later).count();
    let (user_id, id) = (later.professional_id().to_string(), later.app_scoped_id().to_string());
    let json = format!(r#"{{"username":"first","user_id":"{user_id}","id":"{id}"}}"#);
    put(&mut accounts, &mut seed, &json).unwrap();
    put(&mut accounts, &mut seed, r#"{"username":"second"}"#).unwrap();
    assert_eq!(accounts.count(), next + 2);
    let second = accounts.find("second").unwrap().1;
    assert!(second.user_id != user_id && second.id != id);
}
