//! Fills a migrated database with accounts, for measurements: `fill_accounts DATABASE_URL APP_ID NUMBER`.
//!
//! Each has all that a profile tells. A hundred owners `shop/0` to `shop/99` have them; one account in ten thousand
//! needs re-authorisation. Account `n` has the professional account id `n`. No visit is scheduled.

use std::error::Error;

use sea_orm::{ConnectionTrait, Database, DbBackend};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, app, number] = arguments.as_slice() else {
        return Err("needs DATABASE_URL, APP_ID and NUMBER".into());
    };
    let (app, number): (u64, u64) = (app.parse()?, number.parse()?);
    let database = Database::connect(url).await?;
    for statement in statements(database.get_database_backend(), app, number) {
        database.execute_unprepared(&statement).await?;
    }
    database.close().await?;
    Ok(())
}

/// Statements that fill the tables. PostgreSQL would analyze them by itself a minute later, SQLite never does.
fn statements(backend: DbBackend, app: u64, number: u64) -> Vec<String> {
    let (id, numbers) = match backend {
        DbBackend::Postgres => {
            ("gen_random_uuid()", format!("generate_series(1, {number}) AS numbers(n)"))
        }
        _ => (
            "randomblob(16)",
            format!(
                "(WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {number})
                SELECT n FROM numbers)"
            ),
        ),
    };
    let fill = format!(
        "INSERT INTO instagram_account (id, app_id, professional_account_id, owner, username, account_type,
            app_scoped_user_id, name, profile_picture_url, followers_count, follows_count, media_count, granted_scopes,
            refused, consent_time, token_issue_time, token_expire_time, link_time, profile_time, update_time,
            revision, event_revision, scheduled_revision)
        SELECT {id}, '{app}', CAST(n AS text), 'shop/' || (n % 100), 'user.' || n, 'business',
            CAST(26000000000000000 + n AS text), 'Shop number ' || n,
            'https://scontent.example/v/t51.2885-15/' || n || '_n.jpg?_nc_cat=1&ccb=1-7&oh=00_AfD0example&oe=69A00000',
            1200 + n, 300, 77, 'instagram_business_basic',
            CASE WHEN n % 10000 = 7 THEN 'checkpoint' END, n, n, 9000000000000000, n, n, n, 1, 1, 1
        FROM {numbers}"
    );
    let analyze = (backend == DbBackend::Postgres).then(|| "ANALYZE".to_owned());
    [fill].into_iter().chain(analyze).collect()
}
