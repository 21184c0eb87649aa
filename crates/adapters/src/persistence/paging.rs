//! Where the next page of a listing begins.

use sea_orm::ColumnTrait;
use sea_orm::sea_query::Condition;
use time::OffsetDateTime;
use uuid::Uuid;

use super::columns::micros;

/// What comes behind the row with this time and id, in a listing by both, newest first. The first half alone lets the
/// index find the place.
pub(super) fn behind<C: ColumnTrait>(
    (time_column, time): (C, OffsetDateTime),
    (id_column, id): (C, Uuid),
) -> Condition {
    let time = micros(time);
    let earlier = Condition::any().add(time_column.lt(time)).add(id_column.lt(id));
    Condition::all().add(time_column.lte(time)).add(earlier)
}
