//! What is said of each key, and a key that is made.

use std::collections::BTreeMap;
use std::time::Duration;

use ig_adapters::system::RandomIds;
use ig_application::KeyUse;
use ig_domain::ports::{MockClock, SealedKind};
use time::macros::datetime;

use super::*;
use crate::caller::Outputs;

fn used(tokens: u64, payloads: u64) -> KeyUse {
    KeyUse {
        secrets: BTreeMap::from([(SealedKind::Token, tokens), (SealedKind::UserKey, 0)]),
        payloads,
        newest_payload_time: (payloads > 0).then_some(datetime!(2026-11-24 08:00 UTC)),
    }
}

#[test]
fn each_key_is_shown_with_what_still_needs_it() {
    let sealed = [
        ("k0", used(1, 0)),
        ("k1", used(0, 7)),
        ("k2", used(3, 7)),
        ("k4", used(1200, 0)),
        ("k5", used(0, 1)),
    ];
    let report = Report {
        configured: ["k4", "k3", "k2", "k1"].map(str::to_owned).to_vec(),
        sealed: sealed.into_iter().map(|(key, used)| (key.to_owned(), used)).collect(),
        event_window: Duration::from_hours(14 * 24),
        time: datetime!(2026-11-29 14:00 UTC),
    };
    let mut out = Vec::new();
    report.write(&mut out).unwrap();
    let expected = "\
KEY  STATE    TOKENS  SHORT_LIVED_TOKENS  HOSTED_CODES  USER_KEY  PAYLOADS
k4   first    1200    0                   0             0         0
k3   opens    0       0                   0             0         0
k2   opens    3       0                   0             0         7
k1   opens    0       0                   0             0         7
k0   missing  1       0                   0             0         0
k5   missing  0       0                   0             0         1

k3: the database does not need it; if it was ever first, backups made before 2026-11-29T14:00:00Z may
k2: the database needs it; `keys rotate` seals anew what is under it
k1: the database needs it until 2026-12-08T08:00:00Z, for payloads of webhooks; backups made before then may for longer
k0: what is under it does not open: put it into TOKEN_KEYS again, behind the first
k5: payloads of webhooks under it are told empty until 2026-12-08T08:00:00Z: put it into TOKEN_KEYS again, behind the first
";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn a_made_key_is_an_entry_of_its_own_and_only_its_id_is_told_twice() {
    let mut clock = MockClock::new();
    clock.expect_now().returning(|| datetime!(2026-11-29 14:00 UTC));
    let made = || {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut outputs = Outputs { out: &mut out, err: &mut err };
        assert_eq!(generate(&clock, &RandomIds, &mut outputs).unwrap(), ExitCode::SUCCESS);
        [out, err].map(|text| String::from_utf8(text).unwrap())
    };
    let [entry, told] = made();
    let ring: KeyRing = entry.parse().unwrap();
    assert!(ring.first_id().starts_with("2026-11-29-"), "{entry}");
    let (id, key) = entry.trim_end().split_once(':').unwrap();
    assert!(told.contains(id) && !told.contains(key), "{told}");
    let [another, _] = made();
    assert_ne!(another.split_once(':').unwrap().1, entry.split_once(':').unwrap().1);
}
