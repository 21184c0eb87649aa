//! Everybody, where callers are not told apart.

use std::num::NonZeroU32;
use std::sync::Arc;

use ig_domain::Caller;
use ig_domain::ports::{Callers, Credentials, NotAuthenticated};

/// Maximum number of calls in flight of all of them together. Ours: many times as many as one known caller.
const MAX_IN_FLIGHT: NonZeroU32 = NonZeroU32::new(1024).unwrap();

/// One caller, the same whoever calls and whatever it shows; it may do everything.
#[derive(Debug)]
pub struct AnonymousCallers(Arc<Caller>);

impl Default for AnonymousCallers {
    fn default() -> Self {
        let caller = Caller { max_in_flight: Some(MAX_IN_FLIGHT), ..Caller::anonymous() };
        Self(Arc::new(caller))
    }
}

impl Callers for AnonymousCallers {
    fn authenticate(&self, _: Credentials<'_>) -> Result<Arc<Caller>, NotAuthenticated> {
        Ok(Arc::clone(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use ig_domain::ports::Authorization;

    use super::*;

    #[test]
    fn whatever_is_shown_is_as_good_as_nothing() {
        let callers = AnonymousCallers::default();
        let token = "igacc_any".parse().unwrap();
        for authorization in
            [Authorization::Absent, Authorization::Malformed, Authorization::Bearer(&token)]
        {
            let credentials = Credentials { authorization, certificate_names: &[] };
            assert_eq!(callers.authenticate(credentials).unwrap().name.as_str(), "anonymous");
        }
    }
}
