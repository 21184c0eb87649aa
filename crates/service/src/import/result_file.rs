//! The result: a row for each line that was tried, by which an interrupted import goes on.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use ig_application::ImportedAccount;

use super::lines::{Line, Lines};
use super::row::cells;
use crate::columns::moment;

/// The header of the result.
const HEADER: [&str; 7] = [
    "line",
    "outcome",
    "account_id",
    "professional_account_id",
    "username",
    "owner",
    "token_expire_time",
];

/// What became of a line, as the result has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tried {
    /// The outcome, or the reason for which the token was not imported.
    pub(super) outcome: String,
    /// Owner that the line names; empty where it cannot be read.
    pub(super) owner: String,
}

/// The file of the result, locked for this import.
pub(super) struct ResultFile {
    file: File,
    path: PathBuf,
}

impl ResultFile {
    /// Opens the result, or begins it. Returns what earlier imports have written, by line. A row that was cut off by the
    /// end of its process is taken out.
    ///
    /// # Errors
    ///
    /// When it cannot be read or written, is another kind of file, or another import writes it.
    pub(super) fn open(path: &Path) -> anyhow::Result<(Self, BTreeMap<u64, Tried>)> {
        let shown = path.display();
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = file.with_context(|| format!("the result {shown} cannot be opened"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another import writes the result {shown}"),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("the result {shown} cannot be locked"));
            }
        }
        let (tried, length) =
            read(&file).with_context(|| format!("the result {shown} cannot be read"))?;
        file.set_len(length)?;
        file.seek(SeekFrom::End(0))?;
        let mut result = Self { file, path: path.to_owned() };
        if length == 0 {
            result.append(&HEADER)?;
        }
        Ok((result, tried))
    }

    /// A result that cannot be written, as on a full disk.
    #[cfg(test)]
    pub(super) fn unwritable(path: &Path) -> Self {
        Self { file: File::open(path).unwrap(), path: path.to_owned() }
    }

    /// Adds the row of a line whose token was imported.
    pub(super) fn imported(
        &mut self,
        line: u64,
        outcome: &str,
        imported: &ImportedAccount,
    ) -> anyhow::Result<()> {
        let account = &imported.view.account;
        self.append(&[
            &line.to_string(),
            outcome,
            &account.id.to_string(),
            account.professional_account_id.as_str(),
            account.username.as_str(),
            account.owner.as_str(),
            &account.token_expire_time.map(moment).unwrap_or_default(),
        ])
    }

    /// Adds the row of a line whose token was not imported.
    pub(super) fn refused(&mut self, line: u64, tried: &Tried) -> anyhow::Result<()> {
        let Tried { outcome, owner } = tried;
        self.append(&[&line.to_string(), outcome, "", "", "", owner, ""])
    }

    /// Writes a row whole: what an interruption cuts off is the last one.
    fn append(&mut self, row: &[&str; HEADER.len()]) -> anyhow::Result<()> {
        let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
        writer.write_record(row)?;
        let row = writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
        let written = self.file.write_all(&row).and_then(|()| self.file.flush());
        written.with_context(|| format!("the result {} cannot be written", self.path.display()))
    }
}

/// What the file holds, and its length up to the end of its last whole row.
fn read(file: &File) -> anyhow::Result<(BTreeMap<u64, Tried>, u64)> {
    let mut lines = Lines::of(BufReader::new(file));
    let (mut tried, mut whole) = (BTreeMap::new(), 0);
    while let Some(Line { number, bytes, is_ended, length }) = lines.read()? {
        if !is_ended {
            // A file of another kind has a first line that is none of ours, also one without an end.
            let begun = bytes.as_ref().map_or(&[][..], |bytes| bytes);
            let is_ours = number > 1 || HEADER.join(",").as_bytes().starts_with(begun);
            ensure!(is_ours, "it is no result of an import: name another file");
            break;
        }
        let bytes = bytes.with_context(|| format!("its line {number} is too long"))?;
        let cells = cells(&bytes).unwrap_or_default();
        if number == 1 {
            ensure!(cells == HEADER, "it is no result of an import: name another file");
        } else {
            let (line, row) = row(cells).with_context(|| format!("its line {number} is no row"))?;
            tried.insert(line, row);
        }
        whole += length;
    }
    Ok((tried, whole))
}

fn row(cells: Vec<String>) -> Option<(u64, Tried)> {
    let [line, outcome, _, _, _, owner, _]: [String; HEADER.len()] = cells.try_into().ok()?;
    Some((line.parse().ok()?, Tried { outcome, owner }))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn tried(outcome: &str, owner: &str) -> Tried {
        Tried { outcome: outcome.to_owned(), owner: owner.to_owned() }
    }

    #[test]
    fn what_was_written_is_read_back_and_the_last_row_of_a_line_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result.csv");
        let (mut result, before) = ResultFile::open(&path).unwrap();
        assert!(before.is_empty());
        for (line, row) in [
            (2, tried("RATE_LIMITED", "a, \"b\"")),
            (7, tried("INVALID_FIELD", "")),
            (2, tried("TOKEN_REJECTED", "a")),
        ] {
            result.refused(line, &row).unwrap();
        }
        assert!(ResultFile::open(&path).is_err(), "one import at a time");
        drop(result);
        let (_, before) = ResultFile::open(&path).unwrap();
        let expected = [(2, tried("TOKEN_REJECTED", "a")), (7, tried("INVALID_FIELD", ""))];
        assert_eq!(before, BTreeMap::from(expected));
    }

    #[test]
    fn a_row_that_was_cut_off_is_taken_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result.csv");
        let (mut result, _) = ResultFile::open(&path).unwrap();
        result.refused(2, &tried("PERSONAL_ACCOUNT", "")).unwrap();
        drop(result);
        let whole = fs::read_to_string(&path).unwrap();
        for cut in [0, 3, HEADER.join(",").len(), whole.len() - 1] {
            fs::write(&path, whole.get(..cut).unwrap()).unwrap();
            let (mut result, before) = ResultFile::open(&path).unwrap();
            assert!(before.is_empty(), "{cut}");
            result.refused(2, &tried("PERSONAL_ACCOUNT", "")).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), whole, "{cut}");
        }
    }

    /// A spreadsheet may have written it meanwhile, with line ends of its own.
    #[test]
    fn only_the_row_that_was_cut_off_is_taken_out_whatever_ends_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result.csv");
        let whole = format!("{}\r\n2,CREATED,,,,a,\r\n3,UNCHANGED,,,,b,\r\n", HEADER.join(","));
        fs::write(&path, format!("{whole}4,CREA")).unwrap();
        let (_, before) = ResultFile::open(&path).unwrap();
        let expected = [(2, tried("CREATED", "a")), (3, tried("UNCHANGED", "b"))];
        assert_eq!(before, BTreeMap::from(expected));
        assert_eq!(fs::read_to_string(&path).unwrap(), whole);
    }

    #[test]
    fn another_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.csv");
        let damaged = format!("{}\nx,y\n", HEADER.join(","));
        for other in ["access_token,owner,issue_time,expire_time\nIGAA7,,,\n", "IGAA7", &damaged] {
            fs::write(&path, other).unwrap();
            let error = ResultFile::open(&path).err().unwrap();
            assert!(!format!("{error:#}").contains("IGAA"), "{error:#}");
            assert_eq!(fs::read_to_string(&path).unwrap(), other);
        }
    }
}
