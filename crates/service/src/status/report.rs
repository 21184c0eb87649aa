//! The state of all accounts as text, for people: what is wrong first, then the numbers, then the worst accounts.

use std::io::{self, Write};
use std::time::Duration;

use ig_domain::URGENT_LIFETIME;
use ig_domain::ports::{ConsumerState, WorstAccount};
use time::OffsetDateTime;

use super::Status;
use crate::columns::{self, Columns, plain, span};
use crate::consumers;

/// Time until a consumer loses its cursor, below which somebody should look; half of the window where that is less. The
/// alert has the same.
const MAX_SHORT_TIME: Duration = Duration::from_hours(48);

const HEADER: [&str; 8] = [
    "TOKEN_EXPIRE_TIME",
    "ACCOUNT_ID",
    "OWNER",
    "USERNAME",
    "NEXT_VISIT_TIME",
    "TROUBLE",
    "SINCE_TIME",
    "ATTEMPTS",
];

/// Writes `status`.
pub(super) fn write(status: &Status, out: &mut dyn Write) -> io::Result<()> {
    let concerns = concerns(status);
    if concerns.is_empty() {
        writeln!(out, "All is well.")?;
    }
    for concern in concerns {
        writeln!(out, "Look at this: {concern}.")?;
    }
    writeln!(out)?;
    for (name, text) in numbers(status) {
        writeln!(out, "{name:<14}  {text}")?;
    }
    if !status.worst.is_empty() {
        writeln!(out)?;
        Columns::new(HEADER).write(status.worst.iter().map(row).collect(), out)?;
    }
    if !status.consumers.is_empty() {
        writeln!(out)?;
        consumers::write_table(&status.consumers, out)?;
    }
    Ok(())
}

/// What somebody should look at, the most urgent first.
fn concerns(status: &Status) -> Vec<String> {
    let Status { survey, breaker, .. } = status;
    let first_expiry = survey.first_expire_time.map(|end| until(end, survey.time));
    let urgent = first_expiry.filter(|left| *left < URGENT_LIFETIME);
    let in_trouble: u64 = survey.in_trouble.values().sum();
    let concerns = [
        urgent.map(|left| format!("the first token dies in {}", span(left))),
        breaker.open.map(|open| {
            let (since, cause) = (moment(open.since_time), open.cause.as_str());
            format!(
                "Instagram refuses the whole app ({cause}) since {since}, and nobody is visited"
            )
        }),
        (survey.overdue > 0)
            .then(|| format!("{} overdue", counted(survey.overdue, "visit is", "visits are"))),
        (in_trouble > 0)
            .then(|| format!("renewals fail for {}", counted(in_trouble, "account", "accounts"))),
    ];
    let short = MAX_SHORT_TIME.min(status.event_window / 2);
    let ending = status.consumers.iter().filter_map(|consumer| {
        let ConsumerState { key, window_left: left, .. } = consumer;
        let what = match *left {
            Duration::ZERO => "has lost its cursor".to_owned(),
            left if left < short => format!("loses its cursor in {}", span(left)),
            _ => return None,
        };
        Some(format!("consumer {} of {} {what}", key.name, key.caller))
    });
    concerns.into_iter().flatten().chain(ending).collect()
}

fn numbers(status: &Status) -> [(&'static str, String); 9] {
    let Status { survey, breaker, log, .. } = status;
    let oldest = log.oldest_time.map(|oldest| format!(", the oldest of {}", moment(oldest)));
    let first_expiry = survey.first_expire_time.map_or("none".to_owned(), |end| {
        format!("{}, in {}", moment(end), span(until(end, survey.time)))
    });
    let lag = match survey.longest_due_time {
        Some(_) => format!(", the longest for {}", span(survey.lag())),
        None => String::new(),
    };
    let troubles = survey.in_trouble.iter();
    let troubles: Vec<_> =
        troubles.map(|(cause, number)| format!("{number} {}", cause.as_str())).collect();
    let breaker = breaker.open.map_or("closed".to_owned(), |open| {
        format!("open since {} for {}", moment(open.since_time), open.cause.as_str())
    });
    [
        ("time", moment(survey.time)),
        (
            "accounts",
            format!(
                "{} active, {} to be re-authorized",
                survey.active, survey.reauthorization_required
            ),
        ),
        ("first expiry", first_expiry),
        ("due", format!("{}{lag}", survey.due)),
        ("overdue", survey.overdue.to_string()),
        ("in trouble", if troubles.is_empty() { "0".to_owned() } else { troubles.join(", ") }),
        ("breaker", breaker),
        (
            "events",
            format!("{} kept{}; {} waiting", log.kept, oldest.unwrap_or_default(), log.unnumbered),
        ),
        ("of other apps", survey.of_other_apps.to_string()),
    ]
}

fn row(worst: &WorstAccount) -> [String; 8] {
    let WorstAccount { account, next_visit_time } = worst;
    let trouble = account.failures.trouble;
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    [
        or_none(account.token_expire_time.map(moment)),
        account.id.to_string(),
        plain(account.owner.as_str()),
        plain(account.username.as_str()),
        or_none(next_visit_time.map(moment)),
        or_none(trouble.map(|trouble| trouble.cause.as_str().to_owned())),
        or_none(trouble.map(|trouble| moment(trouble.since_time))),
        or_none(trouble.map(|trouble| trouble.attempts.to_string())),
    ]
}

fn until(end: OffsetDateTime, now: OffsetDateTime) -> Duration {
    Duration::try_from(end - now).unwrap_or_default()
}

/// A moment, to the second.
fn moment(moment: OffsetDateTime) -> String {
    columns::moment(moment.truncate_to_second())
}

fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
