//! The stack of `docker-compose.yml` without containers: the same programs, settings and proxy, each on a loopback
//! address of its own in place of its host name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::proxy::Proxy;
use super::{On, Place, Sandbox, Service, eventually, tool};

/// The two replicas, as the stack calls them.
pub(crate) const REPLICAS: [&str; 2] = ["accounts-1", "accounts-2"];

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// `docker-compose.yml` as the Compose project's own parser reads it, with nothing set outside of it.
pub(crate) fn model() -> Value {
    parsed(&[])
}

/// The same before any variable is put in. A value that is put in then stays as it is, for it is not parsed again.
pub(crate) fn template() -> Value {
    parsed(&["-no-interpolation"])
}

fn parsed(arguments: &[&str]) -> Value {
    let mut parser = Command::new(tool("COMPOSE_GO"));
    parser.current_dir(root()).env_clear().args(arguments);
    parser.args(["-format", "json", "docker-compose.yml"]);
    let read = parser.output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    serde_json::from_slice(&read.stdout).unwrap()
}

/// Environment of a service's container: the variables of the image, and over them those of the stack.
pub(crate) fn environment(model: &Value, service: &str) -> BTreeMap<String, String> {
    let dockerfile = std::fs::read_to_string(root().join("Dockerfile")).unwrap();
    let (_, stage) = dockerfile.rsplit_once(" AS service\n").expect("it is the last stage");
    let image = stage.lines().filter_map(|line| line.strip_prefix("ENV ")?.split_once('='));
    let image = image.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let stack = model["services"][service]["environment"].as_object().unwrap().iter();
    let stack = stack.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
    image.chain(stack).collect()
}

/// Health check that the engine runs in the proxy's container.
pub(crate) fn proxy_check(model: &Value, addresses: &Addresses) -> Command {
    let check = model["services"]["proxy"]["healthcheck"]["test"].as_array().unwrap();
    let mut words = check.iter().map(|word| word.as_str().unwrap());
    assert_eq!(words.next(), Some("CMD"));
    let mut check = Command::new(words.next().expect("a program"));
    check.args(words.map(|word| word.replace("127.0.0.1", &addresses.of("proxy"))));
    check
}

/// A loopback address for each host of one stack, in no other stack's way.
///
/// The machine takes all of 127.0.0.0/8 for its own on Linux; other systems need an alias for each address.
pub(crate) struct Addresses([u8; 2]);

impl Addresses {
    /// Addresses that no other stack of this machine has.
    pub(crate) fn new() -> Self {
        static STACKS: AtomicU8 = AtomicU8::new(0);
        let [.., high, low] = std::process::id().to_be_bytes();
        let stack = STACKS.fetch_add(1, Ordering::Relaxed);
        Self([64 | high >> 2, low.wrapping_add(stack << 4)])
    }

    /// Address of the host of this name.
    pub(crate) fn of(&self, host: &str) -> String {
        let hosts = [REPLICAS[0], REPLICAS[1], "proxy", "migrate"];
        let host = hosts.iter().position(|known| *known == host).expect("a host of the stack");
        let Self([high, low]) = self;
        format!("127.{high}.{low}.{}", host + 1)
    }
}

/// The running stack.
pub(crate) struct ComposeStack {
    pub(crate) sandbox: Sandbox,
    pub(crate) proxy: Proxy,
    hosts: Hosts,
}

impl ComposeStack {
    /// Starts it and its replicas, in the order in which its services wait for one another.
    pub(crate) async fn start() -> (Self, [Service; 2]) {
        let (place, sandbox) = (Place::new(On::Postgres).await, Sandbox::start().await);
        let hosts = Hosts { model: model(), place, addresses: Addresses::new() };
        let migrated = hosts.program(&sandbox, "migrate", "migrate").output().unwrap();
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
        let run = |replica| Service::run(hosts.program(&sandbox, replica, "serve"));
        let [one, other] = REPLICAS.map(run);
        let replicas = [one.await, other.await];
        let proxy = Proxy::start(&hosts.addresses).await;
        let stack = Self { sandbox, proxy, hosts };
        eventually("the proxy is healthy", async || {
            let check = proxy_check(&stack.hosts.model, &stack.hosts.addresses).output();
            check.unwrap().status.success().then_some(())
        })
        .await;
        for replica in REPLICAS {
            stack.ready(replica).await;
        }
        (stack, replicas)
    }

    /// Stops this replica as an engine does, makes it anew, and waits until it may serve; returns what the stopped
    /// one had printed.
    pub(crate) async fn restart(&self, replica: &mut Service, name: &str) -> String {
        replica.process.signal(Signal::SIGTERM);
        let status = replica.process.ended().await;
        let printed = replica.process.printed();
        assert!(status.success(), "{status}");
        self.replace(replica, name).await;
        printed
    }

    /// Kills this replica in the middle of whatever it does, makes it anew, and waits until it may serve.
    pub(crate) async fn kill(&self, replica: &mut Service, name: &str) {
        replica.process.ended_by(Signal::SIGKILL).await;
        self.replace(replica, name).await;
    }

    /// Starts a replica in the place of one that ended.
    async fn replace(&self, replica: &mut Service, name: &str) {
        *replica = Service::run(self.hosts.program(&self.sandbox, name, "serve")).await;
        self.ready(name).await;
    }

    /// Waits for the container's own check, and for the proxy's.
    async fn ready(&self, replica: &str) {
        eventually(&format!("{replica} is healthy"), async || {
            let mut check = self.hosts.program(&self.sandbox, replica, "healthcheck");
            check.output().unwrap().status.success().then_some(())
        })
        .await;
        self.proxy.sees_up(replica).await;
    }
}

/// Addresses and rows behind the names in the stack's settings.
struct Hosts {
    model: Value,
    place: Place,
    addresses: Addresses,
}

impl Hosts {
    /// Program of a service's container, with addresses in place of host names.
    fn program(&self, sandbox: &Sandbox, service: &str, command: &str) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_instagram-accounts"));
        program.env_clear().current_dir(self.place.path()).arg(command);
        for (name, value) in environment(&self.model, service) {
            let value = value
                .replace("http://sandbox:8090", &sandbox.url)
                .replace("http://127.0.0.1:8090", &sandbox.url)
                .replace("//127.0.0.1:8080", &format!("//{}:8080", self.addresses.of("proxy")));
            let port = value.strip_prefix("0.0.0.0:").map(str::to_owned);
            let listen = port.map(|port| format!("{}:{port}", self.addresses.of(service)));
            program.env(name, listen.unwrap_or(value));
        }
        program.env("DATABASE_URL", self.place.schema_url().expect("a schema").as_str());
        // That of the stack's own PostgreSQL.
        program.env_remove("DATABASE_PASSWORD");
        program
    }
}
