//! Proxy between a store and its server, which fails as networks do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Behaviour of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// They work.
    Through,
    /// They stay, and nothing comes through: a stopped server.
    Hanging,
    /// They end, old and new ones: a server that is gone.
    Cut,
}

/// A proxy on loopback.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    mode: watch::Sender<Mode>,
    accepted: Arc<AtomicUsize>,
}

impl Proxy {
    /// Stands before the server at `server`, a host and a port.
    pub(super) async fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, mode) = watch::channel(Mode::Through);
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(near, server.clone(), mode.clone()));
            }
        });
        Self { address, mode: sender, accepted }
    }

    /// Number of connections so far.
    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Changes the behaviour of connections, from now on.
    pub(super) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn serve(near: TcpStream, server: String, mode: watch::Receiver<Mode>) {
    let mut cut = mode.clone();
    let forward = async {
        let far = TcpStream::connect(server).await.unwrap();
        let (near_read, near_write) = near.into_split();
        let (far_read, far_write) = far.into_split();
        tokio::join!(
            copy(near_read, far_write, mode.clone()),
            copy(far_read, near_write, mode.clone())
        );
    };
    tokio::select! {
        () = forward => {}
        _ = cut.wait_for(|mode| *mode == Mode::Cut) => {}
    }
}

async fn copy(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let through = mode.wait_for(|mode| *mode != Mode::Hanging).await.is_ok();
        if !through || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
