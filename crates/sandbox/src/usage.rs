//! The headers by which Instagram tells the use of its limits.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::shapes::UsageShape;

const APP: HeaderName = HeaderName::from_static("x-app-usage");
const BUSINESS: HeaderName = HeaderName::from_static("x-business-use-case-usage");

/// The usage headers in the wanted shape; the account's `user_id` is the key of a business use case.
pub(crate) fn usage_headers(shape: UsageShape, user_id: Option<&str>) -> HeaderMap {
    let (name, value) = match (shape, user_id) {
        (UsageShape::Documented, _) => {
            (APP, r#"{"call_count":1,"total_cputime":1,"total_time":2}"#.to_owned())
        }
        (UsageShape::Live, _) => (APP, r#"{"call_volume":1,"cpu_time":1}"#.to_owned()),
        (UsageShape::BusinessUseCase, Some(id)) => (
            BUSINESS,
            format!(
                r#"{{"{id}":[{{"type":"instagram","call_count":1,"total_cputime":1,"total_time":2,"estimated_time_to_regain_access":0}}]}}"#
            ),
        ),
        (UsageShape::BusinessUseCase | UsageShape::None, _) => return HeaderMap::new(),
    };
    HeaderValue::from_str(&value).map(|value| (name, value)).into_iter().collect()
}
