//! Checks of the stack without an engine: `docker-compose.yml` is what Compose understands and keeps its promises,
//! and HAProxy takes its configuration.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::compose::{REPLICAS, environment, model, root, template};
use crate::support::tool;

/// The services that run a program of ours.
const OURS: [&str; 4] = ["accounts-1", "accounts-2", "migrate", "sandbox"];

/// The words of a program's help, among them the variables that it reads.
fn help_of(program: &str, command: Option<&str>) -> BTreeSet<String> {
    let help = Command::new(program).args(command).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let word = |text: &str| text.trim_matches(|letter: char| !letter.is_alphanumeric()).to_owned();
    help.split_whitespace().map(word).collect()
}

#[test]
fn ports_are_published_on_loopback_only() {
    let model = model();
    let mut published = Vec::new();
    for (name, service) in model["services"].as_object().unwrap() {
        for port in service["ports"].as_array().into_iter().flatten() {
            assert_eq!(port["host_ip"], "127.0.0.1", "{name}: {port}");
            published.push((name.as_str(), port["published"].as_str().unwrap()));
        }
        assert_eq!(service["network_mode"], Value::Null, "{name} has ports of its own");
    }
    assert_eq!(published, [("proxy", "50051"), ("proxy", "8080"), ("sandbox", "8090")]);
}

#[test]
fn our_programs_and_the_proxy_can_write_nothing_and_gain_nothing() {
    let model = model();
    for name in OURS.into_iter().chain(["proxy"]) {
        let service = &model["services"][name];
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], json!(["ALL"]), "{name}");
        assert_eq!(service["security_opt"], json!(["no-new-privileges:true"]), "{name}");
    }
}

#[test]
fn each_starts_after_what_it_needs() {
    let services = &model()["services"];
    let after =
        |name: &str, needed: &str| services[name]["depends_on"][needed]["condition"].clone();
    assert_eq!(after("migrate", "postgres"), "service_healthy");
    for replica in REPLICAS {
        assert_eq!(after(replica, "migrate"), "service_completed_successfully");
        assert_eq!(after(replica, "sandbox"), "service_healthy");
        assert_eq!(after("proxy", replica), "service_healthy");
        // Longer than SHUTDOWN_TIMEOUT's default.
        assert_eq!(services[replica]["stop_grace_period"], "40s");
    }
    assert_eq!(services["postgres"]["volumes"][0]["type"], "volume");
}

#[test]
fn whatever_keeps_running_says_whether_it_is_well() {
    let model = model();
    let services = model["services"].as_object().unwrap().iter();
    let (running, ending): (Vec<_>, Vec<_>) =
        services.partition(|(_, service)| service["restart"] == "unless-stopped");
    assert_eq!(ending.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["migrate"]);
    for (name, service) in running {
        let check = &service["healthcheck"];
        let checked = check["test"].is_array() && check["disable"] != true;
        assert!(checked, "`up --wait` does not wait for {name}");
    }
}

#[test]
fn the_image_checks_itself_as_the_stack_does() {
    let dockerfile = std::fs::read_to_string(root().join("Dockerfile")).unwrap();
    for replica in REPLICAS {
        let check = &model()["services"][replica]["healthcheck"];
        let of = |name: &str| check[name].as_str().unwrap().to_owned();
        let (command, words) = check["test"].as_array().unwrap().split_first().unwrap();
        let words: Vec<_> = words.iter().map(Value::to_string).collect();
        let expected = format!(
            "HEALTHCHECK --interval={} --timeout={} --start-period={} {} [{}]\n",
            of("interval"),
            of("timeout"),
            of("start_period"),
            command.as_str().unwrap(),
            words.join(", ")
        );
        assert!(dockerfile.contains(&expected), "{expected}");
    }
}

#[test]
fn every_setting_is_one_that_its_program_reads() {
    let (model, known) =
        (model(), help_of(env!("CARGO_BIN_EXE_instagram-accounts"), Some("serve")));
    for name in ["accounts-1", "accounts-2", "migrate"] {
        for setting in environment(&model, name).keys() {
            assert!(known.contains(setting), "{name}: {setting} is no setting");
        }
    }
    let known = help_of(tool("INSTAGRAM_SANDBOX_BIN").to_str().unwrap(), None);
    for setting in model["services"]["sandbox"]["environment"].as_object().unwrap().keys() {
        assert!(known.contains(setting), "sandbox: {setting} is no setting");
    }
}

#[test]
fn the_replicas_listen_where_the_proxy_reaches_them() {
    let model = model();
    let proxy = std::fs::read_to_string(root().join("deploy/haproxy.cfg")).unwrap();
    for replica in REPLICAS {
        let environment = environment(&model, replica);
        assert_eq!(environment["GRPC_LISTEN"], "0.0.0.0:50051");
        assert!(proxy.contains(&format!("server {replica} {replica}:50051\n")));
        assert_eq!(environment["METRICS_LISTEN"], "0.0.0.0:9464");
        assert!(proxy.contains("http-check connect port 9464 "));
        assert_eq!(environment["HTTP_LISTEN"], "0.0.0.0:8080");
        assert!(proxy.contains(&format!("server {replica} {replica}:8080 track ")));
        // Without it, or callers, the service does not start where it does not listen on loopback.
        assert_eq!(environment["ALLOW_ANONYMOUS"], "true");
    }
}

