//! JSON in ASCII alone, as Instagram sends and signs it.

use std::fmt::Write as _;

/// The same JSON with `\u00e9` for é, `\/` for / and `\u003C` for <. What is escaped already stays as it is.
pub(crate) fn escape(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    let mut behind_backslash = false;
    for character in json.chars() {
        // These two and all beyond ASCII stand in texts only.
        match character {
            '/' if !behind_backslash => escaped.push_str(r"\/"),
            '<' => escaped.push_str(r"\u003C"),
            ascii if ascii.is_ascii() => escaped.push(ascii),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    let _ = write!(escaped, r"\u{unit:04x}");
                }
            }
        }
        behind_backslash = character == '\\' && !behind_backslash;
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_documented_characters_are_escaped_and_escaped_ones_stay() {
        assert_eq!(escape(r#"{"text":"é</b>"}"#), r#"{"text":"\u00e9\u003C\/b>"}"#);
        assert_eq!(escape(r#""🎉""#), r#""\ud83c\udf89""#);
        assert_eq!(escape(r#""\/ \\/ \" \u00e9""#), r#""\/ \\\/ \" \u00e9""#);
    }

    proptest! {
        #[test]
        fn the_meaning_stays_and_a_second_time_changes_nothing(text in any::<String>()) {
            let json = Value::String(text).to_string();
            let escaped = escape(&json);
            prop_assert!(escaped.is_ascii());
            prop_assert_eq!(serde_json::from_str::<Value>(&escaped).unwrap().to_string(), json);
            prop_assert_eq!(escape(&escaped), escaped);
        }
    }
}
