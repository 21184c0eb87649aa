//! What is left of a person whose data was deleted: hashes, and the ids of the account in the rows of events.

use std::collections::BTreeSet;

use ig_proto::v1::{AccountStatus, BeginLinkRequest, EventKind, InstagramAccount, get_request};
use ig_test_support::Needles;
use reqwest::{Method, Url};
use rstest::rstest;
use serde_json::json;

use super::{SETTINGS, address, client, delete_data, get, page, told};
use crate::support::everything::Everything;
use crate::support::sandbox::{BAKERY, CREATOR, Decision, NAMELESS};
use crate::support::{A_DAY_LATER, On, Place, Sandbox, Service, arrival, eventually, reason};

/// The columns in which texts are sealed.
const SEALED: [(&str, &str); 3] = [
    ("account_token", "sealed_token"),
    ("account_event", "sealed_payload"),
    ("hosted_code", "sealed_code"),
];

/// What is in the tables while the account is linked. All else is only there as it is sealed.
const SHOWN: [&str; 6] = ["person", "peer", "username", "name", "picture", "sealed text"];

/// A person with a renewed token and a new one, updates, and an audit.
struct Scene {
    place: Place,
    sandbox: Sandbox,
    service: Service,
    account: InstagramAccount,
    /// What is to be erased.
    needles: Needles,
    /// What is to be erased, as it is sealed.
    sealed: Vec<Vec<u8>>,
}

impl Scene {
    async fn start(on: On) -> Self {
        let (place, sandbox) = (Place::new(on).await, Sandbox::start().await);
        let service = place.serve(&sandbox, &SETTINGS).await;
        let account = service.linked(&sandbox, "shop/7", BAKERY).await;
        let mut needles = Needles::default();
        needles.plant("person", &account.app_scoped_user_id);
        needles.plant("username", &account.username);
        needles.plant("name", account.name.as_ref().unwrap());
        needles.plant("picture", account.profile_picture_url.as_ref().unwrap());
        Self { place, sandbox, service, account, needles, sealed: Vec::new() }
    }

    /// Hands a token out.
    async fn hand_out(&mut self) {
        let fetched = self.service.fetch(&self.account.account_id, 1).await.unwrap();
        self.needles.plant("token", &fetched.access_token);
    }

    async fn renew(&self) {
        self.sandbox.advance(A_DAY_LATER).await;
        self.service.clock_follows(&self.sandbox).await;
        self.service.refresh(&self.account.account_id).await.unwrap();
    }

    /// Has the person consent anew, by way of a code that is kept for the caller.
    async fn consent_anew(&mut self) {
        let request = BeginLinkRequest {
            owner: "shop/7".to_owned(),
            account_id: self.account.account_id.clone(),
            return_url: "https://example.com/linked".to_owned(),
            ..Default::default()
        };
        let begun = self.service.client.clone().begin_link(request).await.unwrap().into_inner();
        let url = &begun.authorization_url;
        let arrived: Url = self.sandbox.decide(url, BAKERY, Decision::Allow).await.parse().unwrap();
        let (_, code) = arrived.query_pairs().find(|(name, _)| name == "code").unwrap();
        self.needles.plant("code", &code);
        let query = arrived.query().unwrap();
        let callback = format!("{}/oauth/callback?{query}", address(&self.service));
        let sent_on = client().get(callback).send().await.unwrap();
        let sent_on = sent_on.headers()["location"].to_str().unwrap().to_owned();
        self.service.link(arrival(sent_on, "shop/7")).await.unwrap();
    }

    /// Has Instagram send what others wrote to the person, and the other way around.
    async fn receive(&mut self) {
        let (peer, text) = ("88887777666655554444", "An answer nobody else is to read");
        let update = |kind| json!({ "username": BAKERY, "kind": kind, "peer": peer, "text": text });
        let updates = ["message", "echo", "comment"].map(update);
        let url = format!("{}/webhooks/instagram", address(&self.service));
        let batch = json!({ "url": url, "updates": updates });
        let answer = self.sandbox.control(Method::POST, "webhooks", Some(batch)).await;
        assert_eq!(answer["status"], 200, "{answer}");
        self.needles.plant("peer", peer);
        self.needles.plant("text", text);
        for update in answer["updates"].as_array().unwrap() {
            let id = update["mid"].as_str().or(update["id"].as_str());
            self.needles.plant("id of an update", id.unwrap());
        }
    }

