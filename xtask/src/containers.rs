//! `cargo xtask containers`: builds both images, and plays the stack of `docker-compose.yml` by Docker or Podman.

mod compose;
mod hardening;
mod image;
mod load;
mod programs;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use self::compose::{Compose, VERIFY_TOKEN};
use self::load::Load;
use crate::console::{self, Step};
use crate::grpc::{Client, SERVICE};
use crate::process;
use crate::tools::{ContainerEngine, Tools};
use crate::up::demo;
use crate::workspace::Workspace;

/// Services that keep running. `docker-compose.yml` says what it takes to be healthy.
const RUNNING: [&str; 5] = ["postgres", "sandbox", "accounts-1", "accounts-2", "proxy"];

/// The replicas behind the proxy.
const REPLICAS: [&str; 2] = ["accounts-1", "accounts-2"];

/// Owner and username of the account that the play links.
const DEMO: (&str, &str) = ("demo", "harbour.bakery");

/// Where the sandbox of the stack sends webhooks.
const WEBHOOKS: &str = "http://proxy:8080/webhooks/instagram";

/// The commands of docs/CONTAINERS.md.
const BUILD: &[&str] = &["build"];
const UP: &[&str] = &["up", "--detach", "--wait"];
const MIGRATE: &[&str] = &["run", "--rm", "migrate"];
const RECREATE: &[&str] = &["up", "--detach", "--no-deps", "--force-recreate", "--wait"];

/// Number of times that each replica is made anew under load.
const ROUNDS: usize = 2;

/// Maximum time until the engine sees that a container is healthy or not.
const HEALTH_TIMEOUT: Duration = Duration::from_mins(2);

/// What `cargo xtask containers` takes.
#[derive(clap::Args, Default)]
pub(crate) struct Arguments {
    /// Compile in the image's own build stage, as `docker build` does: a release build of many minutes
    #[arg(long)]
    full: bool,
}

/// Plays the stack by the engine that answers.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    play(workspace, &ContainerEngine::with_compose()?, arguments)
}

/// Plays the stack where an engine with Compose answers; `false` where none does, having said what to do.
pub(crate) fn run_where_possible(workspace: &Workspace) -> Result<bool> {
    let engine = match ContainerEngine::with_compose() {
        Ok(engine) => engine,
        Err(missing) => {
            console::note(format_args!("no image was built, and no stack was started: {missing}"));
            return Ok(false);
        }
    };
    play(workspace, &engine, &Arguments::default())?;
    Ok(true)
}

/// Builds, plays, and removes all of it, also after a failure.
fn play(workspace: &Workspace, engine: &ContainerEngine, arguments: &Arguments) -> Result<()> {
    let grpcurl = Tools::of(workspace).grpcurl()?;
    let programs = programs::compiled_here(workspace, arguments.full)?;
    let compose = Compose::new(engine, workspace, programs.as_deref())?;
    // Leftovers of an earlier check that was killed.
    image::remove(&compose).and_then(|()| compose.down())?;
    let client = Client::new(grpcurl, compose.grpc());
    let played = Play { sandbox: compose.sandbox_url(), compose: &compose, client }.run();
    if played.is_err() {
        compose.show_logs();
    }
    let removed = compose.down().and_then(|()| compose.remove_images());
    played.and(removed)?;
    console::note("the stack was built, played and removed");
    Ok(())
}

/// One step of the play: its name, and what it does.
type Scene<'a> = (&'static str, fn(&Play<'a>) -> Result<()>);

/// The stack, and a caller of it.
struct Play<'a> {
    compose: &'a Compose<'a>,
    client: Client,
    /// URL of the sandbox.
    sandbox: String,
}

impl<'a> Play<'a> {
    const SCENES: [Scene<'a>; 9] = [
        ("building the images", |play| play.compose.run(BUILD)),
        ("starting the stack", Self::start),
        ("looking at the containers from inside", Self::look_inside),
        ("calling as docs/CONTAINERS.md does", Self::call),
        ("calling back as browsers and Instagram do", Self::call_back),
        ("upgrading under load", Self::upgrade),
        ("restarting the sandbox", Self::restart_sandbox),
        ("stopping all replicas", Self::stop_replicas),
        ("running the image alone", |play| image::run_alone(play.compose, &play.client)),
    ];

    fn run(&self) -> Result<()> {
        for (name, scene) in Self::SCENES {
            let step = Step::begin(name);
            scene(self).context(name)?;
            step.done();
        }
        Ok(())
    }

    fn start(&self) -> Result<()> {
        self.compose.run(UP)?;
        for service in RUNNING {
            let state = self.compose.state(service)?;
            ensure!(state == "healthy", "{service} is {state}");
        }
        let migrated = self.compose.state("migrate")?;
        ensure!(migrated == "exited 0", "migrate is {migrated}");
        Ok(())
    }

