//! The catalogue in the documentation and the registry agree, in both directions.

use std::collections::{BTreeMap, BTreeSet};

use ig_adapters::callers::{CallersFile, Stanza};
use ig_domain::ports::{Breaker, Survey};
use ig_grpc_server::{Tls, TlsPem};
use ig_metrics::TextFormat;
use ig_test_support::FakeClock;
use ig_test_support::builders::{START, parsed};
use ig_test_support::certificates::{Authority, Issued, Name};
use tokio::sync::watch;

use super::*;
use crate::surveying::Seen;

const CATALOGUE: &str = include_str!("../../../../docs/METRICS.md");
const ALERTS: &str = include_str!("../../../../deploy/prometheus/alerts.yml");
const ALERT_TESTS: [&str; 2] = [
    include_str!("../../../../deploy/prometheus/alerts.test.yml"),
    include_str!("../../../../deploy/prometheus/alerts.long.test.yml"),
];

/// The labels of a metric, and the values that they may have; none where they are names that come as it runs.
type Labels = BTreeMap<String, BTreeSet<String>>;

/// A metric, as either side describes it.
#[derive(Debug, Default, PartialEq)]
struct Metric {
    kind: String,
    unit: String,
    help: String,
    labels: Labels,
}

/// The rows of the catalogue, by name.
fn documented() -> BTreeMap<String, Metric> {
    let (_, catalogue) = CATALOGUE.split_once("## Catalogue").unwrap();
    let (catalogue, _) = catalogue.split_once("\n## ").unwrap();
    let rows = catalogue.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, unit, labels, meaning] = cells[..] else { panic!("{row}") };
        let (help, _) = meaning.split_once(['.', ';']).unwrap_or((meaning, ""));
        let metric = Metric {
            kind: kind.to_owned(),
            unit: unit.to_owned(),
            help: help.replace('`', ""),
            labels: labels_of(labels),
        };
        (name.trim_matches('`').to_owned(), metric)
    })
    .collect()
}

/// Reads a cell such as "`code`: `OK`, `CANCELLED`; `method`: `Get`".
fn labels_of(cell: &str) -> Labels {
    let labels = cell.split("; ").filter(|label| label.starts_with('`'));
    labels
        .map(|label| {
            let (name, values) = label.split_once(": ").unwrap_or_else(|| panic!("{label}"));
            let values = values.split(", ").filter(|value| value.starts_with('`'));
            let values = values.map(|value| value.trim_matches('`').to_owned()).collect();
            (name.trim_matches('`').to_owned(), values)
        })
        .collect()
}

/// Metrics that the registry exposes, by the names that samples have (histograms: without the suffix).
fn exposed(text: &str) -> BTreeMap<String, Metric> {
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        let words: Vec<_> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", name, help] => {
                name.clone_into(&mut current);
                let metric = metrics.entry(current.clone()).or_default();
                help.trim_end_matches('.').clone_into(&mut metric.help);
            }
            ["#", "TYPE", _, kind] => {
                kind.clone_into(&mut metrics.get_mut(&current).unwrap().kind);
            }
            ["#", "UNIT", _, unit] => {
                unit.clone_into(&mut metrics.get_mut(&current).unwrap().unit);
            }
            ["#", "EOF"] => {}
            _ => {
                let labels = &mut metrics.get_mut(&current).unwrap().labels;
                for (name, value) in sample_labels(line) {
                    labels.entry(name).or_default().insert(value);
                }
            }
        }
    }
    metrics.into_iter().map(|(name, metric)| (sample_name(&name, &metric.kind), metric)).collect()
}

fn sample_name(name: &str, kind: &str) -> String {
    match kind {
        "counter" => format!("{name}_total"),
        "info" => format!("{name}_info"),
        _ => name.to_owned(),
    }
}

fn sample_labels(sample: &str) -> Vec<(String, String)> {
    let Some((_, rest)) = sample.split_once('{') else { return Vec::new() };
    let (labels, _) = rest.rsplit_once('}').unwrap();
    let labels = labels.split(',').map(|label| label.split_once('=').unwrap());
    let labels = labels.filter(|(name, _)| *name != "le");
    labels.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect()
}

