//! The listener of Instagram's calls back.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use ig_callbacks::{Callbacks, DATA_DELETION, DEAUTHORIZE, WEBHOOKS};
use ig_domain::PublicUrl;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::http::{self, HttpLimits};

/// Limits of browsers' and Meta's connections. Ours.
fn limits(drain_timeout: Duration) -> HttpLimits {
    HttpLimits {
        max_connections: 1024,
        max_head_size: 16 * 1024,
        keep_alive: true,
        max_lifetime: Duration::from_mins(2),
        drain_timeout,
    }
}

/// Where calls back are answered.
#[derive(Clone, Debug)]
pub(crate) struct CallbackAddress {
    /// The address to listen on.
    pub(crate) listen: SocketAddr,
    /// The URL by which it is reached.
    pub(crate) public_url: PublicUrl,
}

/// A socket that waits for calls back.
pub(crate) struct CallbackListener(TcpListener, PublicUrl);

impl CallbackListener {
    /// Listens; nothing is answered yet.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub(crate) async fn bind(address: &CallbackAddress) -> anyhow::Result<Self> {
        let CallbackAddress { listen, public_url } = address;
        let listener = TcpListener::bind(listen).await.with_context(|| {
            format!(
                "HTTP_LISTEN={listen} cannot be listened on: choose another address, or none with HTTP_LISTEN="
            )
        })?;
        let [webhooks, deauthorize, data_deletion] =
            [WEBHOOKS, DEAUTHORIZE, DATA_DELETION].map(|path| format!("{public_url}{path}"));
        let (address, oauth_callback) =
            (listener.local_addr()?, public_url.oauth_callback().as_str());
        info!(%address, oauth_callback, webhooks, deauthorize, data_deletion, "Instagram's calls back are answered");
        Ok(Self(listener, public_url.clone()))
    }

    /// Answers from now on until `stop`, and lets what is under way then end within `drain_timeout`. `tracker` waits
    /// for it.
    pub(crate) fn serve(
        self,
        callbacks: Callbacks,
        drain_timeout: Duration,
        stop: CancellationToken,
        tracker: &TaskTracker,
    ) {
        let Self(listener, public_url) = self;
        let (routes, limits) = (ig_callbacks::router(callbacks, public_url), limits(drain_timeout));
        tracker.spawn(http::serve(listener, routes, limits, stop, tracker.clone()));
    }
}

#[cfg(test)]
mod tests;
