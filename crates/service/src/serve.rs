//! Serves until told to stop, and then ends what is under way.

use std::future::pending;
use std::mem;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ig_adapters::instagram::GraphApi;
use ig_adapters::persistence::{Database, SeaOrmStore};
use ig_adapters::system::RandomIds;
use ig_application::{
    Deauthorize, DeleteUserData, EraseRemoved, EventPoller, FindDeletion, FinishHostedLink, Keeper,
    KeeperSettings, Ports, PurgeAudit, PurgeEvents, ReadCache, ReceiveWebhooks, SurveyAccounts,
    Sweep, Watch, WatchPorts,
};
use ig_callbacks::{AppSecrets, Callbacks};
use ig_domain::ports::{Clock, StoreProbe, UserDeletions, UserRemovals};
use ig_grpc_server::{ConnectionRuntimes, ServeError, ServerSettings, UseCases};
use ig_metrics::Counter;
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::callbacks::CallbackListener;
use crate::callers::AdmittedCallers;
use crate::config::{InvalidSettings, ServeConfig};
use crate::doctor::dead_authorize_host;
use crate::expiries::Expiries;
use crate::keys::Keys;
use crate::meters::Meters;
use crate::missing_keys::MissingKeys;
use crate::preparation::{Preparation, Rest};
use crate::probes::Probes;
use crate::stop_signals::StopSignals;
use crate::surveying::Surveying;
use crate::sweeping::{
    erase_forever, purge_audit_forever, purge_forever, shrink_log_forever, sweep_forever,
};
use crate::tls::{FollowedTls, TlsFiles};
use crate::wiring;

/// Interval between two looks of the keeper for due accounts while there are none.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The same where the time comes from the sandbox, by which days pass in a moment.
const SANDBOX_LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Serves until SIGTERM or SIGINT. `FAILURE` when something under way had to be given up.
///
/// # Errors
///
/// When the server cannot start, or its store turns out to be unusable for good.
pub(crate) async fn run(
    mut config: ServeConfig,
    connection_runtimes: ConnectionRuntimes,
    lost_log_lines: &Counter,
) -> anyhow::Result<ExitCode> {
    let mut signals = StopSignals::catch().context("stop signals cannot be caught")?;
    let database = Arc::new(open(&config)?);
    let clock = wiring::clock(config.sandbox_clock_url.as_deref()).await?;
    let callers = AdmittedCallers::read(config.callers_file.as_deref(), Arc::clone(&clock))?;
    let tls = FollowedTls::start(config.tls.clone()).await.map_err(InvalidSettings::from)?;
    let listener = listen(config.listen).await?;
    announce(&config, database.name(), listener.local_addr()?);
    let expiries = Expiries { callers: callers.file(), tls: tls.as_ref().map(FollowedTls::watch) };
    let meters = Meters::new(lost_log_lines, &clock, expiries);
    Probes::of(&meters).start(config.metrics_listen).await?;
    let callback_listener = match &config.callbacks {
        Some(address) => Some(CallbackListener::bind(address).await?),
        None => None,
    };

    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let Wired { preparation, ports, cache, watch, callbacks, erasure, probe, surveying } =
        wire(&mut config, &database, clock, &meters, (&stop, &tracker))?;
    let rest = preparation.begin().await?;
    let tasks = Tasks {
        erasure,
        keeper: keeper(&config, &ports, &tracker, &stop),
        sweep: Sweep::new(&ports),
        audit: PurgeAudit::new(&ports, config.audit_window),
        poller: EventPoller::new(&watch, cache),
        watch: watch.clone(),
        surveying,
        missing_keys: MissingKeys {
            keys: Arc::clone(&preparation.keys),
            store: preparation.store.clone(),
            gauge: meters.missing_keys,
        },
    };

    let drain_timeout = drain_timeout(config.shutdown_timeout);
    if let Some(listener) = callback_listener {
        listener.serve(callbacks, drain_timeout, stop.clone(), &tracker);
    }
    let mut serving = Box::pin(ig_grpc_server::serve(
        listener,
        UseCases::new(&ports, &watch, config.links, &tracker),
        ServerSettings {
            reflection: config.reflection,
            callers: callers.port(),
            drain_timeout,
            request_ids: Arc::new(|| RandomIds.request_id()),
            readiness: meters.readiness,
            connection_runtimes,
            meters: meters.server,
            tls: tls.as_ref().map(FollowedTls::current),
        },
        probe,
        stop.clone().cancelled_owned(),
    ));
    tokio::select! {
        served = &mut serving => return Ok(served.map(|()| ExitCode::SUCCESS)?),
        unusable = background(rest, &database, &tracker, tasks) => return Err(unusable),
        never = callers.follow() => never,
        never = follow(tls) => never,
        signal = signals.next() => info!(signal, "stopping"),
    }
    stop.cancel();
    Ok(end(serving, &tracker, &database, config.shutdown_timeout, &mut signals).await?)
}

