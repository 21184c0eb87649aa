//! An error together with what caused it, in one line of a log.

use std::error::Error;
use std::fmt;

/// Shows an error and all its sources, separated by colons.
///
/// Log formats show an error's own words only, or lay its sources out each in its own way.
pub(crate) struct Chain<'a>(pub(crate) &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(formatter, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ig_domain::ports::{Cause, StoreError};

    use super::*;

    #[test]
    fn a_chain_shows_every_cause_once() {
        let error = StoreError::Unavailable(Cause::new("connection refused"));
        assert_eq!(Chain(&error).to_string(), "the store is unavailable: connection refused");
    }
}
