//! The text formats of metrics.

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFormat {
    /// The text format of Prometheus, version 0.0.4.
    ///
    /// Source: <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.
    Classic,
    /// The text format of OpenMetrics, version 1.0.0.
    ///
    /// Source: <https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md#text-format>.
    OpenMetrics,
}

impl TextFormat {
    /// The media type, as a response names it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The classic text of an OpenMetrics text. The samples are the same; the classic format describes them by the
/// names that they have, knows no `info`, no units and no mark of the end.
pub(crate) fn classic(open_metrics: &str) -> String {
    let mut classic = String::with_capacity(open_metrics.len());
    let mut help = "";
    for line in open_metrics.lines() {
        let words: Vec<_> = line.splitn(4, ' ').collect();
        match *words.as_slice() {
            ["#", "HELP", _, text] => help = text,
            ["#", "TYPE", name, open_metrics_type] => {
                let (suffix, classic_type) = match open_metrics_type {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    other => ("", other),
                };
                classic.extend(["# HELP ", name, suffix, " ", help, "\n"]);
                classic.extend(["# TYPE ", name, suffix, " ", classic_type, "\n"]);
            }
            ["#", ..] => {}
            _ => classic.extend([line, "\n"]),
        }
    }
    classic
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_classic_text_names_types_as_its_samples_and_has_neither_units_nor_an_end() {
        let open_metrics = "\
            # HELP a_build The version, # exactly.\n\
            # TYPE a_build info\n\
            a_build_info{version=\"1\"} 1\n\
            # HELP a_calls calls that ended.\n\
            # TYPE a_calls counter\n\
            a_calls_total{code=\"# UNIT\"} 2\n\
            a_calls_total{code=\"OK\"} 0\n\
            # HELP a_duration_seconds Duration of calls.\n\
            # TYPE a_duration_seconds histogram\n\
            # UNIT a_duration_seconds seconds\n\
            a_duration_seconds_sum 0.5\n\
            a_duration_seconds_bucket{le=\"+Inf\"} 2\n\
            # HELP a_memory_bytes Memory.\n\
            # TYPE a_memory_bytes gauge\n\
            # UNIT a_memory_bytes bytes\n\
            a_memory_bytes 7\n\
            # EOF\n";
        let expected = "\
            # HELP a_build_info The version, # exactly.\n\
            # TYPE a_build_info gauge\n\
            a_build_info{version=\"1\"} 1\n\
            # HELP a_calls_total calls that ended.\n\
            # TYPE a_calls_total counter\n\
            a_calls_total{code=\"# UNIT\"} 2\n\
            a_calls_total{code=\"OK\"} 0\n\
            # HELP a_duration_seconds Duration of calls.\n\
            # TYPE a_duration_seconds histogram\n\
            a_duration_seconds_sum 0.5\n\
            a_duration_seconds_bucket{le=\"+Inf\"} 2\n\
            # HELP a_memory_bytes Memory.\n\
            # TYPE a_memory_bytes gauge\n\
            a_memory_bytes 7\n";
        assert_eq!(classic(open_metrics), expected);
    }
}
