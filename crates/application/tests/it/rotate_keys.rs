//! Tests of the rotation of keys: small batches, nothing overwritten that changed meanwhile, and an end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ig_application::{CountSealed, RotateKeys, RotatedKeys};
use ig_domain::ports::{
    Cause, PayloadKey, SealContext, SealError, SealedKind, SealedPlace, SealedSecret,
    SealedSecrets, StoreError, Timer, TokenCipher,
};
use secrecy::SecretString;

/// Seals by writing the key before the secret; keys `damaged` and `lost` open nothing.
struct PlainCipher;

impl TokenCipher for PlainCipher {
    fn seal(&self, _: &SealContext, secret: &str) -> Result<Vec<u8>, SealError> {
        Ok(format!("new:{secret}").into_bytes())
    }

    fn open(&self, _: &SealContext, sealed: &[u8]) -> Result<SecretString, SealError> {
        let text = std::str::from_utf8(sealed).unwrap();
        match text.split_once(':').unwrap() {
            ("lost", _) => Err(SealError::UnknownKey("lost".to_owned())),
            ("damaged", _) => Err(SealError::Rejected),
            (_, secret) => Ok(secret.into()),
        }
    }
}

/// Tokens in memory, each the sealed text under its number, and what was done with them.
#[derive(Default)]
struct Tokens {
    sealed: Mutex<BTreeMap<u16, String>>,
    /// A change that somebody else makes before the next replacement.
    changes: Mutex<Option<(u16, &'static str)>>,
    /// Number of the next replacements that fail.
    failures: Mutex<u32>,
    batches: Mutex<Vec<usize>>,
}

fn key_of(sealed: &str) -> String {
    sealed.split_once(':').unwrap().0.to_owned()
}

fn number(row: &[u8]) -> u16 {
    u16::from_be_bytes(row.try_into().unwrap())
}

impl Tokens {
    fn of(keys: impl IntoIterator<Item = &'static str>) -> Arc<Self> {
        let sealed = (0..).zip(keys).map(|(number, key)| (number, format!("{key}:token {number}")));
        Arc::new(Self { sealed: Mutex::new(sealed.collect()), ..Self::default() })
    }

    fn keys(&self) -> BTreeMap<String, u64> {
        let mut keys = BTreeMap::new();
        for sealed in self.sealed.lock().unwrap().values() {
            *keys.entry(key_of(sealed)).or_default() += 1;
        }
        keys
    }
}

#[async_trait]
impl SealedSecrets for Tokens {
    async fn under_other_keys(
        &self,
        kind: SealedKind,
        newest: &str,
        after: Option<SealedPlace>,
        limit: u64,
    ) -> Result<Vec<SealedSecret>, StoreError> {
        if kind != SealedKind::Token {
            return Ok(Vec::new());
        }
        let sealed = self.sealed.lock().unwrap();
        let behind = |id: u16| after.as_ref().is_none_or(|after| id > number(&after.row));
        let others = sealed.iter().filter(|(id, text)| behind(**id) && key_of(text) != newest);
        let secrets = others.map(|(id, text)| SealedSecret {
            key_id: key_of(text),
            context: SealContext { table: "", row: id.to_be_bytes().to_vec(), purpose: "" },
            sealed: text.clone().into_bytes(),
        });
        Ok(secrets.take(limit.try_into().unwrap()).collect())
    }

    async fn replace(
        &self,
        _: SealedKind,
        resealed: &[(SealedSecret, Vec<u8>)],
    ) -> Result<u64, StoreError> {
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            return Err(StoreError::Overloaded(Cause::new("busy")));
        }
        self.batches.lock().unwrap().push(resealed.len());
        let mut sealed = self.sealed.lock().unwrap();
        if let Some((id, text)) = self.changes.lock().unwrap().take() {
            sealed.insert(id, text.to_owned());
        }
        let mut replaced = 0;
        for (secret, text) in resealed {
            let stored = sealed.get_mut(&number(&secret.context.row)).unwrap();
            if stored.as_bytes() == secret.sealed {
                *stored = String::from_utf8(text.clone()).unwrap();
                replaced += 1;
            }
        }
        Ok(replaced)
    }

    async fn places(
        &self,
        kind: SealedKind,
        after: Option<SealedPlace>,
        limit: u64,
    ) -> Result<Vec<SealedPlace>, StoreError> {
        let secrets = self.under_other_keys(kind, "", after, limit).await?;
        Ok(secrets.iter().map(SealedSecret::place).collect())
    }

