//! Serves the sandbox on a listener until it is told to stop.

use std::io;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::app::router;
use crate::connection::{BoundedListener, KillSwitch};
use crate::world::Sandbox;

/// Maximum time for answers that are still on their way once the sandbox stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves until `stop` is done, then lets answers on their way leave, for two seconds at most.
///
/// # Errors
///
/// [`io::Error`] of the listener when it breaks.
pub async fn serve(
    listener: TcpListener,
    sandbox: Sandbox,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stopping, stopped) = oneshot::channel::<()>();
    let service = router(sandbox).into_make_service_with_connect_info::<KillSwitch>();
    let server =
        axum::serve(BoundedListener::new(listener), service).with_graceful_shutdown(async move {
            stop.await;
            drop(stopping);
        });
    let overdue = async {
        let _ = stopped.await;
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    };
    tokio::select! {
        result = server => result,
        () = overdue => Ok(()),
    }
}
