//! Tests of what an event tells of a change.

use rstest::rstest;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::*;
use crate::{AccountType, GrantedScopes, RefreshTrouble, Scope, VisitFailures};

const NOW: OffsetDateTime = datetime!(2026-11-24 08:00 UTC);
const DEAD: ReauthorizationReason = ReauthorizationReason::Checkpoint;

fn account() -> InstagramAccount {
    InstagramAccount {
        id: AccountId::from_uuid(Uuid::from_u128(1)),
        professional_account_id: "17841400000000001".parse().unwrap(),
        app_scoped_user_id: None,
        exchange_user_id: None,
        owner: "shop/7".parse().unwrap(),
        username: "cafe.luna".parse().unwrap(),
        name: None,
        profile_picture_url: Some("https://cdn.example/1.jpg?oh=1".to_owned()),
        account_type: AccountType::Business,
        followers_count: Some(3),
        follows_count: None,
        media_count: None,
        granted_scopes: GrantedScopes::Known([Scope::basic()].into()),
        refused: None,
        consent_time: NOW,
        token_issue_time: Some(NOW),
        token_expire_time: Some(NOW + Duration::days(60)),
        link_time: NOW,
        profile_time: NOW,
        failures: VisitFailures::default(),
        subscription: None,
        update_time: NOW,
        revision: 7,
    }
}

fn trouble(attempts: u32) -> VisitFailures {
    let cause = TroubleCause::RateLimited;
    let trouble = Some(RefreshTrouble { cause, since_time: NOW, attempts });
    VisitFailures { count: attempts, retry_time: Some(NOW), trouble }
}

/// The event of a change to `former`, made by `change`.
fn told(
    former: &InstagramAccount,
    change: impl FnOnce(&mut InstagramAccount),
) -> Option<AccountEvent> {
    let mut next = InstagramAccount { revision: former.revision + 1, ..former.clone() };
    change(&mut next);
    AccountEvent::between(former, &next)
}

fn changed(names: &str) -> EventChange {
    EventChange::Changed { fields: ChangedFields::of_names(names), trouble: None }
}

#[rstest]
#[case::id("app_scoped_user_id", |next: &mut InstagramAccount| next.app_scoped_user_id = "26".parse().ok())]
#[case::alias("app_scoped_user_id", |next: &mut InstagramAccount| next.exchange_user_id = "26".parse().ok())]
#[case::username("username", |next: &mut InstagramAccount| next.username = "renamed".parse().unwrap())]
#[case::name("name", |next: &mut InstagramAccount| next.name = Some("Luna".to_owned()))]
#[case::picture("profile_picture_url", |next: &mut InstagramAccount| next.profile_picture_url = None)]
#[case::account_type("account_type", |next: &mut InstagramAccount| next.account_type = AccountType::Creator)]
#[case::scopes(
    "granted_scopes",
    |next: &mut InstagramAccount| next.granted_scopes = GrantedScopes::Known([].into())
)]
#[case::scopes_not_known(
    "granted_scopes,granted_scopes_known",
    |next: &mut InstagramAccount| next.granted_scopes = GrantedScopes::Unknown
)]
#[case::renewal(
    "token_issue_time,token_expire_time",
    |next: &mut InstagramAccount| {
        next.token_issue_time = next.token_issue_time.map(|time| time + Duration::DAY);
        next.token_expire_time = next.token_expire_time.map(|time| time + Duration::DAY);
    }
)]
#[case::counts_with_another_field(
    "name,followers_count,follows_count,media_count",
    |next: &mut InstagramAccount| {
        next.name = Some("Luna".to_owned());
        (next.followers_count, next.follows_count, next.media_count) = (Some(4), Some(5), Some(6));
    }
)]
fn a_change_names_its_fields(
    #[case] names: &str,
    #[case] change: impl FnOnce(&mut InstagramAccount),
) {
    let event = told(&account(), change).unwrap();
    assert_eq!(event.change, changed(names));
    assert_eq!(event.change.fields().unwrap().names().collect::<Vec<_>>().join(","), names);
    assert_eq!((event.account_id, event.revision), (account().id, 8));
}

#[rstest]
#[case::counts(|next: &mut InstagramAccount| {
    (next.followers_count, next.follows_count, next.media_count) = (Some(4), Some(5), Some(6));
})]
#[case::query_of_the_picture(|next: &mut InstagramAccount| {
    next.profile_picture_url = Some("https://cdn.example/1.jpg?oh=2".to_owned());
})]
#[case::times(|next: &mut InstagramAccount| {
    next.profile_time += Duration::HOUR;
    next.update_time += Duration::HOUR;
})]
#[case::no_revision(|next: &mut InstagramAccount| {
    next.revision -= 1;
    next.name = Some("Luna".to_owned());
})]
fn nothing_is_told(#[case] change: impl FnOnce(&mut InstagramAccount)) {
    assert_eq!(told(&account(), change), None);
}

#[test]
fn trouble_is_told_when_it_begins_and_when_it_ends() {
    let fields = ChangedFields::of_names("refresh_trouble");
    let in_trouble = InstagramAccount { failures: trouble(1), ..account() };
    let begun = told(&account(), |next| next.failures = trouble(1)).unwrap().change;
    let trouble_cause = Some(TroubleCause::RateLimited);
    assert_eq!(begun, EventChange::Changed { fields: fields.clone(), trouble: trouble_cause });
    assert_eq!(begun.cause(), Some("RATE_LIMITED"));
    assert_eq!(told(&in_trouble, |next| next.failures = trouble(2)), None);
    let ended = told(&in_trouble, |next| next.failures = VisitFailures::default()).unwrap();
    assert_eq!(ended.change, EventChange::Changed { fields, trouble: None });
}

