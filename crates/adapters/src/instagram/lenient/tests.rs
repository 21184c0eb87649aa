//! Faults that cost one text and no more, and faults that cost nothing at all.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

use super::*;

#[rstest]
#[case::high_half_of_an_emoji(br"Bakery \ud83d", "Bakery \u{fffd}")]
#[case::low_half(br"Bakery \uDE00!", "Bakery \u{fffd}!")]
#[case::halves_in_the_wrong_order(br"\ude00\ud83d", "\u{fffd}\u{fffd}")]
#[case::two_first_halves(br"\ud83d\ud83d\ude00", "\u{fffd}😀")]
#[case::half_before_another_escape(br"\ud83d\n", "\u{fffd}\n")]
#[case::half_before_an_escaped_backslash(br"\ud83d\\ude00", "\u{fffd}\\ude00")]
#[case::half_before_the_end_of_the_text(br#"\ud83d\""#, "\u{fffd}\"")]
#[case::whole_emoji(br"\ud83d\ude00", "😀")]
#[case::escaped_backslash_before_a_u(br"\\ud83d", r"\ud83d")]
#[case::other_escapes(br#"\u00e9\"\\\/\b\f\n\r\t"#, "é\"\\/\u{8}\u{c}\n\r\t")]
#[case::no_utf_8(b"Caf\xe9 Luna", "Caf\u{fffd} Luna")]
#[case::emoji_cut_off(b"Bakery \xf0\x9f\x98", "Bakery \u{fffd}")]
#[case::surrogate_as_utf_8(b"\xed\xa0\xbd", "\u{fffd}\u{fffd}\u{fffd}")]
#[case::raw_control_characters(b"Caf\xc3\xa9\n\t\0Luna", "Café\n\t\0Luna")]
#[case::unknown_escape(br"\x41", "\u{fffd}x41")]
#[case::too_few_digits(br"\u12 4", "\u{fffd}u12 4")]
#[case::digits_with_a_sign(br"\u+123", "\u{fffd}u+123")]
#[case::digits_beyond_ascii("\\u00é".as_bytes(), "\u{fffd}u00é")]
fn a_broken_text_costs_what_is_broken(#[case] text: &[u8], #[case] expected: &str) {
    let body = [br#"{"bio":""#, text, br#"","name":""#, text, br#"","id":7}"#].concat();
    assert_eq!(parse(&body), Some(json!({"bio": expected, "name": expected, "id": 7})));
    let names = [br#"{""#, text, br#"":1,"id":7}"#].concat();
    assert_eq!(parse(&names), Some(json!({expected: 1, "id": 7})));
}

#[rstest]
#[case::beyond_a_double("1e999")]
#[case::far_below_it("-1e999")]
#[case::too_deep(&format!("{}{}", "[".repeat(5_000), "]".repeat(5_000)))]
#[case::too_deep_by_names(&format!("{}1{}", r#"{"a":"#.repeat(5_000), "}".repeat(5_000)))]
fn what_cannot_be_held_costs_itself_alone(#[case] value: &str) {
    let body = format!(r#"{{"data":[{{"extra":{value},"id":"17841400000000001"}}]}}"#);
    let mut found = parse(body.as_bytes()).unwrap();
    let item = found["data"][0].take();
    assert_eq!(item["id"], "17841400000000001");
    assert!(!item["extra"].is_number());
}

#[test]
fn the_mark_in_front_of_a_text_of_windows_is_none_of_it() {
    assert_eq!(parse("\u{feff}{\"id\":7}".as_bytes()), Some(json!({"id": 7})));
}

#[rstest]
#[case::page(b"<html>")]
#[case::nothing(b"")]
#[case::cut_off(br#"{"name":"Bak"#)]
#[case::cut_off_in_an_escape(br#"{"name":"Bak\"#)]
#[case::cut_off_in_a_code_unit(br#"{"name":"Bak\ud8"#)]
#[case::more_behind_it(br#"{"id":7}}"#)]
#[case::control_character_between_members(b"{\0\"id\":7}")]
#[case::no_utf_8_between_members(b"{\xff\"id\":7}")]
fn what_is_no_json_is_none(#[case] body: &[u8]) {
    assert_eq!(parse(body), None);
}

/// A JSON value of no more than three containers.
fn shallow() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn json_that_is_well_formed_is_read_as_it_is(value in shallow()) {
        prop_assert_eq!(parse(value.to_string().as_bytes()), Some(value.clone()));
        prop_assert_eq!(parse(serde_json::to_string_pretty(&value).unwrap().as_bytes()), Some(value));
    }

    #[test]
    fn whatever_stands_between_quotes_is_one_text(
        text in prop::collection::vec(any::<u8>().prop_filter("ends the text", |byte| *byte != b'"'), 0..60),
    ) {
        // A backslash at the end would take the quotation mark with it.
        let text = [&text, b".".as_slice()].concat();
        let body = [br#"{"name":""#, text.as_slice(), br#"","id":"17841400000000001"}"#].concat();
        let found = parse(&body).unwrap();
        prop_assert!(found["name"].is_string());
        prop_assert_eq!(&found["id"], "17841400000000001");
    }

    #[test]
    fn no_bytes_break_it(body in any::<Vec<u8>>()) {
        let strict: Option<Value> = serde_json::from_slice(&body).ok();
        prop_assert!(strict.is_none() || parse(&body).is_some());
    }
}
