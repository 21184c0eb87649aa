//! Fills a migrated database and a sandbox with accounts, for measurements:
//! `fill_due_accounts DATABASE_URL APP_ID TOKEN_KEYS SANDBOX_URL NUMBER`.
//!
//! Their tokens are two days old. Visits are scheduled as with `PROFILE_EVERY=365d`, so that none is due at once, and
//! all renewals are 40 days later. Account `n` is that of `ig_test_support::builders`.

use std::error::Error;
use std::ops::RangeInclusive;
use std::time::Duration;

use ig_adapters::sealing::KeyRing;
use ig_domain::ports::{SealContext, TokenCipher as _};
use ig_domain::{InstagramAccount, KeepingPlan};
use ig_test_support::builders;
use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::task::JoinSet;

/// Maximum number of accounts that the sandbox takes at once.
const BATCH: u32 = 1_000;

/// Number of accounts whose tokens are made at the same time.
const WORKERS: u32 = 32;

const TOKEN_AGE: Duration = Duration::from_hours(48);
const READING_INTERVAL: Duration = Duration::from_hours(365 * 24);

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, app, keys, sandbox, number] = arguments.as_slice() else {
        return Err("needs DATABASE_URL, APP_ID, TOKEN_KEYS, SANDBOX_URL and NUMBER".into());
    };
    let (keys, number): (KeyRing, u32) = (keys.parse()?, number.parse()?);
    let database = Database::connect(url).await?;
    let sandbox = Sandbox::connect(sandbox)?;
    let now = sandbox.now().await?;
    for first in (1..=number).step_by(BATCH as usize) {
        let batch = first..=number.min(first + BATCH - 1);
        sandbox.put_accounts(batch.clone()).await?;
        let tokens = sandbox.make_tokens(batch, now).await?;
        insert(&database, app, &keys, &tokens).await?;
    }
    database.execute_unprepared("ANALYZE").await?;
    Ok(database.close().await?)
}

/// The control interface of the sandbox.
#[derive(Clone)]
struct Sandbox {
    http: reqwest::Client,
    url: String,
}

#[derive(Deserialize)]
struct Clock {
    now: String,
}

#[derive(Deserialize)]
struct MadeToken {
    access_token: String,
    expires_in: u64,
}

impl Sandbox {
    fn connect(url: &str) -> Result<Self, Failure> {
        // reqwest needs a provider even over plain http; there is no other one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().build()?;
        Ok(Self { http, url: format!("{url}/sandbox") })
    }

    async fn now(&self) -> Result<OffsetDateTime, Failure> {
        let answer = self.http.get(format!("{}/clock", self.url)).send().await?;
        let Clock { now } = answer.error_for_status()?.json().await?;
        Ok(OffsetDateTime::parse(&now, &Rfc3339)?)
    }

    async fn post(&self, path: &str, body: &Value) -> Result<reqwest::Response, Failure> {
        let request = self.http.post(format!("{}/{path}", self.url)).json(body);
        Ok(request.send().await?.error_for_status()?)
    }

    async fn put_accounts(&self, batch: RangeInclusive<u32>) -> Result<(), Failure> {
        let account = |number| {
            let profile = builders::profile(number);
            json!({
                "username": profile.username.as_str(),
                "user_id": profile.professional_account_id.as_str(),
                "id": profile.app_scoped_user_id.map(|id| id.as_str().to_owned()),
            })
        };
        self.post("accounts", &batch.map(account).collect()).await.map(drop)
    }

    /// Accounts that were linked at `now`, and their tokens.
    async fn make_tokens(
        &self,
        batch: RangeInclusive<u32>,
        now: OffsetDateTime,
    ) -> Result<Vec<(InstagramAccount, String)>, Failure> {
        let mut workers = JoinSet::new();
        for worker in 0..WORKERS {
            let (sandbox, mine) = (self.clone(), batch.clone().skip(worker as usize));
            workers.spawn(async move {
                let mut made = Vec::new();
                for number in mine.step_by(WORKERS as usize) {
                    made.push(sandbox.make_token(number, now).await?);
                }
                Ok::<_, Failure>(made)
            });
        }
        let made: Vec<_> = workers.join_all().await.into_iter().collect::<Result<_, _>>()?;
        Ok(made.into_iter().flatten().collect())
    }

    async fn make_token(
        &self,
        number: u32,
        now: OffsetDateTime,
    ) -> Result<(InstagramAccount, String), Failure> {
        let mut account = builders::account(number, "shop/7", now);
        let body =
            json!({ "username": account.username.as_str(), "age_seconds": TOKEN_AGE.as_secs() });
        let answer = self.post("tokens", &body).await?;
        let MadeToken { access_token, expires_in } = answer.json().await?;
        account.token_issue_time = Some(now - TOKEN_AGE);
        account.token_expire_time = Some(now + Duration::from_secs(expires_in));
        Ok((account, access_token))
    }
}

/// Inserts accounts with their schedule, and their tokens.
async fn insert(
    database: &DatabaseConnection,
    app: &str,
    keys: &KeyRing,
    accounts: &[(InstagramAccount, String)],
) -> Result<(), Failure> {
    let mut rows = Query::insert();
    rows.into_table("instagram_account").columns([
        "id",
        "app_id",
        "professional_account_id",
        "app_scoped_user_id",
        "owner",
        "username",
        "account_type",
        "consent_time",
        "token_issue_time",
        "token_expire_time",
        "link_time",
        "profile_time",
        "update_time",
        "revision",
        "event_revision",
        "next_visit_time",
        "scheduled_revision",
    ]);
    let plan = KeepingPlan { reading_interval: READING_INTERVAL, ..KeepingPlan::default() };
    let mut tokens = Query::insert();
    tokens.into_table("account_token").columns(["account_id", "sealed_token", "key_id"]);
    for (account, token) in accounts {
        let id = *account.id.as_uuid();
        let app_scoped_user_id = account.app_scoped_user_id.as_ref().map(ToString::to_string);
        rows.values_panic([
            Expr::value(id),
            Expr::value(app),
            Expr::value(account.professional_account_id.to_string()),
            Expr::value(app_scoped_user_id),
            Expr::value(account.owner.to_string()),
            Expr::value(account.username.to_string()),
            Expr::value("business"),
            Expr::value(micros(account.consent_time)),
            Expr::value(account.token_issue_time.map(micros)),
            Expr::value(account.token_expire_time.map(micros)),
            Expr::value(micros(account.link_time)),
            Expr::value(micros(account.profile_time)),
            Expr::value(micros(account.update_time)),
            Expr::value(account.revision),
            Expr::value(account.revision),
            Expr::value(account.next_visit_time(&plan).map(micros)),
            Expr::value(account.revision),
        ]);
        // As the store seals it.
        let row = id.as_bytes().to_vec();
        let context = SealContext { table: "account_token", row, purpose: "long-lived token" };
        let sealed = keys.seal(&context, token)?;
        tokens.values_panic([
            Expr::value(id),
            Expr::value(sealed),
            Expr::value(keys.ids().first().cloned()),
        ]);
    }
    database.execute(&rows).await?;
    database.execute(&tokens).await?;
    Ok(())
}

fn micros(moment: OffsetDateTime) -> i64 {
    i64::try_from(moment.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}
