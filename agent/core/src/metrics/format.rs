//! The two exposition formats, and which of them a client gets.

/// How a page is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    #[default]
    Text,
    /// `OpenMetrics` 1.0.
    OpenMetrics,
}

const OPEN_METRICS: &str = "application/openmetrics-text";

impl Format {
    /// The format that an `Accept` header asks for: `OpenMetrics` where it is named and no less wanted than text.
    pub fn accepted(header: &str) -> Self {
        let wanted = |media_type: &str| {
            let entries = header.split(',').map(str::trim);
            let weights = entries.filter_map(|entry| weight(entry, media_type));
            weights.fold(0.0, f64::max)
        };
        let open_metrics = wanted(OPEN_METRICS);
        if open_metrics > 0.0 && open_metrics >= wanted("text/plain") {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The weight of one entry of an `Accept` header, from 0 to 1, when it is about that media type in a known version.
fn weight(entry: &str, media_type: &str) -> Option<f64> {
    let mut parts = entry.split(';').map(str::trim);
    if !parts.next()?.eq_ignore_ascii_case(media_type) {
        return None;
    }
    let mut weight = 1.0;
    for parameter in parts {
        match parameter.split_once('=') {
            Some(("q", value)) => weight = value.parse().ok()?,
            Some(("version", version)) if !matches!(version, "0.0.1" | "0.0.4" | "1.0.0") => return None,
            _ => {}
        }
    }
    Some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_given_where_it_is_asked_for_and_no_less_wanted() {
        for (header, format) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            (
                "Application/OpenMetrics-Text; version=1.0.0; charset=utf-8",
                Format::OpenMetrics,
            ),
            ("application/openmetrics-text;version=2.0.0", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;q=0.3,text/plain;q=0.5", Format::Text),
            ("application/openmetrics-text;q=x", Format::Text),
            (
                "application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,\
                 text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                Format::OpenMetrics,
            ),
        ] {
            assert_eq!(Format::accepted(header), format, "{header}");
        }
    }
}
