//! The log filter: directives that let something of ours through.

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, Targets};

/// The targets of our own log lines: the crates that log.
const OURS: [&str; 5] =
    ["instagram_accounts", "ig_adapters", "ig_application", "ig_grpc_server", "ig_metrics"];

/// Reads filter directives.
pub(super) fn parse(raw: &str) -> Result<EnvFilter, &'static str> {
    // The library cuts directives at byte offsets and panics within a longer character.
    let plain = raw.is_ascii().then_some(raw).ok_or("is not plain ASCII")?;
    let filter = EnvFilter::try_new(plain);
    let filter = filter.map_err(|_| "is not a level or a list of filter directives")?;
    if is_silent(plain) {
        return Err(
            "would log nothing of this service: a level is one of error, warn, info, debug and trace",
        );
    }
    Ok(filter)
}

/// Whether no line of ours gets past the filter, not even an error. A misspelt level is a target to the library.
fn is_silent(raw: &str) -> bool {
    // Spans and their fields are in brackets; only the other filter knows them, and it tells nobody what it lets
    // through.
    if raw.contains('[') {
        return false;
    }
    let Ok(targets) = raw.parse::<Targets>() else { return false };
    let speaks = |ours: &&str| {
        let within = |(target, level): (String, LevelFilter)| {
            target.starts_with(ours) && level > LevelFilter::OFF
        };
        targets.would_enable(ours, &Level::ERROR) || targets.clone().into_iter().any(within)
    };
    !OURS.iter().any(speaks)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_misspelt_level("wran")]
    #[case::off("off")]
    #[case::a_library_alone("hyper=debug")]
    #[case::ours_off("info,ig=off,instagram_accounts=off")]
    #[case::everything_off("off,sqlx=info")]
    fn a_filter_that_lets_nothing_of_ours_through_is_refused(#[case] raw: &str) {
        assert!(parse(raw).unwrap_err().starts_with("would log nothing"));
    }

    #[rstest]
    #[case::a_level("info")]
    #[case::in_capitals("WARN")]
    #[case::a_number("3")]
    #[case::errors_only("error")]
    #[case::one_crate("ig_application=debug")]
    #[case::one_module("ig_adapters::instagram=trace")]
    #[case::the_binary("off,instagram_accounts=info")]
    #[case::all_of_ours("ig=warn")]
    #[case::a_misspelt_one_beside("info,wran")]
    #[case::a_span("[link]=debug")]
    fn what_lets_something_of_ours_through_is_taken(#[case] raw: &str) {
        assert!(parse(raw).is_ok());
    }
}
