//! How long a `Link` takes beyond two round trips to the sandbox, measured in the same run: one by one, and many at once.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use super::{load, settings, token};
use crate::console::{self, Step};
use crate::grpc::Client;
use crate::process;
use crate::up::demo::{self, OWNER};
use crate::up::stack::{Stack, Store};
use crate::workspace::Workspace;

/// Time that each of the sandbox's answers takes longer: as long as one of Instagram's.
const DELAY_MS: u32 = 200;

/// Number of accounts that a measurement links.
const LINKS: u32 = 160;

/// Calls under way at once.
const LOADS: [u32; 2] = [1, 16];

/// One of the sandbox's own accounts, which is read as the floor.
const USERNAME: &str = "harbour.bakery";

/// One measurement. Times are in milliseconds.
struct Measured {
    /// Two round trips to the sandbox alone: twice the median of one.
    floor: f64,
    /// Median and 99th percentile of a link.
    link: [f64; 2],
}

impl Measured {
    /// Median and 99th percentile beyond the two round trips.
    fn beyond(&self) -> [f64; 2] {
        self.link.map(|link| link - self.floor)
    }
}

/// Links accounts in one store and measures.
pub(super) fn run(
    workspace: &Workspace,
    [h2load, grpcurl]: [&Path; 2],
    name: &str,
    store: Store,
    rounds: u32,
) -> Result<()> {
    let settings = settings(workspace, &format!("{name}-links"), store)?;
    let _stack = Stack::start(&settings)?;
    let client = Client::new(grpcurl.to_owned(), settings.grpc);
    let sandbox = settings.sandbox_url();
    let mut samples = LOADS.map(|_| Vec::new());
    for round in 0..rounds {
        for (at_once, samples) in LOADS.into_iter().zip(&mut samples) {
            let step = Step::begin(format!("{name}: consents of {LINKS} persons"));
            let consents = settings.folder.join("consents");
            let responses = consents_of_new(&client, &sandbox, round, at_once)?;
            std::fs::write(&consents, responses).context("cannot write the consents")?;
            step.done();
            let step = Step::begin(format!("{name}: {LINKS} links, {at_once} at once"));
            let delay = json!({ "endpoint": "all", "delay_ms": DELAY_MS });
            demo::post(&format!("{sandbox}/sandbox/faults"), &delay)?;
            let floor = floor(h2load, &sandbox, at_once)?;
            let mut load = Command::new(settings.programs.join("examples").join("link_load"));
            load.arg(settings.grpc_url()).arg(at_once.to_string()).arg(&consents);
            let link = milliseconds(&process::output(&mut load)?)?;
            samples.push(Measured { floor, link });
            demo::delete(&format!("{sandbox}/sandbox/faults"))?;
            step.done();
        }
    }
    console::say(format_args!("\n{name}, {LINKS} links, medians of {rounds}"));
    console::say("at once   two round trips   link p50    p99   beyond p50    p99");
    for (at_once, samples) in LOADS.into_iter().zip(samples) {
        let measured = load::median_by(samples, |one| one.beyond()[0]);
        let measured = measured.context("nothing was measured")?;
        let [more_p50, more_p99] = measured.beyond();
        let Measured { floor, link: [p50, p99] } = measured;
        console::say(format_args!(
            "{at_once:>7} {floor:>14.1} ms {p50:>7.1} {p99:>6.1} ms {more_p50:>9.1} {more_p99:>6.1} ms"
        ));
    }
    Ok(())
}

/// Milliseconds of two round trips to the sandbox, by one that does nothing between.
fn floor(h2load: &Path, sandbox: &str, at_once: u32) -> Result<f64> {
    let token = token(sandbox, USERNAME, Duration::ZERO)?;
    let url = format!("{sandbox}/me?fields=user_id,username&access_token={token}");
    Ok(2.0 * load::plain(h2load, &url, at_once, LINKS)?.p50 / 1e3)
}

/// Authorization responses of persons who have not linked before, one on each line.
fn consents_of_new(client: &Client, sandbox: &str, round: u32, at_once: u32) -> Result<String> {
    let names: Vec<_> = (0..LINKS).map(|number| format!("p_{round}_{at_once}_{number}")).collect();
    let persons: Vec<_> = names.iter().map(|name| json!({ "username": name })).collect();
    demo::post(&format!("{sandbox}/sandbox/accounts"), &persons.into())?;
    let mut responses = String::new();
    for name in names {
        let response = demo::consent_of(client, sandbox, OWNER, &name)?;
        writeln!(responses, "{response}")?;
    }
    Ok(responses)
}

/// Milliseconds of the load's median and 99th percentile.
fn milliseconds(report: &str) -> Result<[f64; 2]> {
    let numbers = report.split_whitespace().map(str::parse::<f64>);
    let numbers = numbers.map(|micros| micros.map(|micros| micros / 1e3));
    let numbers = numbers.collect::<Result<Vec<_>, _>>().context("the load says no numbers")?;
    let numbers = <[f64; 2]>::try_from(numbers).ok();
    numbers.with_context(|| format!("the load says nothing that we know: {report}"))
}
