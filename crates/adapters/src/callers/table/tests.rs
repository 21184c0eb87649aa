use ig_domain::BearerToken;
use proptest::prelude::*;
use rstest::rstest;
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-11-24 09:00 UTC);

fn digest(token: &str) -> String {
    token.parse::<BearerToken>().unwrap().hash().to_hex()
}

fn stanza(name: &str, tokens: &[&str], more: &str) -> String {
    let tokens: Vec<_> = tokens.iter().map(|token| format!("\"{}\"", digest(token))).collect();
    let tokens = match tokens.as_slice() {
        [] => String::new(),
        tokens => format!("token_sha256 = [{}]", tokens.join(", ")),
    };
    format!(
        "[[caller]]\nname = \"{name}\"\n{tokens}\nroles = [\"read\"]\nowners = [\"*\"]\n{more}\n"
    )
}

fn table(stanzas: &[String]) -> Table {
    Table::parse(&stanzas.join("\n")).unwrap()
}

/// Name of the proven caller; the bearer token may be missing.
fn who(
    table: &Table,
    bearer: Option<&str>,
    certificate: &[&str],
) -> Result<String, NotAuthenticated> {
    let bearer = bearer.map(|bearer| bearer.parse::<BearerToken>().unwrap());
    let certificate: Vec<_> = certificate.iter().map(|name| (*name).to_owned()).collect();
    let authorization = bearer.as_ref().map(Authorization::Bearer).unwrap_or_default();
    let credentials = Credentials { authorization, certificate_names: &certificate };
    Ok(table.authenticate(credentials, NOW)?.name.to_string())
}

#[test]
fn a_caller_is_read_with_all_that_it_may() {
    let text = format!(
        "[[caller]]\nname = \"publisher\"\ntoken_sha256 = [\"{}\"]\nroles = [\"read\", \"token\"]\n\
         owners = [\"shop/*\", \"\"]\nexpire_time = 2027-01-01T00:00:00Z\nmax_in_flight = 7\n",
        digest("t").to_uppercase()
    );
    let table = Table::parse(&text).unwrap();
    let token: BearerToken = "t".parse().unwrap();
    let credentials =
        Credentials { authorization: Authorization::Bearer(&token), certificate_names: &[] };
    let caller = table.authenticate(credentials, NOW).unwrap();
    let owners = vec!["shop/*".parse().unwrap(), "".parse().unwrap()];
    let expected = Caller {
        name: "publisher".parse().unwrap(),
        roles: vec![Role::Read, Role::Token],
        owners: OwnerScope::of(owners),
        max_in_flight: NonZeroU32::new(7),
    };
    assert_eq!(*caller, expected);
}

#[rstest]
#[case::first_token(Some("a1"), &[], Ok("a"))]
#[case::second_token(Some("a2"), &[], Ok("a"))]
#[case::another_caller(Some("b1"), &[], Ok("b"))]
#[case::wrong(Some("A1"), &[], Err(NotAuthenticated::Unknown))]
#[case::a_hash_is_no_token(Some("f55ff16f66f43360266b95db6f8fec01d76031054306ae4a4b380598f6cfd114"), &[], Err(NotAuthenticated::Unknown))]
#[case::nothing(None, &[], Err(NotAuthenticated::Missing))]
#[case::certificate(None, &["x.internal", "a"], Ok("a"))]
#[case::certificate_only(None, &["c"], Ok("c"))]
#[case::unknown_certificate(None, &["x.internal", "A"], Err(NotAuthenticated::Unknown))]
#[case::two_callers_in_one_certificate(None, &["a", "b"], Err(NotAuthenticated::Ambiguous))]
#[case::a_name_twice_in_one_certificate(None, &["a", "x.internal", "a"], Ok("a"))]
#[case::the_token_counts(Some("b1"), &["a"], Ok("b"))]
#[case::a_wrong_token_beside_a_right_certificate(Some("x"), &["a"], Err(NotAuthenticated::Unknown))]
fn credentials_prove_a_caller(
    #[case] bearer: Option<&str>,
    #[case] certificate: &[&str],
    #[case] expected: Result<&str, NotAuthenticated>,
) {
    let table =
        table(&[stanza("a", &["a1", "a2"], ""), stanza("b", &["b1"], ""), stanza("c", &[], "")]);
    assert_eq!(who(&table, bearer, certificate), expected.map(str::to_owned));
}