    /// Notes the sealed texts, which are all the person's as yet.
    async fn note_sealed(&mut self) {
        for (table, column) in SEALED {
            let texts = self.place.bytes(table, column).await;
            assert!(!texts.is_empty(), "{table}");
            self.sealed.extend(texts);
        }
    }

    /// Names of what is found in this text, which may be of bytes.
    fn found_in(&self, text: &[u8]) -> BTreeSet<&'static str> {
        let has = |sealed: &Vec<u8>| {
            let digits = sealed.iter().map(|byte| format!("{byte:02x}"));
            let digits = digits.collect::<Vec<_>>().concat();
            [&sealed[..], digits.as_bytes()]
                .iter()
                .any(|form| text.windows(form.len()).any(|window| window == *form))
        };
        let sealed = self.sealed.iter().any(has).then_some("sealed text");
        let mut found = self.needles.found_in(&String::from_utf8_lossy(text));
        found.extend(sealed);
        found
    }

    /// Tables in which the ids of the account are.
    fn tables_with_ids<'a>(&self, stored: &'a Everything) -> Vec<&'a str> {
        let InstagramAccount { account_id, professional_account_id, .. } = &self.account;
        let ids = [account_id, &account_id.replace('-', ""), professional_account_id];
        let tables = stored.tables.iter();
        let tables = tables.filter(|(_, rows)| ids.iter().any(|id| rows.contains(id.as_str())));
        tables.map(|(name, _)| name.as_str()).collect()
    }

    /// Waits until the page of the deletion says that it is over, after the time in which late calls end.
    async fn deletion_ends(&self, code: &str) {
        assert!(page(&self.service, code).await.contains("being deleted"));
        self.sandbox.advance(31).await;
        self.service.clock_follows(&self.sandbox).await;
        eventually("the deletion is over", async || {
            page(&self.service, code).await.contains("Your data is deleted").then_some(())
        })
        .await;
    }

    /// Asserts that nothing is left in the tables, and soon nothing in the files: SQLite's log is emptied after it.
    async fn assert_erased(&self) {
        let stored = self.place.everything().await;
        assert_eq!(self.found_in(stored.rows().as_bytes()), BTreeSet::new());
        assert_eq!(self.tables_with_ids(&stored), ["account_event"]);
        eventually("nothing of the person is left in any file", async || {
            let files = self.place.everything().await.files;
            files.iter().all(|file| self.found_in(file).is_empty()).then_some(())
        })
        .await;
        let audit = self.place.settings(&self.sandbox).arg("audit").output().unwrap();
        let audit = String::from_utf8(audit.stdout).unwrap();
        assert!(audit.contains("deleted") && !audit.contains(&self.account.account_id), "{audit}");
    }
}

#[rstest]
#[tokio::test]
async fn a_person_whose_data_is_deleted_leaves_nothing_behind(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let mut scene = Scene::start(on).await;
    scene.hand_out().await;
    scene.renew().await;
    scene.hand_out().await;
    scene.consent_anew().await;
    scene.hand_out().await;
    scene.receive().await;
    scene.note_sealed().await;
    let stored = scene.place.everything().await;
    assert_eq!(scene.found_in(stored.rows().as_bytes()), BTreeSet::from(SHOWN));
    assert!(scene.tables_with_ids(&stored).contains(&"token_audit"));

    let Scene { sandbox, service, account, .. } = &scene;
    let unlinked = service.linked(sandbox, "shop/7", CREATOR).await;
    service.unlink(&unlinked.account_id).await.unwrap();
    let other = service.linked(sandbox, "shop/7", NAMELESS).await;
    let code = delete_data(sandbox, service, json!({ "username": BAKERY })).await;
    let key = get_request::Key::AccountId(account.account_id.clone());
    assert_eq!(reason(service.get(key).await), "ACCOUNT_NOT_FOUND");
    scene.deletion_ends(&code).await;
    scene.assert_erased().await;

    let (linked, unlinked) = (EventKind::Linked, EventKind::Unlinked);
    let expected =
        [linked, EventKind::Changed, linked, linked, unlinked, linked, EventKind::Deleted];
    let kinds = told(service, expected.len()).await.into_iter().map(|(kind, _)| kind);
    assert_eq!(kinds.collect::<Vec<_>>(), expected, "no update is told any more");
    assert_eq!(get(service, &other.account_id).await.status(), AccountStatus::Active);
    assert!(service.fetch(&other.account_id, 1).await.is_ok());
    assert!(page(service, &code).await.contains("Your data is deleted"));
}