#[test]
fn death_is_told_by_its_reason_and_ends_trouble_without_a_word() {
    let in_trouble = InstagramAccount { failures: trouble(1), ..account() };
    let died = told(&in_trouble, |next| *next = in_trouble.dead(DEAD, NOW)).unwrap();
    assert_eq!(died.change, EventChange::ReauthorizationRequired(DEAD));
    assert_eq!((died.change.cause(), died.change.fields()), (Some("CHECKPOINT"), None));
}

#[test]
fn a_dead_account_heals_or_is_linked_again() {
    let dead = InstagramAccount { refused: Some(DEAD), ..account() };
    let healed = told(&dead, |next| {
        next.refused = None;
        next.name = Some("Luna".to_owned());
    });
    assert_eq!(healed.unwrap().change, EventChange::Healed);
    let again = told(&dead, |next| {
        next.refused = None;
        next.consent_time += Duration::DAY;
        next.token_issue_time = next.token_issue_time.map(|time| time + Duration::DAY);
    });
    let fields = "status,reauthorization_reason,token_issue_time";
    let again = again.unwrap().change;
    assert_eq!(again, EventChange::LinkedAgain(ChangedFields::of_names(fields)));
    assert_eq!((again.kind(), again.cause()), (EventKind::Linked, Some("AGAIN")));
}

#[test]
fn an_import_is_told_as_a_link_with_a_cause_of_its_own() {
    let first = AccountEvent::imported(None, &account()).change;
    let said = (first.kind(), first.cause(), first.fields());
    assert_eq!(said, (EventKind::Linked, Some("IMPORT"), None));
    let next = InstagramAccount { token_expire_time: None, ..account() };
    let again = AccountEvent::imported(Some(&account()), &next).change;
    let fields = ChangedFields::of_names("token_expire_time");
    assert_eq!((again.cause(), again.fields()), (Some("IMPORT"), Some(&fields)));
}

#[test]
fn a_new_reason_of_a_dead_account_is_no_event() {
    let dead = InstagramAccount { refused: Some(DEAD), ..account() };
    let reason = Some(ReauthorizationReason::PasswordChanged);
    assert_eq!(told(&dead, |next| next.refused = reason), None);
}

#[test]
fn a_deauthorisation_is_told_whatever_the_account_had_died_of() {
    let deauthorized = EventChange::ReauthorizationRequired(ReauthorizationReason::Deauthorized);
    for refused in [None, Some(ReauthorizationReason::Checkpoint)] {
        let former = InstagramAccount { refused, ..account() };
        let marked = former.deauthorized(former.update_time).unwrap();
        let told = AccountEvent::between(&former, &marked).unwrap();
        assert_eq!((told.revision, told.change), (former.revision + 1, deauthorized.clone()));
    }
}

#[test]
fn a_gone_account_has_one_revision_more() {
    let gone = AccountEvent::unlinked(&account(), UnlinkCause::OtherOwner);
    assert_eq!((gone.revision, gone.change.cause()), (8, Some("OTHER_OWNER")));
}

/// Kinds of events that say more than that.
const ERASED: [EventKind; 4] = [
    EventKind::Linked,
    EventKind::Changed,
    EventKind::ReauthorizationRequired,
    EventKind::Unlinked,
];

#[test]
fn every_change_reads_back_from_its_names() {
    let fields = || ChangedFields::of_names("name,refresh_trouble");
    let with_trouble = |trouble| EventChange::Changed { fields: fields(), trouble };
    let mut changes = vec![
        EventChange::Linked,
        EventChange::LinkedAgain(fields()),
        EventChange::LinkedAgain(ChangedFields::default()),
        EventChange::Imported(None),
        EventChange::Imported(Some(fields())),
        with_trouble(None),
        EventChange::Healed,
        EventChange::Unlinked(UnlinkCause::Unlink),
        EventChange::Unlinked(UnlinkCause::OtherOwner),
        EventChange::Deleted,
    ];
    changes.extend(TroubleCause::ALL.map(|cause| with_trouble(Some(cause))));
    changes.extend(ERASED.map(EventChange::Erased));
    changes.extend(ReauthorizationReason::ALL.map(EventChange::ReauthorizationRequired));
    for change in changes {
        let fields = change.fields().map(|fields| fields.names().collect::<Vec<_>>().join(","));
        let read =
            EventChange::from_names(change.kind().as_str(), fields.as_deref(), change.cause());
        assert_eq!(read, Some(change));
    }
}

#[rstest]
#[case::kind("SOMETHING_NEWER", None, None, None)]
#[case::of_an_update("WEBHOOK", None, None, None)]
#[case::cause_of_a_link("LINKED", None, Some("SOMETHING_NEWER"), Some(EventChange::Linked))]
#[case::field("CHANGED", Some("name,something_newer"), None, Some(changed("name")))]
#[case::reason(
    "REAUTHORIZATION_REQUIRED",
    None,
    Some("SOMETHING_NEWER"),
    Some(EventChange::ReauthorizationRequired(ReauthorizationReason::TokenRevoked))
)]
fn names_of_a_newer_version_say_as_much_as_we_know(
    #[case] kind: &str,
    #[case] fields: Option<&str>,
    #[case] cause: Option<&str>,
    #[case] expected: Option<EventChange>,
) {
    assert_eq!(EventChange::from_names(kind, fields, cause), expected);
}
