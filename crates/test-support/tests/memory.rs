//! The store in memory keeps what every store promises.

use std::time::Duration;

use async_trait::async_trait;
use ig_domain::AppId;
use ig_test_support::MemoryStore;
use ig_test_support::builders::parsed;
use ig_test_support::contract::{Ports, StoreUnderTest};

struct Memory(MemoryStore);

#[async_trait]
impl StoreUnderTest for Memory {
    fn of_app(&self, app: AppId) -> Ports {
        let store = std::sync::Arc::new(self.0.of_app(app));
        Ports {
            accounts: store.clone(),
            account_writer: store.clone(),
            pending_links: store.clone(),
            link_attempts: store.clone(),
            hosted_codes: store.clone(),
            renewal_leases: store.clone(),
            due_accounts: store.clone(),
            breaker: store.clone(),
            surveys: store.clone(),
            event_log: store.clone(),
            event_survey: store.clone(),
            consumers: store.clone(),
            restoration: store.clone(),
            user_removals: store.clone(),
            user_deletions: store.clone(),
            webhooks: store.clone(),
            audit: store.clone(),
            audit_reader: store.clone(),
            key_checks: store.clone(),
            probe: store,
        }
    }

    async fn end_leases(&self) {
        self.0.end_leases();
    }

    async fn set_clock_back(&self) {
        self.0.set_lease_time_back(Duration::from_hours(24));
    }

    async fn age_events(&self, span: Duration) {
        self.0.pass_lease_time(span);
    }
}

async fn fresh() -> Memory {
    Memory(MemoryStore::new(parsed("990602627938098")))
}

ig_test_support::store_contract!(fresh);
ig_test_support::faults_are_seen!(fresh);

/// A promise that breaks through a wrapper with a fault breaks by that fault.
mod through_a_wrapper_without_a_fault {
    use ig_test_support::contract::faulty::{Fault, Faulty};

    use super::Memory;

    async fn fresh() -> Faulty<Memory> {
        Faulty::new(super::fresh().await, Fault::Nothing)
    }

    ig_test_support::store_contract!(fresh);
}
