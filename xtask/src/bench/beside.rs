//! Time of a caller's `Get` beside an import, beside streams, and beside a burst of webhooks.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::listing::beside_busy_processors;
use super::load::{self, Call, Load, Sample};
use super::sweep::sum;
use super::watch::CALLERS;
use super::webhooks::{self, AT_ONCE, STORED};
use super::{caller, fill, settings, token, wait_until_ready};
use crate::console::{self, Step};
use crate::grpc::SERVICE;
use crate::process::{self, Group, free_address};
use crate::up::demo;
use crate::up::stack::{Sandbox, Settings, Stack, Store};
use crate::workspace::Workspace;

/// Number of calls of `Get` that are measured: nearly half a second of them, so that little depends on one write.
const GETS: u32 = 20_000;

/// Number of tokens that an import brings: more than are imported while the calls last.
const IMPORTED: u32 = 10_000;

/// Number of accounts that are unlinked while streams are told: more than are while the calls last.
const UNLINKED: u32 = 30_000;

/// Number of accounts that the sandbox makes at once.
const MADE_AT_ONCE: usize = 1_000;

/// Number of requests of webhooks: more than are answered while the calls last.
const REQUESTS: u32 = 100_000;

/// Age of a token that is imported: Instagram renews none that is younger than a day.
const TOKEN_AGE: Duration = Duration::from_hours(3 * 24);

/// How the service tells the number of accounts that were unlinked.
const UNLINKS: &str = "instagram_accounts_rpcs_total{method=\"Unlink\",code=\"OK\"}";

/// Maximum time until the work beside is under way.
const UNDER_WAY_TIMEOUT: Duration = Duration::from_mins(1);

/// Maximum time for which webhooks are sent, in seconds: the calls end before.
const WEBHOOKS_TIMEOUT: u32 = 60;

/// A `GetRequest` for the account whose professional account id this is. Its owner is `shop/99`, whose accounts nobody
/// unlinks.
const GET: &[u8] = b"\x12\x0299";

/// What a call of `Get` runs beside.
#[derive(Clone, Copy)]
enum Work {
    Import,
    /// Accounts are unlinked, so many a second or, where that is 0, as fast as it goes. 100 streams may be told of all.
    Writes {
        per_second: u32,
        streams: bool,
    },
    Webhooks,
}

const WORKS: [(Work, &str); 5] = [
    (Work::Import, "an import"),
    (Work::Writes { per_second: 0, streams: false }, "8 writers"),
    (Work::Writes { per_second: 0, streams: true }, "100 streams, 8 writers"),
    (Work::Writes { per_second: 100, streams: true }, "100 streams, 100 writes/s"),
    (Work::Webhooks, "webhooks, 64 in flight"),
];

/// Fills one store and measures.
pub(super) fn run(
    workspace: &Workspace,
    [h2load, wrk]: [&Path; 2],
    name: &str,
    store: Store,
    rounds: u32,
) -> Result<()> {
    let house = House::start(workspace, [h2load, wrk], name, store, 3 * rounds * UNLINKED)?;
    let mut rows = Vec::new();
    let busy = |house: &House, _| beside_busy_processors(|| house.gets());
    rows.push(("a loop on each processor", house.measure(rounds, busy)?));
    for (work, name) in WORKS {
        let step = Step::begin(format!("Get beside {name}"));
        let beside = |house: &House, round| {
            let mut under_way = house.begin(work, round)?;
            let gets = house.gets()?;
            under_way.check()?;
            Ok(gets)
        };
        rows.push((name, house.measure(rounds, beside)?));
        step.done();
    }
    console::say(format_args!("\n{name}, {GETS} calls of Get one by one, median of {rounds}"));
    console::say(
        "beside                       alone: p50       p99   beside: p50       p99   p99 of alone",
    );
    for (name, [alone, beside]) in rows {
        let ratio = beside.p99 / alone.p99;
        console::say(format_args!(
            "{name:<26} {:>10.0} us {:>6.0} us {:>10.0} us {:>6.0} us {ratio:>14.1}",
            alone.p50, alone.p99, beside.p50, beside.p99
        ));
    }
    Ok(())
}

/// The service over many accounts, and its callers.
struct House {
    settings: Settings,
    h2load: PathBuf,
    wrk: PathBuf,
    /// The call of `Get` as bytes, in a file.
    request: PathBuf,
    writer: String,
    watchers: Vec<String>,
    webhooks: String,
    _stack: Stack,
}

/// Work beside, which ends when this is dropped.
struct UnderWay(Group);