#[test]
fn browsers_come_back_to_where_the_proxy_is_published() {
    const PORT: &str = "${CALLBACKS_PORT:-8080}";
    let model = template();
    let ports = model["services"]["proxy"]["ports"].as_array().unwrap();
    assert!(ports.contains(&format!("127.0.0.1:{PORT}:8080").into()), "{ports:?}");
    for replica in REPLICAS {
        let public_url = &environment(&model, replica)["PUBLIC_URL"];
        assert_eq!(*public_url, format!("http://127.0.0.1:{PORT}"), "{replica}");
    }
}

#[test]
fn a_generated_password_reaches_both_ends_as_it_is() {
    const GENERATED: &str = "${POSTGRES_PASSWORD:-local-only}";
    let model = template();
    assert_eq!(model["services"]["postgres"]["environment"]["POSTGRES_PASSWORD"], GENERATED);
    for name in ["accounts-1", "accounts-2", "migrate"] {
        let environment = environment(&model, name);
        assert_eq!(environment["DATABASE_PASSWORD"], GENERATED, "{name}");
        assert_eq!(environment["DATABASE_URL"], "postgres://accounts@postgres/accounts", "{name}");
    }
}

#[test]
fn each_image_is_a_stage_of_the_dockerfile_and_the_sandbox_is_in_no_other() {
    let dockerfile = std::fs::read_to_string(root().join("Dockerfile")).unwrap();
    let stages: Vec<_> = dockerfile.split("\nFROM ").skip(1).collect();
    let services = &model()["services"];
    for name in ["migrate", "sandbox"] {
        let target = services[name]["build"]["target"].as_str().unwrap();
        let named =
            |stage: &&&str| stage.lines().next().unwrap().ends_with(&format!(" AS {target}"));
        let stage = stages.iter().find(named).expect("a stage");
        let copied: Vec<_> = stage.lines().filter(|line| line.starts_with("COPY ")).collect();
        let program = format!(
            "/programs/instagram-{}",
            ["accounts", "sandbox"][usize::from(name == "sandbox")]
        );
        assert_eq!(copied, [format!("COPY --from=build {program} /usr/local/bin/")]);
    }
    assert!(stages.last().unwrap().contains(" AS service\n"), "a plain build is the service's");
    for replica in REPLICAS {
        assert_eq!(services[replica]["image"], services["migrate"]["image"]);
    }
}

#[test]
fn the_build_is_given_every_member_of_the_workspace() {
    let read = |file: &str| std::fs::read_to_string(root().join(file)).unwrap();
    let (manifest, given) = (read("Cargo.toml"), read(".dockerignore"));
    let (_, members) = manifest.split_once("members = [").unwrap();
    let (members, _) = members.split_once(']').unwrap();
    let members: Vec<_> = members.split('"').skip(1).step_by(2).collect();
    assert!(members.contains(&"crates/service"), "{members:?}");
    for member in members {
        let (folder, _) = member.split_once('/').unwrap_or((member, ""));
        assert!(given.lines().any(|line| line == format!("!{folder}")), "{folder} is left out");
    }
}

#[test]
fn names_are_looked_up_where_the_engine_says() {
    let proxy = std::fs::read_to_string(root().join("deploy/haproxy.cfg")).unwrap();
    assert!(proxy.contains("\n    parse-resolv-conf\n"));
    assert!(!proxy.contains("nameserver "), "an engine's name server has no fixed address");
}

#[test]
fn images_of_others_are_named_with_their_registry() {
    for (name, service) in model()["services"].as_object().unwrap() {
        let image = service["image"].as_str().unwrap();
        // Podman looks a name without one up in no registry, unless its machine was told to.
        let ours = image.ends_with(":local");
        assert!(ours || image.starts_with("docker.io/library/"), "{name}: {image}");
    }
    let dockerfile = std::fs::read_to_string(root().join("Dockerfile")).unwrap();
    for image in dockerfile.lines().filter_map(|line| line.strip_prefix("FROM ")) {
        assert!(image.starts_with("base ") || image.starts_with("docker.io/library/"), "{image}");
    }
}

#[test]
fn haproxy_takes_the_configuration_as_it_is() {
    let configuration = root().join("deploy/haproxy.cfg");
    let check = Command::new(tool("HAPROXY")).arg("-c").arg("-f").arg(configuration).output();
    let check = check.unwrap();
    let said = String::from_utf8([check.stdout, check.stderr].concat()).unwrap();
    assert!(check.status.success(), "{said}");
    // Only that the containers' names are known nowhere else, and that this machine may have no name server.
    let usual = ["could not resolve", "has no nameservers configured"];
    let warnings = said.lines().filter(|line| line.contains("[WARNING]"));
    let others: Vec<_> =
        warnings.filter(|line| !usual.iter().any(|usual| line.contains(usual))).collect();
    assert_eq!(others, [""; 0]);
}
