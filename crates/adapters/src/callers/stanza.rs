//! A caller as the file has it.

use std::collections::HashMap;
use std::ops::Range;

use ig_domain::BearerHash;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use toml::value::Datetime;
use toml::{Spanned, Value};

use super::table::{InvalidCallers, Table};

/// The table of one caller, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Stanza {
    /// Name; under mutual TLS one of its certificate's names.
    pub name: String,
    /// The SHA-256 of each of its tokens in hexadecimal digits. `None` for a caller with a certificate only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_sha256: Option<Vec<String>>,
    /// Roles: what it may do.
    pub roles: Vec<String>,
    /// Owners whose accounts it may use: exact, or a beginning with a `*` behind it.
    pub owners: Vec<String>,
    /// Moment of its expiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire_time: Option<Datetime>,
    /// Maximum number of its calls in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    caller: Vec<Spanned<Stanza>>,
}

#[derive(Serialize)]
struct Written<'a> {
    caller: [&'a Stanza; 1],
}

/// Place of a caller's tokens in the text.
#[derive(Deserialize)]
struct Tokens {
    name: String,
    token_sha256: Option<Spanned<IgnoredAny>>,
}

#[derive(Deserialize)]
struct TokensOfAll {
    caller: Vec<Tokens>,
}

impl Stanza {
    /// This caller with one token, known by `hash`.
    #[must_use]
    pub fn with_token(self, hash: &BearerHash) -> Self {
        Self { token_sha256: Some(vec![hash.to_hex()]), ..self }
    }

    /// The text to put into the file.
    ///
    /// # Errors
    ///
    /// When it is no right caller.
    pub fn to_toml(&self) -> Result<String, InvalidCallers> {
        let refuse = |problem: String| InvalidCallers { line: 1, problem };
        let text = toml::to_string(&Written { caller: [self] });
        let text = text.map_err(|error| refuse(error.to_string()))?;
        Table::parse(&text)?;
        Ok(text)
    }
}

/// Reads all stanzas of a file, each with its line.
pub(super) fn read(text: &str) -> Result<Vec<(usize, Stanza)>, InvalidCallers> {
    let file: File = toml::from_str(text).map_err(|error| InvalidCallers {
        line: line_number(text, error.span()),
        problem: told(error.message()),
    })?;
    let lined =
        |stanza: Spanned<Stanza>| (line_number(text, Some(stanza.span())), stanza.into_inner());
    Ok(file.caller.into_iter().map(lined).collect())
}

/// The text of a file in which the caller of this name has one more token, if it has any. Everything else stays,
/// comments too.
pub(super) fn with_token(text: &str, name: &str, token: &BearerHash) -> Option<String> {
    let TokensOfAll { caller } = toml::from_str(text).ok()?;
    let tokens = caller.into_iter().find(|caller| caller.name == name)?.token_sha256?;
    let (before, list) = text.split_at_checked(tokens.span().start)?;
    let items = list.strip_prefix('[')?;
    Some(format!("{before}[\"{}\", {}", token.to_hex(), items.trim_start_matches(' ')))
}

/// The text of a file without the caller of this name: its own lines go, and the blank ones behind it. `None` where it
/// has no lines of its own.
pub(super) fn without(text: &str, name: &str) -> Option<String> {
    let place = place(text, name)?;
    let (before, rest) = text.split_at_checked(place.start)?;
    if !rest.starts_with("[[") {
        return None;
    }
    // An indented header goes with its indentation.
    let before = before.trim_end_matches([' ', '\t']);
    // The last value ends before a comment, which belongs to it.
    let (_, behind) = text.split_at_checked(place.end)?;
    let (_, mut after) = behind.split_once('\n').unwrap_or_default();
    while let Some((blank, next)) = after.split_once('\n')
        && blank.trim().is_empty()
    {
        after = next;
    }
    // The blank line that set the last caller off has nothing behind it any more.
    let before = match before.strip_suffix('\n') {
        Some(shorter) if after.is_empty() && shorter.ends_with('\n') => shorter,
        _ => before,
    };
    Some(format!("{before}{after}"))
}

/// Place of a caller in the text: from the beginning of its header to the end of its last value.
fn place(text: &str, name: &str) -> Option<Range<usize>> {
    #[derive(Deserialize)]
    struct Places {
        caller: Vec<Spanned<HashMap<String, Spanned<Value>>>>,
    }
    let Places { caller } = toml::from_str(text).ok()?;
    caller.into_iter().find_map(|caller| {
        let start = caller.span().start;
        let fields = caller.into_inner();
        let is_meant = fields.get("name")?.get_ref().as_str() == Some(name);
        let end = fields.values().map(|value| value.span().end).max()?;
        is_meant.then_some(start..end)
    })
}

/// The line on which a span begins, counted from 1.
fn line_number(text: &str, span: Option<Range<usize>>) -> usize {
    let start = span.map_or(0, |span| span.start);
    text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1
}

/// Message of the library without what it quotes from the file: that may be a token in a wrong place.
fn told(message: &str) -> String {
    let (what, expected) = message.rsplit_once(", expected ").unwrap_or((message, ""));
    let what = match what.strip_prefix("missing field") {
        Some(_) => what,
        None => what.split([':', '`', '"', '\'']).next().unwrap_or_default().trim_end(),
    };
    if expected.is_empty() { what.to_owned() } else { format!("{what}, expected {expected}") }
}
