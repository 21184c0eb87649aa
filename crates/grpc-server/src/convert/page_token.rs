//! The opaque text by which a listing goes on: a place in it, bound to what is listed.

use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ig_application::PagePosition;
use ig_domain::ports::StatusFilter;
use ig_domain::{AccountId, Owner};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

/// The first byte of every token; another layout gets another one.
const VERSION: u8 = 1;

/// How long a token may be, in bytes.
const LONGEST: usize = 1024;

/// The text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a next_page_token")]
pub(crate) struct InvalidPageToken;

/// The token is of another listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a next_page_token of a listing with this owner and status")]
pub(crate) struct OtherListing;

/// A place in some listing.
///
/// A token is no secret and no capability: a made-up one shows what the same listing shows anyway.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PageToken {
    listing: Listing,
    position: PagePosition,
}

/// What is listed, as a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listing([u8; 16]);

impl Listing {
    /// The listing with these arguments.
    pub(crate) fn of(owner: Option<&Owner>, status: Option<StatusFilter>) -> Self {
        let status: u8 = match status {
            None => 0,
            Some(StatusFilter::Active) => 1,
            Some(StatusFilter::ReauthorizationRequired) => 2,
        };
        let owner = owner.map(Owner::as_str);
        let digest = Sha256::new()
            .chain_update([VERSION, status, u8::from(owner.is_some())])
            .chain_update(owner.unwrap_or_default())
            .finalize();
        let mut listing = [0; 16];
        listing.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self(listing)
    }

    /// The token of a place in this listing.
    pub(crate) fn token(self, (link_time, id): PagePosition) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.0);
        bytes.extend(link_time.unix_timestamp_nanos().to_be_bytes());
        bytes.extend(id.as_uuid().as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place that a token of this listing stands for.
    pub(crate) fn position(self, token: PageToken) -> Result<PagePosition, OtherListing> {
        if token.listing == self { Ok(token.position) } else { Err(OtherListing) }
    }
}

impl FromStr for PageToken {
    type Err = InvalidPageToken;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        if raw.len() > LONGEST {
            return Err(InvalidPageToken);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(raw).map_err(|_| InvalidPageToken)?;
        let (version, rest) = bytes.split_first().ok_or(InvalidPageToken)?;
        let (listing, rest) = rest.split_first_chunk::<16>().ok_or(InvalidPageToken)?;
        let (nanos, id) = rest.split_first_chunk::<16>().ok_or(InvalidPageToken)?;
        if *version != VERSION {
            return Err(InvalidPageToken);
        }
        let nanos = i128::from_be_bytes(*nanos);
        let link_time = OffsetDateTime::from_unix_timestamp_nanos(nanos);
        let link_time = link_time.map_err(|_| InvalidPageToken)?;
        let id = Uuid::from_slice(id).map_err(|_| InvalidPageToken)?;
        Ok(Self { listing: Listing(*listing), position: (link_time, AccountId::from_uuid(id)) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const YEAR_9999: i128 = 253_402_300_799_999_999_000;

    fn owner(raw: &str) -> Owner {
        raw.parse().unwrap()
    }

    #[rstest]
    #[case::another_owner(Some("shop/8"), None)]
    #[case::no_owner(Some(""), None)]
    #[case::any_owner(None, None)]
    #[case::another_status(Some("shop/7"), Some(StatusFilter::Active))]
    fn a_token_serves_its_own_listing_only(
        #[case] other: Option<&str>,
        #[case] status: Option<StatusFilter>,
    ) {
        let place = (OffsetDateTime::UNIX_EPOCH, AccountId::from_uuid(Uuid::from_u128(7)));
        let token = Listing::of(Some(&owner("shop/7")), None).token(place);
        let other = other.map(owner);
        let token = token.parse().unwrap();
        assert_eq!(Listing::of(other.as_ref(), status).position(token), Err(OtherListing));
    }

    #[test]
    fn a_token_beyond_the_limit_is_refused() {
        let read = |raw: &str| raw.parse::<PageToken>().err();
        assert_eq!(read(&"A".repeat(LONGEST + 1)), Some(InvalidPageToken));
        assert_eq!(read(""), Some(InvalidPageToken));
    }

    proptest! {
        #[test]
        fn every_place_reads_back(nanos in 0..YEAR_9999, id: u128, name in "[a-z/]{0,9}") {
            let listing = Listing::of(Some(&owner(&name)), Some(StatusFilter::Active));
            let link_time = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap();
            let place = (link_time, AccountId::from_uuid(Uuid::from_u128(id)));
            let token = listing.token(place);
            prop_assert!(token.len() <= LONGEST);
            prop_assert_eq!(listing.position(token.parse().unwrap()), Ok(place));
        }

        #[test]
        fn anything_else_is_refused_without_a_panic(raw in ".{0,200}", tail: Vec<u8>) {
            prop_assert_eq!(raw.parse::<PageToken>().err(), Some(InvalidPageToken));
            let mut bytes = vec![VERSION];
            bytes.extend(Listing::of(None, None).0);
            bytes.extend(tail);
            let _token_or_error = BASE64_URL_SAFE_NO_PAD.encode(bytes).parse::<PageToken>();
        }
    }
}