/// Every metric of which anything can be known.
fn meters() -> Meters {
    let clock: Arc<dyn Clock> = Arc::new(FakeClock::at(START));
    let meters = Meters::new(&Counter::default(), &clock, expiries(&clock));
    let survey = Survey {
        time: START,
        active: 1,
        reauthorization_required: 0,
        first_expire_time: Some(START),
        due: 0,
        overdue: 0,
        longest_due_time: None,
        in_trouble: BTreeMap::new(),
        of_other_apps: 0,
    };
    meters.survey.show(Seen { survey, breaker: Breaker::default() });
    meters
}

/// A certificate, an authority and a caller that expire.
fn expiries(clock: &Arc<dyn Clock>) -> Expiries {
    let callers = CallersFile::new("callers.toml".into(), Arc::clone(clock));
    let caller = Stanza {
        name: "publisher".to_owned(),
        roles: vec!["read".to_owned()],
        owners: vec!["*".to_owned()],
        expire_time: Some(parsed("2027-01-01T00:00:00Z")),
        ..Stanza::default()
    };
    callers.apply(&caller.to_toml().unwrap()).unwrap();
    let authority = Authority::new();
    let Issued { pem, key, .. } = authority.issue(&[Name::Dns("localhost")]);
    let (certificate, key) = (pem.as_bytes(), key.as_bytes());
    let client_ca = Some(authority.pem.as_bytes());
    let tls = Tls::from_pem(&TlsPem { certificate, key, client_ca }).unwrap();
    let tls = watch::Sender::new(tls).subscribe();
    Expiries { callers: Some(Arc::new(callers)), tls: Some(tls) }
}

#[test]
fn nothing_is_shown_of_accounts_before_a_survey_or_of_what_does_not_expire() {
    let clock: Arc<dyn Clock> = Arc::new(FakeClock::at(START));
    let meters = Meters::new(&Counter::default(), &clock, Expiries::default());
    let shown = exposed(&meters.registry.text(TextFormat::OpenMetrics).unwrap());
    for name in ["accounts", "due", "first_expiry_seconds", "caller_expiry_seconds"] {
        assert!(!shown.contains_key(&format!("instagram_accounts_{name}")), "{name}");
    }
}

#[test]
fn the_catalogue_and_the_registry_agree_in_both_directions() {
    let mut documented = documented();
    documented.retain(|name, _| cfg!(target_os = "linux") || !name.starts_with("process_"));
    let mut exposed = exposed(&meters().registry.text(TextFormat::OpenMetrics).unwrap());
    // Their values are known only as it runs: the release, and whom the operator named.
    for (name, label) in [("build_info", "version"), ("tokens_handed_out_total", "caller")] {
        let metric = exposed.get_mut(&format!("instagram_accounts_{name}")).unwrap();
        let values = metric.labels.insert(label.to_owned(), BTreeSet::new());
        assert_eq!(values.unwrap().len(), 1, "{name}");
    }
    assert!(exposed.len() > 5, "{exposed:?}");
    for (name, metric) in &exposed {
        let row = documented.get(name).unwrap_or_else(|| panic!("docs/METRICS.md lacks {name}"));
        assert_eq!(row, metric, "docs/METRICS.md differs in {name}");
    }
    for name in documented.keys() {
        assert!(exposed.contains_key(name), "nothing exposes {name} of docs/METRICS.md");
    }
}

#[test]
fn alerts_and_their_tests_name_only_metrics_of_the_catalogue() {
    let documented = documented();
    for rules in [ALERTS].into_iter().chain(ALERT_TESTS) {
        let words = rules.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let prefixes = ["instagram_accounts_", "process_"];
        let named = words.filter(|word| prefixes.iter().any(|prefix| word.starts_with(prefix)));
        let named: BTreeSet<_> = named.collect();
        assert!(named.len() > 3, "{named:?}");
        for name in named {
            assert!(documented.contains_key(name), "docs/METRICS.md lacks {name}");
        }
    }
}

#[test]
fn every_alert_is_explained_and_tested() {
    let alerts: BTreeSet<_> =
        ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let (_, explained) = CATALOGUE.split_once("## What to alert on").unwrap();
    let explained =
        explained.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    assert_eq!(explained.map(|(name, _)| name).collect::<BTreeSet<_>>(), alerts);
    let fired = ALERT_TESTS.iter().flat_map(|tests| tests.split("alertname=\"").skip(1));
    let fired = fired.map(|rest| rest.split_once('"').unwrap().0);
    assert_eq!(fired.collect::<BTreeSet<_>>(), alerts);
}
