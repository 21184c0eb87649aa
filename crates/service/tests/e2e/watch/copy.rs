//! A copy of all accounts is what is stored, whatever happens to replicas and cursors.

use fastrand::Rng;
use futures_util::future::join_all;
use ig_proto::v1::get_request::Key;
use ig_proto::v1::{BeginLinkRequest, GetRequest, InstagramAccount, RefreshRequest, UnlinkRequest};
use nix::sys::signal::Signal;
use reqwest::Method;
use rstest::rstest;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::account_copy::AccountCopy;
use crate::support::clients::Clients;
use crate::support::sandbox::{BAKERY, CREATOR, Decision, NAMELESS};
use crate::support::{A_DAY_LATER, On, Place, REDIRECT_URI, Sandbox, Service, arrival, reason};

/// Number of callers that change accounts, each its own.
const CALLERS: u64 = 4;

/// Number of accounts of a caller.
const ACCOUNTS: usize = 3;

/// Number of restarts of each replica before and after the cursor expires.
const RESTARTS: usize = 2;

const OWNER: &str = "shop/7";

#[rstest]
#[tokio::test]
async fn a_copy_is_what_is_stored_after_restarts_and_an_expired_cursor(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let mut scene = Scene::start(on).await;
    let gone = scene.replicas[0].linked(&scene.sandbox, OWNER, BAKERY).await;
    let mut copy = AccountCopy::default();
    scene.follow_changes(&mut copy, CREATOR).await;
    assert!(copy.lists == 1 && copy.resumes > 0, "{} and {}", copy.lists, copy.resumes);

    copy.disconnect();
    scene.replicas[0].unlink(&gone.account_id).await.unwrap();
    let restored = scene.place.settings(&scene.sandbox).arg("after-restore").output().unwrap();
    assert!(restored.status.success(), "{restored:?}");
    assert!(copy.accounts.contains_key(&gone.account_id), "it hears of it by the list only");
    scene.follow_changes(&mut copy, NAMELESS).await;
    assert_eq!(copy.lists, 2, "the cursor had expired");
}

/// Two replicas, and people who have accounts.
struct Scene {
    place: Place,
    sandbox: Sandbox,
    replicas: [Service; 2],
    clients: Clients,
    callers: Vec<Caller>,
}

/// A caller, and the user names of its accounts.
struct Caller {
    usernames: Vec<String>,
    random: Rng,
}

impl Scene {
    /// All accounts are linked, and old enough to be renewed once.
    async fn start(on: On) -> Self {
        let (place, sandbox) = (Place::new(on).await, Sandbox::start().await);
        let replicas = [place.serve(&sandbox, &[]).await, place.serve(&sandbox, &[]).await];
        let clients = Clients::of(replicas.each_ref().map(|service| service.client.clone()));
        let mut callers = Vec::new();
        for number in 0..CALLERS {
            let usernames = (0..ACCOUNTS).map(|account| format!("person_{number}_{account}"));
            let usernames: Vec<_> = usernames.collect();
            for username in &usernames {
                let account = json!({ "username": username });
                sandbox.control(Method::POST, "accounts", Some(account)).await;
                replicas[0].linked(&sandbox, OWNER, username).await;
            }
            callers.push(Caller { usernames, random: Rng::with_seed(number) });
        }
        sandbox.advance(A_DAY_LATER).await;
        for service in &replicas {
            service.clock_follows(&sandbox).await;
        }
        Self { place, sandbox, replicas, clients, callers }
    }

    /// Lets the callers change accounts while each replica is restarted, then links the account `last`, and asserts
    /// that the copy has it all.
    async fn follow_changes(&mut self, copy: &mut AccountCopy, last: &str) {
        let Self { place, sandbox, replicas, clients, callers } = self;
        let stop = CancellationToken::new();
        let changes = join_all(callers.iter_mut().map(async |caller| {
            while !stop.is_cancelled() {
                caller.change_one(sandbox, clients).await;
            }
        }));
        let restarts = async {
            for number in [0, 1].repeat(RESTARTS) {
                let replica = &mut replicas[number];
                replica.process.signal(Signal::SIGTERM);
                let ended = replica.process.ended().await;
                assert!(ended.success(), "{ended}: {}", replica.process.printed());
                *replica = place.serve(sandbox, &[]).await;
                clients.replace(number, replica.client.clone());
            }
            stop.cancel();
        };
        copy.follow(clients, async { tokio::join!(changes, restarts) }).await;
        let last = replicas[1].linked(sandbox, OWNER, last).await;
        copy.assert_ends_at(clients, &last).await;
    }
}

impl Caller {
    /// Lets something happen to one of its accounts.
    async fn change_one(&mut self, sandbox: &Sandbox, clients: &Clients) {
        let username = self.random.choice(&self.usernames).expect("it has some");
        let Some(account) = found(clients, username).await else {
            return link(clients, sandbox, username).await;
        };
        match self.random.u8(0..5) {
            0 => link(clients, sandbox, username).await,
            1 => unlink(clients, account).await,
            2 => {
                sandbox.revoke(username, "app_removed").await;
                refresh(clients, account).await;
            }
            _ => {
                let renamed =
                    json!({ "username": username, "name": self.random.u32(..).to_string() });
                sandbox.control(Method::POST, "accounts", Some(renamed)).await;
                refresh(clients, account).await;
            }
        }
    }
}

async fn found(clients: &Clients, username: &str) -> Option<InstagramAccount> {
    let request = GetRequest { key: Some(Key::Username(username.to_owned())), owner: None };
    match clients.call(async |mut client| client.get(request.clone()).await).await {
        Ok(got) => got.account,
        refused => {
            assert_eq!(reason(refused), "ACCOUNT_NOT_FOUND");
            None
        }
    }
}

async fn link(clients: &Clients, sandbox: &Sandbox, username: &str) {
    let request = BeginLinkRequest {
        owner: OWNER.to_owned(),
        redirect_uri: REDIRECT_URI.to_owned(),
        ..Default::default()
    };
    let begun = clients.call(async |mut client| client.begin_link(request.clone()).await).await;
    let url = begun.unwrap().authorization_url;
    let request = arrival(sandbox.decide(&url, username, Decision::Allow).await, OWNER);
    clients.call(async |mut client| client.link(request.clone()).await).await.unwrap();
}

pub(super) async fn unlink(clients: &Clients, account: InstagramAccount) {
    let InstagramAccount { account_id, .. } = account;
    let request = UnlinkRequest { account_id, allow_missing: true, ..Default::default() };
    clients.call(async |mut client| client.unlink(request.clone()).await).await.unwrap();
}

async fn refresh(clients: &Clients, account: InstagramAccount) {
    let request = RefreshRequest { account_id: account.account_id, owner: None };
    let refreshed = clients.call(async |mut client| client.refresh(request.clone()).await).await;
    if refreshed.is_err() {
        assert_eq!(reason(refreshed), "REAUTHORIZATION_REQUIRED");
    }
}
