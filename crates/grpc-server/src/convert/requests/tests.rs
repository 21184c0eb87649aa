//! Parsing of the requests, and the fields that refusals name.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn fields(invalid: &InvalidRequest) -> Vec<&str> {
    invalid.violations.iter().map(|one| one.field.as_str()).collect()
}

fn valid() -> v1::BeginLinkRequest {
    v1::BeginLinkRequest {
        redirect_uri: "https://example.com/callback".to_owned(),
        ..v1::BeginLinkRequest::default()
    }
}

fn names(count: usize) -> Vec<String> {
    let letter = |index: usize| char::from(b'a' + u8::try_from(index % 26).unwrap());
    (0..count).map(|index| format!("scope_{}", letter(index))).collect()
}

#[test]
fn a_redirect_uri_is_enough_to_begin() {
    let command = begin_link(&valid()).unwrap();
    assert_eq!(
        command.link_return,
        LinkReturn::Caller("https://example.com/callback".parse().unwrap())
    );
    assert_eq!((command.scopes, command.account, command.force_reauth), (None, None, false));
}

#[test]
fn every_bad_field_of_begin_link_is_named() {
    let request = v1::BeginLinkRequest {
        owner: "\u{7}".to_owned(),
        redirect_uri: "/callback".to_owned(),
        scopes: vec!["instagram_business_basic".to_owned(), "Bad".to_owned(), String::new()],
        force_reauth: false,
        account_id: "7".to_owned(),
        session_binding: "x".repeat(257),
        return_url: "https://example.com/linked".to_owned(),
        ttl: Some(prost_types::Duration::default()),
    };
    let invalid = begin_link(&request).unwrap_err();
    let expected = [
        "owner",
        "redirect_uri",
        "return_url",
        "ttl",
        "scopes[1]",
        "scopes[2]",
        "account_id",
        "session_binding",
    ];
    assert_eq!(fields(&invalid), expected);
}

/// A request for hosted consent.
fn hosted(return_url: &str, ttl: Option<(i64, i32)>) -> v1::BeginLinkRequest {
    let ttl = ttl.map(|(seconds, nanos)| prost_types::Duration { seconds, nanos });
    let return_url = return_url.to_owned();
    v1::BeginLinkRequest { return_url, ttl, ..v1::BeginLinkRequest::default() }
}

#[test]
fn without_a_redirect_uri_consent_is_hosted() {
    let page = begin_link(&hosted("", None)).unwrap();
    assert_eq!(page.link_return, LinkReturn::Hosted { return_url: None, ttl: None });
    let url = "https://example.com/linked?tenant=7";
    let bound =
        v1::BeginLinkRequest { session_binding: "s".to_owned(), ..hosted(url, Some((1, 0))) };
    let expected = LinkReturn::Hosted {
        return_url: Some(url.parse().unwrap()),
        ttl: Some(Duration::from_secs(1)),
    };
    assert_eq!(begin_link(&bound).unwrap().link_return, expected);
    assert!(begin_link(&hosted(url, Some((7 * 24 * 60 * 60, 0)))).is_ok());
}

#[rstest]
#[case::no_time(Some((0, 999_999_999)), "", "", &["ttl"])]
#[case::negative(Some((-5, 0)), "", "", &["ttl"])]
#[case::more_than_a_week(Some((7 * 24 * 60 * 60, 1)), "", "", &["ttl"])]
#[case::no_calendar_holds_it(Some((i64::MAX, 0)), "", "", &["ttl"])]
#[case::a_session_of_nobody(None, "", "session", &["session_binding"])]
#[case::a_bad_url(None, "/linked", "session", &["return_url"])]
#[case::all_at_once(Some((0, 0)), "https://example.com/?code=1", "", &["return_url", "ttl"])]
fn bad_fields_of_hosted_consent_are_named(
    #[case] ttl: Option<(i64, i32)>,
    #[case] return_url: &str,
    #[case] session_binding: &str,
    #[case] expected: &[&str],
) {
    let session_binding = session_binding.to_owned();
    let request = v1::BeginLinkRequest { session_binding, ..hosted(return_url, ttl) };
    assert_eq!(fields(&begin_link(&request).unwrap_err()), expected);
}

