//! Pages with rows that cannot be read.

use std::cell::RefCell;

use ig_domain::ports::Cause;
use ig_metrics::TextFormat;
use rstest::rstest;

use super::*;

fn unreadable(id: u64) -> UnreadableRow {
    let error = StoreError::Corrupt(Cause::new("on purpose"));
    UnreadableRow { table: Table::Audit, id: id.to_string(), error }
}

/// The rows 0, 1, 2, …, of which those that `is_readable` can be read, and which numbers of them were asked for.
async fn page(
    limit: u64,
    total: u64,
    is_readable: impl Fn(u64) -> bool,
) -> (Result<Vec<Row<u64>>, StoreError>, Vec<u64>) {
    let asked = RefCell::new(Vec::new());
    let read = async |number: u64| {
        asked.borrow_mut().push(number);
        let rows = (0..total.min(number))
            .map(|id| if is_readable(id) { Ok(id) } else { Err(unreadable(id)) });
        Ok(rows.collect())
    };
    let page = readable_page(Table::Audit, limit, read).await;
    (page, asked.into_inner())
}

#[rstest]
#[case::all_can_be_read(3, 9, &[], &[0, 1, 2], 0, 1)]
#[case::some_cannot(3, 9, &[0, 2, 5], &[1, 3, 4], 2, 2)]
#[case::what_follows_the_last_is_the_next_pages(3, 9, &[3, 4], &[0, 1, 2], 0, 1)]
#[case::there_are_no_more(3, 3, &[1], &[0, 2], 1, 2)]
#[case::there_are_fewer(3, 2, &[1], &[0], 1, 1)]
#[case::nothing_is_asked_for(0, 9, &[0], &[], 0, 1)]
#[tokio::test]
async fn a_page_is_as_long_as_if_there_were_no_others(
    #[case] limit: u64,
    #[case] total: u64,
    #[case] damaged: &[u64],
    #[case] expected: &[u64],
    #[case] left_out: usize,
    #[case] reads: usize,
) {
    let (page, asked) = page(limit, total, |id| !damaged.contains(&id)).await;
    let (readable, others): (Vec<_>, Vec<_>) = page.unwrap().into_iter().partition(Result::is_ok);
    assert_eq!(readable.into_iter().map(Result::unwrap).collect::<Vec<_>>(), expected);
    assert_eq!((others.len(), asked.len()), (left_out, reads));
}

#[rstest]
#[case::as_many_as_are_read_past(MAX_UNREADABLE_ROWS, true)]
#[case::one_more(MAX_UNREADABLE_ROWS + 1, false)]
#[tokio::test]
async fn a_page_is_read_past_so_many_rows_and_no_more(#[case] damaged: u64, #[case] is_read: bool) {
    let (page, asked) = page(3, 10 * MAX_UNREADABLE_ROWS, |id| id >= damaged).await;
    assert_eq!(page.is_ok(), is_read, "{page:?}");
    assert_eq!(asked, [3, 3 + MAX_UNREADABLE_ROWS]);
}

#[test]
fn a_row_is_counted_once_an_answer() {
    let mut registry = Registry::new("test", "1");
    let rows = UnreadableRows::register(&mut registry);
    let answer = || [Ok(1), Err(unreadable(7)), Err(unreadable(8)), Err(unreadable(7)), Ok(2)];
    assert_eq!(rows.leave_out(answer()), [1, 2]);
    assert_eq!(rows.leave_out(answer()), [1, 2]);
    let text = registry.text(TextFormat::Classic).unwrap();
    let counted = r#"test_store_unreadable_rows_total{table="token_audit"} 4"#;
    assert!(text.contains(counted), "{text}");
    assert_eq!(rows.named.lock().unwrap().len(), 2);
}
