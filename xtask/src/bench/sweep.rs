//! Rate of the keeper while very many accounts are due at once, and the time of a caller's `Get` meanwhile.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::listing::beside_busy_processors;
use super::load::{self, Call, Load, Sample};
use super::resources::Resources;
use super::{settings, token, wait_until_ready};
use crate::console::{self, Step};
use crate::grpc::SERVICE;
use crate::process;
use crate::up::demo;
use crate::up::stack::{APP_ID, Sandbox, Settings, Stack, Store, TOKEN_KEYS};
use crate::workspace::Workspace;

/// Number of accounts that are due at once.
const ACCOUNTS: u32 = 20_000;

/// Maximum number of visits at the same time.
const IN_FLIGHT: u32 = 64;

/// Time that Instagram takes for each answer.
const DELAY: Duration = Duration::from_millis(50);

/// Time after which all renewals are due, and no token is in its last days.
const JUMP: Duration = Duration::from_hours(40 * 24);

/// Number of calls of `Get` that are measured: less than the shortest sweep lasts.
const GETS: u32 = 5_000;

/// Number of calls that are made to the sandbox alone.
const FLOOR_CALLS: u32 = 100 * IN_FLIGHT;

/// Maximum time of a sweep.
const SWEEP_TIMEOUT: Duration = Duration::from_mins(10);

/// An account, as `fill_due_accounts` makes it.
const USERNAME: &str = "account_7";

/// A `GetRequest` for its `instagram_id`.
const GET: &[u8] = b"\x12\x1117841400000000007";

/// Fills one store, lets all be due, and measures.
pub(super) fn run(workspace: &Workspace, h2load: &Path, name: &str, store: Store) -> Result<()> {
    let crowd = Crowd::start(workspace, name, store)?;
    let floor = crowd.floor(h2load)?;
    let alone = crowd.gets(h2load)?;
    let busy = beside_busy_processors(|| crowd.gets(h2load))?;
    let step = Step::begin(format!("{name}: visiting {ACCOUNTS} accounts"));
    let Swept { rate, memory: [before, during], cpu, gets } = crowd.sweep(h2load)?;
    step.done();
    let ideal = f64::from(IN_FLIGHT) / DELAY.as_secs_f64();
    console::say(format_args!(
        "\n{name}, {ACCOUNTS} due accounts, {IN_FLIGHT} in flight, {} ms each",
        DELAY.as_millis()
    ));
    console::say("calls to Instagram         calls/s   of the ideal");
    for (caller, rate) in [("ideal", ideal), ("sandbox alone", floor), ("keeper", rate)] {
        console::say(format_args!("{caller:<24} {rate:>9.0} {:>14.2}", rate / ideal));
    }
    console::say(format_args!(
        "memory (RSS): {before:.1} MiB before, {during:.1} MiB at most meanwhile; \
         CPU: {cpu:.0} us each call"
    ));
    console::say("Get of another caller beside    p50       p99    p99 of alone");
    let gets = [("nothing", alone), ("a loop on each processor", busy), ("the sweep", gets)];
    for (beside, Sample { p50, p99, .. }) in gets {
        let times = p99 / alone.p99;
        console::say(format_args!("{beside:<25} {p50:>6.0} us {p99:>6.0} us {times:>12.1}"));
    }
    Ok(())
}

/// Result of a sweep.
struct Swept {
    /// Calls to Instagram for each second.
    rate: f64,
    /// Memory of the service in MiB: before, and the most meanwhile.
    memory: [f64; 2],
    /// Processor time of the service for each call to Instagram, in microseconds.
    cpu: f64,
    /// A caller's `Get` meanwhile.
    gets: Sample,
}

/// The service with its keeper, over accounts that are not due yet.
struct Crowd {
    settings: Settings,
    /// The call of `Get` as bytes, in a file.
    request: PathBuf,
    stack: Stack,
}

