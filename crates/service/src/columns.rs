//! Rows for people, in columns that are as wide as what they hold.

use std::io::{self, Write};
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A table of `N` columns that is written page by page. Its columns grow with what they hold.
pub(crate) struct Columns<const N: usize> {
    /// The header, until it is written.
    header: Option<[&'static str; N]>,
    widths: [usize; N],
}

impl<const N: usize> Columns<N> {
    /// A table of which nothing is written yet.
    pub(crate) fn new(header: [&'static str; N]) -> Self {
        Self { header: Some(header), widths: [0; N] }
    }

    /// Writes these rows, below the header where they are the first.
    pub(crate) fn write(&mut self, rows: Vec<[String; N]>, out: &mut dyn Write) -> io::Result<()> {
        let header = self.header.take().map(|header| header.map(str::to_owned));
        let rows: Vec<_> = header.into_iter().chain(rows).collect();
        for row in &rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in rows {
            let cells = row.iter().zip(self.widths).map(|(cell, width)| format!("{cell:width$}"));
            writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// A moment, such as `2026-11-24T08:00:00Z`.
pub(crate) fn moment(moment: OffsetDateTime) -> String {
    // Only years that the store cannot keep have no such form.
    moment.format(&Rfc3339).unwrap_or_default()
}

/// A span by its two largest units, such as `29d 0h`.
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// Text from outside as it can be shown in a row: what would turn the line around or hide is written out.
pub(crate) fn plain(text: &str) -> String {
    if text.is_empty() {
        return "-".to_owned();
    }
    let hidden = |character: char| {
        let turns =
            matches!(character, '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
    };
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if hidden(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}
