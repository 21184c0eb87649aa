//! Text format of metrics that a collector asks for.

use ig_metrics::TextFormat;

const OPEN_METRICS: &str = "application/openmetrics-text";

/// Media ranges that cover the classic text, the most specific first.
const CLASSIC: [&str; 3] = ["text/plain", "text/*", "*/*"];

/// One media range of an `Accept` header.
struct MediaRange<'a> {
    name: &'a str,
    version: Option<&'a str>,
    quality: f32,
}

/// The format for a request with these `Accept` headers: OpenMetrics where they name it in our version and prefer no
/// other text, else the classic one.
///
/// Source: <https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1>.
pub(super) fn text_format<'a>(accept: impl IntoIterator<Item = &'a str>) -> TextFormat {
    let ranges = accept.into_iter().flat_map(|header| header.split(','));
    let ranges: Vec<_> = ranges.filter_map(MediaRange::parse).collect();
    let named = |name: &'static str| ranges.iter().filter(move |range| range.is(name));
    let open_metrics = named(OPEN_METRICS)
        .filter(|range| range.version.is_none_or(|version| version == "1.0.0"))
        .map(|range| range.quality)
        .fold(0.0, f32::max);
    let classic = CLASSIC
        .into_iter()
        .find_map(|name| named(name).map(|range| range.quality).reduce(f32::max));
    if open_metrics > 0.0 && open_metrics >= classic.unwrap_or_default() {
        TextFormat::OpenMetrics
    } else {
        TextFormat::Classic
    }
}

impl<'a> MediaRange<'a> {
    /// `None` for what is no media range, which is passed over.
    fn parse(range: &'a str) -> Option<Self> {
        let mut parts = range.split(';').map(str::trim);
        let mut range = Self { name: parts.next()?, version: None, quality: 1.0 };
        for parameter in parts {
            let (name, value) = parameter.split_once('=')?;
            if name.eq_ignore_ascii_case("q") {
                range.quality = value.parse().ok().filter(|q| (0.0..=1.0).contains(q))?;
            } else if name.eq_ignore_ascii_case("version") {
                range.version = Some(value.trim_matches('"'));
            }
        }
        Some(range)
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// `Accept` header of Prometheus 2.
    const PROMETHEUS_2: &str = "application/openmetrics-text;version=1.0.0,\
        application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

    /// `Accept` header of Prometheus 3.
    const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
        application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
        text/plain;version=0.0.4;q=0.2,*/*;q=0.1";

    #[rstest]
    #[case::prometheus_2(&[PROMETHEUS_2])]
    #[case::prometheus_3(&[PROMETHEUS_3])]
    #[case::alone(&["application/openmetrics-text"])]
    #[case::any_case(&["Application/OpenMetrics-Text; Version=1.0.0; Q=0.5"])]
    #[case::quoted(&["application/openmetrics-text; version=\"1.0.0\""])]
    #[case::as_good_as_classic(&["text/plain, application/openmetrics-text"])]
    #[case::better_than_anything(&["*/*;q=0.8, application/openmetrics-text;q=0.9"])]
    #[case::classic_is_refused(&["text/plain;q=0, */*, application/openmetrics-text;q=0.1"])]
    #[case::the_best_of_two(&["application/openmetrics-text;q=0.1, text/plain;q=0.2, application/openmetrics-text;q=0.3"])]
    #[case::two_headers(&["text/plain;q=0.5", "application/openmetrics-text"])]
    fn open_metrics_is_answered_where_it_is_asked_for(#[case] accept: &[&str]) {
        assert_eq!(text_format(accept.iter().copied()), TextFormat::OpenMetrics);
    }

    #[rstest]
    #[case::nothing(&[])]
    #[case::empty(&[""])]
    #[case::anything(&["*/*"])]
    #[case::a_browser(&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"])]
    #[case::classic(&["text/plain;version=0.0.4"])]
    #[case::classic_is_better(&["application/openmetrics-text;q=0.5, text/plain;q=0.6"])]
    #[case::any_text_is_better(&["application/openmetrics-text;q=0.5, text/*"])]
    #[case::anything_is_better(&["application/openmetrics-text;q=0.5, */*;q=0.6"])]
    #[case::refused(&["application/openmetrics-text;q=0"])]
    #[case::another_version(&["application/openmetrics-text;version=0.0.1, text/plain;q=0.5"])]
    #[case::no_quality(&["application/openmetrics-text;q=2, application/openmetrics-text;q=nan"])]
    #[case::something_else(&["application/json"])]
    fn the_classic_text_is_answered_elsewhere(#[case] accept: &[&str]) {
        assert_eq!(text_format(accept.iter().copied()), TextFormat::Classic);
    }
}
