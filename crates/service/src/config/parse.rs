//! From text to values. Every error continues the variable's name, and repeats no part of the value: the reader
//! shows it where it may.

use std::fmt::Display;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use ig_adapters::instagram::BaseUrl;
use ig_adapters::sealing::KeyRing;
use ig_domain::{AppId, PublicUrl, RedirectUri, ReturnUrl, WebhookFields};
use secrecy::SecretString;

use super::LogFormat;
use super::setting::Setting;

/// Maximum length of an app secret and of a verify token; a guess of ours, as Meta tells no length.
const MAX_SECRET_LENGTH: usize = 256;

/// Number of hexadecimal digits of Meta's app secrets, as far as anybody has seen; nothing says so.
pub(super) const APP_SECRET_DIGITS: usize = 32;

pub(super) fn app_id(raw: &str) -> Result<AppId, String> {
    raw.parse().map_err(|_| format!("is not 1 to {} digits", AppId::MAX_LENGTH))
}

/// The listed secrets, at least one. The first is the app's; by the others former signatures are known.
pub(super) fn app_secrets(raw: &str) -> Result<Vec<SecretString>, String> {
    let secrets = raw.split(',').map(str::trim);
    let graphic = |secret: &str| secret.bytes().all(|byte| byte.is_ascii_graphic());
    if secrets.clone().any(str::is_empty) {
        return Err("has an empty item".to_owned());
    }
    if !secrets.clone().all(|secret| secret.len() <= MAX_SECRET_LENGTH && graphic(secret)) {
        return Err(format!(
            "has an item that is not up to {MAX_SECRET_LENGTH} visible ASCII characters"
        ));
    }
    Ok(secrets.map(SecretString::from).collect())
}

/// The token that is entered in the app's dashboard, too.
pub(super) fn verify_token(raw: &str) -> Result<SecretString, String> {
    let valid = raw.len() <= MAX_SECRET_LENGTH && raw.bytes().all(|byte| byte.is_ascii_graphic());
    if valid {
        Ok(raw.into())
    } else {
        Err(format!("is not 1 to {MAX_SECRET_LENGTH} visible ASCII characters"))
    }
}

/// The position of the first listed secret that does not look like Instagram's, counted from 1.
pub(super) fn unusual_app_secret(raw: &str) -> Option<usize> {
    let usual = |secret: &str| {
        secret.len() == APP_SECRET_DIGITS && secret.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let mut secrets = (1..).zip(raw.split(',').map(str::trim));
    secrets.find(|(_, secret)| !usual(secret)).map(|(position, _)| position)
}

pub(super) fn clock_url(raw: &str) -> Result<String, &'static str> {
    // Any http will do here: nothing secret travels, and the URL is refused beside the real Instagram.
    let url = BaseUrl::parse(raw, true).ok().filter(BaseUrl::is_plain_http);
    url.map(|_| raw.to_owned()).ok_or("is not a plain http URL")
}

pub(super) fn key_ring(raw: &str) -> Result<KeyRing, String> {
    raw.parse().map_err(|error| format!("cannot be used: {error}"))
}

pub(super) fn address(raw: &str) -> Result<SocketAddr, &'static str> {
    raw.parse().map_err(|_| "is not an IP address with a port")
}

/// An address, or none where the value is empty.
pub(super) fn address_or_none(raw: &str) -> Result<Option<SocketAddr>, &'static str> {
    if raw.is_empty() { Ok(None) } else { address(raw).map(Some) }
}

pub(super) fn public_url(raw: &str) -> Result<PublicUrl, String> {
    raw.parse().map_err(|error| format!("cannot be used: {error}"))
}

pub(super) fn redirect_uris(raw: &str) -> Result<Vec<RedirectUri>, String> {
    list(raw)
}

pub(super) fn return_urls(raw: &str) -> Result<Vec<ReturnUrl>, String> {
    list(raw)
}

fn list<T: FromStr<Err: Display>>(raw: &str) -> Result<Vec<T>, String> {
    let read = |(position, item): (usize, &str)| {
        let refused = |error| format!("has a wrong item {position}: {error}");
        item.trim().parse().map_err(refused)
    };
    (1..).zip(raw.split(',')).map(read).collect()
}

pub(super) fn webhook_fields(raw: &str) -> Result<WebhookFields, String> {
    raw.parse().map_err(|error| format!("has a wrong item: {error}"))
}

/// A span of time between the limits of `setting`.
pub(super) fn span(raw: &str, setting: &Setting) -> Result<Duration, String> {
    let (min, max) = setting.span_limits.unwrap_or_default();
    let parse = |text| humantime::parse_duration(text).ok();
    parse(raw)
        .filter(|span| (parse(min)..=parse(max)).contains(&Some(*span)))
        .ok_or_else(|| format!("is not a span of {min} to {max}"))
}

/// Maximum number of visits at the same time: each holds a connection to Instagram. Ours.
const MAX_KEEPER_IN_FLIGHT: usize = 256;

pub(super) fn keeper_in_flight(raw: &str) -> Result<usize, String> {
    let number = raw.parse().ok().filter(|number| (1..=MAX_KEEPER_IN_FLIGHT).contains(number));
    number.ok_or_else(|| format!("is not a number of 1 to {MAX_KEEPER_IN_FLIGHT}"))
}

/// Units of sizes, and the powers of two that they are.
const UNITS: [(&str, u32); 3] = [("KiB", 10), ("MiB", 20), ("GiB", 30)];

/// Maximum size of the accounts in memory: more than all that anybody has. Ours.
const MAX_READ_CACHE: u64 = 64 << 30;

/// A number of bytes.
pub(super) fn read_cache(raw: &str) -> Result<u64, &'static str> {
    if raw == "0" {
        return Ok(0);
    }
    let size = UNITS.iter().find_map(|(unit, power)| {
        let number = raw.strip_suffix(unit)?;
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
        number
            .parse()
            .ok()
            .filter(|_| is_plain)
            .and_then(|number: u64| number.checked_mul(1 << power))
    });
    size.filter(|size| *size <= MAX_READ_CACHE)
        .ok_or("is neither 0 nor a size such as 64MiB, up to 64GiB")
}

pub(super) fn boolean(raw: &str) -> Result<bool, &'static str> {
    raw.parse().map_err(|_| "is neither true nor false")
}

pub(super) fn log_format(raw: &str) -> Result<LogFormat, &'static str> {
    match raw {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("is neither text nor json"),
    }
}
