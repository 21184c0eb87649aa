//! Tokens whose issue or end is not known, as of an import.

use std::time::Duration;

use super::StoreUnderTest;
use super::samples::id;
use super::visits::{DUE, claim, link};
use crate::builders::START;

const DAY: Duration = Duration::from_hours(24);

/// It is due at once, behind those whose end is near, a witness as any other, and never marked as expired.
pub async fn a_token_of_unknown_end_is_due_and_never_expires(store: &dyn StoreUnderTest) {
    let ports = store.ports();
    link(&ports, 1, |account| account.token_expire_time = None).await;
    link(&ports, 2, |account| {
        account.token_expire_time = None;
        account.token_issue_time = None;
    })
    .await;
    link(&ports, 3, |account| account.token_expire_time = Some(DUE + DAY)).await;
    assert_eq!(claim(&ports, START, 1, 9).await, [id(2)], "the other is known to be too young");
    store.end_leases().await;
    let end = START + DAY * 60;
    assert_eq!(ports.account_writer.mark_expired(end, 9).await.unwrap(), 1);
    assert_eq!(claim(&ports, end, 2, 9).await, [id(2), id(1)]);
    let witnesses = ports.due_accounts.witnesses(id(3), end, 9).await.unwrap();
    assert_eq!(witnesses.len(), 2);
    store.end_leases().await;
    link(&ports, 4, |account| account.token_expire_time = Some(end + DAY)).await;
    assert_eq!(claim(&ports, end, 3, 1).await, [id(4)]);
}

/// No clock ends such a token, and nobody can say that it ends first.
pub async fn a_token_of_unknown_end_is_active_and_never_the_first_to_expire(
    store: &dyn StoreUnderTest,
) {
    let ports = store.ports();
    let now = START + DAY * 1000;
    link(&ports, 1, |account| {
        account.token_expire_time = None;
        account.token_issue_time = None;
    })
    .await;
    let survey = ports.surveys.survey(now).await.unwrap();
    assert_eq!((survey.active, survey.first_expire_time), (1, None));
    assert_eq!(survey.longest_due_time, Some(START), "it is due since its last reading");
    link(&ports, 2, |account| {
        account.token_expire_time = Some(now + DAY);
        account.profile_time = now - DAY * 2;
    })
    .await;
    let survey = ports.surveys.survey(now).await.unwrap();
    assert_eq!((survey.active, survey.first_expire_time), (2, Some(now + DAY)));
    let worst = ports.surveys.worst(now, 10).await.unwrap();
    let ids: Vec<_> = worst.iter().map(|one| one.account.id).collect();
    assert_eq!(ids, [id(2), id(1)]);
}
