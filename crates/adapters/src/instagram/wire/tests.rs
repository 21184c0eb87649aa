//! Every shape of Instagram's answers, and what no answer may do to us.

use ig_domain::Scope;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::instagram::lenient;

/// Beyond 2^53: a double would change its last digit.
const EXACT: &str = "26100000000012345";

fn names(granted: &GrantedScopes) -> Option<Vec<&str>> {
    granted.are_known().then(|| granted.iter().map(Scope::as_str).collect())
}

#[rstest]
#[case::documented(
    r#"{"data":[{"access_token":"IGAA1","user_id":"26100000000012345",
        "permissions":"instagram_business_basic,instagram_business_manage_messages"}]}"#,
    Some(vec!["instagram_business_basic", "instagram_business_manage_messages"])
)]
#[case::wrapped_with_number_and_list(
    r#"{"data":[{"access_token":"IGAA1","user_id":26100000000012345,
        "permissions":["instagram_business_basic"]}]}"#,
    Some(vec!["instagram_business_basic"])
)]
#[case::flat(
    r#"{"access_token":"IGAA1","user_id":26100000000012345,"permissions":["instagram_business_basic"]}"#,
    Some(vec!["instagram_business_basic"])
)]
#[case::old(r#"{"access_token":"IGAA1","user_id":26100000000012345}"#, None)]
#[case::url_encoded(
    r#"{"access_token":"IGAA1","user_id":"26100000000012345",
        "permissions":"instagram_business_basic%2Cinstagram_business_manage_messages"}"#,
    Some(vec!["instagram_business_basic", "instagram_business_manage_messages"])
)]
#[case::nothing_granted(r#"{"access_token":"IGAA1","user_id":26100000000012345,"permissions":[]}"#, Some(vec![]))]
#[case::null_permissions(
    r#"{"access_token":"IGAA1","user_id":26100000000012345,"permissions":null}"#,
    None
)]
#[case::unknown_fields(
    r#"{"access_token":"IGAA1","user_id":26100000000012345,"token_type":"bearer","x":{}}"#,
    None
)]
fn every_shape_of_a_code_answer_is_read(#[case] body: &str, #[case] granted: Option<Vec<&str>>) {
    let answer = CodeAnswer::read(serde_json::from_str(body).unwrap()).unwrap();
    assert_eq!(answer.token.text().expose(), "IGAA1");
    assert_eq!(answer.user_id.unwrap().as_str(), EXACT);
    assert_eq!(names(&answer.granted_scopes), granted);
}

#[rstest]
#[case::no_token(json!({"user_id": 1}))]
#[case::empty_token(json!({"access_token": "", "user_id": 1}))]
#[case::null_token(json!({"access_token": null, "user_id": 1}))]
#[case::token_with_a_line_break(json!({"access_token": "IG\nAA", "user_id": 1}))]
#[case::empty_data(json!({"data": []}))]
#[case::data_without_an_object(json!({"data": ["IGAA1"]}))]
#[case::list(json!(["IGAA1", 1]))]
#[case::text(json!("IGAA1"))]
fn a_code_answer_without_a_token_is_unreadable(#[case] body: Value) {
    let error = CodeAnswer::read(body).unwrap_err();
    assert_eq!(error, InstagramErrorKind::Unreadable.into());
}

#[rstest]
#[case::absent(json!({"access_token": "IGAA1"}))]
#[case::beyond_64_bits(serde_json::from_str(r#"{"access_token":"IGAA1","user_id":36893488147419103232}"#).unwrap())]
#[case::exponent(serde_json::from_str(r#"{"access_token":"IGAA1","user_id":2.61e16}"#).unwrap())]
#[case::negative(json!({"access_token": "IGAA1", "user_id": -1}))]
#[case::words(json!({"access_token": "IGAA1", "user_id": "me"}))]
fn an_id_that_cannot_be_exact_is_none_and_the_token_is_kept(#[case] body: Value) {
    let answer = CodeAnswer::read(body).unwrap();
    assert_eq!(answer.user_id, None);
}

#[rstest]
#[case::number(json!({"access_token": "IGAA2", "token_type": "bearer", "expires_in": 5_183_944}))]
#[case::text(json!({"access_token": "IGAA2", "expires_in": "5183944"}))]
#[case::wrapped(json!({"data": [{"access_token": "IGAA2", "expires_in": 5_183_944}]}))]
fn a_long_lived_token_brings_its_lifetime(#[case] body: Value) {
    let (token, lifetime) = LongLivedAnswer::read(body).unwrap();
    assert_eq!(token.text().expose(), "IGAA2");
    assert_eq!(lifetime.as_duration().as_secs(), 5_183_944);
}

