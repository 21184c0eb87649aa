//! The requests of `Watch` and `CommitWatch`.

use ig_application::WatchFrom;
use ig_domain::{ConsumerName, EventKind, EventPosition, Owner};
use ig_proto::v1;
use ig_proto::v1::watch_request::From;
use prost_types::Timestamp;
use time::OffsetDateTime;

use super::cursor::Cursor;
use super::event::requested_kind;
use super::fields::{Fields, InvalidRequest, Refused};

/// Number of nanoseconds in a microsecond, the store's unit of time.
const MICROSECOND_NANOS: i128 = 1000;

/// Arguments of a `WatchRequest`.
#[derive(Debug)]
pub(crate) struct RequestedWatch {
    /// Where to begin; `None` where the consumer has got.
    pub(crate) from: Option<WatchFrom>,
    /// The consumer, if one is named.
    pub(crate) consumer: Option<ConsumerName>,
    /// Owner of the accounts; `None` for those of everybody whom the caller may see.
    pub(crate) owner: Option<Owner>,
    /// Kinds of events, each once; empty for all.
    pub(crate) kinds: Vec<EventKind>,
}

/// Reads a `WatchRequest`.
pub(crate) fn watch(request: &v1::WatchRequest) -> Result<RequestedWatch, InvalidRequest> {
    let mut fields = Fields::default();
    let from = request.from.as_ref().map(|from| start(&mut fields, from)).transpose();
    let consumer = Some(request.consumer.as_str()).filter(|name| !name.is_empty());
    let consumer = fields.parse_given("consumer", consumer);
    let owner = fields.parse_given("owner", request.owner.as_deref());
    let kinds = kinds(&mut fields, &request.kinds);
    fields.finish(|| {
        Ok(RequestedWatch { from: from?, consumer: consumer?, owner: owner?, kinds: kinds? })
    })
}

/// Reads a `CommitWatchRequest`: the consumer, and the position up to which all is done.
pub(crate) fn commit_watch(
    request: &v1::CommitWatchRequest,
) -> Result<(ConsumerName, EventPosition), InvalidRequest> {
    let mut fields = Fields::default();
    let consumer = fields.parse("consumer", &request.consumer);
    let cursor = fields.parse("cursor", &request.cursor);
    fields.finish(|| {
        let Cursor(position) = cursor?;
        Ok((consumer?, position))
    })
}

fn start(fields: &mut Fields, from: &From) -> Result<WatchFrom, Refused> {
    match from {
        From::After(raw) => fields.parse("after", raw).map(|Cursor(at)| WatchFrom::After(at)),
        From::Since(raw) => since(fields, raw).map(WatchFrom::Since),
        From::Start(raw) => match v1::WatchStart::try_from(*raw) {
            Ok(v1::WatchStart::Now) => Ok(WatchFrom::Now),
            Ok(v1::WatchStart::Earliest) => Ok(WatchFrom::Earliest),
            Ok(v1::WatchStart::Unspecified) | Err(_) => {
                Err(fields.refuse("start", "not a place: use NOW or EARLIEST"))
            }
        },
    }
}

/// The moment, or the next whole microsecond after it: the store has none between.
fn since(fields: &mut Fields, raw: &Timestamp) -> Result<OffsetDateTime, Refused> {
    let nanos = (0..1_000_000_000).contains(&raw.nanos).then(|| {
        let nanos = i128::from(raw.seconds) * 1_000_000_000 + i128::from(raw.nanos);
        (nanos + MICROSECOND_NANOS - 1).div_euclid(MICROSECOND_NANOS) * MICROSECOND_NANOS
    });
    let moment = nanos.and_then(|nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).ok());
    moment.ok_or_else(|| fields.refuse("since", "not a moment of the years up to 9999"))
}

/// The kinds that are asked for, each once.
fn kinds(fields: &mut Fields, raw: &[i32]) -> Result<Vec<EventKind>, Refused> {
    let mut kinds = Vec::new();
    for (index, raw) in raw.iter().enumerate() {
        match requested_kind(*raw) {
            Some(kind) if kinds.contains(&kind) => {}
            Some(kind) => kinds.push(kind),
            None => {
                let field = format!("kinds[{index}]");
                return Err(fields.refuse(&field, "not a kind of event that this service knows"));
            }
        }
    }
    Ok(kinds)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use time::macros::datetime;

    use super::*;

    #[test]
    fn every_bad_field_is_named() {
        let cases = [
            (From::After(String::new()), "after"),
            (From::After("x".repeat(257)), "after"),
            (From::Since(Timestamp { seconds: i64::MAX, nanos: 0 }), "since"),
            (From::Since(Timestamp { seconds: 0, nanos: -1 }), "since"),
            (From::Start(0), "start"),
            (From::Start(7), "start"),
        ];
        for (from, name) in cases {
            let request = v1::WatchRequest {
                from: Some(from),
                consumer: "Sync".to_owned(),
                owner: Some("\n".to_owned()),
                kinds: vec![1, 0],
            };
            let invalid = watch(&request).unwrap_err();
            let fields: Vec<_> = invalid.violations.iter().map(|one| one.field.as_str()).collect();
            assert_eq!(fields, [name, "consumer", "owner", "kinds[1]"]);
        }
        let invalid = commit_watch(&v1::CommitWatchRequest::default()).unwrap_err();
        let fields: Vec<_> = invalid.violations.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, ["consumer", "cursor"]);
    }

    #[test]
    fn what_is_unset_is_not_asked_for_and_an_empty_owner_is() {
        let unset = watch(&v1::WatchRequest::default()).unwrap();
        assert!(unset.from.is_none() && unset.consumer.is_none());
        assert!(unset.owner.is_none() && unset.kinds.is_empty());
        let empty = v1::WatchRequest { owner: Some(String::new()), ..Default::default() };
        assert_eq!(watch(&empty).unwrap().owner, Some("".parse().unwrap()));
    }

    #[test]
    fn a_kind_that_is_named_twice_counts_once() {
        let request = v1::WatchRequest { kinds: [5, 1, 5].repeat(1000), ..Default::default() };
        let kinds = watch(&request).unwrap().kinds;
        assert_eq!(kinds, [EventKind::Unlinked, EventKind::Linked]);
    }

    #[rstest]
    #[case::whole(0, datetime!(2026-11-24 08:00 UTC))]
    #[case::between_two(1, datetime!(2026-11-24 08:00:00.000_001 UTC))]
    #[case::the_next(1000, datetime!(2026-11-24 08:00:00.000_001 UTC))]
    fn a_moment_is_one_of_the_stores(#[case] nanos: i32, #[case] expected: OffsetDateTime) {
        let raw = Timestamp { seconds: 1_795_507_200, nanos };
        assert_eq!(since(&mut Fields::default(), &raw).unwrap(), expected);
    }
}
