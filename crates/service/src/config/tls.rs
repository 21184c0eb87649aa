//! The settings of TLS.

use std::convert::Infallible;
use std::path::PathBuf;

use ig_grpc_server::TlsPart;

use super::problem::InvalidSettings;
use super::reader::Reader;
use super::setting::{self, Setting};
use crate::tls::{TlsFileError, TlsFiles};

/// The variable that names the file of this part.
pub(crate) fn variable(part: TlsPart) -> &'static str {
    setting_of(part).name
}

fn setting_of(part: TlsPart) -> &'static Setting {
    match part {
        TlsPart::Certificate => &setting::GRPC_TLS_CERT,
        TlsPart::Key => &setting::GRPC_TLS_KEY,
        TlsPart::ClientCa => &setting::GRPC_TLS_CLIENT_CA,
    }
}

impl From<TlsFileError> for InvalidSettings {
    fn from(TlsFileError { part, problem }: TlsFileError) -> Self {
        Self::of(setting_of(part), &problem)
    }
}

/// The file of the server's certificate.
#[expect(clippy::option_option, reason = "the outer says whether it is right")]
pub(super) fn certificate(reader: &mut Reader<'_>) -> Option<Option<PathBuf>> {
    path(reader, TlsPart::Certificate)
}

/// All files. Their contents are checked when they are opened.
#[expect(clippy::option_option, reason = "the outer says whether it is right")]
pub(super) fn files(reader: &mut Reader<'_>) -> Option<Option<TlsFiles>> {
    let certificate = path(reader, TlsPart::Certificate);
    let key = path(reader, TlsPart::Key);
    let client_ca = path(reader, TlsPart::ClientCa);
    let (part, problem) = match (certificate?, key?, client_ca?) {
        (None, None, None) => return Some(None),
        (Some(certificate), Some(key), client_ca) => {
            return Some(Some(TlsFiles { certificate, key, client_ca }));
        }
        (Some(_), None, _) => (TlsPart::Certificate, "is given without GRPC_TLS_KEY: give both"),
        (None, Some(_), _) => (TlsPart::Key, "is given without GRPC_TLS_CERT: give both"),
        (None, None, Some(_)) => {
            (TlsPart::ClientCa, "is given without GRPC_TLS_CERT and GRPC_TLS_KEY: give all three")
        }
    };
    reader.refuse(setting_of(part), problem);
    None
}

#[expect(clippy::option_option, reason = "the outer says whether it is right")]
fn path(reader: &mut Reader<'_>, part: TlsPart) -> Option<Option<PathBuf>> {
    reader.optional(setting_of(part), |raw| Ok::<_, Infallible>(PathBuf::from(raw)))
}