#[rstest]
#[case::no_token(json!({"expires_in": 5_183_944}))]
#[case::empty_token(json!({"access_token": "", "expires_in": 5_183_944}))]
#[case::no_lifetime(json!({"access_token": "IGAA2"}))]
#[case::zero(json!({"access_token": "IGAA2", "expires_in": 0}))]
#[case::negative(json!({"access_token": "IGAA2", "expires_in": -1}))]
#[case::fraction(json!({"access_token": "IGAA2", "expires_in": 1.5}))]
#[case::absurd(json!({"access_token": "IGAA2", "expires_in": u64::MAX}))]
#[case::words(json!({"access_token": "IGAA2", "expires_in": "soon"}))]
fn a_lifetime_is_never_assumed(#[case] body: Value) {
    let error = LongLivedAnswer::read(body).unwrap_err();
    assert_eq!(error, InstagramErrorKind::Unreadable.into());
}

fn whole_profile() -> Value {
    json!({
        "id": "26100000000012345", "user_id": "17841400000000001", "username": "cafe.luna",
        "name": "Café Luna", "account_type": "BUSINESS",
        "profile_picture_url": "https://cdn.example.com/p.jpg?x=1",
        "followers_count": 120, "follows_count": 0, "media_count": 7,
    })
}

fn changed(name: &str, value: Value) -> Value {
    let mut body = whole_profile();
    body[name] = value;
    body
}

#[rstest]
#[case::flat(whole_profile())]
#[case::documented(json!({"data": [whole_profile()]}))]
#[case::id_as_number(changed("id", json!(26_100_000_000_012_345_u64)))]
#[case::user_id_as_number(changed("user_id", json!(17_841_400_000_000_001_u64)))]
fn every_shape_of_a_profile_is_read(#[case] body: Value) {
    let profile = ProfileAnswer::read(body).unwrap();
    assert_eq!(profile.professional_account_id.as_str(), "17841400000000001");
    assert_eq!(profile.app_scoped_user_id.unwrap().as_str(), EXACT);
    assert_eq!(profile.username.as_str(), "cafe.luna");
    assert_eq!(profile.name.as_deref(), Some("Café Luna"));
    assert_eq!(profile.account_type, AccountType::Business);
    assert_eq!(profile.profile_picture_url.as_deref(), Some("https://cdn.example.com/p.jpg?x=1"));
    let counts = (profile.followers_count, profile.follows_count, profile.media_count);
    assert_eq!(counts, (Some(120), Some(0), Some(7)));
}

#[test]
fn a_profile_needs_no_more_than_user_id_and_username() {
    let profile = ProfileAnswer::read(json!({"user_id": "1", "username": "a"})).unwrap();
    assert_eq!((profile.app_scoped_user_id, profile.name), (None, None));
    assert_eq!((profile.profile_picture_url, profile.followers_count), (None, None));
    assert_eq!(profile.account_type, AccountType::Unknown);
}

#[rstest]
#[case::no_user_id(json!({"id": "26100000000012345", "username": "cafe.luna"}))]
#[case::null_user_id(changed("user_id", json!(null)))]
#[case::empty_user_id(changed("user_id", json!("")))]
#[case::inexact_user_id(changed("user_id", json!(1.784e16)))]
#[case::no_username(changed("username", json!(null)))]
#[case::impossible_username(changed("username", json!("a b")))]
fn a_profile_without_user_id_or_username_is_unreadable(#[case] body: Value) {
    let error = ProfileAnswer::read(body).unwrap_err();
    assert_eq!(error, InstagramErrorKind::Unreadable.into());
}

#[rstest]
#[case("BUSINESS", AccountType::Business)]
#[case("Business", AccountType::Business)]
#[case("MEDIA_CREATOR", AccountType::Creator)]
#[case("Media_Creator", AccountType::Creator)]
#[case("CREATOR", AccountType::Creator)]
#[case("PERSONAL", AccountType::Personal)]
#[case("personal", AccountType::Personal)]
#[case("SOMETHING_NEW", AccountType::Unknown)]
#[case("", AccountType::Unknown)]
fn account_types_are_compared_without_case(#[case] raw: &str, #[case] expected: AccountType) {
    let profile = ProfileAnswer::read(changed("account_type", json!(raw))).unwrap();
    assert_eq!(profile.account_type, expected);
}

