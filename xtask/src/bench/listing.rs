//! Cost of one caller's listings to another one: the time of its `Get` beside them and without them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::load::{self, Call, Load, Sample};
use super::{caller, fill, settings, wait_until_ready};
use crate::console;
use crate::grpc::{Client, SERVICE};
use crate::process::Group;
use crate::up::demo;
use crate::up::stack::{Settings, Stack, Store};
use crate::workspace::Workspace;

/// Number of listings that are under way at once: as many as one caller may have.
const LISTINGS: u32 = 64;

/// Number of calls of `Get` that are measured.
const GETS: u32 = 5_000;

/// Interval between two probes of `/readyz`.
const PROBE_INTERVAL: Duration = Duration::from_millis(200);

/// `page_size` 500 of a `ListRequest`, without owner, so that it is about all that the caller may see.
const PAGES_OF_500: &[u8] = &[0x18, 0xf4, 0x03];

/// The same, and `status` `REAUTHORIZATION_REQUIRED`, which one account in ten thousand has.
const FEW_HITS: &[u8] = &[0x10, 0x02, 0x18, 0xf4, 0x03];

/// A `GetRequest` for `instagram_id` 7.
const GET: &[u8] = &[0x12, 0x01, b'7'];

/// Fills one store and measures.
pub(super) fn run(
    workspace: &Workspace,
    [h2load, grpcurl]: [&Path; 2],
    name: &str,
    store: Store,
    accounts: u32,
) -> Result<()> {
    let crowd = Crowd::start(workspace, grpcurl, name, store, accounts)?;
    let alone = crowd.measure(h2load, None)?;
    console::say(format_args!("\n{name}, {accounts} accounts: Get of another caller"));
    console::say(
        "beside pages of 500 of                p50       p99    p99 of alone   /readyz not 200",
    );
    print_row("nothing", &alone, &alone);
    let beside = beside_busy_processors(|| crowd.measure(h2load, None))?;
    print_row("a loop on each processor", &beside, &alone);
    for lister in &crowd.listers {
        let second = crowd.second_page(lister)?;
        let requests = [("", PAGES_OF_500), (", few hits", FEW_HITS), (", second page", &second)];
        for (what, message) in requests {
            let beside = crowd.measure(h2load, Some((lister, message)))?;
            print_row(&format!("{LISTINGS} x {}{what}", lister.owners), &beside, &alone);
        }
    }
    Ok(())
}

fn print_row(what: &str, (sample, unready): &(Sample, u32), (alone, _): &(Sample, u32)) {
    let Sample { p50, p99, .. } = sample;
    let times = p99 / alone.p99;
    console::say(format_args!(
        "{what:<34} {p50:>6.0} us {p99:>6.0} us {times:>12.1} {unready:>17}"
    ));
}

/// Runs `work` while every processor is busy with something else: the floor for what fills a machine.
pub(super) fn beside_busy_processors<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let processors = thread::available_parallelism().context("the processors are not known")?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..processors.get() {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let _end = EndOf(&done);
        work()
    })
}

/// Says that something is done when it is dropped, also by a panic: the loops would be waited for for ever.
struct EndOf<'a>(&'a AtomicBool);

impl Drop for EndOf<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The service over many accounts, and its callers.
struct Crowd {
    settings: Settings,
    listers: Vec<Lister>,
    /// The token of the caller whose calls are measured.
    getter: String,
    grpcurl: PathBuf,
    _stack: Stack,
}

/// A caller that lists all that it may see.
struct Lister {
    /// Owners of those accounts, in words.
    owners: &'static str,
    token: String,
}

impl Crowd {
    fn start(
        workspace: &Workspace,
        grpcurl: &Path,
        name: &str,
        store: Store,
        accounts: u32,
    ) -> Result<Self> {
        let mut settings = settings(workspace, &format!("{name}-list"), store)?;
        settings.callers = Some(settings.folder.join("callers.toml"));
        let listers = listers(&settings)?;
        let getter = caller(&settings, "getter", "read", &["*".to_owned()])?;
        let stack = Stack::start(&settings)?;
        fill(&settings, name, accounts)?;
        wait_until_ready(&settings.readyz())?;
        Ok(Self { settings, listers, getter, grpcurl: grpcurl.to_owned(), _stack: stack })
    }

