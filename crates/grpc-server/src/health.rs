//! Tells whether the service can serve: it can while its store can.

use std::future::ready;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream;
use futures_util::{Stream, StreamExt as _};
use ig_domain::ports::{StoreError, StoreProbe};
use ig_proto::v1::instagram_account_service_server::SERVICE_NAME;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_check_response as pb;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_health::server::{HealthReporter, HealthService};

use crate::chain::Chain;
use crate::readiness::Readiness;

/// Interval between two probes. With [`PROBE_TIMEOUT`] a loss shows within five seconds.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// Timeout of a probe, after which it counts as failed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// A probe did not end in time.
#[derive(Debug, thiserror::Error)]
#[error("the store does not answer")]
struct Hangs;

/// Watches the store and reports what it sees.
pub(crate) struct HealthMonitor {
    probe: Arc<dyn StoreProbe>,
    reporter: HealthReporter,
    readiness: Readiness,
}

impl HealthMonitor {
    /// A monitor that has not probed yet; until it has, nothing counts as serving. `readiness` follows its reports.
    pub(crate) async fn new(probe: Arc<dyn StoreProbe>, readiness: Readiness) -> Self {
        let monitor = Self { probe, reporter: HealthReporter::new(), readiness };
        monitor.report(ServingStatus::NotServing).await;
        monitor
    }

    /// The health service; `stop` ends its streams.
    pub(crate) fn service(&self, stop: CancellationToken) -> EndingHealth {
        let inner = HealthService::from_health_reporter(self.reporter.clone());
        EndingHealth { inner, stop }
    }

    /// Reports until `stop`, and then that nothing is served any more.
    pub(crate) async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.watch()).await;
        self.report(ServingStatus::NotServing).await;
    }

    async fn watch(&self) {
        let mut serving = None;
        loop {
            let well = self.look(serving).await;
            if serving != Some(well) {
                let status = if well { ServingStatus::Serving } else { ServingStatus::NotServing };
                self.report(status).await;
            }
            serving = Some(well);
            tokio::time::sleep(PROBE_INTERVAL).await;
        }
    }

    /// Probes the store once, and logs where it went or came back since.
    async fn look(&self, serving: Option<bool>) -> bool {
        let probed = tokio::time::timeout(PROBE_TIMEOUT, self.probe.check()).await;
        let lost: &dyn std::error::Error = match &probed {
            Ok(Ok(())) => {
                if serving == Some(false) {
                    tracing::info!("the store is back; serving");
                }
                return true;
            }
            Ok(Err(error)) => error as &StoreError,
            Err(_) => &Hangs,
        };
        if serving != Some(false) {
            tracing::warn!(error = %Chain(lost), "the store is away; not serving");
        }
        false
    }

    async fn report(&self, status: ServingStatus) {
        self.readiness.set(matches!(status, ServingStatus::Serving));
        for name in ["", SERVICE_NAME] {
            self.reporter.set_service_status(name, status).await;
        }
    }
}

/// The health service whose streams end when the server stops, so that watchers do not hold it up.
pub(crate) struct EndingHealth {
    inner: HealthService,
    stop: CancellationToken,
}

#[tonic::async_trait]
impl Health for EndingHealth {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        self.inner.check(request).await
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let statuses = match self.inner.watch(request).await {
            Ok(known) => known.into_inner().left_stream(),
            // Its proto wants to be told so, and the stream to stay open.
            Err(status) if status.code() == Code::NotFound => {
                let unknown = pb::ServingStatus::ServiceUnknown.into();
                let unknown = stream::once(ready(Ok(HealthCheckResponse { status: unknown })));
                unknown.chain(stream::pending()).right_stream()
            }
            Err(status) => return Err(status),
        };
        let stop = self.stop.clone();
        let until_stop =
            futures_util::stream::unfold((statuses, stop), async |(mut statuses, stop)| {
                // The last status first, so that watchers learn of the stop.
                let next = tokio::select! {
                    biased;
                    next = statuses.next() => next,
                    () = stop.cancelled() => None,
                };
                next.map(|status| (status, (statuses, stop)))
            });
        Ok(Response::new(Box::pin(until_stop)))
    }
}
