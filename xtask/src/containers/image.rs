//! The service's image by itself, as README.md runs it: SQLite and its key on a volume, which outlive the container.

use std::time::Duration;

use anyhow::{Context, Result};

use super::compose::{Compose, IMAGE, PROJECT};
use super::{SANDBOX, load};
use crate::grpc::Client;
use crate::process;
use crate::up::demo;

/// The container's name, and its volume's.
const ALONE: &str = "instagram-accounts-check-alone";

/// As README.md says it.
const HARDENED: [&str; 6] =
    ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--volume"];

/// Where the volume is mounted.
const FOLDER: &str = "/var/lib/instagram-accounts";

/// The app that the stack's sandbox knows, and where the image finds the sandbox.
const SETTINGS: [&str; 8] = [
    "INSTAGRAM_APP_ID=990000000000017",
    "INSTAGRAM_APP_SECRET=5a4db0c0ffee5a4db0c0ffee5a4db0c0",
    "INSTAGRAM_AUTHORIZE_URL=http://127.0.0.1:8090/oauth/authorize",
    "INSTAGRAM_API_URL=http://sandbox:8090",
    "INSTAGRAM_GRAPH_URL=http://sandbox:8090",
    "INSTAGRAM_INSECURE_HTTP=true",
    "SANDBOX_CLOCK_URL=http://sandbox:8090/sandbox/clock",
    "ALLOW_ANONYMOUS=true",
];

/// How long the container may take until it is healthy.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// Links an account, makes the container anew on the same volume, and asks for the token.
pub(super) fn run_alone(compose: &Compose<'_>, grpcurl: &Client) -> Result<()> {
    let played = link_and_fetch(compose, grpcurl);
    played.and(remove(compose))
}

/// Removes the container and its volume, where they are.
pub(super) fn remove(compose: &Compose<'_>) -> Result<()> {
    remove_container(compose)?;
    process::output(&mut compose.engine(["volume", "rm", "--force", ALONE])).map(|_| ())
}

fn link_and_fetch(compose: &Compose<'_>, grpcurl: &Client) -> Result<()> {
    let client = start(compose, grpcurl)?;
    let account = demo::link(&client, SANDBOX, demo::OWNER, "mira.paints")?;
    remove_container(compose)?;
    let client = start(compose, grpcurl)?;
    load::fetch(&client, &account).map(|_| ())
}

/// Starts the container and waits until it is healthy; answers a client of it.
fn start(compose: &Compose<'_>, grpcurl: &Client) -> Result<Client> {
    let address = process::free_address()?;
    let mut run = compose.engine(["run", "--detach", "--name", ALONE]);
    run.args(HARDENED).arg(format!("{ALONE}:{FOLDER}"));
    run.args(["--network", &format!("{PROJECT}_default")]);
    run.args(["--publish", &format!("{address}:50051")]);
    run.args(SETTINGS.iter().flat_map(|setting| ["--env", setting])).arg(IMAGE);
    process::output(&mut run)?;
    let healthy = || {
        let check = ["exec", ALONE, "instagram-accounts", "healthcheck"];
        let check = compose.engine(check).output().context("cannot look into a container")?;
        Ok(check.status.success())
    };
    process::wait_until("the image alone is healthy", START_TIMEOUT, healthy).with_context(
        || {
            let mut logs = compose.engine(["logs", ALONE]);
            logs.output().map_or_else(
                |error| error.to_string(),
                |logs| String::from_utf8_lossy(&logs.stderr).into_owned(),
            )
        },
    )?;
    Ok(grpcurl.at(address))
}

fn remove_container(compose: &Compose<'_>) -> Result<()> {
    process::output(&mut compose.engine(["rm", "--force", ALONE])).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_is_run_as_the_readme_says() {
        let readme = include_str!("../../../README.md");
        let line = format!("{} accounts:{FOLDER} ", HARDENED.join(" "));
        assert!(readme.contains(&line), "{line}");
        assert!(readme.contains("--env ALLOW_ANONYMOUS=true instagram-accounts\n"));
    }
}
