//! Lifetime of a connection.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::activity::Activity;

/// Maximum lifetime of a connection whose client showed a certificate. That may expire, or its authority be dropped, so
/// the client is then asked to connect anew; its calls under way go on. Ours: a handshake costs milliseconds.
const MAX_CERTIFICATE_AGE: Duration = Duration::from_mins(5);

/// Time within which an evicted connection may close by itself, before it is ended and another one asked.
pub(super) const EVICTION_TIMEOUT: Duration = Duration::from_millis(250);

/// The moment at which a client that showed a certificate must connect anew. Its requests carry it as an extension, for
/// streams, which would keep their connection for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CertificateEnd(pub(crate) Instant);

impl CertificateEnd {
    /// That of a certificate which is shown now.
    pub(super) fn of_a_handshake() -> Self {
        Self(Instant::now() + MAX_CERTIFICATE_AGE)
    }
}

/// Lifetime of one connection.
pub(super) struct ConnectionLifetime {
    /// Cancelled when all connections are to finish their calls and close.
    pub(super) closing: CancellationToken,
    /// Activity of the connection.
    pub(super) activity: Activity,
}

impl ConnectionLifetime {
    /// Waits until the connection is to close once its calls have ended: at a stop, when it is evicted or, where its
    /// client showed a certificate, at the `end` of that.
    pub(super) async fn is_over(&self, end: Option<CertificateEnd>) {
        let told = async {
            tokio::select! {
                biased;
                () = self.closing.cancelled() => {}
                () = self.activity.leaving() => {}
            }
        };
        match end {
            Some(CertificateEnd(end)) => timeout_at(end, told).await.unwrap_or_default(),
            None => told.await,
        }
    }

    /// Waits until an evicted connection must be ended: [`EVICTION_TIMEOUT`] is over, and it carries no caller's call.
    pub(super) async fn is_overdrawn(&self) {
        self.activity.leaving().await;
        loop {
            tokio::time::sleep(EVICTION_TIMEOUT).await;
            if !self.activity.is_busy() {
                return;
            }
        }
    }
}