#[rstest]
#[case::later("2026-11-24T09:00:01Z", true)]
#[case::later_elsewhere("2026-11-24T10:00:01+01:00", true)]
#[case::now("2026-11-24T09:00:00Z", false)]
#[case::before("2026-11-24T08:59:59.5Z", false)]
fn a_caller_ends_at_its_expiry(#[case] end: &str, #[case] lives: bool) {
    let table = table(&[stanza("a", &["a1"], &format!("expire_time = {end}"))]);
    let expired = || NotAuthenticated::Expired("a".parse().unwrap());
    let expected = if lives { Ok("a".to_owned()) } else { Err(expired()) };
    assert_eq!(who(&table, Some("a1"), &[]), expected);
    assert_eq!(who(&table, None, &["a"]), expected, "a certificate is no way around it");
}

#[rstest]
#[case::no_toml("PLANTED", "line 1: key with no value, expected `=`")]
#[case::unquoted(
    "[[caller]]\nname = PLANTED",
    "line 2: string values must be quoted, expected literal string"
)]
#[case::another_table("[callers]\n", "line 1: unknown field, expected `caller`")]
#[case::no_list("[caller]\nname=\"PLANTED\"", "line 1: invalid type, expected a sequence")]
#[case::unknown_field(
    "[[caller]]\nPLANTED = 1",
    "line 2: unknown field, expected one of `name`, `token_sha256`, `roles`, `owners`, `expire_time`, `max_in_flight`"
)]
#[case::twice("[[caller]]\nname = \"a\"\nname = \"PLANTED\"", "line 3: duplicate key")]
#[case::no_name("[[caller]]\nroles=[]\nowners=[]", "line 1: missing field `name`")]
#[case::a_token_for_roles(
    "[[caller]]\nname=\"a\"\nroles=\"PLANTED\"",
    "line 3: invalid type, expected a sequence"
)]
#[case::an_empty_name(
    "[[caller]]\nname=\"\"\nroles=[]\nowners=[]",
    "line 1: name: a caller's name is 1 to 255 printable ASCII characters without blanks"
)]
#[case::a_name_with_blanks(
    "[[caller]]\nname=\"PLANTED PLANTED\"\nroles=[]\nowners=[]",
    "line 1: name: a caller's name is 1 to 255 printable ASCII characters without blanks"
)]
#[case::anonymous(
    "[[caller]]\nname=\"anonymous\"\nroles=[]\nowners=[]",
    "line 1: caller anonymous: this name stands for callers that are not known"
)]
#[case::no_roles(
    "[[caller]]\nname=\"a\"\nroles=[]\nowners=[]",
    "line 1: caller a: roles is to have 1 to 5 items"
)]
#[case::a_wrong_role(
    "\n[[caller]]\nname=\"a\"\nroles=[\"read\",\"PLANTED\"]\nowners=[]",
    "line 2: caller a: roles, item 2: a role is one of read, link, token, webhook, admin"
)]
#[case::no_owners(
    "[[caller]]\nname=\"a\"\nroles=[\"read\"]\nowners=[]",
    "line 1: caller a: owners is to have 1 to 100 items"
)]
#[case::a_wrong_owner(
    "[[caller]]\nname=\"a\"\nroles=[\"read\"]\nowners=[\"a\\nb\"]",
    "line 1: caller a: owners, item 1: an owner is at most 128 characters, without control characters"
)]
#[case::no_tokens(
    "[[caller]]\nname=\"a\"\nroles=[\"read\"]\nowners=[\"*\"]\ntoken_sha256=[]",
    "line 1: caller a: token_sha256 is to have 1 to 8 items"
)]
#[case::a_token_for_its_hash(
    "[[caller]]\nname=\"a\"\nroles=[\"read\"]\nowners=[\"*\"]\ntoken_sha256=[\"PLANTED\"]",
    "line 1: caller a: token_sha256, item 1: not 64 hexadecimal digits, the SHA-256 of a token"
)]
#[case::no_offset(
    "[[caller]]\nname=\"a\"\nroles=[\"read\"]\nowners=[\"*\"]\nexpire_time=2027-01-01T00:00:00",
    "line 1: caller a: expire_time is no moment with date, time and offset, like 2027-01-01T00:00:00Z"
)]
#[case::a_quoted_time(
    "[[caller]]\nexpire_time=\"PLANTED\"",
    "line 2: invalid type, expected a TOML datetime"
)]
#[case::no_calls(
    "[[caller]]\nname=\"a\"\nroles=[\"read\"]\nowners=[\"*\"]\nmax_in_flight=0",
    "line 1: caller a: max_in_flight is to be 1 or more"
)]
#[case::negative_calls("[[caller]]\nmax_in_flight=-1", "line 2: invalid value, expected u32")]
fn what_is_wrong_is_told_with_its_line_and_without_what_stands_there(
    #[case] text: &str,
    #[case] expected: &str,
) {
    assert_eq!(Table::parse(text).unwrap_err().to_string(), expected);
}

