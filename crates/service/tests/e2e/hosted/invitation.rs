//! Links without a return URL: whoever opens one links to the owner who began it.

use ig_proto::v1::BeginLinkRequest;
use rstest::rstest;

use super::{Hosted, OWNER, at};
use crate::support::sandbox::{BAKERY, CREATOR, Decision};
use crate::support::{HOUR, On};

const DAY: i64 = 24 * HOUR;

#[rstest]
#[tokio::test]
async fn an_invitation_lives_for_days_and_is_accepted_once(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let hosted = Hosted::start(on).await;
    let Hosted { sandbox, service, .. } = &hosted;
    let week = Some(prost_types::Duration { seconds: 7 * DAY, nanos: 0 });
    let invitation = BeginLinkRequest { owner: OWNER.to_owned(), ttl: week, ..Default::default() };
    let begun = hosted.begin(invitation).await;
    sandbox.advance(6 * DAY).await;
    service.clock_follows(sandbox).await;

    let denied = sandbox.decide(&begun.authorization_url, BAKERY, Decision::Deny).await;
    assert!(hosted.get(&denied).await.text().await.unwrap().contains("Nothing was linked"));
    let accepted = sandbox.decide(&begun.authorization_url, BAKERY, Decision::Allow).await;
    let nothing = hosted.client.head(&accepted).send().await.unwrap();
    assert_eq!(nothing.status(), 200);
    assert!(hosted.linked().await.is_empty(), "a look at the headers links nothing");
    let page = hosted.get(&accepted).await;
    assert_eq!(page.status(), 200);
    let page = page.text().await.unwrap();
    assert!(page.contains("@harbour.bakery is linked"), "{page}");

    let (replica, address) = hosted.replica().await;
    let again = hosted.get(&at(&address, &accepted)).await.text().await.unwrap();
    assert_eq!(again, page, "another replica shows the same");
    assert_eq!(sandbox.requests("token").await.len(), 1);
    drop(replica);
    let other = sandbox.decide(&begun.authorization_url, CREATOR, Decision::Allow).await;
    let second = hosted.get(&other).await;
    assert_eq!(second.status(), 400);
    assert_eq!(hosted.linked().await, [BAKERY]);
    let listed = service.list(ig_proto::v1::ListRequest::default()).await.unwrap();
    assert_eq!(listed.accounts[0].owner, OWNER);
}

/// Each state is a row of its own, so a person may have many open.
#[tokio::test]
async fn many_links_may_be_open_at_once() {
    let hosted = Hosted::start(On::Sqlite).await;
    let first = hosted.invite().await;
    let second = hosted.invite().await;
    for (begun, username) in [(second, CREATOR), (first, BAKERY)] {
        let arrived =
            hosted.sandbox.decide(&begun.authorization_url, username, Decision::Allow).await;
        assert_eq!(hosted.get(&arrived).await.status(), 200);
    }
    assert_eq!(hosted.linked().await, [BAKERY, CREATOR]);
}
