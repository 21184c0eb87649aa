//! Checks of what Instagram calls back: its settings, whether it is reached, and whether webhooks come.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ig_adapters::instagram::{Probe, WebhookCheckError};
use ig_adapters::persistence::{SeaOrmStore, SubscriptionGroup};
use ig_callbacks::WEBHOOKS;
use ig_domain::WebhookFields;
use ig_domain::ports::StoreError;
use time::OffsetDateTime;

use super::Finding;
use crate::config::{ServeConfig, setting};

/// Time within which a subscribed account may well get no update. Ours.
const MAX_QUIET_TIME: Duration = Duration::from_hours(24);

/// Checks the settings. Nothing is asked.
pub(super) fn examine_settings(config: &ServeConfig) -> Vec<Finding> {
    if config.callbacks.is_none() {
        return Vec::new();
    }
    let no_token = || {
        let text = "is not given, though HTTP_LISTEN is: Meta's check of the webhooks' address is refused, and no \
                    webhook comes; set it, and enter the same text under Webhooks in the App Dashboard";
        Finding::error(&setting::WEBHOOK_VERIFY_TOKEN, &text)
    };
    let no_fields = || {
        let text = "is not given, though HTTP_LISTEN is: no account is subscribed, and no webhook comes; name fields, \
                    such as comments,messages";
        Finding::warning(&setting::WEBHOOK_FIELDS, &text)
    };
    let no_token = config.verify_token.is_none().then(no_token);
    let no_fields = config.plan.webhook_fields.is_empty().then(no_fields);
    no_token.into_iter().chain(no_fields).collect()
}

/// Asks the public URL for the webhooks as Meta does.
pub(super) async fn examine_public_url(config: &ServeConfig, probe: &Probe) -> Option<Finding> {
    let (callbacks, verify_token) = config.callbacks.as_ref().zip(config.verify_token.as_ref())?;
    let address = format!("{}{WEBHOOKS}", callbacks.public_url);
    let error = probe.check_webhooks(&address, verify_token).await.err()?;
    let remedy = match error {
        WebhookCheckError::NotReached(_) => {
            "if `serve` runs, check name, port and certificate from outside, for Meta may reach it though this \
             machine does not"
        }
        WebhookCheckError::Status { status: 403, .. } => {
            "whoever answers knows another verify token: give WEBHOOK_VERIFY_TOKEN to every replica alike"
        }
        _ => {
            "let it lead to HTTP_LISTEN, with the path behind it unchanged, and without a redirect"
        }
    };
    let text = format_args!("does not lead to our webhooks: {error}; {remedy}");
    Some(Finding::warning(&setting::PUBLIC_URL, &text))
}

/// Looks in the store for reasons for which no webhook comes.
///
/// # Errors
///
/// When the store cannot be asked.
pub(super) async fn examine_webhooks(
    config: &ServeConfig,
    store: &SeaOrmStore,
    now: OffsetDateTime,
) -> Result<Vec<Finding>, StoreError> {
    let fields = &config.plan.webhook_fields;
    if fields.is_empty() {
        return Ok(Vec::new());
    }
    let groups = store.subscription_groups().await?;
    let mut findings: Vec<_> = not_granted(fields, &groups).into_iter().collect();
    findings.extend(failed(&groups));
    if config.callbacks.is_some() && !store.has_webhook_updates().await? {
        findings.extend(quiet(&groups, now));
    }
    Ok(findings)
}

/// Fields for which no account has the permission.
fn not_granted(fields: &WebhookFields, groups: &[SubscriptionGroup]) -> Option<Finding> {
    let allowed: Vec<_> =
        groups.iter().map(|group| fields.allowed_by(&group.granted_scopes)).collect();
    let allowed: BTreeSet<_> = allowed.iter().flat_map(WebhookFields::iter).collect();
    let lacking: Vec<_> = fields.iter().filter(|field| !allowed.contains(field)).collect();
    let text = format_args!(
        "names {}, for which no linked account has granted the permission: ask for it in `scopes` of BeginLink, or \
         leave the field out",
        lacking.join(" and ")
    );
    let lacks = !groups.is_empty() && !lacking.is_empty();
    lacks.then(|| Finding::warning(&setting::WEBHOOK_FIELDS, &text))
}

/// Accounts that could not be subscribed.
fn failed(groups: &[SubscriptionGroup]) -> Option<Finding> {
    let mut causes = BTreeMap::<_, u64>::new();
    for group in groups {
        if let Some(cause) = group.error {
            *causes.entry(cause).or_default() += group.accounts;
        }
    }
    let causes: Vec<_> =
        causes.iter().map(|(cause, number)| format!("{} {number}", cause.as_str())).collect();
    let text = format_args!(
        "could not be subscribed to for some accounts ({}): the keeper tries again; for APP_MISCONFIGURED or \
         INSTAGRAM_UNEXPECTED, add the fields under Webhooks in the App Dashboard, and look for Advanced Access there",
        causes.join(", ")
    );
    (!causes.is_empty()).then(|| Finding::warning(&setting::WEBHOOK_FIELDS, &text))
}

/// Accounts that are subscribed and bring nothing.
fn quiet(groups: &[SubscriptionGroup], now: OffsetDateTime) -> Option<Finding> {
    let subscribed = || groups.iter().filter(|group| group.active);
    let first = subscribed().map(|group| group.first_consent_time).min()?;
    let number: u64 = subscribed().map(|group| group.accounts).sum();
    let text = format_args!(
        "is subscribed to (accounts: {number}), and not one update is stored: where that was done more than a day ago \
         and these accounts are not quiet, set the app live, get Advanced Access, \
         enter PUBLIC_URL{WEBHOOKS} and the fields under Webhooks in the App Dashboard, and have people turn on \
         \"Allow access to messages\" in Instagram"
    );
    (now - first >= MAX_QUIET_TIME).then(|| Finding::warning(&setting::WEBHOOK_FIELDS, &text))
}
