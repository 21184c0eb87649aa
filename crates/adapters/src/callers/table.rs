//! All callers of a file, checked.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use ig_domain::ports::{Authorization, Credentials, NotAuthenticated};
use ig_domain::{BearerHash, Caller, CallerName, OwnerScope, Role};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use toml::value::Datetime;

use super::stanza::{self, Stanza};

/// Maximum number of callers of a file; ours.
const MAX_CALLERS: usize = 1000;

/// Maximum number of tokens of one caller; ours.
const MAX_TOKENS: usize = 8;

/// Maximum number of owner patterns of one caller; ours. A listing asks the store for 16 of them in one statement:
/// where none of them has an account it takes seven statements, some 10 ms on either database.
const MAX_OWNER_PATTERNS: usize = 100;

/// The callers of one file.
#[derive(Debug, Default)]
pub(super) struct Table {
    by_name: HashMap<String, Entry>,
    by_token: HashMap<BearerHash, Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    caller: Arc<Caller>,
    expire_time: Option<OffsetDateTime>,
}

/// A text that does not say who the callers are. It is told without what stands there, which may be a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct InvalidCallers {
    pub(super) line: usize,
    pub(super) problem: String,
}

impl InvalidCallers {
    /// Problem, without the line.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl Table {
    /// Reads and checks a file's text.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidCallers> {
        let mut table = Self::default();
        for (line, stanza) in stanza::read(text)? {
            table.insert(stanza).map_err(|problem| InvalidCallers { line, problem })?;
        }
        Ok(table)
    }

    /// Adds a caller and its tokens, none of which may be there already.
    fn insert(&mut self, stanza: Stanza) -> Result<(), String> {
        let (entry, tokens) = Entry::of(stanza)?;
        let name = entry.caller.name.as_str().to_owned();
        if self.has(&name) {
            return Err(format!("caller {name}: there is one of this name already"));
        }
        for token in tokens {
            if self.by_token.insert(token, entry.clone()).is_some() {
                return Err(format!("caller {name}: one of its token_sha256 is there already"));
            }
        }
        if self.len() == MAX_CALLERS {
            return Err(format!("there are more than {MAX_CALLERS} callers"));
        }
        self.by_name.insert(name, entry);
        Ok(())
    }

    /// Number of callers.
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Next moment after `now` at which a caller expires.
    pub(super) fn next_expire_time(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let ends = self.by_name.values().filter_map(|entry| entry.expire_time);
        ends.filter(|end| *end > now).min()
    }

    /// Whether there is a caller of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The caller that these credentials prove at the moment `now`.
    pub(super) fn authenticate(
        &self,
        credentials: Credentials<'_>,
        now: OffsetDateTime,
    ) -> Result<Arc<Caller>, NotAuthenticated> {
        let entry = match (credentials.authorization, credentials.certificate_names) {
            // The map compares hashes of long random tokens, so its timing reveals nothing of a token.
            (Authorization::Bearer(token), _) => self.by_token.get(&token.hash()),
            (Authorization::Malformed, _) => return Err(NotAuthenticated::Malformed),
            (Authorization::Absent, []) => return Err(NotAuthenticated::Missing),
            (Authorization::Absent, names) => self.by_certificate(names)?,
        };
        let entry = entry.ok_or(NotAuthenticated::Unknown)?;
        if entry.expire_time.is_some_and(|end| end <= now) {
            return Err(NotAuthenticated::Expired(entry.caller.name.clone()));
        }
        Ok(Arc::clone(&entry.caller))
    }

    /// The one caller that a certificate names, perhaps more than once.
    fn by_certificate(&self, names: &[String]) -> Result<Option<&Entry>, NotAuthenticated> {
        let mut found = names.iter().filter_map(|name| self.by_name.get(name));
        let Some(first) = found.next() else { return Ok(None) };
        let is_same = |other: &Entry| Arc::ptr_eq(&other.caller, &first.caller);
        if found.all(is_same) { Ok(Some(first)) } else { Err(NotAuthenticated::Ambiguous) }
    }
}

impl Entry {
    /// The caller of a stanza, and its tokens.
    fn of(stanza: Stanza) -> Result<(Self, Vec<BearerHash>), String> {
        let Stanza { name, token_sha256, roles, owners, expire_time, max_in_flight } = stanza;
        // A name that is none is not repeated.
        let name: CallerName = name.parse().map_err(|error| format!("name: {error}"))?;
        let refuse = |problem: String| format!("caller {name}: {problem}");
        if name == Caller::anonymous().name {
            return Err(refuse("this name stands for callers that are not known".to_owned()));
        }
        let tokens = tokens(token_sha256).map_err(refuse)?;
        let roles = each("roles", &roles, Role::ALL.len(), str::parse).map_err(refuse)?;
        let owners = each("owners", &owners, MAX_OWNER_PATTERNS, str::parse).map_err(refuse)?;
        let expire_time = expire_time.map(moment).transpose().map_err(refuse)?;
        let max_in_flight = max_in_flight.map(at_least_one).transpose().map_err(refuse)?;
        let owners = OwnerScope::of(owners);
        let caller = Arc::new(Caller { name, roles, owners, max_in_flight });
        Ok((Self { caller, expire_time }, tokens))
    }
}

fn tokens(digests: Option<Vec<String>>) -> Result<Vec<BearerHash>, String> {
    let Some(digests) = digests else { return Ok(Vec::new()) };
    each("token_sha256", &digests, MAX_TOKENS, |raw| {
        sha256(raw).ok_or("not 64 hexadecimal digits, the SHA-256 of a token")
    })
}

/// Parses every item of a list that must not be empty.
fn each<T, E: ToString>(
    field: &str,
    items: &[String],
    most: usize,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, String> {
    if items.is_empty() || items.len() > most {
        return Err(format!("{field} is to have 1 to {most} items"));
    }
    let refuse = |position, error: E| format!("{field}, item {position}: {}", error.to_string());
    let parsed =
        |(position, item): (usize, &String)| parse(item).map_err(|error| refuse(position, error));
    (1..).zip(items).map(parsed).collect()
}

/// Reads 64 hexadecimal digits of either case.
fn sha256(raw: &str) -> Option<BearerHash> {
    let digits: Vec<u8> =
        raw.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks() else { return None };
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high << 4 | low).collect();
    Some(BearerHash::from_bytes(bytes.try_into().ok()?))
}

fn moment(written: Datetime) -> Result<OffsetDateTime, String> {
    let read = OffsetDateTime::parse(&written.to_string(), &Rfc3339);
    read.map_err(|_| {
        "expire_time is no moment with date, time and offset, like 2027-01-01T00:00:00Z".to_owned()
    })
}

fn at_least_one(limit: u32) -> Result<NonZeroU32, String> {
    NonZeroU32::new(limit).ok_or_else(|| "max_in_flight is to be 1 or more".to_owned())
}

#[cfg(test)]
mod tests;
