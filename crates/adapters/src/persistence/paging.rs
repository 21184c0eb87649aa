//! Place at which the next page of a listing begins, and the index that finds it.

use sea_orm::ColumnTrait;
use sea_orm::sea_query::{Condition, Expr, ExprTrait as _, Func, FunctionCall};
use time::OffsetDateTime;
use uuid::Uuid;

use super::columns::micros;

/// Condition for the rows behind this time and id, in a listing by both, newest first. Both are compared as one, so
/// that the index finds the place among any number of rows of one time.
pub(super) fn behind<C: ColumnTrait>(
    (time_column, time): (C, OffsetDateTime),
    (id_column, id): (C, Uuid),
) -> Condition {
    let columns =
        Expr::tuple([time_column, id_column].map(|column| Expr::col(column.as_column_ref())));
    let place = Expr::tuple([Expr::value(micros(time)), Expr::value(id)]);
    Condition::all().add(columns.lt(place))
}

/// A text column for a condition that no index serves. Of two indexes that serve conditions SQLite takes any: it must not
/// see the one that finds more.
pub(super) fn unindexed<C: ColumnTrait>(column: C) -> FunctionCall {
    Func::coalesce([Expr::col(column.as_column_ref()), Expr::val("")])
}
