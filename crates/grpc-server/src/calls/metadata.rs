//! Limit of a call's metadata.

use http::HeaderMap;
use tonic::Status;
use tonic_types::FieldViolation;

use crate::convert::InvalidRequest;
use crate::status::ToStatus as _;

/// Maximum size of a call's metadata in KiB, its values, its keys and 32 bytes for each entry.
///
/// Source: <https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2> counts so.
const MAX_METADATA_KIB: usize = 16;

/// Refuses a call with more metadata than it may carry.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Status> {
    let size = headers.iter().map(|(key, value)| key.as_str().len() + value.len() + 32);
    if size.sum::<usize>() <= MAX_METADATA_KIB * 1024 {
        return Ok(());
    }
    let description = format!("more than {MAX_METADATA_KIB} KiB in all");
    let violations = vec![FieldViolation::new("metadata", description)];
    Err(InvalidRequest { violations }.to_status())
}
