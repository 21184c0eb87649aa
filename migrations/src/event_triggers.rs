//! Triggers that tell what versions without events change, and that number events in SQLite.
//!
//! A version with events sets `event_revision` to the revision whose event it writes itself; another one leaves it as
//! it is. Revisions only grow, so it never is by chance what a trigger looks for.

use sea_orm_migration::sea_orm::DbBackend;

/// Fields of an account that are columns of their own, but for the counts.
const FIELDS: [&str; 5] =
    ["username", "name", "account_type", "token_issue_time", "token_expire_time"];

/// Fields whose change alone is no event.
const COUNTS: [&str; 3] = ["followers_count", "follows_count", "media_count"];

/// The statements that create them.
pub(crate) fn creation(backend: DbBackend) -> Vec<String> {
    let changes = [
        ("inserted", "INSERT", "NEW.event_revision <> NEW.revision", inserted(backend)),
        (
            "updated",
            "UPDATE",
            "NEW.revision > OLD.revision AND NEW.event_revision <> NEW.revision",
            updated(backend),
        ),
        ("deleted", "DELETE", "OLD.event_revision <> OLD.revision + 1", deleted(backend)),
    ];
    let on_accounts = changes.into_iter().flat_map(|(name, change, when, body)| {
        let trigger = format!(
            "CREATE TRIGGER account_event_{name} AFTER {change} ON instagram_account FOR EACH ROW"
        );
        match backend {
            DbBackend::Sqlite => vec![format!("{trigger} WHEN {when} BEGIN {body}; END")],
            _ => vec![
                format!(
                    "CREATE FUNCTION account_event_{name}() RETURNS trigger LANGUAGE plpgsql
                    SECURITY DEFINER AS $$ BEGIN {body}; RETURN NULL; END $$"
                ),
                secured(&format!("account_event_{name}()")),
                format!("{trigger} WHEN ({when}) EXECUTE FUNCTION account_event_{name}()"),
            ],
        }
    });
    let numbering = (backend == DbBackend::Sqlite).then(|| NUMBERING.to_owned());
    on_accounts.chain(numbering).collect()
}

/// Makes sure that a function that runs with the rights of the tables' owner finds our tables only, and that nobody
/// else makes a trigger of it. It has these rights for the sake of former versions, whose role may have no grants on
/// tables that are newer than they are.
fn secured(function: &str) -> String {
    format!(
        "DO $$ BEGIN
            EXECUTE format('ALTER FUNCTION {function} SET search_path = %I, pg_temp', current_schema());
            REVOKE ALL ON FUNCTION {function} FROM PUBLIC;
        END $$"
    )
}

fn inserted(backend: DbBackend) -> String {
    insert(backend, "NEW", "'LINKED'", "NEW.revision", "NULL, 'FIRST'")
}

fn deleted(backend: DbBackend) -> String {
    insert(backend, "OLD", "'UNLINKED'", "OLD.revision + 1", "NULL, 'UNLINK'")
}

fn updated(backend: DbBackend) -> String {
    let event = insert(
        backend,
        "NEW",
        "kind",
        "NEW.revision",
        "CASE WHEN kind IN ('LINKED', 'CHANGED') THEN substr(fields || counts, 2) END,
        CASE kind WHEN 'LINKED' THEN 'AGAIN' WHEN 'CHANGED' THEN trouble
            WHEN 'REAUTHORIZATION_REQUIRED' THEN upper(NEW.refused) END",
    );
    let fields = listed(&fields(backend));
    let counts = listed(&COUNTS.map(|count| (count, changed(count))));
    let (in_trouble, was_in_trouble) = (in_trouble("NEW"), in_trouble("OLD"));
    format!(
        "{event} FROM (SELECT
            CASE WHEN NEW.consent_time <> OLD.consent_time THEN 'LINKED'
                WHEN OLD.refused IS NULL AND NEW.refused IS NOT NULL THEN 'REAUTHORIZATION_REQUIRED'
                WHEN OLD.refused IS NOT NULL AND NEW.refused IS NULL THEN 'HEALED'
                ELSE 'CHANGED' END AS kind,
            CASE WHEN {in_trouble} AND NOT {was_in_trouble} THEN NEW.trouble_cause END AS trouble,
            {fields} AS fields, {counts} AS counts) AS change
        WHERE kind <> 'CHANGED' OR fields <> ''"
    )
}