#[rstest]
#[case::control_characters(changed("name", json!("Ca\u{0}f\né")), Some("Café"))]
#[case::nothing_left(changed("name", json!("\n")), None)]
#[case::number(changed("name", json!(7)), None)]
fn a_name_is_cleaned_and_never_fails(#[case] body: Value, #[case] expected: Option<&str>) {
    assert_eq!(ProfileAnswer::read(body).unwrap().name.as_deref(), expected);
}

#[rstest]
#[case::script(json!("javascript:alert(1)"))]
#[case::blank(json!("https://cdn.example.com/a b"))]
#[case::too_long(json!(format!("https://cdn.example.com/{}", "a".repeat(4_096))))]
#[case::number(json!(7))]
fn a_picture_that_cannot_be_a_link_is_left_out(#[case] value: Value) {
    let profile = ProfileAnswer::read(changed("profile_picture_url", value)).unwrap();
    assert_eq!(profile.profile_picture_url, None);
}

#[rstest]
#[case::negative(json!(-1))]
#[case::fraction(json!(1.5))]
#[case::words(json!("many"))]
#[case::beyond_64_bits(json!(u64::MAX))]
fn a_count_that_is_none_is_left_out(#[case] value: Value) {
    let profile = ProfileAnswer::read(changed("followers_count", value)).unwrap();
    assert_eq!((profile.followers_count, profile.media_count), (None, Some(7)));
}

/// Any JSON at all, with our field names more often than chance would have it.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let name = prop_oneof![
            "data|access_token|user_id|permissions|expires_in|id|username|name|account_type",
            ".{0,8}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(name, inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_answer_breaks_a_reader(body in any_json()) {
        let code = CodeAnswer::read(body.clone());
        prop_assert!(code.map_or(true, |code| code.granted_scopes.iter().count() <= MAX_SCOPES));
        let profile = ProfileAnswer::read(body.clone()).ok();
        let name = profile.and_then(|profile| profile.name).unwrap_or_default();
        prop_assert!(name.chars().count() <= MAX_NAME_LENGTH);
        let lived = LongLivedAnswer::read(body);
        prop_assert!(lived.map_or(true, |(_, lifetime)| lifetime.as_duration().as_secs() > 0));
    }

    #[test]
    fn no_digit_of_an_id_is_lost(id in any::<u64>()) {
        let number = format!(r#"{{"user_id":{id},"id":{id},"username":"a"}}"#);
        let text = format!(r#"{{"user_id":"{id}","id":"{id}","username":"a"}}"#);
        for body in [number, text] {
            let profile = ProfileAnswer::read(serde_json::from_str(&body).unwrap()).unwrap();
            let app_scoped = profile.app_scoped_user_id.unwrap();
            prop_assert_eq!(profile.professional_account_id.as_str(), id.to_string());
            prop_assert_eq!(app_scoped.as_str(), id.to_string());
        }
    }

    #[test]
    fn no_token_and_no_permission_is_made_of_a_broken_text(
        text in prop::collection::vec(any::<u8>().prop_filter("ends the text", |byte| *byte != b'"'), 1..40),
    ) {
        let text = [&text, b"a".as_slice()].concat();
        let body = [
            br#"{"access_token":""#, text.as_slice(), br#"","user_id":""#, &text,
            br#"","permissions":[""#, &text, br#""]}"#,
        ];
        let body = body.concat();
        let strict: Option<Value> = serde_json::from_slice(&body).ok();
        match (CodeAnswer::read(lenient::parse(&body).unwrap()), strict.map(CodeAnswer::read)) {
            (Ok(found), Some(Ok(expected))) => {
                prop_assert_eq!(found.token.text().expose(), expected.token.text().expose());
                prop_assert_eq!(found.user_id, expected.user_id);
                prop_assert_eq!(found.granted_scopes, expected.granted_scopes);
            }
            (found, expected) => prop_assert!(found.is_err() && expected.is_none_or(|read| read.is_err())),
        }
    }

    #[test]
    fn permissions_are_bounded_and_valid(raw in "[a-z_, %2C+A-Z]{0,2000}") {
        let granted = granted(&json!(raw));
        prop_assert!(granted.iter().count() <= MAX_SCOPES);
        let parses = |scope: &Scope| scope.as_str().parse::<Scope>().is_ok();
        prop_assert!(granted.iter().all(parses));
    }

    #[test]
    fn a_picture_url_is_whole_or_nothing(raw in "(https?://)?.{0,60}") {
        prop_assert!(picture_url(&raw).is_none_or(|url| url == raw));
    }
}
