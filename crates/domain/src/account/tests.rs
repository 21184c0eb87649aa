//! Tests of the changes of an account.

use rstest::rstest;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::*;
use crate::{LongLivedToken, TokenLifetime};

const NOW: OffsetDateTime = time::macros::datetime!(2026-11-24 08:00 UTC);

fn grant(now: OffsetDateTime) -> TokenGrant {
    let token = LongLivedToken::new("IGAA1".parse().unwrap());
    TokenGrant::received(token, TokenLifetime::from_seconds(5_183_944).unwrap(), now)
}

fn profile() -> Profile {
    Profile {
        professional_account_id: "17841400000000001".parse().unwrap(),
        app_scoped_user_id: Some("26100000000012345".parse().unwrap()),
        username: "cafe.luna".parse().unwrap(),
        name: Some("Café Luna".to_owned()),
        profile_picture_url: None,
        account_type: AccountType::Business,
        followers_count: Some(3),
        follows_count: None,
        media_count: None,
    }
}

fn account() -> InstagramAccount {
    let id = AccountId::from_uuid(Uuid::from_u128(1));
    InstagramAccount::link(id, Owner::default(), (profile(), NOW), &consent(NOW), &grant(NOW))
}

fn consent(receive_time: OffsetDateTime) -> Consent {
    let user_id = Some(scoped("26100000000012345"));
    Consent { receive_time, user_id, granted_scopes: GrantedScopes::Unknown }
}

#[test]
fn a_token_is_dead_from_the_second_of_its_expiry() {
    let account = account();
    let last = account.token_expire_time.unwrap() - Duration::microseconds(1);
    let dead = AccountStatus::ReauthorizationRequired(ReauthorizationReason::TokenExpired);
    assert_eq!(account.status(last), AccountStatus::Active);
    assert_eq!(account.status(account.token_expire_time.unwrap()), dead);
}

#[test]
fn instagrams_word_stands_also_after_the_expiry() {
    let account =
        InstagramAccount { refused: Some(ReauthorizationReason::PasswordChanged), ..account() };
    let status = account.status(account.token_expire_time.unwrap());
    let expected = AccountStatus::ReauthorizationRequired(ReauthorizationReason::PasswordChanged);
    assert_eq!(status, expected);
}

#[test]
fn a_deauthorisation_replaces_any_reason_as_a_change_and_nothing_replaces_it_but_a_consent() {
    let reasons = ReauthorizationReason::ALL.map(Some).into_iter().chain([None]);
    for refused in reasons.filter(|reason| *reason != Some(ReauthorizationReason::Deauthorized)) {
        let former = InstagramAccount { refused, ..account() };
        let marked = former.deauthorized(NOW).unwrap();
        assert_eq!(marked.refused, Some(ReauthorizationReason::Deauthorized));
        assert_eq!(marked.revision, former.revision + 1, "{refused:?}");
        assert_eq!(marked.deauthorized(NOW), None);
        let mut again = marked;
        let later = consent(NOW + Duration::SECOND);
        assert!(again.take_consent(&later, &grant(NOW + Duration::SECOND), NOW));
        assert_eq!(again.refused, None);
    }
}

#[rstest]
#[case::just_received(0, Err(NotRenewable::TooYoung))]
#[case::one_second_short(86_399, Err(NotRenewable::TooYoung))]
#[case::a_day_old(86_400, Ok(()))]
#[case::expired(5_183_944, Err(NotRenewable::Expired))]
fn a_token_is_renewed_between_a_day_and_its_end(
    #[case] age_seconds: i64,
    #[case] expected: Result<(), NotRenewable>,
) {
    assert_eq!(account().renewable(NOW + Duration::seconds(age_seconds)), expected);
}

#[test]
fn the_token_of_an_older_consent_never_replaces_that_of_a_newer_one() {
    let mut account = account();
    for receive_time in [NOW - Duration::SECOND, NOW] {
        let taken = account.take_consent(&consent(receive_time), &grant(NOW + Duration::DAY), NOW);
        assert!(!taken);
    }
    assert_eq!(account.token_issue_time.unwrap(), NOW);
}

