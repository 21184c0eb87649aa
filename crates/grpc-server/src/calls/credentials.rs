//! The credentials that a call brings.

use std::sync::Arc;

use http::Request;
use ig_domain::ports::{Authorization, Callers, Credentials, NotAuthenticated};
use ig_domain::{BearerToken, Caller};

use super::bearer;
use crate::peer_names::PeerNames;

/// The credentials of one call: what it sent as its token, and the names in its client's certificate.
#[derive(Debug)]
pub(super) struct CallCredentials {
    bearer: Result<Option<BearerToken>, NotAuthenticated>,
    names: Option<PeerNames>,
}

impl CallCredentials {
    /// Takes the token out of the request, so that nobody behind can show it.
    pub(super) fn take<B>(request: &mut Request<B>) -> Self {
        let names = request.extensions().get().cloned();
        Self { bearer: bearer::take(request.headers_mut()), names }
    }

    /// The caller that they prove now.
    pub(super) fn authenticate(
        &self,
        callers: &dyn Callers,
    ) -> Result<Arc<Caller>, NotAuthenticated> {
        let authorization = match &self.bearer {
            Ok(Some(token)) => Authorization::Bearer(token),
            Ok(None) => Authorization::Absent,
            Err(_) => Authorization::Malformed,
        };
        let certificate_names = self.names.as_ref().map(PeerNames::as_slice).unwrap_or_default();
        callers.authenticate(Credentials { authorization, certificate_names })
    }
}