/// An event of the account `row`.
fn insert(backend: DbBackend, row: &str, kind: &str, revision: &str, told: &str) -> String {
    let (event_id, now) = match backend {
        DbBackend::Sqlite => ("randomblob(16)", "CAST(unixepoch('subsec') * 1000000 AS INTEGER)"),
        _ => {
            ("gen_random_uuid()", "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)")
        }
    };
    format!(
        "INSERT INTO account_event (app_id, event_id, kind, event_time, account_id,
            professional_account_id, owner, revision, changed_fields, cause)
        SELECT {row}.app_id, {event_id}, {kind}, {now}, {row}.id, {row}.professional_account_id,
            {row}.owner, {revision}, {told}"
    )
}

/// Fields, and the conditions under which they differ, but for the counts.
fn fields(backend: DbBackend) -> Vec<(&'static str, String)> {
    let picture = |row: &str| match backend {
        DbBackend::Sqlite => {
            let url = format!("{row}.profile_picture_url");
            format!("substr({url}, 1, instr({url} || '?', '?') - 1)")
        }
        _ => format!("split_part({row}.profile_picture_url, '?', 1)"),
    };
    let is_dead = "(NEW.refused IS NULL) <> (OLD.refused IS NULL)".to_owned();
    let mut fields: Vec<_> = FIELDS.map(|field| (field, changed(field))).into();
    fields.extend([
        (
            "app_scoped_user_id",
            format!("{} OR {}", changed("app_scoped_user_id"), changed("exchange_user_id")),
        ),
        ("profile_picture_url", format!("{} IS DISTINCT FROM {}", picture("NEW"), picture("OLD"))),
        (
            "granted_scopes",
            "COALESCE(NEW.granted_scopes, '') <> COALESCE(OLD.granted_scopes, '')".to_owned(),
        ),
        (
            "granted_scopes_known",
            "(NEW.granted_scopes IS NULL) <> (OLD.granted_scopes IS NULL)".to_owned(),
        ),
        ("status", is_dead.clone()),
        ("reauthorization_reason", is_dead),
        ("refresh_trouble", format!("{} <> {}", in_trouble("NEW"), in_trouble("OLD"))),
    ]);
    fields
}

fn changed(column: &str) -> String {
    format!("NEW.{column} IS DISTINCT FROM OLD.{column}")
}

/// A change by a version without a schedule makes the failures void.
fn in_trouble(row: &str) -> String {
    format!("({row}.trouble_cause IS NOT NULL AND {row}.scheduled_revision = {row}.revision)")
}

/// The names of the fields that differ, each behind a comma.
fn listed(fields: &[(&str, String)]) -> String {
    let names: Vec<_> = fields
        .iter()
        .map(|(name, differs)| format!("CASE WHEN {differs} THEN ',{name}' ELSE '' END"))
        .collect();
    names.join(" || ")
}

/// In SQLite writers come one after the other: an event gets its number when it is written.
const NUMBERING: &str = "CREATE TRIGGER account_event_number AFTER INSERT ON account_event
    WHEN NEW.number IS NULL BEGIN
        INSERT INTO event_log (app_id, log_id, head_event_id, purged_event_id)
            SELECT NEW.app_id, randomblob(16), zeroblob(16), zeroblob(16)
            WHERE NOT EXISTS (SELECT 1 FROM event_log WHERE app_id = NEW.app_id);
        UPDATE event_log SET head_number = head_number + 1, head_event_id = NEW.event_id
            WHERE app_id = NEW.app_id;
        UPDATE account_event SET number = (SELECT head_number FROM event_log WHERE app_id = NEW.app_id)
            WHERE id = NEW.id;
    END";
