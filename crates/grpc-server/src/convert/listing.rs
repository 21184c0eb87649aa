//! The request and response of `List`.

use ig_application::{ListAccountsQuery, ListedAccounts};
use ig_domain::ports::StatusFilter;
use ig_domain::{EventPosition, ListingPosition, Owner, OwnerScope};
use ig_proto::v1;
use prost::Message as _;

use super::cursor::cursor;
use super::fields::{Fields, InvalidRequest, Refused};
use super::page_token::PageToken;
use super::{Listing, account};

/// Default number of accounts on a page.
const DEFAULT_PAGE_SIZE: u32 = 50;

/// Maximum number of accounts on a page.
const MAX_PAGE_SIZE: u32 = 500;

/// Size of the accounts on a page at which it ends, in bytes. Clients take messages of 4 MiB where nothing else is set.
///
/// Source: <https://pkg.go.dev/google.golang.org/grpc#MaxCallRecvMsgSize>.
const FULL_PAGE_BYTES: usize = 3 * 1024 * 1024;

/// Arguments of a `ListRequest`.
#[derive(Debug)]
pub(crate) struct RequestedPage {
    /// Owner of the accounts; `None` for those of everybody whom the caller may see.
    pub(crate) owner: Option<Owner>,
    status: Option<StatusFilter>,
    after: Option<PageToken>,
    limit: u32,
}

impl RequestedPage {
    /// The query for it, where the accounts of `owners` may be shown, and the listing that it is a page of.
    pub(crate) fn query(
        self,
        owners: OwnerScope,
    ) -> Result<(ListAccountsQuery, Listing), InvalidRequest> {
        let Self { owner, status, after, limit } = self;
        let listing = Listing::of(owners.listing_order(), owner.as_ref(), status);
        let mut fields = Fields::default();
        let after = after.map(|token| listing.position(token)).transpose();
        let after = after.map_err(|error| fields.refuse("page_token", &error));
        fields.finish(|| Ok((ListAccountsQuery { owners, status, after: after?, limit }, listing)))
    }
}

/// Reads a `ListRequest`.
pub(crate) fn list(request: &v1::ListRequest) -> Result<RequestedPage, InvalidRequest> {
    let mut fields = Fields::default();
    let owner = fields.parse_given("owner", request.owner.as_deref());
    let status = status(&mut fields, request.status);
    let limit = limit(&mut fields, request.page_size);
    let token = Some(request.page_token.as_str()).filter(|raw| !raw.is_empty());
    let after = fields.parse_given("page_token", token);
    fields.finish(|| {
        Ok(RequestedPage { owner: owner?, status: status?, after: after?, limit: limit? })
    })
}

fn status(fields: &mut Fields, raw: i32) -> Result<Option<StatusFilter>, Refused> {
    match v1::AccountStatus::try_from(raw) {
        Ok(v1::AccountStatus::Unspecified) => Ok(None),
        Ok(v1::AccountStatus::Active) => Ok(Some(StatusFilter::Active)),
        Ok(v1::AccountStatus::ReauthorizationRequired) => {
            Ok(Some(StatusFilter::ReauthorizationRequired))
        }
        Err(_) => Err(fields.refuse("status", "not a value of AccountStatus")),
    }
}

fn limit(fields: &mut Fields, raw: i32) -> Result<u32, Refused> {
    match u32::try_from(raw) {
        Ok(0) => Ok(DEFAULT_PAGE_SIZE),
        Ok(size) => Ok(size.min(MAX_PAGE_SIZE)),
        Err(_) => {
            let text = format!("a page size is not negative; 0 means {DEFAULT_PAGE_SIZE}");
            Err(fields.refuse("page_size", &text))
        }
    }
}

/// A page of `listing`, on the wire; it ends early where it is [full](FULL_PAGE_BYTES). With the first one comes the
/// position to watch after.
pub(crate) fn listed_accounts(
    listed: ListedAccounts,
    listing: Listing,
    watch_from: Option<EventPosition>,
) -> v1::ListResponse {
    let ListedAccounts { accounts: views, mut next } = listed;
    let (mut accounts, mut size) = (Vec::with_capacity(views.len()), 0);
    let mut views = views.into_iter().peekable();
    while let Some(view) = views.next() {
        let position = ListingPosition::of(&view.account);
        let account = account(&view);
        size += account.encoded_len();
        accounts.push(account);
        if size >= FULL_PAGE_BYTES && views.peek().is_some() {
            next = Some(position);
            break;
        }
    }
    let next_page_token = next.map(|next| listing.token(&next)).unwrap_or_default();
    let watch_cursor = watch_from.as_ref().map(cursor).unwrap_or_default();
    v1::ListResponse { accounts, next_page_token, watch_cursor }
}

#[cfg(test)]
mod tests {
    use ig_test_support::builders;
    use ig_test_support::builders::START;
    use rstest::rstest;

    use super::*;
    use crate::convert::DEFAULT_MAX_MESSAGE_BYTES;

    #[rstest]
    #[case::unset(0, 50)]
    #[case::one(1, 1)]
    #[case::the_largest(500, 500)]
    #[case::above(501, 500)]
    #[case::absurd(i32::MAX, 500)]
    fn a_page_has_its_size(#[case] asked: i32, #[case] expected: u32) {
        let request = v1::ListRequest { page_size: asked, ..v1::ListRequest::default() };
        assert_eq!(list(&request).unwrap().limit, expected);
    }

    #[test]
    fn every_bad_field_is_named() {
        let request = v1::ListRequest {
            owner: Some("\n".to_owned()),
            status: 7,
            page_size: -1,
            page_token: "!".to_owned(),
        };
        let invalid = list(&request).unwrap_err();
        let fields: Vec<_> = invalid.violations.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, ["owner", "status", "page_size", "page_token"]);
    }

    #[test]
    fn a_page_of_the_largest_accounts_fits_a_message_and_the_rest_follows() {
        let largest = |number| {
            let mut account = builders::account(number, &"\u{10ffff}".repeat(128), START);
            account.name = Some("\u{10ffff}".repeat(1000));
            account.profile_picture_url = Some("x".repeat(4096));
            account.view(START)
        };
        let all: Vec<_> = (0..MAX_PAGE_SIZE).map(largest).collect();
        let listing = Listing::of(OwnerScope::everyone().listing_order(), None, None);
        let page =
            listed_accounts(ListedAccounts { accounts: all.clone(), next: None }, listing, None);
        assert!(
            (FULL_PAGE_BYTES..DEFAULT_MAX_MESSAGE_BYTES).contains(&page.encoded_len()),
            "{}",
            page.encoded_len()
        );
        let last = &all[page.accounts.len() - 1].account;
        let next = listing.position(page.next_page_token.parse().unwrap());
        assert_eq!(next, Ok(ListingPosition::of(last)));
        let rest = ListedAccounts { accounts: all[page.accounts.len()..].to_vec(), next: None };
        let rest = listed_accounts(rest, listing, None);
        assert_eq!(page.accounts.len() + rest.accounts.len(), all.len());
        assert_eq!(rest.next_page_token, "");
    }
}
