//! Callers for tests.

use std::num::NonZeroU32;
use std::sync::Arc;

use ig_domain::ports::{Authorization, Callers, Credentials, NotAuthenticated};
use ig_domain::{Caller, OwnerScope, Role};

use crate::builders::parsed;

/// Callers that are not told apart and may do everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Everybody;

impl Callers for Everybody {
    fn authenticate(&self, _: Credentials<'_>) -> Result<Arc<Caller>, NotAuthenticated> {
        let max_in_flight = NonZeroU32::new(1024);
        Ok(Arc::new(Caller { max_in_flight, ..Caller::anonymous() }))
    }
}

/// Callers whose token is their name; the one named `expired` has expired.
#[derive(Clone, Debug, Default)]
pub struct Known(pub Vec<Arc<Caller>>);

impl Known {
    /// These callers.
    #[must_use]
    pub fn of(callers: impl IntoIterator<Item = Caller>) -> Arc<Self> {
        Arc::new(Self(callers.into_iter().map(Arc::new).collect()))
    }
}

impl Callers for Known {
    fn authenticate(&self, credentials: Credentials<'_>) -> Result<Arc<Caller>, NotAuthenticated> {
        let bearer = match credentials.authorization {
            Authorization::Bearer(token) => token,
            Authorization::Malformed => return Err(NotAuthenticated::Malformed),
            Authorization::Absent => return Err(NotAuthenticated::Missing),
        };
        if bearer.expose() == "expired" {
            return Err(NotAuthenticated::Expired(parsed("expired")));
        }
        let mut known = self.0.iter();
        let found = known.find(|caller| caller.name.as_str() == bearer.expose());
        found.cloned().ok_or(NotAuthenticated::Unknown)
    }
}

/// A caller with these roles for these owners: one owner, or a prefix with a `*` behind it.
#[must_use]
pub fn caller(name: &str, roles: &[Role], owners: &str) -> Caller {
    Caller {
        name: parsed(name),
        roles: roles.to_vec(),
        owners: OwnerScope::of(vec![parsed(owners)]),
        max_in_flight: None,
    }
}