/// Follows the files of TLS, where there are any, until dropped.
async fn follow(tls: Option<FollowedTls>) -> ! {
    match tls {
        Some(tls) => tls.follow().await,
        None => pending().await,
    }
}

/// The database of the settings, which is connected to when it is first needed.
fn open(config: &ServeConfig) -> Result<Database, InvalidSettings> {
    with_place_for_keys(config, Database::open(&config.database)?)
}

/// The same database, for questions only.
pub(crate) fn open_read_only(config: &ServeConfig) -> Result<Database, InvalidSettings> {
    with_place_for_keys(config, Database::open_read_only(&config.database)?)
}

/// Whether the start brings the database up to date. A file is nobody else's to migrate.
pub(crate) fn migrates(config: &ServeConfig, database: &Database) -> bool {
    config.migrate_on_start || database.key_file().is_some()
}

fn with_place_for_keys(
    config: &ServeConfig,
    database: Database,
) -> Result<Database, InvalidSettings> {
    let has_keys = config.token_keys.is_some() || database.key_file().is_some();
    if has_keys { Ok(database) } else { Err(InvalidSettings::no_keys()) }
}

/// The parts of a process that stand on its store.
struct Wired {
    preparation: Preparation,
    ports: Ports,
    cache: Option<Arc<ReadCache>>,
    watch: Watch,
    callbacks: Callbacks,
    erasure: EraseRemoved,
    probe: Arc<dyn StoreProbe>,
    surveying: Surveying,
}

/// Makes the preparation of the database, and the ports of the use cases. Streams end by `stop`; `tracker` waits for
/// work that outlives its caller.
fn wire(
    config: &mut ServeConfig,
    database: &Arc<Database>,
    clock: Arc<dyn Clock>,
    meters: &Meters,
    (stop, tracker): (&CancellationToken, &TaskTracker),
) -> anyhow::Result<Wired> {
    let keys = Arc::new(Keys::new(config.token_keys.take()));
    let (app_id, meter) = (config.instagram.app_id.clone(), meters.store.clone());
    let store = SeaOrmStore::new(Arc::clone(database), app_id, keys.clone(), meter);
    let store = Arc::new(store.with_plan(config.plan.clone()));
    let preparation = Preparation {
        database: Arc::clone(database),
        migrates: migrates(config, database),
        keys,
        store: store.clone(),
    };
    let instagram = GraphApi::new(config.instagram.clone(), meters.instagram.clone())?;
    let surveying = Surveying {
        accounts: SurveyAccounts { surveys: store.clone(), clock: Arc::clone(&clock) },
        breaker: store.clone(),
        log: store.clone(),
        consumers: store.clone(),
        event_window: config.event_window,
        gauges: meters.survey.clone(),
    };
    let mut ports = wiring::ports(store.clone(), instagram, clock, meters.use_cases.clone());
    let (mut removals, mut deletions): (Arc<dyn UserRemovals>, Arc<dyn UserDeletions>) =
        (store.clone(), store.clone());
    let cache = (config.read_cache > 0).then(|| {
        let (timer, metrics) = (Arc::clone(&ports.timer), Arc::clone(&ports.metrics));
        Arc::new(ReadCache::new(config.read_cache, timer, metrics))
    });
    if let Some(cache) = &cache {
        ports.store = ports.store.cached_by(cache);
        (removals, deletions) = (cache.removals(removals), cache.deletions(deletions));
    }
    let watch_ports = WatchPorts {
        log: store.clone(),
        consumers: store.clone(),
        accounts: store.clone(),
        webhooks: store.clone(),
        clock: Arc::clone(&ports.clock),
        timer: Arc::clone(&ports.timer),
        ids: Arc::clone(&ports.ids),
    };
    let watch = Watch::new(watch_ports, config.event_window, stop.clone());
    let callbacks = Callbacks {
        secrets: AppSecrets::new(mem::take(&mut config.app_secrets)),
        hosted_link: FinishHostedLink::new(&ports, tracker.clone()),
        deauthorize: Deauthorize { removals, clock: Arc::clone(&ports.clock) },
        delete_user_data: DeleteUserData {
            deletions,
            clock: Arc::clone(&ports.clock),
            ids: Arc::clone(&ports.ids),
            tracker: tracker.clone(),
        },
        find_deletion: FindDeletion { deletions: store.clone() },
        webhooks: ReceiveWebhooks::new(store.clone(), Arc::clone(&ports.metrics), tracker.clone()),
        verify_token: config.verify_token.take(),
        clock: Arc::clone(&ports.clock),
        meters: meters.callbacks.clone(),
    };
    let erasure = EraseRemoved { deletions: store.clone(), clock: Arc::clone(&ports.clock) };
    Ok(Wired { preparation, ports, cache, watch, callbacks, erasure, probe: store, surveying })
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    listener.with_context(|| format!("GRPC_LISTEN={address} cannot be listened on"))
}

