//! The headers by which Instagram tells the use of its limits.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::shapes::{Shapes, UsageShape};

const APP: HeaderName = HeaderName::from_static("x-app-usage");
const BUSINESS: HeaderName = HeaderName::from_static("x-business-use-case-usage");

/// Use of the limits in percent where none is wanted.
const DEFAULT_PERCENT: u16 = 1;

/// The usage headers in the wanted shape; the account's `user_id` is the key of a business use case.
pub(crate) fn usage_headers(shapes: Shapes, user_id: Option<&str>) -> HeaderMap {
    let calls = shapes.usage_percent.unwrap_or(DEFAULT_PERCENT);
    let (name, value) = match (shapes.usage, user_id) {
        (UsageShape::Documented, _) => {
            (APP, format!(r#"{{"call_count":{calls},"total_cputime":1,"total_time":2}}"#))
        }
        (UsageShape::Live, _) => (APP, format!(r#"{{"call_volume":{calls},"cpu_time":1}}"#)),
        (UsageShape::BusinessUseCase, Some(id)) => (
            BUSINESS,
            format!(
                r#"{{"{id}":[{{"type":"instagram","call_count":{calls},"total_cputime":1,"total_time":2,"estimated_time_to_regain_access":0}}]}}"#
            ),
        ),
        (UsageShape::BusinessUseCase | UsageShape::None, _) => return HeaderMap::new(),
    };
    HeaderValue::from_str(&value).map(|value| (name, value)).into_iter().collect()
}
