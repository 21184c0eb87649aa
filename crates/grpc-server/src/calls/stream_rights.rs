//! Rights of a stream's caller, which may end while the stream runs.

use std::sync::Arc;

use ig_application::{RightsLost, WatchRights, WatchScope};
use ig_domain::ports::{Callers, NotAuthenticated};
use ig_domain::{Caller, CallerName, EventKind, Owner, Role};
use tokio::time::Instant;

use super::credentials::CallCredentials;
use super::rpc::Rpc;
use crate::server::CertificateEnd;

/// Credentials of a stream, kept to be judged anew. The layer gives them to the handler as an extension.
#[derive(Clone)]
pub(crate) struct StreamCredentials {
    credentials: Arc<CallCredentials>,
    callers: Arc<dyn Callers>,
    certificate_end: Option<CertificateEnd>,
}

/// Rights of the caller of one stream.
pub(crate) struct StreamRights {
    credentials: StreamCredentials,
    caller: CallerName,
    owner: Option<Owner>,
    kinds: Vec<EventKind>,
}

impl StreamCredentials {
    /// Credentials that `callers` judge, and the end of the certificate among them, where there is one.
    pub(super) fn new(
        credentials: CallCredentials,
        callers: Arc<dyn Callers>,
        certificate_end: Option<CertificateEnd>,
    ) -> Self {
        Self { credentials: Arc::new(credentials), callers, certificate_end }
    }

    /// Rights of this caller, narrowed to the owner and the kinds of events that its request names; no kind stands for
    /// all that its roles see.
    pub(crate) fn rights(
        self,
        caller: CallerName,
        owner: Option<Owner>,
        kinds: Vec<EventKind>,
    ) -> StreamRights {
        StreamRights { credentials: self, caller, owner, kinds }
    }
}

impl StreamRights {
    /// The kinds of events that the stream shows to `caller`, in one order whatever the request's.
    fn kinds_of(&self, caller: &Caller) -> Result<Vec<EventKind>, RightsLost> {
        let sees = |kind: &EventKind| caller.has_any(&[kind.role()]);
        if let Some(kind) = self.kinds.iter().find(|kind| !sees(kind)) {
            return Err(RightsLost::KindNotAllowed(*kind));
        }
        let is_shown = |kind: &EventKind| {
            if self.kinds.is_empty() { sees(kind) } else { self.kinds.contains(kind) }
        };
        Ok(EventKind::ALL.iter().copied().filter(is_shown).collect())
    }
}

impl WatchRights for StreamRights {
    fn judge(&self) -> Result<WatchScope, RightsLost> {
        let StreamCredentials { credentials, callers, certificate_end } = &self.credentials;
        if certificate_end.is_some_and(|CertificateEnd(end)| end <= Instant::now()) {
            return Err(RightsLost::CertificateExpired);
        }
        let caller = credentials.authenticate(callers.as_ref());
        let caller = caller.map_err(RightsLost::Unauthenticated)?;
        if caller.name != self.caller {
            // The token is somebody else's now, and the stream was not opened for them.
            return Err(RightsLost::Unauthenticated(NotAuthenticated::Unknown));
        }
        if !Rpc::Watch.roles().is_some_and(|roles| caller.has_any(roles)) {
            return Err(RightsLost::RoleMissing);
        }
        let owners = caller.owners.narrowed(self.owner.clone());
        let owners = owners.map_err(|_| RightsLost::OwnerNotAllowed)?;
        let kinds = self.kinds_of(&caller)?;
        Ok(WatchScope { owners, kinds, shows_accounts: caller.has_any(&[Role::Read]) })
    }
}
