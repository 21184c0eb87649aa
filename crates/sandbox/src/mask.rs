//! Hides secrets in what the request log shows, under whatever name and however encoded they came.

use percent_encoding::percent_decode_str;

use crate::call::Call;
use crate::seed::{CODE_PREFIX, TOKEN_PREFIX};

/// Text that stands in a secret's place.
pub(crate) const MASK: &str = "***";

/// Parameters whose values never show.
const SECRET_PARAMS: [&str; 5] =
    ["access_token", "appsecret_proof", "client_secret", "code", "code_verifier"];

/// Minimum number of letters and digits behind the prefix of a code or a token. Those that sandboxes issue have more;
/// cut short they are hidden too.
const MIN_ISSUED_LENGTH: usize = 24;

/// Minimum length of a client's own secret that is looked for in other places: a shorter one is in every text.
const MIN_CLIENT_SECRET_LENGTH: usize = 8;

/// Maximum number of times that a text is percent-decoded; one that is encoded more often is hidden as a whole.
const MAX_DECODINGS: usize = 8;

/// The secrets of one request, without percent-encoding.
pub(crate) struct Mask {
    secrets: Vec<String>,
}

impl Mask {
    /// Hides the app's secret, what the client sent as a secret, and all that looks like a code or a token of a
    /// sandbox, of this one or of a former one.
    pub(crate) fn of(call: &Call, app_secret: &str) -> Self {
        let secret_params = call.params().filter(|(name, _)| is_secret(name));
        let sent = secret_params.map(|(_, value)| value).chain(call.bearer());
        let sent = sent.filter(|value| value.len() >= MIN_CLIENT_SECRET_LENGTH);
        let plain = |secret: &str| decoded(secret).unwrap_or_else(|| secret.to_owned());
        let all = sent.chain([app_secret]).filter(|secret| !secret.is_empty());
        Self { secrets: all.map(plain).collect() }
    }

    /// Hides the app's secret in what the sandbox itself sends, and what looks like a code or a token.
    pub(crate) fn of_sent(app_secret: &str) -> Self {
        Self { secrets: vec![app_secret.to_owned()] }
    }

    /// The value of a parameter, as it may be shown.
    pub(crate) fn value(&self, name: &str, value: &str) -> String {
        if is_secret(name) { MASK.to_owned() } else { self.text(value) }
    }

    /// A text, decoded where there is a secret in it.
    pub(crate) fn text(&self, text: &str) -> String {
        let Some(decoded) = decoded(text) else { return MASK.to_owned() };
        let shown = self.hide(&decoded);
        if shown == decoded { text.to_owned() } else { shown }
    }

    fn hide(&self, text: &str) -> String {
        let known = self
            .secrets
            .iter()
            .fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK));
        [TOKEN_PREFIX, CODE_PREFIX]
            .into_iter()
            .fold(known, |text, prefix| hide_issued(&text, prefix))
    }
}

/// The text without percent-encoding; `None` where it is encoded too often.
fn decoded(text: &str) -> Option<String> {
    let mut text = text.to_owned();
    for _ in 0..MAX_DECODINGS {
        let next = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if next == text {
            return Some(text);
        }
        text = next;
    }
    None
}

fn is_secret(name: &str) -> bool {
    SECRET_PARAMS.iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

/// Hides each prefix that enough letters and digits follow, together with them.
fn hide_issued(text: &str, prefix: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(prefix) {
        shown.push_str(before);
        let behind = after.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric());
        if after.len() - behind.len() >= MIN_ISSUED_LENGTH {
            shown.push_str(MASK);
            rest = behind;
        } else {
            shown.push_str(prefix);
            rest = after;
        }
    }
    shown.push_str(rest);
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::seed::Seed;

    const APP_SECRET: &str = "5a4db0c0ffee5a4db0c0ffee5a4db0c0";
    const BEARER: &str = "a-token-of-elsewhere";

    fn mask() -> Mask {
        Mask { secrets: vec![BEARER.to_owned(), APP_SECRET.to_owned()] }
    }

    /// Every byte percent-encoded.
    fn encoded(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02x}")).collect::<Vec<_>>().concat()
    }

    #[rstest]
    #[case::token(Seed::new(1).token())]
    #[case::code(Seed::new(1).code())]
    #[case::token_cut_short(Seed::new(1).token().get(..40).unwrap().to_owned())]
    #[case::app_secret(APP_SECRET.to_owned())]
    #[case::bearer(BEARER.to_owned())]
    fn a_secret_is_hidden_however_it_stands_there(#[case] secret: String) {
        let twice = encoded(&encoded(&secret));
        for form in [secret.clone(), encoded(&secret), twice, secret.replace('a', "%61")] {
            assert_eq!(mask().text(&form), MASK);
            assert_eq!(mask().text(&format!("/v25.0/{form}/x y")), "/v25.0/***/x y");
            assert_eq!(mask().text(&format!("{form},{secret}")), "***,***");
        }
    }

    #[rstest]
    #[case("/v25.0/me")]
    #[case("id,user_id,username")]
    #[case("100%25 Fresh%20bread %zz")]
    #[case("IGAA is a prefix, AQ too")]
    #[case("AQUARIUM")]
    fn all_else_is_shown_as_it_came(#[case] text: &str) {
        assert_eq!(mask().text(text), text);
    }

    #[test]
    fn what_is_encoded_too_often_is_hidden_as_a_whole() {
        assert_eq!(mask().text(&format!("%{}41", "25".repeat(20))), MASK);
    }

    proptest! {
        #[test]
        fn no_token_shows_whatever_stands_around_it(before in ".{0,20}", after in ".{0,20}", seed: u64) {
            let token = Seed::new(seed).token();
            let shown = mask().text(&format!("{before}{token}{after}"));
            prop_assert!(!shown.contains(token.get(..40).unwrap()), "{}", shown);
        }
    }
}
