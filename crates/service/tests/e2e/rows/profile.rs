//! `/me`: every field, every shape.
//!
//! Source: <https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/get-started>,
//! and reports of clients.

use ig_proto::v1::{AccountType, TokenOutcome};

use super::answers::{APP_SCOPED_ID, PROFESSIONAL_ID, RENEWED_SECONDS, SHORT, profile};
use super::case::{Case, Section};
use super::outcome::{Account, Outcome};
use crate::support::stub::{Endpoint, Reply};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = shapes();
    cases.extend(ids());
    cases.extend(failing_closed());
    cases.extend(types());
    cases.extend(optional_fields());
    cases.extend(refreshed());
    cases
}

/// A link whose `/me` answers the usual profile, in which `from` is replaced by `to`.
fn with(row: &'static str, name: &str, from: &str, to: &str) -> Case {
    let usual = profile();
    assert!(from.is_empty() || usual.contains(from), "{from} is in the profile");
    let body = if from.is_empty() { to.to_owned() } else { usual.replace(from, to) };
    let reply = Reply::json(200, &body);
    Case::link(Section::Profile, row, name).answer(Endpoint::Me, reply)
}

fn linked(account: Account) -> Outcome {
    Outcome::Linked(account)
}

fn shapes() -> Vec<Case> {
    const ROW: &str = "data or flat";
    let wrapped = format!(r#"{{"data":[{}]}}"#, profile());
    vec![
        with(ROW, "flat", "", &profile()).gives(linked(Account::usual())),
        with(ROW, "data", "", &wrapped).gives(linked(Account::usual())),
        with(ROW, "data without an item", "", r#"{"data":[]}"#)
            .gives(Outcome::refused("INSTAGRAM_UNEXPECTED")),
    ]
}

fn ids() -> Vec<Case> {
    const TEXT_OR_NUMBER: &str = "ids as text or as number";
    const ALIAS: &str = "id differs from the exchange's user_id";
    const DISSENT: &str = "id that looks like a professional one";
    let user_id_text = format!(r#""user_id":"{PROFESSIONAL_ID}""#);
    let user_id_number = format!(r#""user_id":{PROFESSIONAL_ID}"#);
    let id_text = format!(r#""id":"{APP_SCOPED_ID}""#);
    let id_number = format!(r#""id":{APP_SCOPED_ID}"#);
    let other = Account { app_scoped_id: "27100000000000777".to_owned(), ..Account::usual() };
    let alike = Account { app_scoped_id: "17841409876500999".to_owned(), ..Account::usual() };
    vec![
        with(TEXT_OR_NUMBER, "texts", "", &profile()).gives(linked(Account::usual())),
        with(TEXT_OR_NUMBER, "user_id a number", &user_id_text, &user_id_number)
            .gives(linked(Account::usual())),
        with(TEXT_OR_NUMBER, "id a number", &id_text, &id_number).gives(linked(Account::usual())),
        with(ALIAS, "both find the account", APP_SCOPED_ID, "27100000000000777")
            .gives(linked(other))
            .also_found_by(APP_SCOPED_ID),
        with(DISSENT, "kept as it is", APP_SCOPED_ID, "17841409876500999").gives(linked(alike)),
    ]
}

/// `user_id` is never replaced by `id`.
fn failing_closed() -> Vec<Case> {
    const USER_ID: &str = "user_id";
    const ID: &str = "id";
    const USERNAME: &str = "username";
    let user_id = format!(r#""user_id":"{PROFESSIONAL_ID}","#);
    let id = format!(r#","id":"{APP_SCOPED_ID}""#);
    let unexpected = || Outcome::refused("INSTAGRAM_UNEXPECTED");
    let username = r#""username":"lotte.bakes""#;
    let renamed = Account { username: "lotte.bakes_2".to_owned(), ..Account::usual() };
    let anonymous = format!(
        r#"{{"access_token":"{SHORT}","permissions":["instagram_business_basic","instagram_business_content_publish"]}}"#
    );
    let nowhere = Account { app_scoped_id: String::new(), ..Account::usual() };
    vec![
        with(USER_ID, "missing", &user_id, "").gives(unexpected()),
        with(USER_ID, "null", &format!("\"{PROFESSIONAL_ID}\""), "null").gives(unexpected()),
        with(USER_ID, "empty", &format!("\"{PROFESSIONAL_ID}\""), "\"\"").gives(unexpected()),
        with(USER_ID, "no digits", PROFESSIONAL_ID, "1784x").gives(unexpected()),
        with(ID, "missing: the exchange's user_id stands in", &id, "")
            .gives(linked(Account::usual())),
        with(ID, "missing there too", &id, "")
            .answer(Endpoint::Token, Reply::json(200, &anonymous))
            .gives(linked(nowhere)),
        with(USERNAME, "missing", &format!("{username},"), "").gives(unexpected()),
        with(USERNAME, "in capitals", username, r#""username":"Lotte.Bakes_2""#)
            .gives(linked(renamed)),
    ]
}

fn types() -> Vec<Case> {
    const ROW: &str = "account_type";
    const PERSONAL: &str = "PERSONAL of the older API";
    let is = |raw: &str| format!(r#""account_type":"{raw}""#);
    let spellings = [
        ("Business", AccountType::Business),
        ("BUSINESS", AccountType::Business),
        ("Media_Creator", AccountType::Creator),
        ("MEDIA_CREATOR", AccountType::Creator),
        ("CREATOR", AccountType::Creator),
        ("MUSEUM", AccountType::Unspecified),
    ];
    let case = |(raw, kind)| {
        let account = Account { kind, ..Account::usual() };
        with(ROW, raw, &is("BUSINESS"), &is(raw)).gives(linked(account))
    };
    let mut cases: Vec<_> = spellings.into_iter().map(case).collect();
    let unknown = Account { kind: AccountType::Unspecified, ..Account::usual() };
    let missing = with(ROW, "missing", &format!("{},", is("BUSINESS")), "");
    cases.push(missing.gives(linked(unknown)));
    for raw in ["PERSONAL", "Personal"] {
        let personal = with(PERSONAL, raw, &is("BUSINESS"), &is(raw));
        cases.push(personal.gives(Outcome::refused("PERSONAL_ACCOUNT")));
    }
    cases
}

fn optional_fields() -> Vec<Case> {
    const NAME: &str = "name";
    const PICTURE: &str = "profile_picture_url";
    const COUNTS: &str = "followers_count, follows_count, media_count";
    const OTHERS: &str = "biography, website";
    const BROKEN: &str = "texts that JSON or UTF-8 forbid";
    let name = r#""name":"Lotte Bakes","#;
    let picture = r#""profile_picture_url":"https://cdn.example/lotte.jpg?oh=1&oe=2","#;
    let counts = r#""followers_count":4821,"follows_count":137,"media_count":96,"#;
    let nameless = || linked(Account { name: None, ..Account::usual() });
    let faceless = || linked(Account { picture: None, ..Account::usual() });
    let named = |name: &str| linked(Account { name: Some(name.to_owned()), ..Account::usual() });
    let counted = |counts| linked(Account { counts, ..Account::usual() });
    vec![
        with(NAME, "missing", name, "").gives(nameless()),
        with(NAME, "null", r#""name":"Lotte Bakes""#, r#""name":null"#).gives(nameless()),
        with(NAME, "empty", "Lotte Bakes", "").gives(nameless()),
        with(NAME, "escaped and beyond ASCII", "Lotte Bakes", r"Caf\u00e9 \ud83e\udd50 مخبز")
            .gives(named("Café 🥐 مخبز")),
        with(PICTURE, "missing", picture, "").gives(faceless()),
        with(PICTURE, "with escaped slashes", "https://cdn.example/", r"https:\/\/cdn.example\/")
            .gives(linked(Account::usual())),
        with(COUNTS, "missing", counts, "").gives(counted([None; 3])),
        with(
            COUNTS,
            "nothing yet",
            counts,
            r#""followers_count":0,"follows_count":0,"media_count":0,"#,
        )
        .gives(counted([Some(0); 3])),
        with(COUNTS, "beyond 32 bits", "4821", "5000000000").gives(counted([
            Some(5_000_000_000),
            Some(137),
            Some(96),
        ])),
        with(
            OTHERS,
            "there",
            name,
            r#""name":"Lotte Bakes","biography":"Bread.","website":"https://lotte.example","#,
        )
        .gives(linked(Account::usual())),
        with(BROKEN, "half an emoji in the name", "Lotte Bakes", r"Lotte Bakes \ud83d")
            .gives(named("Lotte Bakes \u{fffd}")),
        with(BROKEN, "a raw line break in the name", "Lotte Bakes", "Lotte\n Bakes")
            .gives(named("Lotte Bakes")),
        with(BROKEN, "half an emoji in the picture's link", "lotte.jpg", r"\udd50.jpg")
            .gives(faceless()),
        with(
            BROKEN,
            "in fields that are not read",
            name,
            "\"name\":\"Lotte Bakes\",\"biography\":\"Bread\n\\ud83e\",\"x\":1e999,",
        )
        .gives(linked(Account::usual())),
    ]
}

/// A refresh tells what it reads as a link would.
fn refreshed() -> Vec<Case> {
    const ROW: &str = "read again";
    let renamed = profile().replace("lotte.bakes", "lotte.bakes_2").replace("4821", "4907");
    let reply = || Reply::json(200, &format!(r#"{{"data":[{renamed}]}}"#));
    let account = Account {
        username: "lotte.bakes_2".to_owned(),
        counts: [Some(4907), Some(137), Some(96)],
        ..Account::usual()
    };
    let renewed = Account { life_seconds: RENEWED_SECONDS, ..account.clone() };
    vec![
        Case::young(Section::Profile, ROW, "renamed")
            .answer(Endpoint::Me, reply())
            .gives(Outcome::Refreshed(TokenOutcome::TooYoung, account)),
        Case::old(Section::Profile, ROW, "renamed, after a renewal")
            .answer(Endpoint::Me, reply())
            .gives(Outcome::Refreshed(TokenOutcome::Renewed, renewed)),
    ]
}
