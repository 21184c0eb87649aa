//! The catalogue in the documentation and the registry agree, in both directions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ig_adapters::callers::{CallersFile, Stanza};
use ig_domain::ports::{Breaker, ConsumerKey, ConsumerState, LogCount, Survey};
use ig_grpc_server::{Tls, TlsPem};
use ig_metrics::TextFormat;
use ig_test_support::FakeClock;
use ig_test_support::builders::{START, parsed};
use ig_test_support::certificates::{Authority, Issued, Name};
use serde_json::Value;
use tokio::sync::watch;

use super::*;
use crate::surveying::Seen;

const CATALOGUE: &str = include_str!("../../../../docs/METRICS.md");
const ALERTS: &str = include_str!("../../../../deploy/prometheus/alerts.yml");
const ALERT_TESTS: [&str; 2] = [
    include_str!("../../../../deploy/prometheus/alerts.test.yml"),
    include_str!("../../../../deploy/prometheus/alerts.long.test.yml"),
];

const BOARD: &str = include_str!("../../../../deploy/grafana/instagram-accounts.json");

/// Labels that Prometheus adds, and that of a histogram's buckets.
const COMMON_LABELS: [&str; 3] = ["job", "instance", "le"];

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
    let (none, moment) = (Duration::ZERO, Some(START));
    let log = LogCount { kept: 1, unnumbered: 0, unnumbered_age: none, oldest_time: moment };
    let consumer = ConsumerState {
        key: ConsumerKey { caller: parsed("publisher"), name: parsed("copy") },
        committed: None,
        is_held: false,
        lag_events: 1,
        lag: none,
        window_left: none,
    };
    let (breaker, consumers) = (Breaker::default(), vec![consumer]);
    meters.survey.show(Seen { survey, breaker, log, consumers, event_window: none });
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
    // Their values are known only as it runs: the release, whom the operator named, and what callers named.
    let by_consumer = ["lag_events", "lag_seconds", "window_left_seconds"].map(|name| {
        let name = format!("consumer_{name}");
        [(name.clone(), "caller"), (name, "consumer")]
    });
    let named = [("build_info", "version"), ("tokens_handed_out_total", "caller")];
    let named = named.map(|(name, label)| (name.to_owned(), label));
    for (name, label) in named.into_iter().chain(by_consumer.into_iter().flatten()) {
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

/// Texts with expressions: each rule, the tests of the rules, and the queries of the board.
fn expressions() -> Vec<String> {
    let board: Value = serde_json::from_str(BOARD).unwrap();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let targets = list(&board["panels"]).into_iter().flat_map(|panel| list(&panel["targets"]));
    let drawn = targets.map(|target| {
        let legend = target["legendFormat"].as_str().unwrap().split("{{").skip(1);
        let labels: Vec<_> = legend.map(|rest| rest.split_once("}}").unwrap().0).collect();
        format!("{} by ({})", target["expr"].as_str().unwrap(), labels.join(", "))
    });
    let variables = list(&board["templating"]["list"]).into_iter();
    let variables = variables.map(|variable| variable["query"].as_str().unwrap().to_owned());
    let rules = ALERTS.split("- alert: ").skip(1).chain(ALERT_TESTS).map(str::to_owned);
    rules.chain(drawn).chain(variables).collect()
}

/// The metrics of ours that a text names, each with the matchers behind it.
fn selectors(text: &str) -> Vec<(&str, Vec<&str>)> {
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let found = ["instagram_accounts_", "process_"].into_iter().flat_map(|prefix| {
        let begins = text.match_indices(prefix).map(|(at, _)| text.split_at(at));
        begins.filter(|(before, _)| !before.ends_with(is_word)).map(|(_, named)| named)
    });
    found
        .map(|named| {
            let (name, rest) = named.split_at(named.find(|letter| !is_word(letter)).unwrap());
            let matchers = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let matchers = matchers.map_or("", |(matchers, _)| matchers).split(',');
            (name, matchers.filter(|matcher| !matcher.is_empty()).collect())
        })
        .collect()
}

/// The metric whose samples have this name.
fn metric_of<'a>(catalogue: &'a BTreeMap<String, Metric>, name: &str) -> &'a Metric {
    let of_histogram = ["_bucket", "_sum", "_count"]
        .into_iter()
        .filter_map(|suffix| catalogue.get(name.strip_suffix(suffix)?))
        .find(|metric| metric.kind == "histogram");
    let metric = of_histogram.or_else(|| catalogue.get(name));
    metric.unwrap_or_else(|| panic!("docs/METRICS.md lacks {name}"))
}

/// Fails unless the metric has the label of this matcher, and the label may have its values.
fn assert_matches(name: &str, metric: &Metric, matcher: &str) {
    let (label, value) = matcher.split_once(['=', '!']).unwrap();
    if COMMON_LABELS.contains(&label) {
        return;
    }
    let known = metric.labels.get(label).unwrap_or_else(|| panic!("{name} has no label {label}"));
    for value in value.split('"').nth(1).unwrap().split('|') {
        assert!(known.is_empty() || known.contains(value), "{name}: {label} is never {value}");
    }
}

#[test]
fn alerts_their_tests_and_the_board_name_only_metrics_and_labels_of_the_catalogue() {
    let catalogue = documented();
    let expressions = expressions();
    assert!(expressions.len() > 50, "{}", expressions.len());
    for text in &expressions {
        let mut labels: BTreeSet<&str> = COMMON_LABELS.into_iter().chain(["alertname"]).collect();
        for (name, matchers) in selectors(text) {
            let metric = metric_of(&catalogue, name);
            labels.extend(metric.labels.keys().map(String::as_str));
            for matcher in matchers {
                assert_matches(name, metric, matcher);
            }
        }
        let grouped = [" by (", " on ("].into_iter().flat_map(|begin| text.split(begin).skip(1));
        for label in grouped.flat_map(|rest| rest.split_once(')').unwrap().0.split(", ")) {
            assert!(label.is_empty() || labels.contains(label), "no label {label}: {text}");
        }
    }
}

#[test]
fn every_alert_is_fired_by_a_test_and_all_that_it_reads_is_there_on_a_fresh_deployment() {
    let alerts: BTreeSet<_> =
        ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let fired = ALERT_TESTS.iter().flat_map(|tests| tests.split("alertname=\"").skip(1));
    let fired = fired.map(|rest| rest.split_once('"').unwrap().0);
    assert_eq!(fired.collect::<BTreeSet<_>>(), alerts);
    let names = |text| selectors(text).into_iter().map(|(name, _)| name);
    let tests = ALERT_TESTS.iter().flat_map(|tests| tests.split("  - name: "));
    let fresh = tests.filter(|test| test.starts_with("a fresh deployment"));
    let there: BTreeSet<_> = fresh.flat_map(names).collect();
    let missing: BTreeSet<_> = names(ALERTS).filter(|name| !there.contains(name)).collect();
    assert!(missing.is_empty(), "no fresh deployment of the tests has {missing:?}");
}
