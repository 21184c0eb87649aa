//! Pages of accounts. Each is read along one index from its place on, whatever is listed, so that it costs what a
//! page costs.

use std::ops::Bound;

use ig_domain::ports::{AccountPage, StatusFilter, StoreError};
use ig_domain::{InstagramAccount, ListingOrder, ListingPosition, Owner, OwnerPattern, OwnerScope};
use sea_orm::sea_query::{Asterisk, Condition, Order, Query, SelectStatement, UnionType};
use sea_orm::{ColumnTrait, DbBackend, QueryFilter, QueryTrait, Select};

use super::SeaOrmStore;
use super::account_row::to_domain;
use super::entity::instagram_account::{Column, Entity};
use super::paging::behind;
use super::unreadable::{Row, Table};

/// Maximum number of ranges that one statement merges: enough for most scopes, and few enough to be planned at once.
const MAX_MERGED_RANGES: usize = 16;

/// Accounts that stand one behind the other in the index of owners.
#[derive(Clone, Debug, PartialEq, Eq)]
enum OwnerRange {
    /// The accounts of one owner behind a place.
    RestOfOwner(ListingPosition),
    /// The accounts of all owners between two texts, the second included.
    Owners(Bound<String>, String),
}

impl SeaOrmStore {
    /// The accounts of one page, in its order.
    pub(super) async fn read_page(
        &self,
        page: &AccountPage,
    ) -> Result<Vec<Row<InstagramAccount>>, StoreError> {
        let backend = self.database.backend();
        let mut rows = Vec::new();
        for ranges in self.ranges(page) {
            let missing = page.limit - rows.len() as u64;
            if missing == 0 {
                break;
            }
            let order = page.owners.listing_order();
            let Some(statement) = merged(ranges, order, missing, backend) else { continue };
            rows.extend(self.database.read_rows(Table::Account, &statement, to_domain).await?);
        }
        Ok(rows)
    }

    /// The accounts that the page is taken from, in disjoint ranges, each of which stands in one index in the order of
    /// the page; first those that one statement reads, then those of the next.
    fn ranges(&self, page: &AccountPage) -> Vec<Vec<Select<Entity>>> {
        let AccountPage { owners, status, after, limit: _ } = page;
        let mut accounts = self.accounts();
        if let Some(status) = status {
            accounts = accounts.filter(is_marked(*status));
        }
        match (owners.listing_order(), owners.patterns()) {
            (ListingOrder::LinkTime, []) => Vec::new(),
            (ListingOrder::LinkTime, [pattern, ..]) => {
                if let OwnerPattern::Exact(owner) = pattern {
                    accounts = accounts.filter(Column::Owner.eq(owner.as_str()));
                }
                let behind = Condition::all().add_option(after.as_ref().map(is_behind));
                vec![vec![accounts.filter(behind)]]
            }
            (ListingOrder::Owner, _) => {
                let ranges = owner_ranges(owners, after.as_ref());
                // The rest of an owner is no range of owners, so it is read by itself.
                let rest = ranges.iter().take_while(|range| range.is_rest()).count();
                let (rest, owners) = ranges.split_at(rest);
                let statements = rest.chunks(1).chain(owners.chunks(MAX_MERGED_RANGES));
                let read = |range: &OwnerRange| accounts.clone().filter(range.condition());
                statements.map(|ranges| ranges.iter().map(read).collect()).collect()
            }
        }
    }
}

impl OwnerRange {
    fn is_rest(&self) -> bool {
        matches!(self, Self::RestOfOwner(_))
    }

    fn condition(&self) -> Condition {
        match self {
            Self::RestOfOwner(place) => {
                Condition::all().add(Column::Owner.eq(place.owner.as_str())).add(is_behind(place))
            }
            Self::Owners(first, last) => Condition::all()
                .add_option(match first {
                    Bound::Included(first) => Some(Column::Owner.gte(first.as_str())),
                    Bound::Excluded(first) => Some(Column::Owner.gt(first.as_str())),
                    Bound::Unbounded => None,
                })
                .add(Column::Owner.lte(last.as_str())),
        }
    }
}

/// One statement for the first accounts of all `ranges`; `None` where there is no range.
fn merged(
    ranges: Vec<Select<Entity>>,
    order: ListingOrder,
    limit: u64,
    backend: DbBackend,
) -> Option<SelectStatement> {
    let alone = ranges.len() == 1;
    let mut ranges = ranges.into_iter().map(|range| match backend {
        // It merges only what each range has in order by itself; SQLite would sort that once more.
        DbBackend::Postgres if !alone => {
            let range = ordered(range.into_query(), order, limit);
            Query::select().column(Asterisk).from_subquery(range, "range").take()
        }
        _ => range.into_query(),
    });
    let mut statement = ranges.next()?;
    statement.unions(ranges.map(|range| (UnionType::All, range)));
    Some(ordered(statement, order, limit))
}

fn ordered(mut statement: SelectStatement, order: ListingOrder, limit: u64) -> SelectStatement {
    if order == ListingOrder::Owner {
        statement.order_by(Column::Owner, Order::Asc);
    }
    statement.order_by(Column::LinkTime, Order::Desc).order_by(Column::Id, Order::Desc);
    statement.limit(limit).take()
}

/// The owners of a scope behind a place, in their order. Owners that begin alike are a range: both databases compare
/// them by code points.
fn owner_ranges(owners: &OwnerScope, after: Option<&ListingPosition>) -> Vec<OwnerRange> {
    let mut ranges = Vec::new();
    for pattern in owners.patterns() {
        let (first, last) = match pattern {
            OwnerPattern::Exact(owner) => (owner.as_str(), owner.as_str().to_owned()),
            OwnerPattern::Prefix(prefix) => {
                let last =
                    prefix.as_str().to_owned() + &char::MAX.to_string().repeat(Owner::MAX_LENGTH);
                (prefix.as_str(), last)
            }
        };
        let from = match after {
            Some(place) if place.owner.as_str() > last.as_str() => continue,
            Some(place) if place.owner.as_str() >= first => {
                ranges.push(OwnerRange::RestOfOwner(place.clone()));
                if place.owner.as_str() == last {
                    continue;
                }
                Bound::Excluded(place.owner.to_string())
            }
            _ => Bound::Included(first.to_owned()),
        };
        ranges.push(OwnerRange::Owners(from, last));
    }
    ranges
}

fn is_behind(place: &ListingPosition) -> Condition {
    behind((Column::LinkTime, place.link_time), (Column::Id, *place.id.as_uuid()))
}

fn is_marked(status: StatusFilter) -> Condition {
    Condition::all().add(match status {
        StatusFilter::Active => Column::Refused.is_null(),
        StatusFilter::ReauthorizationRequired => Column::Refused.is_not_null(),
    })
}

#[cfg(test)]
mod tests;
