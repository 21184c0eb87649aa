//! Every update that was answered 200 is told once, whatever happens to replicas and store meanwhile.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fastrand::Rng;
use futures_util::future::join_all;
use nix::sys::signal::Signal;
use reqwest::Method;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::follower::Follower;
use super::{webhooks_of, with_secrets};
use crate::support::clients::Clients;
use crate::support::outage::FickleServer;
use crate::support::sandbox::{BAKERY, CREATOR, NAMELESS};
use crate::support::{On, Place, Sandbox, Service};

/// Number of batches where `WEBHOOK_BATCHES` names no other.
const BATCHES: usize = 200;

/// Number of batches that are sent at the same time.
const SENDERS: u64 = 4;

/// A former app secret, which is still accepted.
const FORMER_SECRET: &str = "former";

/// Interval between two tries of a batch that was not answered 200.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// Two replicas of one store, and people who have accounts.
struct Scene {
    place: Place,
    sandbox: Sandbox,
    settings: Vec<(&'static str, String)>,
    /// Of PostgreSQL; SQLite has none.
    server: Option<FickleServer>,
    replicas: Vec<Service>,
    clients: Clients,
    /// URLs of the replicas' webhooks.
    urls: Mutex<Vec<String>>,
    /// Payloads of the updates that were answered 200, by the ids of their accounts.
    answered: Mutex<BTreeMap<String, String>>,
    sent_batches: AtomicUsize,
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_update_that_was_answered_is_told_once(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut scene = Scene::start(on).await;
    let mut follower = Follower::default();
    let clients = scene.clients.clone();
    follower.follow(&clients, scene.send_while_all_restart()).await;
    let answered = scene.answered.into_inner().unwrap();
    assert!(answered.len() > 1000, "{}", answered.len());
    follower.follow_until(&clients, answered.len()).await;
    assert!(follower.resumes >= 2, "{}", follower.resumes);
    let told = follower.updates.values().map(|event| {
        let payload = &event.webhook.as_ref().unwrap().payload;
        (String::from_utf8(payload.clone()).unwrap(), event.professional_account_id.clone())
    });
    let told: BTreeMap<_, _> = told.collect();
    for (payload, account) in &answered {
        assert_eq!(told.get(payload), Some(account), "{payload}");
    }
    assert_eq!(told.len(), answered.len(), "nothing else was told");
    assert_eq!(follower.updates.len(), answered.len(), "under one key each");
}

impl Scene {
    async fn start(on: On) -> Self {
        // The schema of the shared server stays empty: a server of its own can be stopped.
        let (place, sandbox) = (Place::new(On::Sqlite).await, Sandbox::start().await);
        let server = (on == On::Postgres).then(FickleServer::start);
        let mut settings = with_secrets(&sandbox, FORMER_SECRET);
        settings.extend(server.as_ref().map(|server| ("DATABASE_URL", server.url.clone())));
        let mut replicas = Vec::new();
        for _ in 0..2 {
            replicas.push(serve(&place, &sandbox, &settings).await);
        }
        for username in [BAKERY, CREATOR, NAMELESS] {
            replicas[0].linked(&sandbox, "shop/7", username).await;
        }
        let clients = Clients::of(replicas.iter().map(|service| service.client.clone()));
        let urls = Mutex::new(replicas.iter().map(webhooks_of).collect());
        let (answered, sent_batches) = (Mutex::default(), AtomicUsize::new(0));
        Self { place, sandbox, settings, server, replicas, clients, urls, answered, sent_batches }
    }

    /// Sends all batches. Meanwhile one replica is restarted, the other one killed, and the store restarted.
    async fn send_while_all_restart(&mut self) {
        let batches = batches();
        let mut replicas = std::mem::take(&mut self.replicas);
        let mut server = self.server.take();
        let scene = &*self;
        let sending = join_all((0..SENDERS).map(|seed| scene.send_some(seed, batches)));
        let restarting = async {
            for (number, signal) in [(0, Signal::SIGTERM), (1, Signal::SIGKILL)] {
                scene.sent(batches * (number + 1) / 4).await;
                replicas[number].process.signal(signal);
                replicas[number].process.ended().await;
                replicas[number] = serve(&scene.place, &scene.sandbox, &scene.settings).await;
                scene.clients.replace(number, replicas[number].client.clone());
                scene.urls.lock().unwrap()[number] = webhooks_of(&replicas[number]);
            }
            scene.sent(batches * 3 / 4).await;
            if let Some(mut stopped) = server.take() {
                let restarted = tokio::task::spawn_blocking(move || {
                    stopped.obey("stop");
                    stopped.obey("start");
                    stopped
                });
                server = Some(restarted.await.unwrap());
            }
        };
        tokio::join!(sending, restarting);
        (self.replicas, self.server) = (replicas, server);
    }

    /// Waits until so many batches were sent.
    async fn sent(&self, number: usize) {
        while self.sent_batches.load(Ordering::Relaxed) < number {
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sends one batch after the other, as long as there are any. One sender sends a batch of a thousand, too.
    async fn send_some(&self, seed: u64, batches: usize) {
        let mut random = Rng::with_seed(seed);
        if seed == 0 {
            self.deliver(&mut random, 1000).await;
        }
        while self.sent_batches.fetch_add(1, Ordering::Relaxed) < batches {
            let size = random.usize(1..=8);
            self.deliver(&mut random, size).await;
        }
    }

    /// Sends a batch of new updates until it is answered 200, one in four to both replicas at once.
    async fn deliver(&self, random: &mut Rng, size: usize) {
        let batch = new_batch(random, size);
        let first = random.usize(0..2);
        let mut tries = 0;
        loop {
            let at = (first + tries) % 2;
            let is_answered = if random.u8(0..4) == 0 {
                let (one, other) = tokio::join!(self.send(&batch, at), self.send(&batch, 1 - at));
                one || other
            } else {
                self.send(&batch, at).await
            };
            if is_answered {
                return;
            }
            tries += 1;
            sleep(RETRY_INTERVAL).await;
        }
    }

    /// Sends a batch to a replica; returns whether it was answered 200.
    async fn send(&self, batch: &Value, replica: usize) -> bool {
        let mut batch = batch.clone();
        batch["url"] = json!(self.urls.lock().unwrap()[replica].clone());
        let sent = self.sandbox.control(Method::POST, "webhooks", Some(batch)).await;
        let is_answered =
            sent["answers"].as_array().unwrap().iter().any(|one| one["status"] == 200);
        if is_answered {
            let mut answered = self.answered.lock().unwrap();
            for update in sent["updates"].as_array().unwrap() {
                let text = |name: &str| update[name].as_str().unwrap().to_owned();
                answered.insert(text("payload"), text("entry_id"));
            }
        } else {
            let status = &sent["status"];
            assert!(*status == 0 || *status == 503, "{status}");
        }
        is_answered
    }
}

async fn serve(place: &Place, sandbox: &Sandbox, settings: &[(&str, String)]) -> Service {
    let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    place.serve(sandbox, &settings).await
}

/// Updates of all accounts, mixed, as Instagram may send them; each time that they are sent, they are the same.
fn new_batch(random: &mut Rng, size: usize) -> Value {
    let mut update = |_| {
        let username = *random.choice(&[BAKERY, CREATOR, NAMELESS]).unwrap();
        let kind = *random.choice(&["message", "echo", "comment", "postback", "standby"]).unwrap();
        let mid = format!("{:032x}", random.u128(..));
        json!({"username": username, "kind": kind, "mid": mid, "text": "é <b>/</b> 🛍",
            "peer": "90001", "timestamp_ms": 1_795_900_000_000_i64 + random.i64(0..1_000_000)})
    };
    let updates: Vec<_> = (0..size).map(&mut update).collect();
    let secret = random.bool().then_some(FORMER_SECRET);
    json!({"updates": updates, "secret": secret, "shuffle": true, "repeat": random.u8(1..=2),
        "shape": if random.bool() { "flat" } else { "changes" }, "ascii": random.u8(0..4) > 0})
}

#[expect(clippy::disallowed_methods, reason = "a long run is asked for by hand")]
fn batches() -> usize {
    let asked = std::env::var("WEBHOOK_BATCHES").ok();
    asked.map_or(BATCHES, |number| number.parse().unwrap())
}
