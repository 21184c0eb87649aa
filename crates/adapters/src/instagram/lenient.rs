//! JSON as Instagram may send it: read without the faults of one field costing the others.
//!
//! A text with half an emoji, with bytes that are no UTF-8, or with raw control characters makes a JSON reader
//! give up the whole answer, also where the text is only shown or not read at all. So do numbers beyond a double
//! and deep nesting.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::str::Chars;

use serde_json::Value;
use serde_json::value::RawValue;

#[cfg(test)]
mod tests;

/// Maximum number of containers around a value that is read: the permissions of a wrapped answer have four.
const MAX_DEPTH: usize = 4;

/// Reads JSON; `None` where it is none even so.
///
/// In texts, what JSON or UTF-8 forbids becomes U+FFFD, which no id, token or permission may hold: such a value
/// stays as unusable as it was sent. A number beyond a double, and what is nested too deeply, becomes `null`.
pub(super) fn parse(body: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(body);
    let text = mended(text.trim_start_matches('\u{feff}'));
    let raw: &RawValue = serde_json::from_str(&text).ok()?;
    Some(value(raw, MAX_DEPTH))
}

/// Reads each member for itself.
fn value(raw: &RawValue, depth: usize) -> Value {
    let text = raw.get();
    match (text.as_bytes().first(), depth.checked_sub(1)) {
        (Some(b'{' | b'['), None) => Value::Null,
        (Some(b'{'), Some(depth)) => {
            let members: BTreeMap<String, &RawValue> =
                serde_json::from_str(text).unwrap_or_default();
            let members = members.into_iter().map(|(name, raw)| (name, value(raw, depth)));
            Value::Object(members.collect())
        }
        (Some(b'['), Some(depth)) => {
            let items: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
            items.into_iter().map(|raw| value(raw, depth)).collect()
        }
        _ => serde_json::from_str(text).unwrap_or_default(),
    }
}

/// The same JSON with strings that a JSON reader takes.
fn mended(json: &str) -> String {
    let mut mended = String::with_capacity(json.len());
    let mut characters = json.chars();
    let mut quoted = false;
    while let Some(character) = characters.next() {
        match character {
            '\\' if quoted => mend_escape(&mut characters, &mut mended),
            control if quoted && control < ' ' => {
                // Writing to a text does not fail.
                let _ = write!(mended, "\\u{:04x}", u32::from(control));
            }
            _ => {
                quoted ^= character == '"';
                mended.push(character);
            }
        }
    }
    mended
}

/// Copies the escape behind a backslash, or a replacement character for one that JSON forbids.
fn mend_escape(characters: &mut Chars<'_>, mended: &mut String) {
    let rest = characters.as_str();
    let (allowed, length) = match (rest.chars().next(), code_unit(rest)) {
        (Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't'), _) => (true, 1),
        (_, Some(0xD800..=0xDBFF)) => {
            let low = rest.get(5..).and_then(|rest| code_unit(rest.strip_prefix('\\')?));
            if matches!(low, Some(0xDC00..=0xDFFF)) { (true, 11) } else { (false, 5) }
        }
        (_, Some(0xDC00..=0xDFFF)) => (false, 5),
        (_, Some(_)) => (true, 5),
        // The value there instead is text.
        (_, None) => (false, 0),
    };
    let escape = characters.by_ref().take(length);
    if allowed {
        mended.push('\\');
        mended.extend(escape);
    } else {
        escape.for_each(drop);
        mended.push(char::REPLACEMENT_CHARACTER);
    }
}

/// The UTF-16 code unit of an escape such as `u00e9`.
fn code_unit(escape: &str) -> Option<u16> {
    let digits = escape.strip_prefix('u')?.get(..4)?;
    let hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| hexadecimal)
}
