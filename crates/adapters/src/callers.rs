//! The callers: whom a file admits, or everybody.

mod anonymous;
mod edit;
mod file;
mod stanza;
mod table;

pub use self::anonymous::AnonymousCallers;
pub use self::edit::{Edit, EditError};
pub use self::file::{CallersFile, CallersFileError, stanzas};
pub use self::stanza::Stanza;
pub use self::table::InvalidCallers;
