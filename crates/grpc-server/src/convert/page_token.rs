//! The opaque text by which a listing goes on: a place in it, bound to what is listed.

use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ig_domain::ports::StatusFilter;
use ig_domain::{AccountId, ListingOrder, ListingPosition, Owner};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

/// The first byte of every token; another layout gets another one.
const VERSION: u8 = 2;

/// Maximum length of a token, in bytes.
const MAX_TOKEN_BYTES: usize = 1024;

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
#[derive(Clone, Debug)]
pub(crate) struct PageToken {
    listing: Listing,
    position: ListingPosition,
}

/// Digest of a listing's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listing([u8; 16]);

impl Listing {
    /// The listing with these arguments, in the order that its caller's owners give it.
    pub(crate) fn of(
        order: ListingOrder,
        owner: Option<&Owner>,
        status: Option<StatusFilter>,
    ) -> Self {
        let order: u8 = match order {
            ListingOrder::LinkTime => 0,
            ListingOrder::Owner => 1,
        };
        let status: u8 = match status {
            None => 0,
            Some(StatusFilter::Active) => 1,
            Some(StatusFilter::ReauthorizationRequired) => 2,
        };
        let owner = owner.map(Owner::as_str);
        let digest = Sha256::new()
            .chain_update([VERSION, order, status, u8::from(owner.is_some())])
            .chain_update(owner.unwrap_or_default())
            .finalize();
        let mut listing = [0; 16];
        listing.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self(listing)
    }

    /// The token of a place in this listing.
    pub(crate) fn token(self, position: &ListingPosition) -> String {
        let ListingPosition { owner, link_time, id } = position;
        let mut bytes = vec![VERSION];
        bytes.extend(self.0);
        bytes.extend(link_time.unix_timestamp_nanos().to_be_bytes());
        bytes.extend(id.as_uuid().as_bytes());
        bytes.extend(owner.as_str().as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The place that a token of this listing stands for.
    pub(crate) fn position(self, token: PageToken) -> Result<ListingPosition, OtherListing> {
        if token.listing == self { Ok(token.position) } else { Err(OtherListing) }
    }
}

impl FromStr for PageToken {
    type Err = InvalidPageToken;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        if raw.len() > MAX_TOKEN_BYTES {
            return Err(InvalidPageToken);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(raw).map_err(|_| InvalidPageToken)?;
        let (version, rest) = bytes.split_first().ok_or(InvalidPageToken)?;
        let (listing, rest) = rest.split_first_chunk::<16>().ok_or(InvalidPageToken)?;
        let (nanos, rest) = rest.split_first_chunk::<16>().ok_or(InvalidPageToken)?;
        let (id, owner) = rest.split_first_chunk::<16>().ok_or(InvalidPageToken)?;
        if *version != VERSION {
            return Err(InvalidPageToken);
        }
        let nanos = i128::from_be_bytes(*nanos);
        let link_time = OffsetDateTime::from_unix_timestamp_nanos(nanos);
        let link_time = link_time.map_err(|_| InvalidPageToken)?;
        let id = AccountId::from_uuid(Uuid::from_bytes(*id));
        let owner = str::from_utf8(owner).ok().and_then(|owner| owner.parse().ok());
        let owner = owner.ok_or(InvalidPageToken)?;
        let position = ListingPosition { owner, link_time, id };
        Ok(Self { listing: Listing(*listing), position })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::ListingOrder::{LinkTime, Owner as ByOwner};
    use super::*;

    const YEAR_9999: i128 = 253_402_300_799_999_999_000;

    fn owner(raw: &str) -> Owner {
        raw.parse().unwrap()
    }

    fn place(owner: Owner) -> ListingPosition {
        let id = AccountId::from_uuid(Uuid::from_u128(7));
        ListingPosition { owner, link_time: OffsetDateTime::UNIX_EPOCH, id }
    }

    #[rstest]
    #[case::another_owner(LinkTime, Some("shop/8"), None)]
    #[case::no_owner(LinkTime, Some(""), None)]
    #[case::any_owner(LinkTime, None, None)]
    #[case::another_status(LinkTime, Some("shop/7"), Some(StatusFilter::Active))]
    #[case::another_order(ByOwner, Some("shop/7"), None)]
    fn a_token_serves_its_own_listing_only(
        #[case] order: ListingOrder,
        #[case] other: Option<&str>,
        #[case] status: Option<StatusFilter>,
    ) {
        let seven = owner("shop/7");
        let token = Listing::of(LinkTime, Some(&seven), None).token(&place(seven));
        let other = other.map(owner);
        let token = token.parse().unwrap();
        assert_eq!(Listing::of(order, other.as_ref(), status).position(token), Err(OtherListing));
    }

    #[test]
    fn all_owners_are_another_listing_than_the_empty_one() {
        let of = |owner| Listing::of(LinkTime, owner, None);
        let token = of(None).token(&place(owner(""))).parse().unwrap();
        assert_eq!(of(Some(&owner(""))).position(token), Err(OtherListing));
    }

    #[test]
    fn a_token_of_a_former_layout_is_refused() {
        let token = Listing::of(LinkTime, None, None).token(&place(owner("shop/7")));
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(token).unwrap();
        bytes[0] = VERSION - 1;
        let former = BASE64_URL_SAFE_NO_PAD.encode(bytes).parse::<PageToken>();
        assert_eq!(former.err(), Some(InvalidPageToken));
    }

    #[test]
    fn the_longest_owner_has_room_in_a_token() {
        let longest = owner(&"\u{10ffff}".repeat(Owner::MAX_LENGTH));
        let (listing, place) = (Listing::of(ByOwner, None, None), place(longest));
        assert_eq!(listing.position(listing.token(&place).parse().unwrap()), Ok(place));
    }

    #[test]
    fn a_token_beyond_the_limit_is_refused() {
        let read = |raw: &str| raw.parse::<PageToken>().err();
        assert_eq!(read(&"A".repeat(MAX_TOKEN_BYTES + 1)), Some(InvalidPageToken));
        assert_eq!(read(""), Some(InvalidPageToken));
    }

    proptest! {
        #[test]
        fn every_place_reads_back(nanos in 0..YEAR_9999, id: u128, name in "[a-z/]{0,9}") {
            let listing = Listing::of(ByOwner, None, Some(StatusFilter::Active));
            let link_time = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap();
            let id = AccountId::from_uuid(Uuid::from_u128(id));
            let place = ListingPosition { owner: owner(&name), link_time, id };
            let token = listing.token(&place);
            prop_assert!(token.len() <= MAX_TOKEN_BYTES);
            prop_assert_eq!(listing.position(token.parse().unwrap()), Ok(place));
        }

        #[test]
        fn anything_else_is_refused_without_a_panic(raw in ".{0,200}", tail: Vec<u8>) {
            prop_assert_eq!(raw.parse::<PageToken>().err(), Some(InvalidPageToken));
            let mut bytes = vec![VERSION];
            bytes.extend(Listing::of(LinkTime, None, None).0);
            bytes.extend(tail);
            let _token_or_error = BASE64_URL_SAFE_NO_PAD.encode(bytes).parse::<PageToken>();
        }
    }
}
