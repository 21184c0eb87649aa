//! A row of the file: a token, its owner, and what is known of its life.

use std::fmt::Display;

use ig_application::ImportAccountCommand;
use ig_domain::{ImportedLife, LongLivedToken, Owner};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The header of the file.
pub(super) const HEADER: [&str; 4] = ["access_token", "owner", "issue_time", "expire_time"];

/// Texts in a line of CSV. A line is one row, whatever quotes stand in it: so a bad one spoils no other. `None` where
/// it is no CSV, or a carriage return within it would end a row.
pub(super) fn cells(line: &[u8]) -> Option<Vec<String>> {
    if line.contains(&b'\r') {
        return None;
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .buffer_capacity(line.len().max(1))
        .from_reader(line);
    let mut record = csv::StringRecord::new();
    let is_read = reader.read_record(&mut record).ok()?;
    is_read.then(|| record.iter().map(str::to_owned).collect())
}

/// Whether the line is the header, a byte order mark before it or not.
pub(super) fn is_header(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    cells(line).is_some_and(|cells| cells == HEADER)
}

/// The import that a row asks for at `now`.
///
/// # Errors
///
/// What is wrong with it, by column, without what stands there.
pub(super) fn command(
    cells: &[String],
    now: OffsetDateTime,
) -> Result<ImportAccountCommand, String> {
    let [token, owner, issue_time, expire_time] = cells else {
        return Err(format!("there are {} cells: {} are wanted", cells.len(), HEADER.join(",")));
    };
    let mut wrong = Vec::new();
    let token = noted(&mut wrong, "access_token", token.parse());
    let owner: Option<Owner> = noted(&mut wrong, "owner", owner.parse());
    let issue_time = noted(&mut wrong, "issue_time", moment(issue_time)).flatten();
    let expire_time = noted(&mut wrong, "expire_time", moment(expire_time)).flatten();
    let life = ImportedLife::told(issue_time, expire_time, now);
    let life = life.map_err(|(issue_time, expire_time)| {
        for (column, reason) in [("issue_time", issue_time), ("expire_time", expire_time)] {
            wrong.extend(reason.map(|reason| format!("{column}: {reason}")));
        }
    });
    match (token, owner, life) {
        (Some(token), Some(owner), Ok(life)) if wrong.is_empty() => {
            Ok(ImportAccountCommand { token: LongLivedToken::new(token), owner, life })
        }
        _ => Err(wrong.join("; ")),
    }
}

/// The value of a column; what is wrong with it is added to `wrong`.
fn noted<T, E: Display>(wrong: &mut Vec<String>, column: &str, parsed: Result<T, E>) -> Option<T> {
    parsed.map_err(|error| wrong.push(format!("{column}: {error}"))).ok()
}

/// A moment; `None` where the cell is empty.
fn moment(cell: &str) -> Result<Option<OffsetDateTime>, &'static str> {
    if cell.is_empty() {
        return Ok(None);
    }
    let moment = OffsetDateTime::parse(cell, &Rfc3339);
    moment.map(Some).map_err(|_| "a time is written as 2026-11-24T08:00:00Z")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-29 08:00 UTC);

    fn read(line: &str) -> Result<ImportAccountCommand, String> {
        command(&cells(line.as_bytes()).unwrap(), NOW)
    }

    #[test]
    fn a_row_has_a_token_an_owner_and_times_that_may_be_unknown() {
        let known =
            read("IGAA7,\"shop, 7\",2026-11-01T00:00:00+01:00,2026-12-24T08:00:00Z").unwrap();
        assert_eq!((known.token.text().expose(), known.owner.as_str()), ("IGAA7", "shop, 7"));
        assert_eq!(known.life.issue_time(), Some(datetime!(2026-10-31 23:00 UTC)));
        assert_eq!(known.life.expire_time(), Some(datetime!(2026-12-24 08:00 UTC)));
        let bare = read("IGAA7,,,").unwrap();
        assert_eq!((bare.owner.as_str(), bare.life), ("", ImportedLife::default()));
    }

    #[rstest]
    #[case::no_token(",shop/7,,", "access_token: a token is")]
    #[case::a_blank_in_it("IGAA 7,,,", "access_token: a token is")]
    #[case::too_few_cells(
        "IGAA7,shop/7",
        "there are 2 cells: access_token,owner,issue_time,expire_time are wanted"
    )]
    #[case::an_open_quote("\"IGAA7,shop/7,,", "there are 1 cells")]
    #[case::no_time("IGAA7,,yesterday,", "issue_time: a time is written as")]
    #[case::all("a b,o\u{1},2027-01-01T00:00:00Z,1", "access_token: a token is")]
    fn what_is_wrong_is_named_by_column(#[case] line: &str, #[case] expected: &str) {
        let wrong = read(line).unwrap_err();
        assert!(wrong.starts_with(expected), "{wrong}");
    }

    /// Else what follows it would be passed over in silence.
    #[test]
    fn a_carriage_return_within_a_line_is_no_end_of_a_row() {
        assert!(cells(b"IGAA7,o,,\rIGAA8,o,,").is_none());
    }

    #[test]
    fn every_bad_column_is_named() {
        let wrong = read("a b,o\u{1},2027-01-01T00:00:00Z,1").unwrap_err();
        let columns: Vec<_> = wrong.split("; ").map(|one| one.split(':').next().unwrap()).collect();
        assert_eq!(columns, ["access_token", "owner", "expire_time", "issue_time"]);
    }

    #[test]
    fn the_header_is_known_with_a_byte_order_mark_too() {
        let header = HEADER.join(",");
        assert!(is_header(header.as_bytes()) && is_header(format!("\u{feff}{header}").as_bytes()));
        for other in ["", "access_token", "access_token,owner,expire_time,issue_time"] {
            assert!(!is_header(other.as_bytes()), "{other}");
        }
    }

    proptest! {
        #[test]
        fn a_bad_line_is_never_repeated(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let line = [&line[..], b" S3CRET,o,1,1"].concat();
            if let Some(cells) = cells(&line) {
                let wrong = command(&cells, NOW).unwrap_err();
                prop_assert!(!wrong.contains("S3CRET"));
            }
        }
    }
}
