//! How many tokens are handed out a second, each with its entry in the audit: by one caller that waits for each, and by
//! many at once.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::Measured;
use super::load::{self, Load, Sample};
use crate::console::{self, Step};
use crate::up::stack::Store;
use crate::workspace::Workspace;

/// What is measured: a load, and its number of calls.
const LOADS: [(Load, u32); 2] = [(Load::ONE_BY_ONE, 3_000), (Load::SIXTY_FOUR, 20_000)];

/// Fills one store and measures.
pub(super) fn run(
    workspace: &Workspace,
    [h2load, grpcurl]: [&Path; 2],
    name: &'static str,
    store: Store,
    rounds: u32,
) -> Result<()> {
    let measured = Measured::start(workspace, grpcurl, name, store)?;
    let request = request(&measured)?;
    let step = Step::begin(format!("{name}: handing out tokens"));
    let mut samples = LOADS.map(|_| Vec::new());
    for _ in 0..rounds {
        // They take turns, so that a slow minute of the machine hits all.
        for ((load, calls), samples) in LOADS.into_iter().zip(&mut samples) {
            let method = "FetchAccessToken";
            let target = measured.target(method, &request);
            samples.push(load.run(h2load, &target, calls)?);
        }
    }
    step.done();
    console::say(format_args!("\n{name}, median of {rounds}"));
    console::say(
        "                                            tokens/s     ratio       p50       p99  CPU each",
    );
    let [one, many] = samples.map(|samples| Sample::median(&samples));
    let one = one?;
    for ((load, _), sample) in LOADS.into_iter().zip([one, many?]) {
        let Sample { per_second, p50, p99, cpu } = sample;
        let (ratio, p50, p99) = (per_second / one.per_second, p50 / 1e3, p99 / 1e3);
        let load = load.to_string();
        console::say(format_args!(
            "{load:<42} {per_second:>9.0} {ratio:>9.2} {p50:>6.1} ms {p99:>6.1} ms {cpu:>6.0} us"
        ));
    }
    Ok(())
}

/// A file with a call for the token of the account, for the purpose "bench".
fn request(measured: &Measured) -> Result<PathBuf> {
    let id = measured.account_id.as_bytes();
    let length = u8::try_from(id.len()).context("an id is short")?;
    ensure!(length < 128, "an id is short");
    let message = [&[0x0a, length], id, b"\x22\x05bench"].concat();
    load::message_file(&measured.settings.folder, "fetch-access-token.request", &message)
}
