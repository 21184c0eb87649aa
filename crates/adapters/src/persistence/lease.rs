//! Lease time: the database's own clock, the same for every replica, read in the statement that needs it.

use std::time::Duration;

use ig_domain::ports::max_lease_left;
use sea_orm::DbBackend;
use sea_orm::sea_query::{Condition, Expr, ExprTrait, IntoColumnRef, SimpleExpr};

/// The database's present moment in microseconds since 1970.
pub(super) fn now(backend: DbBackend) -> SimpleExpr {
    Expr::cust(match backend {
        DbBackend::Sqlite => "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
        // `now()` would be the moment at which the transaction began.
        _ => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
    })
}

/// End of a lease of this lifetime that is taken or extended now.
pub(super) fn end(lifetime: Duration, backend: DbBackend) -> SimpleExpr {
    later(backend, lifetime)
}

/// Whether a lease of this lifetime that ends at `end` has ended, or comes from a clock that was set back since.
pub(super) fn has_ended(
    end: impl IntoColumnRef + Copy,
    lifetime: Duration,
    backend: DbBackend,
) -> Condition {
    Condition::any()
        .add(Expr::col(end).lte(now(backend)))
        .add(Expr::col(end).gt(later(backend, max_lease_left(lifetime))))
}

/// Whether a lease of this lifetime that ends at `end` is held at `now`: the opposite of [`has_ended`].
pub(super) fn is_held(end: i64, lifetime: Duration, now: i64) -> bool {
    let left = i64::try_from(max_lease_left(lifetime).as_micros()).unwrap_or(i64::MAX);
    end > now && end <= now.saturating_add(left)
}

fn later(backend: DbBackend, span: Duration) -> SimpleExpr {
    now(backend).add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
}
