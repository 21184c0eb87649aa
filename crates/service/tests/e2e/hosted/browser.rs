//! People in a real browser, and the pages that they end on.

use ig_proto::v1::BeginLinkRequest;
use serde_json::json;

use super::{BASIC, Hosted, OWNER, PUBLISH};
use crate::support::browser::Window;
use crate::support::sandbox::{BAKERY, CREATOR};
use crate::support::{HOUR, On};

const LINKED: &str = "Your Instagram account is linked";
const GONE: &str = "This link does not work any more";

/// A person with a link.
struct Person<'a> {
    hosted: &'a Hosted,
    window: &'a Window,
}

impl Person<'_> {
    /// Opens a link, which goes to the consent page.
    async fn open(&self, request: BeginLinkRequest) -> String {
        let request = BeginLinkRequest { owner: OWNER.to_owned(), ..request };
        let begun = self.hosted.begin(request).await;
        self.window.goto(&begun.authorization_url).await;
        begun.state
    }

    async fn choose(&self, username: &str) {
        self.window.click(&format!("input[name=account][value='{username}']")).await;
    }

    async fn untick(&self, scope: &str) {
        self.window.click(&format!("input[name=grant][value={scope}]")).await;
    }

    async fn allow(&self) {
        self.window.click("button[value=allow]").await;
    }

    /// Reads the page at the end, whose title is its heading; `name` is that of its pictures.
    async fn ends_on(&self, name: &str, heading: &str) -> String {
        // Only pages of the service have a mark.
        let shown = self.window.text(".mark + h1").await;
        assert_eq!(shown, heading);
        assert_eq!(self.window.title().await, heading);
        self.window.picture(name).await;
        self.window.text("main").await
    }
}

/// One browser for all, as one person after the other sits down before it.
#[tokio::test]
async fn each_consent_ends_on_a_page_that_says_what_to_do() {
    let hosted = &Hosted::start(On::Sqlite).await;
    let start = format!("{}/redirect", hosted.sandbox.url);
    Window::visit(&start, async |window| {
        let person = &Person { hosted, window };
        cancels_and_allows(person).await;
        leaves_permissions_out(person).await;
        chooses_the_wrong_account(person).await;
        comes_where_nothing_can_be_linked(person).await;
        meets_our_trouble(person).await;
        comes_too_late(person).await;
    })
    .await;
}

async fn cancels_and_allows(person: &Person<'_>) {
    let window = person.window;
    person.open(BeginLinkRequest::default()).await;
    let consent = window.url().await;
    window.click("button[value=deny]").await;
    person.ends_on("cancelled", "Nothing was linked").await;
    window.goto(consent.as_str()).await;
    person.choose(BAKERY).await;
    person.allow().await;
    let shown = person.ends_on("linked", LINKED).await;
    assert!(shown.contains("@harbour.bakery is linked"), "{shown}");
    let arrived = window.url().await;

    window.reload().await;
    person.ends_on("linked", LINKED).await;
    window.back().await;
    window.text("button[value=allow]").await;
    window.forward().await;
    person.ends_on("linked", LINKED).await;
    // A double click may bring the same code twice at the same time.
    let visits = [0, 1].map(|_| person.hosted.get(arrived.as_str()));
    for visit in futures_util::future::join_all(visits).await {
        assert!(visit.text().await.unwrap().contains(LINKED));
    }
    assert_eq!(person.hosted.sandbox.requests("token").await.len(), 1);

    window.back().await;
    person.allow().await;
    person.ends_on("used", GONE).await;
    window.goto(arrived.as_str()).await;
    person.ends_on("linked", LINKED).await;
    assert_eq!(person.hosted.linked().await, [BAKERY]);
}

async fn leaves_permissions_out(person: &Person<'_>) {
    person.open(BeginLinkRequest::default()).await;
    person.choose(CREATOR).await;
    person.untick(BASIC).await;
    person.allow().await;
    person.ends_on("permission-missing", "A permission is missing").await;
    assert_eq!(person.hosted.linked().await, [BAKERY]);

    person.open(BeginLinkRequest::default()).await;
    person.choose(CREATOR).await;
    person.untick(PUBLISH).await;
    person.allow().await;
    let shown = person.ends_on("linked-in-part", LINKED).await;
    assert!(shown.contains("publish posts for you"), "{shown}");
    assert_eq!(person.hosted.linked().await, [CREATOR, BAKERY]);
}

async fn chooses_the_wrong_account(person: &Person<'_>) {
    let hosted = person.hosted;
    let listed = hosted.service.list(ig_proto::v1::ListRequest::default()).await.unwrap();
    let bakery = listed.accounts.iter().find(|account| account.username == BAKERY).unwrap();
    let account_id = bakery.account_id.clone();
    person.open(BeginLinkRequest { account_id, ..Default::default() }).await;
    person.choose(CREATOR).await;
    person.allow().await;
    person.ends_on("wrong-account", "Another account was expected").await;

    let begun = hosted.begin(BeginLinkRequest { owner: "shop/8".to_owned(), ..Default::default() });
    person.window.goto(&begun.await.authorization_url).await;
    person.choose(BAKERY).await;
    person.allow().await;
    person.ends_on("owned-by-another", "This account is linked elsewhere").await;

    let creator = hosted.sandbox.account(CREATOR).await;
    let profile = json!({"id": creator["id"], "user_id": creator["user_id"],
        "username": CREATOR, "account_type": "PERSONAL"});
    hosted
        .sandbox
        .fault(json!({"endpoint": "me", "times": 1, "status": 200, "body": profile}))
        .await;
    person.open(BeginLinkRequest::default()).await;
    person.choose(CREATOR).await;
    person.allow().await;
    person.ends_on("personal-account", "This is a personal account").await;
}

/// Instagram says so in the query; there is no such page of the sandbox's.
async fn comes_where_nothing_can_be_linked(person: &Person<'_>) {
    let state = person.open(BeginLinkRequest::default()).await;
    let callback = format!("http://{}/oauth/callback", person.hosted.address);
    let words = "Insufficient+developer+role+%3Cscript%3Edocument.title%3D1%3C%2Fscript%3E";
    let denied = format!("error=access_denied&error_description={words}&state={state}");
    person.window.goto(&format!("{callback}?{denied}")).await;
    let shown = person.ends_on("not-open", "This app is not open to you yet").await;
    assert!(!shown.contains("document.title"), "the text of a stranger: {shown}");

    for query in ["", "?code=C&state=unknown", "?code=C"] {
        person.window.goto(&format!("{callback}{query}")).await;
        person.ends_on("unknown", GONE).await;
    }
}

async fn meets_our_trouble(person: &Person<'_>) {
    let sandbox = &person.hosted.sandbox;
    sandbox.fault(json!({"endpoint": "token", "status": 503})).await;
    person.open(BeginLinkRequest::default()).await;
    person.choose(BAKERY).await;
    person.allow().await;
    person.ends_on("our-trouble", "Something went wrong on our side").await;
    sandbox.clear_faults().await;
    person.window.reload().await;
    person.ends_on("linked", LINKED).await;
}

async fn comes_too_late(person: &Person<'_>) {
    let hosted = person.hosted;
    person.open(BeginLinkRequest::default()).await;
    hosted.sandbox.advance(HOUR).await;
    hosted.service.clock_follows(&hosted.sandbox).await;
    person.choose(BAKERY).await;
    person.allow().await;
    person.ends_on("expired", GONE).await;
}
