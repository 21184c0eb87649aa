//! Puts the use cases onto their adapters.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ig_adapters::instagram::GraphApi;
use ig_adapters::outcomes::{
    CountedAccounts, CountedAttempts, CountedInstagram, LinkCounts, RenewalCounts,
};
use ig_adapters::persistence::SeaOrmStore;
use ig_adapters::system::{RandomIds, SandboxClock, SystemClock, TokioTimer};
use ig_application::{
    BeginLink, FetchAccessToken, GetAccount, GetAccounts, LinkAccount, LinkWork, ListAccounts,
    RefreshAccount, RefreshWork, Sweep, UnlinkAccount,
};
use ig_domain::RedirectUri;
use ig_domain::ports::{Clock, Ids, Instagram, StoreProbe, Timer};
use ig_grpc_server::UseCases;
use tokio_util::task::TaskTracker;

use crate::meters::Meters;

/// Adapters that the use cases stand on.
pub(crate) struct Adapters {
    store: Arc<SeaOrmStore>,
    instagram: Arc<dyn Instagram>,
    clock: Arc<dyn Clock>,
    timer: Arc<dyn Timer>,
    ids: Arc<dyn Ids>,
    links: LinkCounts,
    renewals: RenewalCounts,
}

/// Business time: the machine's, or the sandbox's where `sandbox_url` says so.
///
/// # Errors
///
/// When the sandbox does not tell its time.
pub(crate) async fn clock(sandbox_url: Option<&str>) -> anyhow::Result<Arc<dyn Clock>> {
    let Some(url) = sandbox_url else { return Ok(Arc::new(SystemClock)) };
    let clock = SandboxClock::connect(url).await;
    Ok(Arc::new(clock.context("SANDBOX_CLOCK_URL gives no time")?))
}

impl Adapters {
    /// The adapters of one process, counted by `meters`.
    pub(crate) fn new(
        store: Arc<SeaOrmStore>,
        instagram: GraphApi,
        clock: Arc<dyn Clock>,
        meters: &Meters,
    ) -> Self {
        Self {
            store,
            instagram: Arc::new(instagram),
            clock,
            timer: Arc::new(TokioTimer),
            ids: Arc::new(RandomIds),
            links: meters.links.clone(),
            renewals: meters.renewals.clone(),
        }
    }

    /// Tells whether the store can serve.
    pub(crate) fn probe(&self) -> Arc<dyn StoreProbe> {
        self.store.clone()
    }

    /// The sweep, which marks, ends and forgets what is due.
    pub(crate) fn sweep(&self) -> Sweep {
        Sweep {
            accounts: self.store.clone(),
            attempts: self.store.clone(),
            clock: self.clock.clone(),
        }
    }

    /// Use cases of the RPCs. `tracker` waits for work that outlives its caller.
    pub(crate) fn use_cases(
        &self,
        redirect_uris: Vec<RedirectUri>,
        state_ttl: Duration,
        tracker: &TaskTracker,
    ) -> UseCases {
        let refresh = Arc::new(RefreshAccount::new(self.refresh_work(), tracker.clone()));
        UseCases {
            begin_link: self.begin_link(redirect_uris, state_ttl),
            link: LinkAccount::new(self.link_work(), tracker.clone()),
            get: GetAccount { accounts: self.store.clone(), clock: self.clock.clone() },
            batch_get: GetAccounts { accounts: self.store.clone(), clock: self.clock.clone() },
            list: ListAccounts { accounts: self.store.clone(), clock: self.clock.clone() },
            fetch_access_token: self.fetch_access_token(Arc::clone(&refresh)),
            refresh,
            unlink: UnlinkAccount {
                accounts: self.store.clone(),
                account_writer: self.store.clone(),
            },
        }
    }

    fn begin_link(&self, redirect_uris: Vec<RedirectUri>, state_ttl: Duration) -> BeginLink {
        BeginLink {
            accounts: self.store.clone(),
            pending_links: self.store.clone(),
            instagram: self.instagram.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            redirect_uris,
            state_ttl,
        }
    }

    fn fetch_access_token(&self, refresh: Arc<RefreshAccount>) -> FetchAccessToken {
        FetchAccessToken {
            accounts: self.store.clone(),
            audit: self.store.clone(),
            refresh,
            clock: self.clock.clone(),
            ids: self.ids.clone(),
        }
    }

    fn link_work(&self) -> LinkWork {
        LinkWork {
            accounts: self.store.clone(),
            pending_links: self.store.clone(),
            attempts: Arc::new(CountedAttempts::new(self.store.clone(), self.links.clone())),
            instagram: self.instagram.clone(),
            clock: self.clock.clone(),
            timer: self.timer.clone(),
            ids: self.ids.clone(),
        }
    }

    fn refresh_work(&self) -> RefreshWork {
        let (accounts, renewals) = (self.store.clone(), self.renewals.clone());
        let account_writer = CountedAccounts::new(accounts.clone(), self.store.clone(), renewals);
        let instagram = CountedInstagram::new(self.instagram.clone(), self.renewals.clone());
        RefreshWork {
            accounts,
            account_writer: Arc::new(account_writer),
            leases: self.store.clone(),
            instagram: Arc::new(instagram),
            clock: self.clock.clone(),
            timer: self.timer.clone(),
            ids: self.ids.clone(),
        }
    }
}
