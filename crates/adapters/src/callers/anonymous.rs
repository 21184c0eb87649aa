//! Everybody: where callers are not told apart.

use std::num::NonZeroU32;
use std::sync::Arc;

use ig_domain::Caller;
use ig_domain::ports::{Callers, Credentials, NotAuthenticated};

/// How many calls all of them together may have under way. Ours: many times as many as one
/// known caller.
const MOST_IN_FLIGHT: NonZeroU32 = NonZeroU32::new(1024).unwrap();

/// One caller, the same whoever calls and whatever it shows; it may do everything.
#[derive(Debug)]
pub struct AnonymousCallers(Arc<Caller>);

impl Default for AnonymousCallers {
    fn default() -> Self {
        let caller = Caller { max_in_flight: Some(MOST_IN_FLIGHT), ..Caller::anonymous() };
        Self(Arc::new(caller))
    }
}

impl Callers for AnonymousCallers {
    fn authenticate(&self, _: Credentials<'_>) -> Result<Arc<Caller>, NotAuthenticated> {
        Ok(Arc::clone(&self.0))
    }
}
