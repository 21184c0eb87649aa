//! How long a connection stays.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::activity::Activity;

/// For how long what a client's certificate proved is believed. It may expire, or its authority be dropped, so the
/// client is then asked to connect anew; its calls under way go on. Ours: a handshake costs milliseconds.
const MAX_CERTIFICATE_AGE: Duration = Duration::from_mins(5);

/// How long a connection that is to make room may take to go by itself, before it is ended and another one asked.
pub(super) const EVICTION_TIMEOUT: Duration = Duration::from_millis(250);

/// Lifetime of a connection: when it ends, and for which reason.
pub(super) struct ConnectionLifetime {
    /// The server lets all of them finish their calls and close.
    pub(super) closing: CancellationToken,
    /// Whether it serves a caller.
    pub(super) activity: Activity,
}

impl ConnectionLifetime {
    /// Waits until a connection is to close once its calls have ended: all of them are, it is to make room, or what
    /// its client proved is too old.
    pub(super) async fn is_over(&self, proved: bool) {
        let told = async {
            tokio::select! {
                () = self.closing.cancelled() => {}
                () = self.activity.leaving() => {}
            }
        };
        if proved {
            tokio::time::timeout(MAX_CERTIFICATE_AGE, told).await.unwrap_or_default();
        } else {
            told.await;
        }
    }

    /// Waits until a connection that is to make room must be ended, since what it still carries is no caller's call.
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
