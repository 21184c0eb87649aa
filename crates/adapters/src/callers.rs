//! The callers: whom a file admits, or everybody.

mod addition;
mod anonymous;
mod file;
mod stanza;
mod table;

pub use self::addition::{Addition, AdditionError};
pub use self::anonymous::AnonymousCallers;
pub use self::file::{CallersFile, CallersFileError, Look};
pub use self::stanza::Stanza;
pub use self::table::InvalidCallers;