#[rstest]
#[case::name([stanza("a", &["1"], ""), stanza("a", &["2"], "")], "line 7: caller a: there is one of this name already")]
#[case::token([stanza("a", &["1"], ""), stanza("b", &["1"], "")], "line 7: caller b: one of its token_sha256 is there already")]
#[case::token_of_its_own([stanza("a", &["1", "1"], ""), String::new()], "line 1: caller a: one of its token_sha256 is there already")]
fn nothing_may_be_there_twice(#[case] stanzas: [String; 2], #[case] expected: &str) {
    assert_eq!(Table::parse(&stanzas.concat()).unwrap_err().to_string(), expected);
}

#[test]
fn there_is_a_most_of_everything() {
    let callers = |count: usize| {
        let stanzas: Vec<_> = (0..count).map(|one| stanza(&format!("c{one}"), &[], "")).collect();
        Table::parse(&stanzas.concat()).map(|table| table.len()).map_err(|error| error.problem)
    };
    assert_eq!(callers(1000), Ok(1000));
    assert_eq!(callers(1001), Err("there are more than 1000 callers".to_owned()));
    let tokens: Vec<_> = (0..9).map(|one| one.to_string()).collect();
    let tokens: Vec<_> = tokens.iter().map(String::as_str).collect();
    assert!(Table::parse(&stanza("a", &tokens[..8], "")).is_ok());
    assert!(Table::parse(&stanza("a", &tokens, "")).is_err());
    let owners = |count: usize| {
        let owners: Vec<_> = (0..count).map(|one| format!("\"shop/{one}/*\"")).collect();
        let all = stanza("a", &[], "").replace("\"*\"", &owners.join(", "));
        Table::parse(&all).map(|table| table.len()).map_err(|error| error.problem)
    };
    assert_eq!(owners(100), Ok(1));
    assert_eq!(owners(101), Err("caller a: owners is to have 1 to 100 items".to_owned()));
}

#[test]
fn a_stanza_reads_back_as_it_was_written() {
    let written = Stanza {
        name: "a\"\\'b".to_owned(),
        token_sha256: Some(vec![digest("t")]),
        roles: vec!["read".to_owned(), "token".to_owned()],
        owners: vec!["shop \"7\"\\*".to_owned(), "ü*".to_owned()],
        expire_time: Some("2027-01-01T00:00:00Z".parse().unwrap()),
        max_in_flight: Some(7),
    };
    let read = stanza::read(&written.to_toml().unwrap()).unwrap();
    assert_eq!(read, [(1, written)]);
}

proptest! {
    #[test]
    fn no_error_repeats_a_token_wherever_it_stands(
        before in "[\\[\\]=\",'#a-z_ \n`:]{0,24}",
        after in "[\\[\\]=\",'#a-z_ \n`:]{0,24}",
        key in prop::sample::select(vec!["", "name=", "roles=", "owners=", "token_sha256=", "expire_time=", "max_in_flight="]),
    ) {
        let text = format!("[[caller]]\n{key}{before}PLANTED{after}");
        if let Err(error) = Table::parse(&text) {
            let told = format!("{error} {error:?}");
            // A name that could be one is told.
            let named = told.contains("caller ");
            prop_assert!(named || !told.contains("PLANTED"), "{} of {}", told, text);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(\\PC|\n){0,200}") {
        let _read_or_refused = Table::parse(&text);
    }

    #[test]
    fn only_64_hexadecimal_digits_are_a_hash(raw in "[0-9a-fA-Fg+ ]{60,66}") {
        let digits = raw.len() == 64 && raw.bytes().all(|byte| byte.is_ascii_hexdigit());
        let read = sha256(&raw).map(|hash| hash.to_hex());
        prop_assert_eq!(read, digits.then(|| raw.to_lowercase()));
    }
}

#[test]
fn what_cannot_be_a_token_is_refused_whatever_the_certificate_says() {
    let table = table(&[stanza("publisher", &[], "")]);
    let certificate_names = &["publisher".to_owned()];
    let credentials = Credentials { authorization: Authorization::Malformed, certificate_names };
    assert_eq!(table.authenticate(credentials, NOW), Err(NotAuthenticated::Malformed));
}
