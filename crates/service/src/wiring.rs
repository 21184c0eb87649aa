//! Makes the ports of the use cases, and the clock, of their adapters.

use std::sync::Arc;

use anyhow::Context as _;
use ig_adapters::instagram::GraphApi;
use ig_adapters::main_runtime::MainRuntimeReader;
use ig_adapters::persistence::SeaOrmStore;
use ig_adapters::system::{RandomIds, SandboxClock, SystemClock, TokioTimer};
use ig_application::{Ports, StorePorts};
use ig_domain::ports::{Clock, Metrics};

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

/// The ports of one process, counted by `metrics`. Accounts are read on the current runtime, whoever asks.
pub(crate) fn ports(
    store: Arc<SeaOrmStore>,
    instagram: GraphApi,
    clock: Arc<dyn Clock>,
    metrics: Arc<dyn Metrics>,
) -> Ports {
    let accounts = Arc::new(MainRuntimeReader::new(store.clone()));
    Ports {
        store: StorePorts::of(store).reading(accounts),
        instagram: Arc::new(instagram),
        clock,
        timer: Arc::new(TokioTimer),
        ids: Arc::new(RandomIds),
        metrics,
        health: Arc::default(),
    }
}
