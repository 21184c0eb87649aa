//! The opaque text by which a stream goes on: a position in the log of events.

use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ig_domain::{EventId, EventPosition, LogId};
use uuid::Uuid;

/// The first byte of every cursor; another layout gets another one.
const VERSION: u8 = 1;

/// Maximum length of a cursor, in bytes.
const MAX_CURSOR_BYTES: usize = 256;

/// A position in some log.
///
/// A cursor is no secret and no capability: a made-up one shows what any other stream of its caller shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor(pub(crate) EventPosition);

/// The text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor or watch_cursor")]
pub(crate) struct InvalidCursor;

/// The cursor of a position.
pub(crate) fn cursor(position: &EventPosition) -> String {
    let EventPosition { log, number, event } = position;
    let mut bytes = vec![VERSION];
    bytes.extend(log.as_uuid().as_bytes());
    bytes.extend(number.to_be_bytes());
    bytes.extend(event.as_uuid().as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        if raw.len() > MAX_CURSOR_BYTES {
            return Err(InvalidCursor);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(raw).map_err(|_| InvalidCursor)?;
        let (version, rest) = bytes.split_first().ok_or(InvalidCursor)?;
        let (log, rest) = rest.split_first_chunk::<16>().ok_or(InvalidCursor)?;
        let (number, rest) = rest.split_first_chunk::<8>().ok_or(InvalidCursor)?;
        let event: [u8; 16] = rest.try_into().map_err(|_| InvalidCursor)?;
        let number = i64::from_be_bytes(*number);
        if *version != VERSION || number < 0 {
            return Err(InvalidCursor);
        }
        Ok(Self(EventPosition {
            log: LogId::from_uuid(Uuid::from_bytes(*log)),
            number,
            event: EventId::from_uuid(Uuid::from_bytes(event)),
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn position(log: u128, number: i64, event: u128) -> EventPosition {
        EventPosition {
            log: LogId::from_uuid(Uuid::from_u128(log)),
            number,
            event: EventId::from_uuid(Uuid::from_u128(event)),
        }
    }

    proptest! {
        #[test]
        fn a_cursor_names_its_position(log: u128, number in 0..=i64::MAX, event: u128) {
            let position = position(log, number, event);
            let cursor = cursor(&position);
            prop_assert!(cursor.len() == 55 && cursor.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(cursor.parse(), Ok(Cursor(position)));
        }

        #[test]
        fn no_other_text_is_one(raw in ".{0,60}") {
            prop_assert!(raw.parse::<Cursor>().is_err());
        }
    }

    #[rstest]
    #[case::empty(&[])]
    #[case::of_another_version(&[vec![2], vec![0; 40]].concat())]
    #[case::cut_off(&[vec![1], vec![0; 39]].concat())]
    #[case::too_long(&[vec![1], vec![0; 41]].concat())]
    #[case::far_too_long(&[1; 1000])]
    #[case::a_negative_number(&[vec![1], vec![0; 16], vec![255; 8], vec![0; 16]].concat())]
    fn what_is_no_cursor_is_refused(#[case] bytes: &[u8]) {
        let raw = BASE64_URL_SAFE_NO_PAD.encode(bytes);
        assert_eq!(raw.parse::<Cursor>(), Err(InvalidCursor));
    }
}
