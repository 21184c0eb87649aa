//! Tokens at rest: AES-256-GCM-SIV under a ring of keys.
//!
//! A sealed text is a version byte, the length of the key's id, the id, a nonce, and the ciphertext with its
//! tag. The nonce is random, and GCM-SIV forgives a repeated one.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use ig_domain::ports::{Cause, SealContext, SealError, TokenCipher};
use secrecy::SecretString;
use zeroize::Zeroizing;

mod key_check;
mod key_file;

pub use key_check::KeyCheckError;
pub use key_file::{KeyFile, KeyFileError};

/// The first byte of everything sealed; another form gets another number.
const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// The keys that tokens are sealed under: the first seals, all open.
///
/// Read from text: `id:base64(32 bytes)`, comma-separated; an id is 1 to
/// [`MAX_ID_LENGTH`](Self::MAX_ID_LENGTH) of `a-z`, `0-9`, `_` and `-`.
/// `Debug` shows the ids only.
pub struct KeyRing {
    first: SealingKey,
    others: Vec<SealingKey>,
}

struct SealingKey {
    id: String,
    cipher: Aes256GcmSiv,
}

/// The text is not a key ring. No part of it is repeated here: a misplaced key would be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyRing {
    /// An item has no colon.
    #[error("key {0} is not of the form id:base64")]
    NoId(usize),
    /// An item's id is empty, too long or has other characters.
    #[error(
        "the id of key {0} is not 1 to {length} of a-z, 0-9, '_' and '-'",
        length = KeyRing::MAX_ID_LENGTH
    )]
    Id(usize),
    /// The text behind the colon is not base64 of 32 bytes.
    #[error("key {0} is not base64 of exactly {bytes} bytes", bytes = KEY_BYTES)]
    Key(usize),
    /// Two items have one id.
    #[error("key {0} has the id of a key before it")]
    Repeated(usize),
}

impl KeyRing {
    /// Maximum number of characters of a key's id.
    pub const MAX_ID_LENGTH: usize = 32;

    /// The ids of all keys.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.keys().map(|key| key.id.clone()).collect()
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn first_id(&self) -> &str {
        &self.first.id
    }

    /// A new key under `id`, as one item of the text of a ring.
    ///
    /// # Errors
    ///
    /// [`SealError::NoRandomness`].
    pub fn new_entry(id: &str) -> Result<SecretString, SealError> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        random(key.as_mut_slice())?;
        let encoded = Zeroizing::new(BASE64_STANDARD.encode(key.as_slice()));
        Ok(Zeroizing::new(format!("{id}:{}", encoded.as_str())).as_str().into())
    }

    fn keys(&self) -> impl Iterator<Item = &SealingKey> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn key(&self, id: &str) -> Option<&SealingKey> {
        self.keys().find(|key| key.id == id)
    }
}

impl FromStr for KeyRing {
    type Err = InvalidKeyRing;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let mut items = (1..).zip(raw.split(','));
        // `split` always yields a first item.
        let (position, item) = items.next().unwrap_or((1, ""));
        let mut ring = Self { first: SealingKey::parse(position, item)?, others: Vec::new() };
        for (position, item) in items {
            let key = SealingKey::parse(position, item)?;
            if ring.key(&key.id).is_some() {
                return Err(InvalidKeyRing::Repeated(position));
            }
            ring.others.push(key);
        }
        Ok(ring)
    }
}

impl SealingKey {
    fn parse(position: usize, item: &str) -> Result<Self, InvalidKeyRing> {
        let (id, encoded) = item.trim().split_once(':').ok_or(InvalidKeyRing::NoId(position))?;
        if !is_key_id(id) {
            return Err(InvalidKeyRing::Id(position));
        }
        let bytes = BASE64_STANDARD.decode(encoded).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| InvalidKeyRing::Key(position))?;
        let cipher = Aes256GcmSiv::new_from_slice(&bytes);
        let cipher = cipher.map_err(|_| InvalidKeyRing::Key(position))?;
        Ok(Self { id: id.to_owned(), cipher })
    }
}

