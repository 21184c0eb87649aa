//! The keeper on any store, by a set clock: accounts, a moody Instagram, and what becomes of them over days and years.
#![expect(clippy::missing_panics_doc, reason = "a scene panics when a test fails")]
#![expect(clippy::unwrap_used, reason = "a scene that meets an error fails its test")]

mod instagram;
mod scene;

pub use self::instagram::{Call, CallKind, Mood, MoodyInstagram, TOKEN_LIFETIME, dead, failure};
pub use self::scene::{DAY, HOUR, MINUTE, Scene, Stage};
