//! `cargo xtask layers`: the direction of every dependency.
//!
//! Arrows point inwards: domain <- application <- grpc-server <- service, and domain <- adapters <- service. The client
//! knows the messages only: proto <- client, and nothing that ships knows the client.

mod allowed_dependencies;

use anyhow::{Result, ensure};
use cargo_metadata::{Dependency, DependencyKind, Package};

use self::allowed_dependencies::ALLOWED_DEPENDENCIES;
use crate::console;
use crate::workspace::Workspace;

/// The prefix of every package of ours that can be depended upon.
const OURS: &str = "ig-";

/// The binary: everything is below it.
const TOP: &str = "ig-service";

/// Stands in for Instagram, so it must know nothing of how we see Instagram.
const SANDBOX: &str = "ig-sandbox";

/// Packages that only tests may name.
const TESTS_ONLY: [&str; 2] = ["ig-test-support", SANDBOX];

/// Fails with every forbidden dependency.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let packages = workspace.metadata().workspace_packages();
    let troubles: Vec<_> = packages.iter().flat_map(|package| troubles(package)).collect();
    ensure!(troubles.is_empty(), "the layers are broken:\n  {}", troubles.join("\n  "));
    console::note(format_args!("{} packages keep their layers", packages.len()));
    Ok(())
}

/// Faults of a package's dependencies and features.
fn troubles(package: &Package) -> Vec<String> {
    let edges = package.dependencies.iter().filter_map(|dependency| trouble(package, dependency));
    let mocked = package.features.iter().filter(|(feature, turns_on)| {
        // `mocks` itself is where the feature is made; nothing else may lead to it.
        feature.as_str() != "mocks" && turns_on.iter().any(|name| is_mocks(name))
    });
    let mocked = mocked.map(|(feature, _)| format!("{}: {feature} turns on mocks", package.name));
    edges.chain(mocked).collect()
}

/// Fault of one edge, if there is any.
fn trouble(package: &Package, dependency: &Dependency) -> Option<String> {
    let (from, to) = (package.name.as_str(), dependency.name.as_str());
    let edge = format!("{from} may not depend on {to}");
    if to == TOP {
        return Some(format!("{edge}: nothing does"));
    }
    if from == SANDBOX && to.starts_with(OURS) {
        return Some(format!("{edge}: it must not know us"));
    }
    if dependency.kind == DependencyKind::Development {
        return None;
    }
    if TESTS_ONLY.contains(&to) {
        return Some(format!("{edge} but in tests"));
    }
    if dependency.features.iter().any(|feature| is_mocks(feature)) {
        return Some(format!("{from} may turn on the mocks of {to} only in tests"));
    }
    match ALLOWED_DEPENDENCIES.iter().find(|(name, _)| *name == to) {
        None => Some(format!("{edge}: it has no row in xtask/src/layers/allowed_dependencies.rs")),
        Some((_, dependents)) if dependents.contains(&from) => None,
        Some((_, dependents)) => Some(format!("{edge}: only {} may", dependents.join(", "))),
    }
}

/// Whether a feature is the domain's mocks, by whatever path.
fn is_mocks(feature: &str) -> bool {
    feature == "mocks" || feature.ends_with("/mocks")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_workspace_keeps_its_layers() {
        run(&Workspace::find().unwrap()).unwrap();
    }

    #[test]
    fn every_row_is_needed() {
        let workspace = Workspace::find().unwrap();
        for (name, dependents) in ALLOWED_DEPENDENCIES {
            for dependent in *dependents {
                let packages = workspace.metadata().workspace_packages();
                let dependent =
                    packages.iter().find(|package| package.name.as_str() == *dependent).unwrap();
                let names = |dependency: &&Dependency| {
                    dependency.name == *name && dependency.kind != DependencyKind::Development
                };
                assert!(
                    dependent.dependencies.iter().any(|d| names(&d)),
                    "{} {name}",
                    dependent.name
                );
            }
        }
    }

    #[rstest]
    #[case::outwards(
        "ig-domain",
        "ig-application",
        "ig-domain may not depend on ig-application: only"
    )]
    #[case::sideways(
        "ig-adapters",
        "ig-application",
        "ig-adapters may not depend on ig-application"
    )]
    #[case::a_framework_inside("ig-application", "sea-orm", "only ig-adapters may")]
    #[case::a_client_that_knows_the_server(
        "instagram-accounts-client",
        "ig-domain",
        "instagram-accounts-client may not depend on ig-domain: only"
    )]
    #[case::a_server_that_knows_the_client(
        "ig-service",
        "instagram-accounts-client",
        "it has no row"
    )]
    #[case::no_row("ig-domain", "left-pad", "it has no row")]
    #[case::the_top("xtask", "ig-service", "nothing does")]
    #[case::test_support("ig-service", "ig-test-support", "but in tests")]
    #[case::the_stand_in("ig-service", "ig-sandbox", "but in tests")]
    #[case::a_stand_in_that_knows_us("ig-sandbox", "ig-domain", "it must not know us")]
    fn a_forbidden_edge_is_named(#[case] from: &str, #[case] to: &str, #[case] expected: &str) {
        let found = troubles(&package(from, &json!([dependency(to, None, &[])]), &json!({})));
        assert!(matches!(&found[..], [one] if one.contains(expected)), "{found:?}");
    }

    #[rstest]
    #[case::anything("ig-domain", "left-pad", 0)]
    #[case::test_support("ig-application", "ig-test-support", 0)]
    #[case::the_top("ig-grpc-server", "ig-service", 1)]
    #[case::a_stand_in_that_knows_us("ig-sandbox", "ig-domain", 1)]
    fn tests_may_name_what_they_like_but_the_top(
        #[case] from: &str,
        #[case] to: &str,
        #[case] expected: usize,
    ) {
        let dependencies = json!([dependency(to, Some("dev"), &["mocks"])]);
        assert_eq!(troubles(&package(from, &dependencies, &json!({}))).len(), expected);
    }

    #[test]
    fn nothing_that_ships_turns_on_mocks() {
        let dependencies = json!([dependency("ig-domain", None, &["mocks"])]);
        let by_edge = troubles(&package("ig-application", &dependencies, &json!({})));
        assert_eq!(by_edge, ["ig-application may turn on the mocks of ig-domain only in tests"]);

        let features = json!({ "mocks": ["dep:mockall"], "default": ["mocks"] });
        let by_feature = troubles(&package("ig-domain", &json!([]), &features));
        assert_eq!(by_feature, ["ig-domain: default turns on mocks"]);
    }

    fn dependency(name: &str, kind: Option<&str>, features: &[&str]) -> Value {
        json!({
            "name": name, "req": "*", "kind": kind, "features": features,
            "optional": false, "uses_default_features": true,
        })
    }

    fn package(name: &str, dependencies: &Value, features: &Value) -> Package {
        let package = json!({
            "name": name, "version": "0.1.0", "id": name, "manifest_path": "/Cargo.toml",
            "dependencies": dependencies, "features": features, "targets": [],
        });
        serde_json::from_value(package).unwrap()
    }
}
