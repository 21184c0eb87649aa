//! The image by itself, as docs/CONTAINERS.md runs it: SQLite and its key on a volume, which outlive the container.

use std::time::Duration;

use anyhow::{Context, Result};

use super::compose::Compose;
use super::load;
use crate::grpc::Client;
use crate::process;
use crate::up::demo;

/// Options of the container, as docs/CONTAINERS.md says them.
const HARDENED: [&str; 6] =
    ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--volume"];

/// Folder at which the volume is mounted.
const FOLDER: &str = "/var/lib/instagram-accounts";

/// The app that the stack's sandbox knows, and where the image finds the sandbox.
const SETTINGS: [&str; 7] = [
    "INSTAGRAM_APP_ID=990000000000017",
    "INSTAGRAM_APP_SECRET=5a4db0c0ffee5a4db0c0ffee5a4db0c0",
    "INSTAGRAM_API_URL=http://sandbox:8090",
    "INSTAGRAM_GRAPH_URL=http://sandbox:8090",
    "INSTAGRAM_INSECURE_HTTP=true",
    "SANDBOX_CLOCK_URL=http://sandbox:8090/sandbox/clock",
    "ALLOW_ANONYMOUS=true",
];

/// Maximum time until the container is healthy.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// Links an account, makes the container anew on the same volume, and asks for the token.
pub(super) fn run_alone(compose: &Compose<'_>, grpcurl: &Client) -> Result<()> {
    let played = link_and_fetch(compose, grpcurl);
    played.and(remove(compose))
}

/// Removes the container and its volume, where they are.
pub(super) fn remove(compose: &Compose<'_>) -> Result<()> {
    remove_container(compose)?;
    process::output(&mut compose.engine(["volume", "rm", "--force", &alone(compose)])).map(|_| ())
}

/// The container's name, and its volume's.
fn alone(compose: &Compose<'_>) -> String {
    format!("{}-alone", compose.project())
}

fn link_and_fetch(compose: &Compose<'_>, grpcurl: &Client) -> Result<()> {
    let client = start(compose, grpcurl)?;
    let account = demo::link(&client, &compose.sandbox_url(), demo::OWNER, "mira.paints")?;
    remove_container(compose)?;
    let client = start(compose, grpcurl)?;
    load::fetch(&client, &account).map(|_| ())
}

/// Starts the container and waits until it is healthy; answers a client of it.
fn start(compose: &Compose<'_>, grpcurl: &Client) -> Result<Client> {
    let (alone, address) = (alone(compose), process::free_address()?);
    let mut run = compose.engine(["run", "--detach", "--name", &alone]);
    run.args(HARDENED).arg(format!("{alone}:{FOLDER}"));
    run.args(["--network", &format!("{}_default", compose.project())]);
    run.args(["--publish", &format!("{address}:50051")]);
    run.args(SETTINGS.iter().flat_map(|setting| ["--env", setting]));
    let authorize_url = format!("{}/oauth/authorize", compose.sandbox_url());
    run.args(["--env", &format!("INSTAGRAM_AUTHORIZE_URL={authorize_url}")]).arg(compose.image());
    process::output(&mut run)?;
    let healthy = || {
        let check = ["exec", &alone, "instagram-accounts", "healthcheck"];
        let check = compose.engine(check).output().context("cannot look into a container")?;
        Ok(check.status.success())
    };
    process::wait_until("the image alone is healthy", START_TIMEOUT, healthy).with_context(
        || {
            let mut logs = compose.engine(["logs", &alone]);
            logs.output().map_or_else(
                |error| error.to_string(),
                |logs| String::from_utf8_lossy(&logs.stderr).into_owned(),
            )
        },
    )?;
    Ok(grpcurl.at(address))
}

fn remove_container(compose: &Compose<'_>) -> Result<()> {
    process::output(&mut compose.engine(["rm", "--force", &alone(compose)])).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_is_run_as_the_page_says() {
        let page = include_str!("../../../docs/CONTAINERS.md");
        let line = format!("{} accounts:{FOLDER} ", HARDENED.join(" "));
        assert!(page.contains(&line), "{line}");
        assert!(page.contains("--env ALLOW_ANONYMOUS=true instagram-accounts\n"));
    }
}
