//! The request and response of `Import`.

use ig_application::{ImportAccountCommand, ImportOutcome, ImportedAccount};
use ig_domain::{ImportedLife, LongLivedToken};
use ig_proto::v1;
use prost_types::Timestamp;
use time::OffsetDateTime;

use super::account;
use super::fields::{Fields, InvalidRequest, Refused};

/// Command in an `ImportRequest` that came at `now`.
pub(crate) fn import(
    request: &v1::ImportRequest,
    now: OffsetDateTime,
) -> Result<ImportAccountCommand, InvalidRequest> {
    let mut fields = Fields::default();
    let token = fields.parse("access_token", &request.access_token);
    let owner = fields.parse("owner", &request.owner);
    let issue_time = moment(&mut fields, "issue_time", request.issue_time);
    let expire_time = moment(&mut fields, "expire_time", request.expire_time);
    let told = |time: Result<Option<_>, Refused>| time.ok().flatten();
    let life = ImportedLife::told(told(issue_time), told(expire_time), now);
    let life = life.map_err(|(issue_time, expire_time)| {
        for (field, wrong) in [("issue_time", issue_time), ("expire_time", expire_time)] {
            if let Some(wrong) = wrong {
                fields.refuse(field, &wrong);
            }
        }
        Refused
    });
    fields.finish(|| {
        let token = LongLivedToken::new(token?);
        Ok(ImportAccountCommand { token, owner: owner?, life: life? })
    })
}

fn moment(
    fields: &mut Fields,
    field: &str,
    raw: Option<Timestamp>,
) -> Result<Option<OffsetDateTime>, Refused> {
    let Some(Timestamp { seconds, nanos }) = raw else { return Ok(None) };
    let nanos = u32::try_from(nanos).ok();
    let second = OffsetDateTime::from_unix_timestamp(seconds).ok();
    let moment =
        second.zip(nanos).and_then(|(second, nanos)| second.replace_nanosecond(nanos).ok());
    moment.map(Some).ok_or_else(|| fields.refuse(field, "not a moment of the years up to 9999"))
}

/// An imported account, on the wire.
pub(crate) fn imported_account(imported: ImportedAccount) -> v1::ImportResponse {
    let ImportedAccount { view, outcome } = imported;
    v1::ImportResponse { account: Some(account(&view)), created: outcome == ImportOutcome::Created }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-11-29 08:00 UTC);

    fn at(seconds_after: i64) -> Timestamp {
        Timestamp { seconds: NOW.unix_timestamp() + seconds_after, nanos: 0 }
    }

    fn request(issue_time: Option<Timestamp>, expire_time: Option<Timestamp>) -> v1::ImportRequest {
        let (access_token, owner) = ("IGAA-7".to_owned(), "shop/7".to_owned());
        v1::ImportRequest { access_token, owner, issue_time, expire_time }
    }

    fn bad_fields(request: &v1::ImportRequest) -> Vec<String> {
        let violations = import(request, NOW).err().map(|invalid| invalid.violations);
        violations.into_iter().flatten().map(|one| one.field).collect()
    }

    #[test]
    fn what_is_told_of_the_token_is_kept() {
        let command = import(&request(Some(at(-60)), Some(at(60))), NOW).unwrap();
        assert_eq!((command.token.text().expose(), command.owner.as_str()), ("IGAA-7", "shop/7"));
        let minute = time::Duration::MINUTE;
        let times = (command.life.issue_time(), command.life.expire_time());
        assert_eq!(times, (Some(NOW - minute), Some(NOW + minute)));
        assert_eq!(import(&request(None, None), NOW).unwrap().life, ImportedLife::default());
    }

    #[rstest]
    #[case::no_token(v1::ImportRequest { access_token: String::new(), ..request(None, None) }, &["access_token"])]
    #[case::issue_to_come(request(Some(at(1)), None), &["issue_time"])]
    #[case::expired(request(None, Some(at(0))), &["expire_time"])]
    #[case::backwards(request(Some(at(-60)), Some(at(-60))), &["expire_time"])]
    #[case::no_moment(
        request(Some(Timestamp { seconds: i64::MAX, nanos: 0 }), Some(Timestamp { seconds: 0, nanos: -1 })),
        &["issue_time", "expire_time"]
    )]
    #[case::everything(
        v1::ImportRequest {
            access_token: "a b".to_owned(),
            owner: "\n".to_owned(),
            issue_time: Some(at(1)),
            expire_time: Some(Timestamp { seconds: 0, nanos: 1_000_000_000 }),
        },
        &["access_token", "owner", "expire_time", "issue_time"]
    )]
    fn every_bad_field_is_named(#[case] request: v1::ImportRequest, #[case] expected: &[&str]) {
        assert_eq!(bad_fields(&request), expected);
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_violations_repeat_nothing(
            issue: (i64, i32), expire: (i64, i32), blank in "[ \t]{1,3}",
        ) {
            let time = |(seconds, nanos)| Some(Timestamp { seconds, nanos });
            let access_token = format!("{blank}S3CRET");
            let request = v1::ImportRequest { access_token, ..request(time(issue), time(expire)) };
            let invalid = import(&request, NOW).unwrap_err();
            let told = format!("{invalid:?}");
            prop_assert!(!told.contains("S3CRET"));
        }
    }
}
