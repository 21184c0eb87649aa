//! All callers of a file, checked.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use ig_domain::ports::{Authorization, Credentials, NotAuthenticated};
use ig_domain::{BearerHash, Caller, CallerName, OwnerScope, Role};
use subtle::ConstantTimeEq as _;
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
pub(super) struct Table(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    caller: Arc<Caller>,
    tokens: Vec<BearerHash>,
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
        let stanzas = stanza::read(text)?;
        let (mut names, mut tokens) = (HashSet::new(), HashSet::new());
        let mut entries = Vec::with_capacity(stanzas.len());
        for (line, stanza) in stanzas {
            let refuse = |problem| InvalidCallers { line, problem };
            let entry = Entry::of(stanza).map_err(refuse)?;
            let name = &entry.caller.name;
            if !names.insert(name.clone()) {
                return Err(refuse(format!("caller {name}: there is one of this name already")));
            }
            if !entry.tokens.iter().all(|token| tokens.insert(*token)) {
                return Err(refuse(format!(
                    "caller {name}: one of its token_sha256 is there already"
                )));
            }
            if entries.len() == MAX_CALLERS {
                return Err(refuse(format!("there are more than {MAX_CALLERS} callers")));
            }
            entries.push(entry);
        }
        Ok(Self(entries))
    }

    /// Number of callers.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is a caller of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|entry| entry.caller.name.as_str() == name)
    }

    /// The caller that these credentials prove at the moment `now`.
    pub(super) fn authenticate(
        &self,
        credentials: Credentials<'_>,
        now: OffsetDateTime,
    ) -> Result<Arc<Caller>, NotAuthenticated> {
        let entry = match (credentials.authorization, credentials.certificate_names) {
            (Authorization::Bearer(token), _) => self.by_token(&token.hash()),
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

    /// Looks at every token of every caller, so that the time it takes tells nothing about any.
    fn by_token(&self, presented: &BearerHash) -> Option<&Entry> {
        let tokens =
            self.0.iter().flat_map(|entry| entry.tokens.iter().map(move |token| (entry, token)));
        tokens.fold(None, |found, (entry, token)| {
            let same = token.as_bytes().ct_eq(presented.as_bytes());
            if bool::from(same) { Some(entry) } else { found }
        })
    }

    /// The one caller that a certificate names.
    fn by_certificate(&self, names: &[String]) -> Result<Option<&Entry>, NotAuthenticated> {
        let is_named = |entry: &&Entry| names.iter().any(|name| name == entry.caller.name.as_str());
        let mut found = self.0.iter().filter(is_named);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(NotAuthenticated::Ambiguous),
            (found, None) => Ok(found),
        }
    }
}

impl Entry {
    fn of(stanza: Stanza) -> Result<Self, String> {
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
        Ok(Self { caller, tokens, expire_time })
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
