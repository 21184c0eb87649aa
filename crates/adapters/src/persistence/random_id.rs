//! Random ids that the database makes.

use sea_orm::DbBackend;
use sea_orm::sea_query::{Expr, SimpleExpr};

/// 128 random bits, other ones in each row.
pub(super) fn random_id(backend: DbBackend) -> SimpleExpr {
    Expr::cust(match backend {
        DbBackend::Sqlite => "randomblob(16)",
        _ => "gen_random_uuid()",
    })
}
