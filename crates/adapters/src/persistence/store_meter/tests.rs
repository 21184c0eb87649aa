//! Counts of calls.

use ig_domain::ports::{AccountPage, AccountReader as _};
use ig_domain::{AccountId, OwnerScope};
use ig_metrics::TextFormat;

use super::*;
use crate::persistence::plans::{metered_store, sqlite_database};

#[tokio::test]
async fn a_bulk_read_that_gets_no_turn_is_counted_as_a_call() {
    let (_folder, database) = sqlite_database().await;
    let mut registry = Registry::new("test", "1");
    let store = metered_store(&database, &mut registry);
    let _all = [database.bulk_read_turn().await.unwrap(), database.bulk_read_turn().await.unwrap()];
    tokio::time::pause();
    let page = AccountPage { owners: OwnerScope::everyone(), status: None, after: None, limit: 9 };
    let listed = store.list(&page).await;
    assert!(matches!(listed, Err(StoreError::Overloaded(_))), "{listed:?}");
    let found = store.find_many(&[]).await;
    assert!(matches!(found, Err(StoreError::Overloaded(_))), "{found:?}");
    tokio::time::resume();
    // What must not wait behind callers has no turn.
    let unknown = AccountId::from_uuid(uuid::Uuid::nil());
    assert_eq!(store.find_by_ids(&[unknown]).await.unwrap(), [None]);
    let text = registry.text(TextFormat::Classic).unwrap();
    for operation in ["list_accounts", "find_accounts"] {
        let labels = format!(r#"{{operation="{operation}",outcome="overloaded"}}"#);
        assert!(text.contains(&format!("test_store_calls_total{labels} 1")), "{text}");
    }
}
