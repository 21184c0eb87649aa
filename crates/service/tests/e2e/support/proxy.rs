//! The stack's proxy: HAProxy with the stack's own configuration, in which only addresses stand in for host names.

use std::collections::HashMap;
use std::process::Command;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::compose::{Addresses, REPLICAS, root};
use super::process::Process;
use super::{eventually, tool};

/// A running proxy.
pub(crate) struct Proxy {
    /// URL of gRPC.
    pub(crate) url: String,
    /// URL of calls back.
    pub(crate) callbacks: String,
    process: Process,
    folder: TempDir,
}

impl Proxy {
    pub(crate) async fn start(addresses: &Addresses) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (stack, eyes) = (folder.path().join("haproxy.cfg"), folder.path().join("eyes.cfg"));
        std::fs::write(&stack, configuration(addresses)).unwrap();
        let socket = folder.path().join("socket");
        // A file of its own, so that the stack's stays as it is.
        std::fs::write(&eyes, format!("global\n    stats socket {}\n", socket.display())).unwrap();
        let mut command = Command::new(tool("HAPROXY"));
        command.env_clear().arg("-db").arg("-f").arg(stack).arg("-f").arg(eyes);
        let process = Process::start(command);
        let [url, callbacks] =
            [50051, 8080].map(|port| format!("http://{}:{port}", addresses.of("proxy")));
        let proxy = Self { url, callbacks, process, folder };
        eventually("the proxy runs", async || socket.exists().then_some(())).await;
        proxy
    }

    /// Waits until the proxy's own check of this replica has gone well.
    pub(crate) async fn sees_up(&self, replica: &str) {
        eventually(&format!("the proxy sees {replica}"), async || {
            (self.row(replica).await["status"] == "UP").then_some(())
        })
        .await;
    }

    /// Counts of this replica since the proxy's own start: calls that it passed on, and calls that it sent to the other
    /// one because this one could not be connected to.
    pub(crate) async fn counted(&self, replica: &str) -> String {
        let row = self.row(replica).await;
        format!("{replica}: {} calls, {} of them sent on", row["stot"], row["wredis"])
    }

    /// Number of times that its checks found this replica lost.
    pub(crate) async fn times_lost(&self, replica: &str) -> u32 {
        self.row(replica).await["chkdown"].parse().unwrap()
    }

    /// Whether a call of this replica is under way.
    pub(crate) async fn is_used(&self, replica: &str) -> bool {
        self.row(replica).await["scur"] != "0"
    }

    /// A server's row of the proxy's statistics on calls.
    ///
    /// Source: <https://docs.haproxy.org/2.6/management.html#9.1>.
    async fn row(&self, server: &str) -> HashMap<String, String> {
        let mut socket = UnixStream::connect(self.folder.path().join("socket")).await.unwrap();
        socket.write_all(b"show stat\n").await.unwrap();
        let mut table = String::new();
        socket.read_to_string(&mut table).await.unwrap();
        let mut rows = table.lines().map(|line| line.split(',').map(str::to_owned));
        let names: Vec<_> = rows.next().expect("a line of names").collect();
        let mut rows = rows.map(|row| names.iter().cloned().zip(row).collect());
        let is = |row: &HashMap<String, String>, column: &str, name: &str| {
            row.get(column).is_some_and(|value| value == name)
        };
        rows.find(|row| is(row, "# pxname", "accounts") && is(row, "svname", server))
            .unwrap_or_else(|| panic!("no {server} in {table}\n{}", self.process.printed()))
    }
}

/// The stack's configuration with addresses in place of its host names.
fn configuration(addresses: &Addresses) -> String {
    let mut configuration = std::fs::read_to_string(root().join("deploy/haproxy.cfg")).unwrap();
    let mut replace = |times: usize, name: String, address: String| {
        assert_eq!(configuration.matches(&name).count(), times, "{name} in {configuration}");
        configuration = configuration.replace(&name, &address);
    };
    replace(1, "bind 127.0.0.1:".to_owned(), format!("bind {}:", addresses.of("proxy")));
    // Of gRPC and of calls back.
    replace(2, "bind :".to_owned(), format!("bind {}:", addresses.of("proxy")));
    for replica in REPLICAS {
        replace(2, format!(" {replica}:"), format!(" {}:", addresses.of(replica)));
    }
    configuration
}
