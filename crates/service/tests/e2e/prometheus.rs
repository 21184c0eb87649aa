//! Prometheus' own tool reads what `/metrics` answers, and plays the alerting rules.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::compose::root;
use crate::support::probes::Probes;
use crate::support::sandbox::BAKERY;
use crate::support::{Stack, tool};

/// Runs promtool with this on its standard input. It must find no fault.
fn promtool(arguments: &[&str], input: &str) {
    let mut command = Command::new(tool("PROMTOOL"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = command.spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{printed}");
}

#[tokio::test]
async fn promtool_finds_no_fault_in_the_classic_text() {
    let stack = Stack::start().await;
    let probes = Probes::of(&stack.service);
    stack.service.linked(&stack.sandbox, "shop/7", BAKERY).await;
    let (content_type, text) = probes.metrics_as("text/plain").await;
    assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
    promtool(&["check", "metrics"], &text);

    let (content_type, open_metrics) = probes.metrics_as("application/openmetrics-text").await;
    assert_eq!(content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open_metrics.ends_with("\n# EOF\n"), "{open_metrics}");
}

#[test]
fn each_alert_fires_on_its_symptom_and_none_on_a_fresh_deployment() {
    let folder = root().join("deploy/prometheus");
    let path = |file: &str| folder.join(file).to_str().unwrap().to_owned();
    promtool(&["check", "rules", &path("alerts.yml")], "");
    promtool(&["test", "rules", &path("alerts.test.yml"), &path("alerts.long.test.yml")], "");
}
