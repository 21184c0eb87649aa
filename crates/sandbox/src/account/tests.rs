//! Accounts that may be put, and the replacement of one that is there already.

use rstest::rstest;

use super::*;

fn accounts() -> (Accounts, Seed) {
    let mut seed = Seed::new(1);
    (Accounts::seeded(&mut seed), seed)
}

fn put(accounts: &mut Accounts, seed: &mut Seed, json: &str) -> Result<(), String> {
    accounts.put(serde_json::from_str(json).unwrap(), seed)
}

#[test]
fn the_seeded_accounts_are_of_every_kind() {
    let (accounts, _) = accounts();
    let types: Vec<_> = accounts.list().iter().map(|account| account.kind.as_str()).collect();
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
    assert_eq!(accounts.list().len(), 4);
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
}

#[test]
fn a_new_account_gets_ids_of_its_own() {
    let (mut accounts, mut seed) = accounts();
    put(&mut accounts, &mut seed, r#"{"username":"fresh"}"#).unwrap();
    let (_, fresh) = accounts.find("FRESH").unwrap();
    assert!(fresh.user_id.starts_with("17841"));
    assert!(accounts.list().iter().filter(|account| account.id == fresh.id).count() == 1);
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
    assert_eq!(accounts.list().len(), 4);
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
