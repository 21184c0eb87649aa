//! A PostgreSQL that goes away under load, or stands still, and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ig_proto::v1::get_request::Key;
use ig_proto::v1::instagram_account_service_client::InstagramAccountServiceClient;
use ig_proto::v1::{
    BeginLinkRequest, GetRequest, InstagramAccount, LinkRequest, ListRequest, RefreshRequest,
};
use rstest::rstest;
use serde_json::json;
use tokio::task::JoinSet;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_types::StatusExt as _;

use crate::health::Watchers;
use crate::support::outage::FickleServer;
use crate::support::sandbox::{BAKERY, CREATOR};
use crate::support::{On, Place, REDIRECT_URI, Sandbox, Service, eventually, reason};

/// Number of callers at the same time, of each kind.
const CALLERS: u64 = 4;
/// Interval between two calls of each caller.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Minimum number of calls that must succeed once all is well again.
const MIN_ANSWERS: u64 = 400;

/// Errors for callers. As the server comes back, calls still wait for connections that hang, though it gives others.
const TOLD: [(&str, Code); 2] =
    [("STORE_UNAVAILABLE", Code::Unavailable), ("OVERLOADED", Code::ResourceExhausted)];

type Client = InstagramAccountServiceClient<Channel>;

/// Results that the callers have seen.
#[derive(Default)]
struct Seen {
    well: AtomicU64,
    unavailable: AtomicU64,
    /// Whether every call must succeed.
    strict: AtomicBool,
    over: AtomicBool,
}

#[rstest]
#[case::gone("stop", "start")]
#[case::standing_still("pause", "resume")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_lost_under_load_is_told_and_survived_without_a_wrong_answer(
    #[case] lose: &str,
    #[case] return_: &str,
) {
    let mut server = FickleServer::start();
    let (place, sandbox) = (Place::new(On::Sqlite).await, Sandbox::start().await);
    let service = place.serve(&sandbox, &[("DATABASE_URL", &server.url)]).await;
    let account = service.linked(&sandbox, "shop/7", BAKERY).await;
    let mut watchers = Watchers::of(&service).await;
    watchers.come_to(ServingStatus::Serving).await;
    let seen = Arc::new(Seen::default());
    let callers = load(&service, &account, &seen);
    eventually("the load is on", async || (seen.well() > MIN_ANSWERS).then_some(())).await;

    // Its code is at Instagram while the store goes.
    sandbox.fault(json!({ "endpoint": "token", "delay_ms": 1000 })).await;
    let request = service.consent(&sandbox, "shop/8", CREATOR).await;
    let link = tokio::spawn(link(service.client.clone(), request.clone()));
    sandbox.reached("token", 1).await;

    let logged = service.process.printed().len();
    server.obey(lose);
    watchers.are_told(ServingStatus::NotServing).await;
    eventually("callers are told", async || (seen.unavailable() > CALLERS).then_some(())).await;
    server.obey(return_);
    watchers.are_told(ServingStatus::Serving).await;

    seen.strict.store(true, Ordering::SeqCst);
    let so_far = seen.well();
    eventually("all is well", async || (seen.well() > so_far + MIN_ANSWERS).then_some(())).await;
    seen.over.store(true, Ordering::SeqCst);
    callers.join_all().await;
    judge_link(&service, &sandbox, link.await.unwrap(), request).await;
    let log = service.process.printed().split_off(logged);
    assert_eq!(log.matches("the store is away").count(), 1, "{log}");
    assert_eq!(log.matches("the store is back").count(), 1, "{log}");
}

impl Seen {
    fn well(&self) -> u64 {
        self.well.load(Ordering::SeqCst)
    }

    fn unavailable(&self) -> u64 {
        self.unavailable.load(Ordering::SeqCst)
    }

