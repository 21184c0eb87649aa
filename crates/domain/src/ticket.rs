//! Ticket: stands for a code that this service keeps, while the browser goes back to the caller.

use std::str::FromStr;

use secrecy::{ExposeSecret as _, SecretString};

use crate::TicketHash;

/// A ticket: [`LENGTH`](Self::LENGTH) characters of URL-safe base64. `Debug` hides it.
#[derive(Clone, Debug)]
pub struct Ticket(SecretString);

/// The text cannot be a ticket; it is not repeated here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a ticket is {} of A-Z, a-z, 0-9, '-' and '_'", Ticket::LENGTH)]
pub struct InvalidTicket;

impl Ticket {
    /// Number of characters: those of 32 bytes without padding.
    pub const LENGTH: usize = 43;

    /// The ticket itself, for the way back to the caller.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Hash of the ticket, by which its code is found.
    #[must_use]
    pub fn hash(&self) -> TicketHash {
        TicketHash::of(self.expose())
    }
}

impl FromStr for Ticket {
    type Err = InvalidTicket;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let valid = raw.len() == Self::LENGTH && raw.bytes().all(allowed);
        if valid { Ok(Self(SecretString::from(raw))) } else { Err(InvalidTicket) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_kept_to_the_letter_and_hidden() {
        let raw = format!("{}aA0", "aA0-_".repeat(8));
        let ticket: Ticket = raw.parse().unwrap();
        assert_eq!(ticket.expose(), raw);
        assert!(!format!("{ticket:?} {:?}", ticket.hash()).contains("aA0"));
    }

    #[test]
    fn anything_else_is_no_ticket() {
        let short = "a".repeat(42);
        for raw in ["", &short, &format!("{short}aa"), &format!("{short}="), &format!("{short}é")]
        {
            assert_eq!(raw.parse::<Ticket>().err(), Some(InvalidTicket), "{raw:?}");
        }
    }
}
