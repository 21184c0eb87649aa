//! Answers to those who examine a deployment.

use std::time::Duration;

use ig_adapters::persistence::SubscriptionGroup;
use ig_domain::{GrantedScopes, TroubleCause};
use ig_test_support::builders::{START, account, parsed, received};
use rstest::rstest;

use super::fixture::{On, key, store};
use super::keys::link;

#[rstest]
#[tokio::test]
async fn living_accounts_are_grouped_by_permissions_and_subscription(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let test = on.migrated().await;
    let of_app = |app: &str| store(test.database().clone(), parsed(app), &key(1));
    let examined = of_app("990602627938098");
    assert!(examined.subscription_groups().await.unwrap().is_empty());
    let numbers = [1, 2, 3, 4, 5];
    for number in numbers {
        link(&test.ports(), number).await;
    }
    let set = async |columns: &str, number: u32| {
        let id = account(number, "", START).professional_account_id;
        let update = format!(
            "UPDATE instagram_account SET {columns} WHERE professional_account_id = '{id}'"
        );
        assert_eq!(test.run(&update).await, 1);
    };
    let failed = "subscription_error = 'APP_MISCONFIGURED', subscription_check_time = 1";
    set(&format!("subscription_active = false, {failed}"), 1).await;
    let subscribed = "subscription_active = true, subscription_check_time = 1";
    // An imported one, of whose consent nothing is known.
    set(&format!("{subscribed}, consent_time = 0"), 2).await;
    set(&format!("{subscribed}, consent_time = 7, link_time = 7"), 3).await;
    set("granted_scopes = NULL", 4).await;
    set("refused = 'token_revoked'", 5).await;
    let mut groups = examined.subscription_groups().await.unwrap();
    groups.sort_by_key(|group| (group.accounts, group.active, group.error));
    let group = |granted_scopes: &GrantedScopes, active, error, accounts| SubscriptionGroup {
        granted_scopes: granted_scopes.clone(),
        active,
        error,
        accounts,
        first_consent_time: account(1, "", START).consent_time,
    };
    let granted = account(1, "", START).granted_scopes;
    let earliest = time::OffsetDateTime::UNIX_EPOCH + Duration::from_micros(7);
    let expected = [
        group(&GrantedScopes::Unknown, false, None, 1),
        group(&granted, false, Some(TroubleCause::AppMisconfigured), 1),
        SubscriptionGroup { first_consent_time: earliest, ..group(&granted, true, None, 2) },
    ];
    assert_eq!(groups, expected);
    assert!(of_app("1").subscription_groups().await.unwrap().is_empty());
}

#[rstest]
#[tokio::test]
async fn a_stored_update_and_a_living_token_are_found(#[values(On::Sqlite, On::Postgres)] on: On) {
    let test = on.migrated().await;
    let of_app = |app: &str| store(test.database().clone(), parsed(app), &key(1));
    let (examined, other) = (of_app("990602627938098"), of_app("1"));
    assert!(examined.living_tokens(START).await.unwrap().is_empty());
    link(&test.ports(), 1).await;
    assert!(!examined.has_webhook_updates().await.unwrap(), "a link is none");
    test.ports().event_log.look(None).await.unwrap();
    test.ports().webhooks.store(&[received(&account(1, "", START), 1, 1)]).await.unwrap();
    assert!(examined.has_webhook_updates().await.unwrap());
    assert!(!other.has_webhook_updates().await.unwrap());
    assert_eq!(examined.living_tokens(START).await.unwrap().len(), 1);
    assert!(other.living_tokens(START).await.unwrap().is_empty());
    let much_later = START + Duration::from_hours(24 * 365);
    assert!(examined.living_tokens(much_later).await.unwrap().is_empty());
}