    /// A call went well, or the store was away and the caller may try again; there is no third.
    async fn judge<T>(&self, call: impl Future<Output = Result<T, Status>>, right: impl Fn(T)) {
        // A call that was under way already when the store came back may fail still.
        let strict = self.strict.load(Ordering::SeqCst);
        match call.await {
            Ok(answer) => {
                right(answer);
                self.well.fetch_add(1, Ordering::SeqCst);
            }
            Err(status) => {
                let details = status.get_error_details();
                let reason = details.error_info().map(|info| info.reason.as_str());
                let told = (reason.unwrap_or_default(), status.code());
                assert!(TOLD.contains(&told), "{status:?}");
                assert!(details.retry_info().is_some(), "{status:?}");
                assert!(!strict, "the store is back, and a call still failed: {status:?}");
                let is_away = told.1 == Code::Unavailable;
                self.unavailable.fetch_add(is_away.into(), Ordering::SeqCst);
            }
        }
    }
}

/// Callers who read what is there, and others who begin links and refresh, which may wait for the store to come
/// back: again and again.
fn load(service: &Service, account: &InstagramAccount, seen: &Arc<Seen>) -> JoinSet<()> {
    let mut callers = JoinSet::new();
    for number in 0..2 * CALLERS {
        let (client, account, seen) = (service.client.clone(), account.clone(), Arc::clone(seen));
        callers.spawn(async move {
            while !seen.over.load(Ordering::SeqCst) {
                if number < CALLERS {
                    read(client.clone(), &account, &seen).await;
                } else {
                    write(client.clone(), &account, &seen).await;
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        });
    }
    callers
}

async fn read(mut client: Client, account: &InstagramAccount, seen: &Seen) {
    let found = |found: Option<&InstagramAccount>| {
        // Renewals of the load only read the profile anew.
        assert_eq!(found.map(|found| &found.account_id), Some(&account.account_id));
    };
    for key in [Key::AccountId(account.account_id.clone()), Key::Username(account.username.clone())]
    {
        let get = GetRequest { key: Some(key), owner: None };
        seen.judge(client.get(get), |answer| found(answer.into_inner().account.as_ref())).await;
    }
    let list = ListRequest { owner: Some("shop/7".to_owned()), ..Default::default() };
    seen.judge(client.list(list), |answer| found(answer.into_inner().accounts.first())).await;
}

async fn write(mut client: Client, account: &InstagramAccount, seen: &Seen) {
    let redirect_uri = REDIRECT_URI.to_owned();
    let begin = BeginLinkRequest { redirect_uri, ..Default::default() };
    seen.judge(client.begin_link(begin), |answer| {
        assert!(!answer.into_inner().state.is_empty());
    })
    .await;
    let refresh = RefreshRequest { account_id: account.account_id.clone(), owner: None };
    seen.judge(client.refresh(refresh), |answer| {
        let token = answer.into_inner().account.unwrap().token_issue_time;
        assert_eq!(token, account.token_issue_time);
    })
    .await;
}

async fn link(
    mut client: Client,
    request: LinkRequest,
) -> Result<ig_proto::v1::LinkResponse, Status> {
    client.link(request).await.map(Response::into_inner)
}

/// Asserts that the code was sent once and that its result is told from now on, whatever its caller was told.
async fn judge_link(
    service: &Service,
    sandbox: &Sandbox,
    told: Result<ig_proto::v1::LinkResponse, Status>,
    request: LinkRequest,
) {
    let again = link(service.client.clone(), request).await;
    match (told, again) {
        (Ok(told), again) => assert_eq!(again.unwrap(), told),
        (Err(told), again) => {
            let told = reason::<()>(Err(told));
            assert!(["STORE_UNAVAILABLE", "LINK_INTERRUPTED"].contains(&told.as_str()), "{told}");
            if again.is_err() {
                assert_eq!(reason(again), "LINK_INTERRUPTED");
            }
        }
    }
    assert_eq!(sandbox.requests("token").await.len(), 2, "one each for two links");
}
