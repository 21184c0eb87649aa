//! A log whose reader does not read.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use ig_proto::v1::ListRequest;
use ig_proto::v1::instagram_account_service_client::InstagramAccountServiceClient;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::probes::Probes;
use crate::support::process::address_in;
use crate::support::{Sandbox, Service, TEST_TIMEOUT, eventually};

/// Maximum number of calls that fill the pipe and the queue: at `trace` each logs kilobytes.
const MAX_CALLS: usize = 20_000;

/// A process that is killed when it is dropped.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // It may have ended already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[tokio::test]
async fn calls_and_the_stop_go_on_though_nobody_reads_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start().await;
    let mut command = Service::command(&sandbox, folder.path());
    command.env("RUST_LOG", "trace").stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = KillOnDrop(command.spawn().unwrap());
    let mut lines = BufReader::new(process.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    let mut address_after = |text: &str| {
        let line = lines.find(|line| line.contains(text)).expect("the service starts");
        address_in(&line).expect("the line names the address").to_string()
    };
    let grpc = address_after("is listening");
    let probes = Probes::at(address_after("probes are answered"));
    // From here on nobody reads.
    eventually("it serves", async || (probes.readiness().await == 200).then_some(())).await;

    let mut client =
        InstagramAccountServiceClient::connect(format!("http://{grpc}")).await.unwrap();
    let mut calls = 0;
    while probes.metrics().await.value("log_lines_lost_total") < 2 {
        for _ in 0..20 {
            let call = client.list(ListRequest::default());
            let answered = tokio::time::timeout(TEST_TIMEOUT, call).await.expect("calls go on");
            answered.unwrap();
        }
        calls += 20;
        assert!(calls < MAX_CALLS, "no line is lost");
    }

    kill(Pid::from_raw(process.0.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let ended = eventually("it stops", async || process.0.try_wait().unwrap());
    let ended = tokio::time::timeout(Duration::from_secs(30), ended).await.expect("it stops soon");
    assert!(ended.success(), "{ended}");
}