#[rstest]
#[case::twenty_with_basic(19, true, true)]
#[case::twenty_and_basic(20, false, false)]
#[case::far_too_many(26, false, false)]
fn scopes_are_at_most_twenty(#[case] count: usize, #[case] basic: bool, #[case] fits: bool) {
    let mut scopes = names(count);
    scopes.extend(basic.then(|| "instagram_business_basic".to_owned()));
    let parsed = begin_link(&v1::BeginLinkRequest { scopes, ..valid() });
    match parsed {
        Ok(command) => assert!(fits && command.scopes.is_some()),
        Err(invalid) => assert_eq!((fits, fields(&invalid)), (false, vec!["scopes"])),
    }
}

#[rstest]
#[case::basic("business_basic", "instagram_business_basic")]
#[case::publish("business_content_publish", "instagram_business_content_publish")]
#[case::publish_in_early_pages("business_content_publishing", "instagram_business_content_publish")]
#[case::messages("business_manage_messages", "instagram_business_manage_messages")]
#[case::comments("business_manage_comments", "instagram_business_manage_comments")]
fn a_dead_scope_is_refused_and_its_present_name_is_told(#[case] old: &str, #[case] present: &str) {
    let scopes = vec!["instagram_business_basic".to_owned(), old.to_owned()];
    let invalid = begin_link(&v1::BeginLinkRequest { scopes, ..valid() }).unwrap_err();
    assert_eq!(fields(&invalid), ["scopes[1]"]);
    assert!(invalid.violations[0].description.ends_with(&format!("ask for {present}")));
}

#[test]
fn a_flood_of_bad_scopes_is_one_violation() {
    let scopes = vec![String::new(); 30_000];
    let invalid = begin_link(&v1::BeginLinkRequest { scopes, ..valid() }).unwrap_err();
    assert_eq!(fields(&invalid), ["scopes"]);
}

#[rstest]
#[case::no_key(None, "key")]
#[case::account_id(Some(Key::AccountId("7".to_owned())), "account_id")]
#[case::instagram_id(Some(Key::InstagramId("a".to_owned())), "instagram_id")]
#[case::long_instagram_id(Some(Key::InstagramId("1".repeat(21))), "instagram_id")]
#[case::username(Some(Key::Username("a b".to_owned())), "username")]
fn a_bad_key_is_named(#[case] key: Option<Key>, #[case] expected: &str) {
    let request = v1::GetRequest { key, owner: Some("\n".to_owned()) };
    assert_eq!(fields(&get(&request).unwrap_err()), [expected, "owner"]);
}

#[test]
fn a_pasted_username_is_mended() {
    let request = v1::GetRequest { key: Some(Key::Username("@Cafe.Luna".to_owned())), owner: None };
    let expected = AccountKey::Username("cafe.luna".parse().unwrap());
    assert_eq!(get(&request).unwrap(), (expected, None));
}

#[test]
fn an_empty_owner_is_a_fence_and_an_absent_one_is_none() {
    let id = AccountId::from_uuid(uuid::Uuid::from_u128(7));
    let request = |owner: Option<&str>| v1::RefreshRequest {
        account_id: id.to_string(),
        owner: owner.map(str::to_owned),
    };
    assert_eq!(refresh(&request(None)).unwrap(), (id, None));
    assert_eq!(refresh(&request(Some(""))).unwrap(), (id, Some(Owner::default())));
}

#[test]
fn unlink_needs_an_account_and_a_sound_owner() {
    let request = v1::UnlinkRequest {
        account_id: String::new(),
        owner: Some("x".repeat(129)),
        allow_missing: true,
    };
    assert_eq!(fields(&unlink(&request).unwrap_err()), ["account_id", "owner"]);
}

proptest! {
    #[test]
    fn parsing_never_panics_and_names_known_fields_only(
        owner in ".{0,140}", redirect_uri in ".{0,40}", scope in ".{0,70}", id in ".{0,40}",
    ) {
        let request = v1::BeginLinkRequest {
            owner,
            redirect_uri,
            scopes: vec![scope],
            account_id: id,
            ..v1::BeginLinkRequest::default()
        };
        if let Err(invalid) = begin_link(&request) {
            let known = ["owner", "redirect_uri", "scopes[0]", "account_id"];
            prop_assert!(!invalid.violations.is_empty());
            prop_assert!(fields(&invalid).iter().all(|field| known.contains(field)));
        }
    }
}
