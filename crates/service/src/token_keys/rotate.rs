//! Seals anew what is under another key than the first.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use ig_adapters::persistence::{Database, SeaOrmStore};
use ig_adapters::system::{SystemClock, TokioTimer};
use ig_application::{CountSealed, RotateKeys, RotatedKeys};
use ig_domain::ports::{Clock as _, KeyChecks as _, SealedKind};

use super::configured;
use super::report::Report;
use crate::caller::Outputs;
use crate::config::{InvalidSettings, TokenKeysConfig};
use crate::meters::unread_store_meter;
use crate::output::is_read_on;
use crate::progress::Progress;

/// Number of secrets after which a line is written where there is no bar.
const LINE_INTERVAL: u64 = 10_000;

/// Seals anew, and writes what was done and what each key is still needed for. `FAILURE` where something does not open.
///
/// # Errors
///
/// When the URL names no database, it cannot be read or written, the keys are not its own, or no service has started
/// with the first one.
pub(crate) async fn rotate(
    config: TokenKeysConfig,
    outputs: &mut Outputs<'_>,
) -> anyhow::Result<ExitCode> {
    let TokenKeysConfig { database, app_id, token_keys, event_window } = config;
    let database = Database::open(&database).map_err(InvalidSettings::from)?;
    let ring = configured(token_keys, &database)?.ok_or_else(InvalidSettings::no_keys_to_rotate)?;
    let missing = database.pending_migrations().await;
    let missing = missing.context("the database cannot be asked for its migrations")?;
    if let Some(name) = missing.first() {
        bail!("migration {name} is missing: run `instagram-accounts migrate`");
    }
    let ring = Arc::new(ring);
    let store = SeaOrmStore::new(Arc::new(database), app_id, ring.clone(), unread_store_meter());
    ring.verify(&store).await?;
    let newest = ring.first_id().to_owned();
    let known = store.find(&newest).await.context("the sealing keys cannot be checked")?;
    if known.is_none() {
        bail!(
            "no service has started with the key {newest:?} yet, so none could open what is sealed under it: give it to every replica first"
        );
    }

    let store = Arc::new(store);
    let count = CountSealed { secrets: store.clone() };
    let sealed =
        count.secrets().await.context("the database cannot be asked for what is sealed")?;
    let others = sealed.iter().filter(|(key, _)| **key != newest);
    let total = others.map(|(_, used)| used.total()).sum();
    let mut progress = Progress::begin("sealed anew", Some(total), LINE_INTERVAL);
    let rotation = RotateKeys {
        secrets: store,
        cipher: ring.clone(),
        newest: newest.clone(),
        timer: Arc::new(TokioTimer),
    };
    let mut shown = Ok(());
    let rotated = rotation.execute(|rotated| {
        if shown.is_ok() {
            shown = progress.reach(rotated.total(), outputs.err);
        }
    });
    let rotated = rotated.await.context("not all is sealed anew: run it again, and it goes on")?;
    drop(progress);
    shown?;

    is_read_on(writeln!(outputs.out, "{}\n", summary(&rotated, &newest)))?;
    let sealed =
        count.execute().await.context("the database cannot be asked for what is sealed")?;
    let (configured, time) = (ring.ids(), SystemClock.now());
    is_read_on(Report { configured, sealed, event_window, time }.write(outputs.out))?;
    Ok(if rotated.unopened.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn summary(rotated: &RotatedKeys, newest: &str) -> String {
    let number = |kind| rotated.resealed.get(&kind).copied().unwrap_or_default();
    let done = format!(
        "sealed anew under {newest}: {} tokens, {} short-lived tokens, {} hosted codes, {} user keys",
        number(SealedKind::Token),
        number(SealedKind::ShortLivedToken),
        number(SealedKind::HostedCode),
        number(SealedKind::UserKey),
    );
    let unopened = rotated.unopened.iter();
    let unopened = unopened.map(|(key, number)| format!("\nnot opened, under {key}: {number}"));
    unopened.fold(done, |text, line| text + &line)
}