    /// Looks inside all but PostgreSQL, whose image begins as root.
    fn look_inside(&self) -> Result<()> {
        for service in RUNNING.into_iter().filter(|service| *service != "postgres") {
            let status = self.compose.exec(service, &["cat", "/proc/1/status"])?;
            let mounts = self.compose.exec(service, &["cat", "/proc/1/mounts"])?;
            hardening::check(&status, &mounts).with_context(|| service.to_owned())?;
        }
        Ok(())
    }

    fn call(&self) -> Result<()> {
        let listed = process::output(&mut self.client.list())?;
        ensure!(listed.lines().any(|line| line == SERVICE), "{SERVICE} is not among\n{listed}");
        let account = self.link()?;
        let found = self.client.call("Get", &json!({ "username": DEMO.1 }))?;
        ensure!(found.get("account") == Some(&account), "Get answers {found}, Link {account}");
        load::fetch(&self.client, &account).map(|_| ())
    }

    /// Has a consent end on a page of the service, asks as Meta does whether webhooks are received, and sends one.
    fn call_back(&self) -> Result<()> {
        let arrived = demo::consent(&demo::invite(&self.client)?, DEMO.1)?;
        let page = demo::get(&arrived)?;
        let page = page.as_str().context("the page is no text")?;
        ensure!(page.contains(&format!("@{} is linked", DEMO.1)), "{page}");

        let check = format!(
            "{}/webhooks/instagram?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={VERIFY_TOKEN}",
            self.compose.callbacks_url()
        );
        let challenge = demo::get(&check)?;
        ensure!(challenge.as_bytes() == b"1158201444", "the check is answered by another text");

        let comment = json!({ "username": DEMO.1, "kind": "comment", "text": "Lovely!" });
        let batch = json!({ "url": WEBHOOKS, "updates": [comment] });
        let sent = demo::post(&format!("{}/sandbox/webhooks", self.sandbox), &batch)?;
        let sent: Value = serde_json::from_slice(sent.as_bytes()).context("no JSON")?;
        ensure!(sent.get("status").is_some_and(|status| status == 200), "{sent}");
        Ok(())
    }

    /// Makes each replica anew while callers call, as an upgrade does.
    fn upgrade(&self) -> Result<()> {
        let tally = Load::new(&self.client, &self.sandbox)?.during(|| {
            self.compose.run(BUILD)?;
            self.compose.run(MIGRATE)?;
            for replica in [REPLICAS; ROUNDS].as_flattened() {
                self.compose.run(&[RECREATE, &[replica]].concat())?;
            }
            Ok(())
        })?;
        console::note(&tally);
        tally.check()
    }

    /// Restarts the sandbox. PostgreSQL remembers what the sandbox forgets.
    fn restart_sandbox(&self) -> Result<()> {
        self.compose.run(&["restart", "sandbox"])?;
        self.becomes("sandbox", "healthy")?;
        self.link().map(|_| ())
    }

    fn stop_replicas(&self) -> Result<()> {
        self.compose.run(&[&["stop"], REPLICAS.as_slice()].concat())?;
        self.becomes("proxy", "unhealthy")?;
        let refused = self.client.call("Get", &json!({ "username": DEMO.1 }));
        let refused = refused.err().context("a call was answered without a replica")?.to_string();
        ensure!(refused.contains("no replica is ready"), "{refused}");
        self.compose.run(&[&["start"], REPLICAS.as_slice()].concat())?;
        self.becomes("proxy", "healthy")
    }

    fn link(&self) -> Result<Value> {
        demo::link(&self.client, &self.sandbox, DEMO.0, DEMO.1)
    }

    fn becomes(&self, service: &str, state: &str) -> Result<()> {
        let what = format!("{service} is {state}");
        process::wait_until(&what, HEALTH_TIMEOUT, || Ok(self.compose.state(service)? == state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../docs/CONTAINERS.md");

    #[test]
    fn what_is_played_is_what_the_page_says() {
        for replica in REPLICAS {
            let line = format!("docker compose {} {replica}", RECREATE.join(" "));
            assert!(PAGE.contains(&line), "{line}");
        }
        for line in [BUILD, MIGRATE] {
            assert!(PAGE.contains(&format!("docker compose {}", line.join(" "))), "{line:?}");
        }
        let [up, rest @ ..] = UP else { panic!("{UP:?}") };
        assert!(PAGE.contains(&format!("docker compose {up} --build {}", rest.join(" "))));
        assert!(PAGE.contains(WEBHOOKS));
    }
}
