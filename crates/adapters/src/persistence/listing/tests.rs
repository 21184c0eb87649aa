//! Every page is read along an index, from its place on, in its order: for common and for rare hits, and for owners
//! of every kind.

use ig_domain::AccountId;
use rstest::rstest;
use time::OffsetDateTime;
use time::macros::datetime;
use uuid::Uuid;

use super::*;
use crate::persistence::plans::{self, Common};

fn scope(patterns: &[&str]) -> OwnerScope {
    OwnerScope::of(patterns.iter().map(|pattern| pattern.parse().unwrap()).collect())
}

/// The statements for a page that nothing but the last of them fills.
fn statements(
    store: &SeaOrmStore,
    patterns: &[&str],
    status: Option<StatusFilter>,
    after: Option<&str>,
) -> Vec<SelectStatement> {
    let after = after.map(|owner| ListingPosition {
        owner: owner.parse().unwrap(),
        link_time: OffsetDateTime::UNIX_EPOCH + std::time::Duration::from_millis(15),
        id: AccountId::from_uuid(Uuid::nil()),
    });
    let page = AccountPage { owners: scope(patterns), status, after, limit: 50 };
    let order = page.owners.listing_order();
    let backend = store.database.backend();
    let ranges = store.ranges(&page).into_iter();
    ranges.map(|ranges| merged(ranges, order, page.limit, backend).unwrap()).collect()
}

#[rstest]
#[case::all(&["*"], None, &["account_link_time# (app_id=?)"])]
#[case::all_behind(&["*"], Some("shop/7"), &["account_link_time# (app_id=? AND (link_time,id)<(?,?))"])]
#[case::one_owner(&["shop/7"], None, &["account_owner# (app_id=? AND owner=?)"])]
#[case::one_owner_behind(
    &["shop/7"],
    Some("shop/7"),
    &["account_owner# (app_id=? AND owner=? AND (link_time,id)<(?,?))"]
)]
#[case::a_prefix(&["shop/*"], None, &["account_owner# (app_id=? AND owner>? AND owner<?)"])]
#[case::a_prefix_behind(
    &["shop/*"],
    Some("shop/7"),
    &[
        "account_owner# (app_id=? AND owner=? AND (link_time,id)<(?,?))",
        "account_owner# (app_id=? AND owner>? AND owner<?)",
    ]
)]
#[case::prefixes_and_owners(
    &["shop/*", "cafe", "bar", "inn/*"],
    None,
    &[
        "account_owner# (app_id=? AND owner>? AND owner<?)",
        "account_owner# (app_id=? AND owner>? AND owner<?)",
        "account_owner# (app_id=? AND owner>? AND owner<?)",
        "account_owner# (app_id=? AND owner>? AND owner<?)",
    ]
)]
#[tokio::test]
async fn a_page_is_read_along_an_index(
    #[case] patterns: &[&str],
    #[case] after: Option<&str>,
    #[case] searches: &[&str],
    #[values(
        (None, ""),
        (Some(StatusFilter::Active), "_active"),
        (Some(StatusFilter::ReauthorizationRequired), "_marked")
    )]
    (status, index): (Option<StatusFilter>, &str),
) {
    let plans = plans::sqlite(|store| statements(store, patterns, status, after)).await;
    let plan = plans.concat();
    let found: Vec<_> = plan.iter().filter(|step| step.contains("SEARCH")).collect();
    assert_eq!(found.len(), searches.len(), "{plan:#?}");
    for (step, search) in found.iter().zip(searches) {
        let owned = if index.is_empty() { "account_owner_link_time" } else { "account_owner#" };
        let search = search.replace("account_owner#", owned).replace('#', index);
        assert!(step.ends_with(&search), "{search}: {plan:#?}");
    }
    let text = plan.join("\n");
    assert!(!text.contains("SCAN") && !text.contains("TEMP B-TREE"), "{text}");
}

#[rstest]
#[tokio::test]
async fn a_page_is_read_along_an_index_in_postgres_too(
    #[values(Common::Active, Common::Marked)] common: Common,
) {
    use StatusFilter::{Active, ReauthorizationRequired};
    let several: &[&str] = &["shop/*", "cafe", "bar", "inn/*"];
    let scopes: [(&[&str], Option<&str>); 8] = [
        (&["*"], None),
        (&["*"], Some("shop/7")),
        (&["shop/7"], None),
        (&["shop/7"], Some("shop/7")),
        (&["shop/*"], None),
        (&["shop/*"], Some("shop/7")),
        (several, None),
        (several, Some("inn/7")),
    ];
    let statuses = [None, Some(Active), Some(ReauthorizationRequired)];
    let plans = plans::postgres(common, |store| {
        let pages = scopes.iter().flat_map(|scope| statuses.map(|status| (scope, status)));
        pages
            .flat_map(|((owners, after), status)| statements(store, owners, status, *after))
            .collect()
    });
    for plan in plans.await {
        let plan = plan.join("\n");
        assert!(plan.contains("Index Scan"), "{plan}");
        for dear in ["Seq Scan", "->  Sort", "Bitmap", "Filter"] {
            assert!(!plan.contains(dear), "{dear}: {plan}");
        }
    }
}

#[rstest]
#[case::nobody(&[], None, &[])]
#[case::one(&["a"], None, &["=a..a"])]
#[case::before_all(&["b", "c*"], Some("a"), &["=b..b", "=c..c…"])]
#[case::within_a_prefix(&["a*", "b"], Some("ab"), &["rest of ab", ">ab..a…", "=b..b"])]
#[case::at_an_owner(&["a", "b"], Some("a"), &["rest of a", "=b..b"])]
#[case::between(&["a", "c"], Some("b"), &["=c..c"])]
#[case::behind_all(&["a", "b*"], Some("c"), &[])]
fn the_owners_behind_a_place_are_ranges_in_order(
    #[case] patterns: &[&str],
    #[case] after: Option<&str>,
    #[case] expected: &[&str],
) {
    let place = after.map(|owner| ListingPosition {
        owner: owner.parse().unwrap(),
        link_time: datetime!(2026-11-24 08:00 UTC),
        id: AccountId::from_uuid(Uuid::nil()),
    });
    let end = char::MAX.to_string().repeat(Owner::MAX_LENGTH);
    let ranges = owner_ranges(&scope(patterns), place.as_ref()).into_iter().map(|range| {
        let text = match range {
            OwnerRange::RestOfOwner(place) => format!("rest of {}", place.owner),
            OwnerRange::Owners(Bound::Included(first), last) => format!("={first}..{last}"),
            OwnerRange::Owners(Bound::Excluded(first), last) => format!(">{first}..{last}"),
            OwnerRange::Owners(Bound::Unbounded, last) => format!("..{last}"),
        };
        text.replace(&end, "…")
    });
    assert_eq!(ranges.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn what_has_expired_is_found_along_an_index() {
    let expired = |store: &SeaOrmStore| {
        vec![store.expired_accounts(OffsetDateTime::UNIX_EPOCH, 9).into_query()]
    };
    let index = "account_expiry (app_id=? AND token_expire_time<?)";
    let plan = plans::sqlite(expired).await.concat().join("\n");
    assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{plan}");
    let plan = plans::postgres(Common::Marked, expired).await.concat().join("\n");
    assert!(plan.contains("Index Scan using account_expiry") && !plan.contains("Sort"), "{plan}");
}