impl Crowd {
    fn start(workspace: &Workspace, name: &str, store: Store) -> Result<Self> {
        let mut settings = settings(workspace, &format!("{name}-sweep"), store)?;
        settings.variables = vec![
            ("KEEPER", "true".to_owned()),
            ("KEEPER_IN_FLIGHT", IN_FLIGHT.to_string()),
            ("PROFILE_EVERY", "365d".to_owned()),
        ];
        let request = load::message_file(&settings.folder, "get.request", GET)?;
        let sandbox = process::start_low(|| Sandbox::start(&settings))?;
        let stack = Stack::start_with(sandbox, &settings)?;
        let step = Step::begin(format!("filling {name} with {ACCOUNTS} accounts"));
        let mut fill = Command::new(settings.programs.join("examples").join("fill_due_accounts"));
        fill.args([&settings.database_url(), APP_ID, TOKEN_KEYS, &settings.sandbox_url()]);
        process::run(fill.arg(ACCOUNTS.to_string()))?;
        wait_until_ready(&settings.readyz())?;
        step.done();
        let delay = u32::try_from(DELAY.as_millis()).context("a delay is short")?;
        let fault = json!({ "endpoint": "all", "delay_ms": delay });
        demo::post(&format!("{}/sandbox/faults", settings.sandbox_url()), &fault)?;
        Ok(Self { settings, request, stack })
    }

    /// Renewals for each second that the sandbox alone answers.
    fn floor(&self, h2load: &Path) -> Result<f64> {
        let sandbox = self.settings.sandbox_url();
        let token = token(&sandbox, USERNAME, Duration::from_hours(48))?;
        let url = format!(
            "{sandbox}/refresh_access_token?grant_type=ig_refresh_token&access_token={token}"
        );
        Ok(load::plain(h2load, &url, IN_FLIGHT, FLOOR_CALLS)?.per_second)
    }

    /// Lets all accounts be due, and waits until all tokens are renewed.
    fn sweep(&self, h2load: &Path) -> Result<Swept> {
        let service = self.stack.service_process();
        let before = Resources::of(service)?;
        let [_, former_calls] = self.counts()?;
        let jump = json!({ "advance_seconds": JUMP.as_secs() });
        demo::post(&format!("{}/sandbox/clock", self.settings.sandbox_url()), &jump)?;
        let begin = Instant::now();
        thread::scope(|scope| {
            let gets = scope.spawn(|| self.gets(h2load));
            let (mut most, mut gets_ended_first) = (before.rss_mib, false);
            process::wait_until("all tokens are renewed", SWEEP_TIMEOUT, || {
                most = most.max(Resources::of(service)?.rss_mib);
                let [renewed, _] = self.counts()?;
                let done = renewed >= f64::from(ACCOUNTS);
                gets_ended_first |= !done && gets.is_finished();
                Ok(done)
            })?;
            let elapsed = begin.elapsed().as_secs_f64();
            ensure!(gets_ended_first, "the sweep ended before the calls of Get");
            let gets = gets.join().ok().context("the calls of Get panicked")??;
            let calls = self.counts()?[1] - former_calls;
            let cpu = Resources::of(service)?.cpu_seconds - before.cpu_seconds;
            let memory = [before.rss_mib, most];
            Ok(Swept { rate: calls / elapsed, memory, cpu: cpu / calls * 1e6, gets })
        })
    }

    fn gets(&self, h2load: &Path) -> Result<Sample> {
        let url = format!("http://{}/{SERVICE}/Get", self.settings.grpc);
        let call = Call { url, request: &self.request, token: None };
        Load::ONE_BY_ONE.latencies(h2load, &call, GETS)
    }

    /// Numbers of renewed tokens, and of calls to Instagram.
    fn counts(&self) -> Result<[f64; 2]> {
        let metrics = demo::get(&self.settings.metrics_url())?;
        let metrics = metrics.as_str().context("the metrics are no text")?;
        let renewed = r#"instagram_accounts_renewals_total{outcome="renewed"}"#;
        let calls = "instagram_accounts_instagram_requests_total{";
        Ok([renewed, calls].map(|prefix| sum(metrics, prefix)))
    }
}

/// Sum of the values of all samples that begin with `prefix`.
pub(super) fn sum(metrics: &str, prefix: &str) -> f64 {
    let samples = metrics.lines().filter(|line| line.starts_with(prefix));
    samples.filter_map(|sample| sample.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_one_name_are_added() {
        let metrics = "# TYPE a_total counter\na_total{b=\"c d\"} 2\na_total{b=\"e\"} 40\nab 7\n";
        assert!((sum(metrics, "a_total{") - 42.0).abs() < f64::EPSILON);
        assert!((sum(metrics, "a_total{b=\"e\"}") - 40.0).abs() < f64::EPSILON);
        assert!(sum("", "a_total{").abs() < f64::EPSILON);
    }
}
