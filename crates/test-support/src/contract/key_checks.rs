//! Check values of sealing keys: one for each id, the first that comes.

use std::collections::BTreeSet;

use tokio::task::JoinSet;

use super::StoreUnderTest;
use super::samples::MANY;

/// A later value changes nothing, and its caller gets the first.
pub async fn a_check_value_is_kept_once(store: &dyn StoreUnderTest) {
    let checks = store.ports().key_checks;
    assert_eq!(checks.find("k1").await.unwrap(), None);
    assert_eq!(checks.keep("k1", b"first\0").await.unwrap(), b"first\0");
    assert_eq!(checks.keep("k1", b"second").await.unwrap(), b"first\0");
    assert_eq!(checks.find("k1").await.unwrap().as_deref(), Some(&b"first\0"[..]));
    assert_eq!(checks.find("k2").await.unwrap(), None);
    assert_eq!(checks.keep("k2", b"second").await.unwrap(), b"second");
}

/// Twenty calls that start at once get the same value.
pub async fn of_many_check_values_one_wins(store: &dyn StoreUnderTest) {
    let checks = store.ports().key_checks;
    let mut starters = JoinSet::new();
    for number in 1..=MANY {
        let checks = checks.clone();
        starters.spawn(async move { checks.keep("k1", &[number]).await.unwrap() });
    }
    let told: BTreeSet<_> = starters.join_all().await.into_iter().collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(checks.find("k1").await.unwrap(), told.into_iter().next());
}