impl House {
    fn start(
        workspace: &Workspace,
        [h2load, wrk]: [&Path; 2],
        name: &str,
        store: Store,
        accounts: u32,
    ) -> Result<Self> {
        let mut settings = settings(workspace, &format!("{name}-beside"), store)?;
        settings.callers = Some(settings.folder.join("callers.toml"));
        let callbacks = free_address()?;
        settings.callbacks = Some(callbacks);
        let owners: Vec<_> = (0..99).map(|number| format!("shop/{number}")).collect();
        let writer = caller(&settings, "writer", "admin", &owners)?;
        let watcher =
            |number| caller(&settings, &format!("watcher-{number}"), "read", &["*".to_owned()]);
        let watchers = (0..CALLERS).map(watcher).collect::<Result<_>>()?;
        let request = load::message_file(&settings.folder, "get.request", GET)?;
        // As PostgreSQL and the work beside, it stands for another machine: what it takes is not the service's doing.
        let sandbox = process::start_apart(|| Sandbox::start(&settings))?;
        let stack = Stack::start_with(sandbox, &settings)?;
        fill(&settings, name, accounts)?;
        wait_until_ready(&settings.readyz())?;
        Ok(Self {
            settings,
            h2load: h2load.to_owned(),
            wrk: wrk.to_owned(),
            request,
            writer,
            watchers,
            webhooks: format!("http://{callbacks}/webhooks/instagram"),
            _stack: stack,
        })
    }

    /// The medians of `Get` alone and beside something, measured in turn.
    fn measure(
        &self,
        rounds: u32,
        beside: impl Fn(&Self, u32) -> Result<Sample>,
    ) -> Result<[Sample; 2]> {
        let (mut alone, mut besides) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            alone.push(self.gets()?);
            besides.push(beside(self, round)?);
        }
        Ok([Sample::median(&alone)?, Sample::median(&besides)?])
    }

    fn gets(&self) -> Result<Sample> {
        let url = format!("{}/{SERVICE}/Get", self.settings.grpc_url());
        let token = self.watchers.first().map(String::as_str);
        let call = Call { url, request: &self.request, token };
        Load::ONE_BY_ONE.latencies(&self.h2load, &call, GETS)
    }

    /// Begins a work, and waits until it is under way.
    fn begin(&self, work: Work, round: u32) -> Result<UnderWay> {
        let (mut command, mut is_under_way): (_, Box<dyn FnMut() -> Result<bool>>) = match work {
            Work::Import => {
                let results = self.settings.folder.join(format!("results-{round}.csv"));
                let mut command = self.settings.service("import");
                command.arg(self.tokens(round)?).arg("--out").arg(&results);
                let imported = move || Ok(fs::metadata(&results).is_ok_and(|file| file.len() > 0));
                (command, Box::new(imported))
            }
            Work::Writes { per_second, streams } => {
                let mut command = self.writers(per_second);
                if streams {
                    command.args([&self.settings.grpc_url(), "all"]).args(&self.watchers);
                }
                let unlinked = self.count(UNLINKS)?;
                (command, Box::new(move || Ok(self.count(UNLINKS)? > unlinked)))
            }
            Work::Webhooks => {
                let first = u64::from(round * REQUESTS);
                let requests = webhooks::requests(&self.settings, first, REQUESTS, 1)?;
                let command = webhooks::generator(
                    &self.wrk,
                    &requests,
                    &self.webhooks,
                    AT_ONCE,
                    WEBHOOKS_TIMEOUT,
                )?;
                let stored = self.count(STORED)?;
                (command, Box::new(move || Ok(self.count(STORED)? > stored)))
            }
        };
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let group = process::start_apart(|| Group::start(&mut command))?;
        process::wait_until("the work beside is under way", UNDER_WAY_TIMEOUT, &mut is_under_way)?;
        Ok(UnderWay(group))
    }

    /// Writers. With the address of the service and with callers, each of these has ten streams that are told all.
    fn writers(&self, per_second: u32) -> Command {
        let mut command = Command::new(self.settings.programs.join("examples").join("watch_load"));
        command.args([
            &self.settings.grpc_url(),
            &self.writer,
            &UNLINKED.to_string(),
            &per_second.to_string(),
        ]);
        command
    }

    /// A file of new tokens, one a line.
    fn tokens(&self, round: u32) -> Result<PathBuf> {
        let sandbox = self.settings.sandbox_url();
        let names: Vec<_> =
            (0..IMPORTED).map(|number| format!("import.{round}.{number}")).collect();
        let mut lines = "access_token,owner,issue_time,expire_time\n".to_owned();
        for names in names.chunks(MADE_AT_ONCE) {
            let accounts: Vec<_> = names.iter().map(|name| json!({ "username": name })).collect();
            demo::post(&format!("{sandbox}/sandbox/accounts"), &Value::Array(accounts))?;
            for name in names {
                writeln!(lines, "{},shop/1,,", token(&sandbox, name, TOKEN_AGE)?)?;
            }
        }
        let file = self.settings.folder.join(format!("tokens-{round}.csv"));
        fs::write(&file, lines).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(file)
    }

    /// A number that the service counts.
    fn count(&self, prefix: &str) -> Result<f64> {
        let metrics = demo::get(&self.settings.metrics_url())?;
        Ok(sum(metrics.as_str().context("the metrics are no text")?, prefix))
    }
}

impl UnderWay {
    /// Fails where the work has ended already, so that something was measured beside nothing.
    fn check(&mut self) -> Result<()> {
        ensure!(self.0.ended()?.is_none(), "the work beside ended before the calls of Get");
        Ok(())
    }
}
