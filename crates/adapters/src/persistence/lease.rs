//! Lease time: the database's own clock, the same for every replica, read in the statement that needs it.

use ig_domain::ports::LEASE;
use sea_orm::DbBackend;
use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};

/// The database's present moment in microseconds since 1970.
pub(super) fn now(backend: DbBackend) -> SimpleExpr {
    Expr::cust(match backend {
        DbBackend::Sqlite => "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
        // `now()` would be the moment at which the transaction began.
        _ => "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
    })
}

/// When a lease ends that is taken or extended now.
pub(super) fn end(backend: DbBackend) -> SimpleExpr {
    now(backend).add(i64::try_from(LEASE.as_micros()).unwrap_or(i64::MAX))
}