impl SealingKey {
    fn seal(&self, context: &SealContext, secret: &str) -> Result<Vec<u8>, SealError> {
        let Self { id, cipher } = self;
        let mut nonce = [0; NONCE_BYTES];
        random(&mut nonce)?;
        let payload = Payload { msg: secret.as_bytes(), aad: &associated_data(context, id) };
        let ciphertext = cipher.encrypt(&Nonce::from(nonce), payload);
        let ciphertext = ciphertext.map_err(|_| SealError::Rejected)?;
        let id_length = u8::try_from(id.len()).map_err(|_| SealError::Rejected)?;
        Ok([&[VERSION, id_length], id.as_bytes(), &nonce, &ciphertext].concat())
    }

    fn open(&self, context: &SealContext, sealed: &Sealed<'_>) -> Result<SecretString, SealError> {
        let Sealed { key_id, nonce, ciphertext } = sealed;
        let payload = Payload { msg: ciphertext, aad: &associated_data(context, key_id) };
        let opened = self.cipher.decrypt(&Nonce::from(*nonce), payload).map(Zeroizing::new);
        let opened = opened.map_err(|_| SealError::Rejected)?;
        let text = std::str::from_utf8(&opened).map_err(|_| SealError::Rejected)?;
        Ok(SecretString::from(text))
    }
}

fn is_key_id(id: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    (1..=KeyRing::MAX_ID_LENGTH).contains(&id.len()) && id.bytes().all(allowed)
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.ids()).finish()
    }
}

impl TokenCipher for KeyRing {
    fn seal(&self, context: &SealContext, secret: &str) -> Result<Vec<u8>, SealError> {
        self.first.seal(context, secret)
    }

    fn open(&self, context: &SealContext, sealed: &[u8]) -> Result<SecretString, SealError> {
        let sealed = Sealed::split(sealed).ok_or(SealError::Rejected)?;
        let key = self.key(sealed.key_id);
        key.ok_or_else(|| SealError::UnknownKey(sealed.key_id.to_owned()))?.open(context, &sealed)
    }
}

/// Maximum length in bytes of the beginning of something sealed that [`key_id`] reads.
pub(crate) const MAX_HEAD_BYTES: usize = 2 + KeyRing::MAX_ID_LENGTH + NONCE_BYTES;

/// The id of the key that `sealed` was sealed under; `None` where it is nothing that a [`KeyRing`] sealed. The first
/// [`MAX_HEAD_BYTES`] are enough.
pub(crate) fn key_id(sealed: &[u8]) -> Option<&str> {
    Sealed::split(sealed).map(|sealed| sealed.key_id)
}

/// The range of all that is sealed under the key with this id, by the order of bytes.
pub(crate) fn sealed_range(key_id: &str) -> Range<Vec<u8>> {
    let id_length = u8::try_from(key_id.len()).unwrap_or(u8::MAX);
    let start = [&[VERSION, id_length], key_id.as_bytes()].concat();
    let mut end = start.clone();
    // An id is ASCII, so that none ends with the largest byte.
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    start..end
}

struct Sealed<'a> {
    key_id: &'a str,
    nonce: [u8; NONCE_BYTES],
    ciphertext: &'a [u8],
}

impl<'a> Sealed<'a> {
    fn split(sealed: &'a [u8]) -> Option<Self> {
        let (&[VERSION, id_length], rest) = sealed.split_first_chunk()? else { return None };
        let (id, rest) = rest.split_at_checked(usize::from(id_length))?;
        let (nonce, ciphertext) = rest.split_first_chunk()?;
        let key_id = std::str::from_utf8(id).ok().filter(|id| is_key_id(id))?;
        Some(Self { key_id, nonce: *nonce, ciphertext })
    }
}

/// Context that a ciphertext is bound to. Each part comes after its length, so that no two contexts are alike.
fn associated_data(context: &SealContext, key_id: &str) -> Vec<u8> {
    let parts =
        [context.table.as_bytes(), &context.row, context.purpose.as_bytes(), key_id.as_bytes()];
    let prefixed = |part: &&[u8]| [&(part.len() as u64).to_be_bytes(), *part].concat();
    parts.iter().flat_map(prefixed).collect()
}

fn random(bytes: &mut [u8]) -> Result<(), SealError> {
    getrandom::fill(bytes).map_err(|error| SealError::NoRandomness(Cause::new(error.to_string())))
}

#[cfg(test)]
mod tests;
