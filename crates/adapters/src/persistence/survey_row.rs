//! Surveys as rows, and back. Both ways take everything apart, so that a forgotten column does not compile.

use std::collections::BTreeMap;

use ig_domain::ports::{StoreError, Survey};
use ig_domain::{AppId, TroubleCause};

use super::columns::{instant, micros};
use super::entity::account_survey::Model;
use super::error::corrupt;

/// The row of `survey`. Nobody has taken its turn.
pub(super) fn to_row(app: &AppId, survey: &Survey) -> Model {
    let Survey {
        time,
        active,
        reauthorization_required,
        first_expire_time,
        due,
        overdue,
        longest_due_time,
        in_trouble,
        of_other_apps,
    } = survey;
    let number = |number: &u64| i64::try_from(*number).unwrap_or(i64::MAX);
    Model {
        app_id: app.as_str().to_owned(),
        turn_time: None,
        survey_time: Some(micros(*time)),
        active: number(active),
        reauthorization_required: number(reauthorization_required),
        first_expire_time: first_expire_time.map(micros),
        due: number(due),
        overdue: number(overdue),
        longest_due_time: longest_due_time.map(micros),
        in_trouble: trouble_list(in_trouble),
        of_other_apps: number(of_other_apps),
    }
}

/// The survey that [`to_row`] kept; `None` where there was none yet.
pub(super) fn to_domain(row: Model) -> Result<Option<Survey>, StoreError> {
    let Model {
        app_id: _,
        turn_time: _,
        survey_time,
        active,
        reauthorization_required,
        first_expire_time,
        due,
        overdue,
        longest_due_time,
        in_trouble,
        of_other_apps,
    } = row;
    let Some(survey_time) = survey_time else { return Ok(None) };
    let number = |number: i64| u64::try_from(number).unwrap_or_default();
    let time = |column, time: Option<i64>| time.map(|time| instant(column, time)).transpose();
    Ok(Some(Survey {
        time: instant("survey_time", survey_time)?,
        active: number(active),
        reauthorization_required: number(reauthorization_required),
        first_expire_time: time("first_expire_time", first_expire_time)?,
        due: number(due),
        overdue: number(overdue),
        longest_due_time: time("longest_due_time", longest_due_time)?,
        in_trouble: troubles(&in_trouble)?,
        of_other_apps: number(of_other_apps),
    }))
}

/// The cause of this name. One of a newer version is the one that says least.
pub(super) fn cause_of(name: &str) -> TroubleCause {
    TroubleCause::from_name(name).unwrap_or(TroubleCause::InstagramUnexpected)
}

/// Numbers by cause as one text.
fn trouble_list(in_trouble: &BTreeMap<TroubleCause, u64>) -> String {
    let items = in_trouble.iter().map(|(cause, number)| format!("{}={number}", cause.as_str()));
    items.collect::<Vec<_>>().join(",")
}

/// The numbers that [`trouble_list`] kept.
fn troubles(list: &str) -> Result<BTreeMap<TroubleCause, u64>, StoreError> {
    let mut in_trouble = BTreeMap::new();
    for item in list.split(',').filter(|item| !item.is_empty()) {
        let (name, number) = item.split_once('=').unwrap_or((item, ""));
        let number: u64 = number.parse().map_err(|error| corrupt("in_trouble", error))?;
        *in_trouble.entry(cause_of(name)).or_default() += number;
    }
    Ok(in_trouble)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_of_a_newer_version_count_with_those_that_say_least() {
        let newer = "APP_RETIRED=2,INSTAGRAM_UNEXPECTED=1,RATE_LIMITED=3";
        let expected = [(TroubleCause::RateLimited, 3), (TroubleCause::InstagramUnexpected, 3)];
        assert_eq!(troubles(newer).unwrap(), BTreeMap::from(expected));
        assert!(troubles("RATE_LIMITED=many").is_err());
    }
}