/// The first lines of the log. `address` is the one that is bound.
fn announce(config: &ServeConfig, database: &str, address: SocketAddr) {
    let (version, app_id) = (env!("CARGO_PKG_VERSION"), config.instagram.app_id.as_str());
    let tls = config.tls.as_ref().map_or("none", TlsFiles::name);
    let callers = config.callers_file.as_ref().map_or("anybody", |_| "CALLERS_FILE");
    info!(version, %address, app.id = app_id, database, tls, callers, "instagram-accounts is listening");
    match (address.ip().is_loopback(), &config.callers_file) {
        (true, _) => {}
        (false, None) => warn!(
            "ALLOW_ANONYMOUS: GRPC_LISTEN is not loopback, and whoever reaches it may do everything"
        ),
        (false, Some(_)) if config.tls.is_some() => {}
        (false, Some(_)) => warn!(
            "GRPC_LISTEN is not loopback and has no TLS: the callers' tokens travel in the clear until GRPC_TLS_CERT and GRPC_TLS_KEY are given"
        ),
    }
    if let Some(problem) = dead_authorize_host(&config.instagram.authorize_url) {
        warn!("{problem}");
    }
    if config.sandbox_clock_url.is_some() {
        warn!("SANDBOX: the time comes from SANDBOX_CLOCK_URL, so days may pass in a moment");
    }
}

/// The keeper of the settings, whose visits `tracker` waits for, until `stop`.
fn keeper(
    config: &ServeConfig,
    ports: &Ports,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) -> Option<Keeper> {
    let sandbox = config.sandbox_clock_url.is_some();
    let settings = KeeperSettings {
        in_flight: config.keeper_in_flight,
        plan: config.plan.clone(),
        look_interval: if sandbox { SANDBOX_LOOK_INTERVAL } else { LOOK_INTERVAL },
    };
    config.keeper.then(|| Keeper::new(ports, settings, stop.clone(), tracker.clone()))
}

/// The tasks that go on beside the calls once the store is prepared.
struct Tasks {
    /// `None` where another replica keeps tokens alive.
    keeper: Option<Keeper>,
    sweep: Sweep,
    audit: PurgeAudit,
    erasure: EraseRemoved,
    poller: EventPoller,
    watch: Watch,
    surveying: Surveying,
    missing_keys: MissingKeys,
}

/// Background work beside the calls. Ends only when the store is unusable for good, with the reason.
async fn background(
    rest: Option<Rest<'_>>,
    database: &Database,
    tracker: &TaskTracker,
    tasks: Tasks,
) -> anyhow::Error {
    if let Some(rest) = rest
        && let Err(unusable) = rest.await
    {
        return unusable;
    }
    if let Some(keeper) = tasks.keeper {
        // It ends by the stop, not with this future: a claim that is under way is to be given back.
        tracker.spawn(async move { keeper.run().await });
    }
    let (poller, holds) = (tasks.poller, Arc::clone(&tasks.watch.holds));
    tracker.spawn(async move { poller.run().await });
    // They end by the stop, too: consumers that are held are to be given back.
    let stop = tasks.watch.stop.clone();
    tracker.spawn(async move { holds.run(&stop).await });
    tokio::select! {
        never = sweep_forever(tasks.sweep) => never,
        never = erase_forever(tasks.erasure) => never,
        never = purge_audit_forever(tasks.audit) => never,
        never = purge_forever(PurgeEvents::new(&tasks.watch)) => never,
        never = tasks.surveying.follow() => never,
        never = tasks.missing_keys.follow() => never,
        never = shrink_log_forever(database) => never,
    }
}

/// Maximum time that calls go on after a stop. The rest of `limit` is for work that goes on without them.
fn drain_timeout(limit: Duration) -> Duration {
    limit * 4 / 5
}

/// Waits for calls and for work that outlives its callers, then closes the store: until the limit or a second
/// signal.
async fn end(
    serving: impl Future<Output = Result<(), ServeError>>,
    tracker: &TaskTracker,
    database: &Database,
    limit: Duration,
    signals: &mut StopSignals,
) -> Result<ExitCode, ServeError> {
    let ended = async {
        serving.await?;
        tracker.close();
        tracker.wait().await;
        if let Err(error) = database.close().await {
            warn!(%error, "the store was left open; what it holds is safe");
        }
        Ok(())
    };
    tokio::select! {
        biased;
        ended = ended => {
            info!("stopped");
            return ended.map(|()| ExitCode::SUCCESS);
        }
        () = sleep(limit) => error!("SHUTDOWN_TIMEOUT is over: what is under way is given up"),
        signal = signals.next() => error!(signal, "told again: what is under way is given up"),
    }
    Ok(ExitCode::FAILURE)
}