    async fn payload_keys(
        &self,
        after: Option<i64>,
        _: u64,
    ) -> Result<Vec<PayloadKey>, StoreError> {
        let time = ig_test_support::builders::START;
        let key = |place: i64| PayloadKey {
            place,
            key_id: (place != 2).then(|| "old".to_owned()),
            time: time + Duration::from_secs(place.unsigned_abs()),
        };
        Ok((after.unwrap_or_default() + 1..4).map(key).take(1).collect())
    }
}

/// Counts pauses; time passes by them alone.
struct Pauses {
    begin: Instant,
    spans: Mutex<Vec<Duration>>,
}

#[async_trait]
impl Timer for Pauses {
    fn now(&self) -> Instant {
        self.begin + self.spans.lock().unwrap().iter().sum::<Duration>()
    }

    async fn sleep(&self, span: Duration) {
        self.spans.lock().unwrap().push(span);
    }
}

async fn rotate(tokens: &Arc<Tokens>) -> (RotatedKeys, Vec<Duration>) {
    let begin = tokio::time::Instant::now().into_std();
    let timer = Arc::new(Pauses { begin, spans: Mutex::default() });
    let rotation = RotateKeys {
        secrets: tokens.clone(),
        cipher: Arc::new(PlainCipher),
        newest: "new".to_owned(),
        timer: timer.clone(),
    };
    let mut told = 0;
    let rotated = rotation.execute(|so_far| told = so_far.total()).await.unwrap();
    assert_eq!(told, rotated.total());
    let spans = timer.spans.lock().unwrap().clone();
    (rotated, spans)
}

fn resealed(tokens: u64) -> BTreeMap<SealedKind, u64> {
    BTreeMap::from([(SealedKind::Token, tokens)])
}

#[tokio::test]
async fn small_batches_are_sealed_anew_with_a_pause_behind_each() {
    let keys = ["old", "new", "older"].into_iter().cycle().take(375);
    let tokens = Tokens::of(keys);
    let (rotated, pauses) = rotate(&tokens).await;
    assert_eq!(rotated.resealed, resealed(250));
    assert_eq!(*tokens.batches.lock().unwrap(), [100, 100, 50]);
    assert_eq!(pauses, [Duration::from_millis(10); 3]);
    assert_eq!(tokens.keys(), BTreeMap::from([("new".to_owned(), 375)]));
    let sealed = tokens.sealed.lock().unwrap();
    assert!(sealed.iter().all(|(id, text)| *text == format!("new:token {id}")), "{sealed:?}");
}

#[tokio::test]
async fn what_changed_meanwhile_is_not_overwritten_and_taken_again() {
    for (text, taken_again) in [("new:renewed", 0), ("old:renewed", 1)] {
        let tokens = Tokens::of(["old", "old"]);
        *tokens.changes.lock().unwrap() = Some((0, text));
        let (rotated, _) = rotate(&tokens).await;
        assert_eq!(rotated.resealed, resealed(1 + taken_again), "{text}");
        assert_eq!(tokens.sealed.lock().unwrap()[&0], "new:renewed");
    }
}

#[tokio::test]
async fn what_does_not_open_is_counted_and_left_as_it_is() {
    let tokens = Tokens::of(["lost", "old", "damaged", "lost"]);
    let (rotated, _) = rotate(&tokens).await;
    assert_eq!(rotated.resealed, resealed(1));
    let unopened = [("damaged".to_owned(), 1), ("lost".to_owned(), 2)];
    assert_eq!(rotated.unopened, unopened.into());
    assert_eq!(tokens.keys().get("lost"), Some(&2));
}

#[tokio::test]
async fn a_busy_store_is_waited_for() {
    let tokens = Tokens::of(["old"]);
    *tokens.failures.lock().unwrap() = 3;
    assert_eq!(rotate(&tokens).await.0.resealed, resealed(1));
}

#[tokio::test]
async fn secrets_and_payloads_are_counted_by_key() {
    let secrets = Tokens::of(["old", "new", "old"]);
    let counted = CountSealed { secrets }.execute().await.unwrap();
    assert_eq!(counted.keys().collect::<Vec<_>>(), ["new", "old"]);
    let old = &counted["old"];
    assert_eq!((old.total(), old.payloads), (2, 2));
    let newest = ig_test_support::builders::START + Duration::from_secs(3);
    assert_eq!(old.newest_payload_time, Some(newest));
    assert_eq!((counted["new"].total(), counted["new"].newest_payload_time), (1, None));
}
