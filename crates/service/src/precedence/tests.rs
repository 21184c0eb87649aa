//! How many workers there are.

use rstest::rstest;

use super::*;

#[rstest]
#[case(1, 1)]
#[case(2, 1)]
#[case(8, 7)]
fn a_processor_is_left_where_there_are_several(#[case] processors: usize, #[case] workers: usize) {
    assert_eq!(background_workers(processors), workers);
}
