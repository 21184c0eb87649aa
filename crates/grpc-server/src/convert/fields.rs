//! Reads the fields of a request one by one and keeps all that is wrong with them.

use std::fmt::Display;
use std::str::FromStr;

use tonic_types::FieldViolation;

/// A request with at least one bad field.
#[derive(Clone, Debug)]
pub(crate) struct InvalidRequest {
    /// Every bad field, by its path in the proto file, and what is wrong with it. Never what was sent.
    pub(crate) violations: Vec<FieldViolation>,
}

/// Stands for a field that was refused; what is wrong with it is kept in [`Fields`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused;

/// Violations found in a request so far.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    violations: Vec<FieldViolation>,
}

impl Fields {
    /// Reads a field that must be valid.
    pub(crate) fn parse<T>(&mut self, field: &str, raw: &str) -> Result<T, Refused>
    where
        T: FromStr<Err: Display>,
    {
        raw.parse().map_err(|error: T::Err| self.refuse(field, &error))
    }

    /// Reads a field that may be absent.
    pub(crate) fn parse_given<T>(
        &mut self,
        field: &str,
        raw: Option<&str>,
    ) -> Result<Option<T>, Refused>
    where
        T: FromStr<Err: Display>,
    {
        raw.map(|raw| self.parse(field, raw)).transpose()
    }

    /// Adds a violation of `field`.
    pub(crate) fn refuse(&mut self, field: &str, description: &(impl Display + ?Sized)) -> Refused {
        self.violations.push(FieldViolation::new(field, description.to_string()));
        Refused
    }

    /// Result of `build`, unless a field was refused.
    pub(crate) fn finish<T>(
        self,
        build: impl FnOnce() -> Result<T, Refused>,
    ) -> Result<T, InvalidRequest> {
        let Self { violations } = self;
        match build() {
            Ok(value) if violations.is_empty() => Ok(value),
            Ok(_) | Err(Refused) => Err(InvalidRequest { violations }),
        }
    }
}