    /// The time of `Get` while a caller asks for one listing again and again; and how often `/readyz` was not 200.
    fn measure(&self, h2load: &Path, listing: Option<(&Lister, &[u8])>) -> Result<(Sample, u32)> {
        let flood = listing.map(|(lister, message)| self.flood(h2load, lister, message));
        let flood = flood.transpose()?;
        let (done, unready) = (AtomicBool::new(false), AtomicU32::new(0));
        let sample = thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let ready = demo::get(&self.settings.readyz()).is_ok();
                    unready.fetch_add(u32::from(!ready), Ordering::Relaxed);
                    thread::sleep(PROBE_INTERVAL);
                }
            });
            let sample = self.get(h2load);
            done.store(true, Ordering::Relaxed);
            sample
        })?;
        if let Some(mut flood) = flood {
            ensure!(flood.ended()?.is_none(), "the listings ended before the measurement");
        }
        Ok((sample, unready.into_inner()))
    }

    fn get(&self, h2load: &Path) -> Result<Sample> {
        let request = load::message_file(&self.settings.folder, "get.request", GET)?;
        let call = Call {
            url: format!("http://{}/{SERVICE}/Get", self.settings.grpc),
            request: &request,
            token: Some(&self.getter),
        };
        Load::ONE_BY_ONE.latencies(h2load, &call, GETS)
    }

    /// The `ListRequest` for the page behind the first one, where there is something to list.
    fn second_page(&self, lister: &Lister) -> Result<Vec<u8>> {
        let client = Client::new(self.grpcurl.clone(), self.settings.grpc);
        let client = client.with_token(&lister.token);
        let list = |request| client.call("List", &request);
        let few = list(json!({"status": "ACCOUNT_STATUS_REAUTHORIZATION_REQUIRED"}))?;
        ensure!(few.get("accounts").is_some(), "{} have no hits", lister.owners);
        let first = list(json!({"pageSize": 500}))?;
        let token = first.get("nextPageToken").and_then(Value::as_str);
        let token = token.with_context(|| format!("{} have one page only", lister.owners))?;
        let length = u8::try_from(token.len()).context("a page token is short")?;
        // Two bytes, whatever the length is: seven bits each.
        let length = [length & 0x7f | 0x80, length >> 7];
        Ok([PAGES_OF_500, &[0x22], &length, token.as_bytes()].concat())
    }

    /// Listings without end.
    fn flood(&self, h2load: &Path, lister: &Lister, message: &[u8]) -> Result<Group> {
        let request = load::message_file(&self.settings.folder, "list.request", message)?;
        let mut command = Command::new(h2load);
        command.args(["-D", "3600", "-c", "1", "-m", &LISTINGS.to_string()]);
        command.args(["-H", "content-type: application/grpc", "-H", "te: trailers"]);
        command.arg("-H").arg(format!("authorization: Bearer {}", lister.token));
        command
            .arg("-d")
            .arg(&request)
            .arg(format!("http://{}/{SERVICE}/List", self.settings.grpc));
        Group::start(command.stdout(Stdio::null()).stderr(Stdio::null()))
    }
}

/// Callers whose accounts stand in the index in different ways.
fn listers(settings: &Settings) -> Result<Vec<Lister>> {
    let owners = [
        ("one prefix", vec!["shop/*".to_owned()]),
        ("ten prefixes", (0..10).map(|digit| format!("shop/{digit}*")).collect()),
        ("fifty owners", (0..50).map(|number| format!("shop/{number}")).collect()),
        ("one owner", vec!["shop/7".to_owned()]),
    ];
    let lister = |(owners, patterns): (&'static str, Vec<String>)| {
        let token = caller(settings, &owners.replace(' ', "-"), "read", &patterns)?;
        Ok(Lister { owners, token })
    };
    owners.into_iter().map(lister).collect()
}
