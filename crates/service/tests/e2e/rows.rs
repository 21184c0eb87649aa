//! Every answer of Instagram that is documented or was seen: its bytes served over a socket, through the whole
//! running service, to the account or the reason that comes out over gRPC.
//!
//! A row is one fact about Instagram, named by its section and by what tells it apart there. A row has a case for
//! each spelling of it and for each call that can meet it.

pub(crate) mod answers;
mod browser;
mod case;
mod code_exchange;
mod graph_error;
mod graph_errors;
mod lane;
mod long_lived;
mod outcome;
mod profile;
mod throttling;

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures_util::future::join_all;

use self::case::{Case, Section};
use self::lane::Lane;

/// Numbers of rows and of cases of each section. A row that goes missing fails here.
const COUNTS: [(Section, usize, usize); 5] = [
    (Section::Authorization, 6, 20),
    (Section::CodeExchange, 24, 63),
    (Section::LongLived, 11, 35),
    (Section::Profile, 15, 41),
    (Section::GraphErrors, 43, 410),
];

#[tokio::test]
async fn every_answer_of_instagram_comes_out_as_its_account_or_its_reason() {
    let mut lanes: BTreeMap<_, Vec<Case>> = BTreeMap::new();
    for case in all() {
        lanes.entry((case.section, case.call.is_link())).or_default().push(case);
    }
    let troubles = join_all(lanes.into_values().map(run)).await.concat();
    assert!(troubles.is_empty(), "{} troubles:\n{}", troubles.len(), troubles.join("\n"));
}

#[test]
fn no_row_is_lost() {
    let cases = all();
    let mut names = HashSet::new();
    for case in &cases {
        assert!(names.insert(case.title()), "{} is there twice", case.title());
    }
    let counts = COUNTS.map(|(section, ..)| {
        let cases = cases.iter().filter(|case| case.section == section);
        let rows: BTreeSet<_> = cases.clone().map(|case| case.row).collect();
        (section, rows.len(), cases.count())
    });
    assert_eq!(counts, COUNTS);
}

fn all() -> Vec<Case> {
    let sections = [
        browser::cases(),
        code_exchange::cases(),
        long_lived::cases(),
        profile::cases(),
        graph_errors::cases(),
        throttling::cases(),
    ];
    sections.into_iter().flatten().collect()
}

/// Runs cases one after the other against a service of their own; returns what went otherwise.
async fn run(cases: Vec<Case>) -> Vec<String> {
    let mut lane = Lane::start().await;
    let mut troubles = Vec::new();
    for case in &cases {
        let found = lane.run(case).await;
        troubles.extend(found.into_iter().map(|trouble| format!("{}: {trouble}", case.title())));
    }
    troubles
}