#[test]
fn a_newer_consent_outranks_a_renewal_that_came_in_between() {
    let mut account = account();
    account.take_renewal(&grant(NOW + Duration::minutes(2)));
    let granted_scopes = GrantedScopes::Known([crate::Scope::content_publish()].into());
    let consent = Consent { granted_scopes, ..consent(NOW + Duration::MINUTE) };
    assert!(account.take_consent(&consent, &grant(NOW + Duration::MINUTE), NOW + Duration::HOUR));
    assert_eq!(account.token_issue_time.unwrap(), NOW + Duration::MINUTE);
    assert_eq!(account.granted_scopes, consent.granted_scopes);
}

#[test]
fn a_new_consent_voids_what_was_said_against_the_former_token_whatever_the_clock_says() {
    let mut account = account();
    account.refused = Some(ReauthorizationReason::Checkpoint);
    let earlier = NOW - Duration::HOUR;
    assert!(account.take_consent(&consent(earlier), &grant(earlier), earlier));
    assert_eq!(account.status(earlier), AccountStatus::Active);
}

#[test]
fn a_newer_reading_alone_is_no_change() {
    let former = account();
    let mut next = former.clone();
    next.read_profile(profile(), NOW + Duration::HOUR);
    let next = next.succeeding(&former, NOW + Duration::HOUR);
    assert_eq!((next.revision, next.update_time), (1, NOW));
    assert_eq!(next.profile_time, NOW + Duration::HOUR);
}

#[test]
fn a_new_name_is_a_change() {
    let former = account();
    let mut next = former.clone();
    next.read_profile(Profile { name: None, ..profile() }, NOW + Duration::HOUR);
    let next = next.succeeding(&former, NOW + Duration::HOUR);
    assert_eq!((next.revision, next.update_time), (2, NOW + Duration::HOUR));
}

#[rstest]
#[case::same_picture("https://cdn.example/a.jpg?oh=1", "https://cdn.example/a.jpg?oh=2", 1)]
#[case::another_picture("https://cdn.example/a.jpg?oh=1", "https://cdn.example/b.jpg?oh=1", 2)]
fn a_link_to_the_same_picture_is_stored_without_a_change(
    #[case] before: &str,
    #[case] after: &str,
    #[case] revision: i64,
) {
    let picture =
        |url: &str| InstagramAccount { profile_picture_url: Some(url.to_owned()), ..account() };
    let next = picture(after).succeeding(&picture(before), NOW + Duration::HOUR);
    assert_eq!((next.revision, next.profile_picture_url.as_deref()), (revision, Some(after)));
}

fn scoped(digits: &str) -> AppScopedUserId {
    digits.parse().unwrap()
}

#[test]
fn the_exchange_id_stands_in_or_becomes_an_alias() {
    let mut account = account();
    assert_eq!(account.exchange_user_id, None, "the same id twice is no alias");
    account.learn_exchange_id(Some(scoped("26100000000099999")));
    assert_eq!(account.exchange_user_id, Some(scoped("26100000000099999")));
    assert_eq!(account.app_scoped_user_id, Some(scoped("26100000000012345")));
    account.app_scoped_user_id = None;
    account.learn_exchange_id(Some(scoped("26100000000077777")));
    assert_eq!(account.app_scoped_user_id, Some(scoped("26100000000077777")));
}

#[test]
fn an_id_that_stood_in_stays_an_alias_once_instagram_tells_another() {
    let mut account = account();
    account.app_scoped_user_id = None;
    account.learn_exchange_id(Some(scoped("26100000000077777")));
    account.read_profile(profile(), NOW);
    assert_eq!(account.exchange_user_id, Some(scoped("26100000000077777")));
    assert_eq!(account.app_scoped_user_id, Some(scoped("26100000000012345")));
}

#[test]
fn a_reading_without_the_app_scoped_id_keeps_the_known_one() {
    let mut account = account();
    account.read_profile(Profile { app_scoped_user_id: None, ..profile() }, NOW);
    assert_eq!(account.app_scoped_user_id, Some(scoped("26100000000012345")));
}

#[test]
fn a_removal_holds_for_a_consent_of_its_second_or_before() {
    let consent_time = NOW + Duration::milliseconds(900);
    let account = InstagramAccount { consent_time, ..account() };
    for (seconds, expected) in [(-1, false), (0, true), (1, true)] {
        assert_eq!(account.is_removed_by(NOW + Duration::seconds(seconds)), expected, "{seconds}");
    }
}
