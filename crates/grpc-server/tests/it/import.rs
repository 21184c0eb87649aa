//! `Import` on the wire.

use std::time::Duration;

use ig_domain::ports::{InstagramErrorKind, MockInstagram, UserRemovals as _};
use ig_domain::{AccountType, Profile, ReauthorizationReason, SignedRequest};
use ig_proto::v1;
use ig_test_support::builders::{START, long_lived, profile};
use prost_types::Timestamp;
use rstest::rstest;
use tonic::{Code, Status};

use crate::world::{World, assert_refused, bad_fields, instagram_of, sixty_days};

fn request() -> v1::ImportRequest {
    let (access_token, owner) = ("IGAA-imported".to_owned(), "shop/7".to_owned());
    v1::ImportRequest { access_token, owner, ..v1::ImportRequest::default() }
}

fn at(seconds_after: i64) -> Timestamp {
    Timestamp { seconds: START.unix_timestamp() + seconds_after, nanos: 0 }
}

async fn refused(world: &World) -> Status {
    world.client().await.import(request()).await.unwrap_err()
}

#[tokio::test]
async fn an_import_answers_the_account_and_whether_it_made_it() {
    let mut instagram = instagram_of(|| profile(1));
    instagram
        .expect_renew_token()
        .times(1)
        .returning(|_| Ok((long_lived("IGAA-new"), sixty_days())));
    let world = World::with(instagram);
    let mut client = world.client().await;
    let imported = client.import(request()).await.unwrap().into_inner();
    let account = imported.account.unwrap();
    assert!(imported.created && !account.granted_scopes_known);
    assert_eq!((account.owner.as_str(), account.token_issue_time), ("shop/7", Some(at(0))));
    let again = client.import(request()).await.unwrap().into_inner();
    assert_eq!((again.account.unwrap(), again.created), (account, false));
}

#[tokio::test]
async fn what_is_not_known_of_a_token_is_unset() {
    let world = World::with(instagram_of(|| profile(1)));
    let young = v1::ImportRequest { issue_time: Some(at(-60)), ..request() };
    let imported = world.client().await.import(young).await.unwrap().into_inner();
    let account = imported.account.unwrap();
    assert_eq!((account.token_issue_time, account.token_expire_time), (Some(at(-60)), None));
    assert_eq!(account.next_refresh_time, Some(at(24 * 60 * 60 - 60)));
}

#[tokio::test]
async fn times_that_cannot_be_are_refused_before_anybody_is_asked() {
    let world = World::new();
    let backwards =
        v1::ImportRequest { issue_time: Some(at(1)), expire_time: Some(at(0)), ..request() };
    let status = world.client().await.import(backwards).await.unwrap_err();
    let details = assert_refused(&status, Code::InvalidArgument, "INVALID_FIELD", &[]);
    assert_eq!(bad_fields(&details), ["issue_time", "expire_time"]);
}

#[rstest]
#[case::for_good(ReauthorizationReason::TokenRevoked, "must consent anew")]
#[case::until_the_person_acts(ReauthorizationReason::Checkpoint, "then import it again")]
#[tokio::test]
async fn a_token_that_instagram_refuses_is_rejected(
    #[case] reason: ReauthorizationReason,
    #[case] advice: &str,
) {
    let mut instagram = MockInstagram::new();
    let kind = InstagramErrorKind::TokenRejected(reason);
    instagram.expect_profile().times(2).returning(move |_| Err(kind.into()));
    let status = refused(&World::with(instagram)).await;
    let facts = [("reauthorization_reason", reason.as_str())];
    assert_refused(&status, Code::FailedPrecondition, "TOKEN_REJECTED", &facts);
    assert!(status.message().contains(advice), "{}", status.message());
}

#[tokio::test]
async fn a_token_of_a_person_who_removed_the_app_is_rejected() {
    let mut instagram = instagram_of(|| profile(1));
    instagram.expect_renew_token().returning(|_| Err(InstagramErrorKind::Unavailable.into()));
    let world = World::with(instagram);
    let user = profile(1).app_scoped_user_id.unwrap();
    let request = SignedRequest { user, issue_time: START - Duration::from_mins(1) };
    world.store.deauthorize(&request, START).await.unwrap();
    let status = refused(&world).await;
    let facts = [("reauthorization_reason", "DEAUTHORIZED")];
    assert_refused(&status, Code::FailedPrecondition, "TOKEN_REJECTED", &facts);
    assert!(status.message().contains("without issue_time"), "{}", status.message());
}

#[tokio::test]
async fn a_personal_account_is_refused() {
    let personal = || Profile { account_type: AccountType::Personal, ..profile(1) };
    let status = refused(&World::with(instagram_of(personal))).await;
    assert_refused(&status, Code::FailedPrecondition, "PERSONAL_ACCOUNT", &[]);
}
