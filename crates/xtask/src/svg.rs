//! Pictures as SVG: the paper they are drawn on, for light and dark pages.

/// How wide they are.
pub(crate) const WIDTH: f64 = 860.0;

/// What follows the last thing drawn.
pub(crate) const END: &str = "</svg>\n";

/// What a page in the dark changes is in here.
const STYLE: &str = "\
.paper{fill:#fff}.ink{fill:#1f2a3a}.faint{fill:#5b6675}.line{stroke:#5b6675;stroke-opacity:.35}\
.band{fill:#5b6675;fill-opacity:.13}.latency{fill:none;stroke:#b3541e;stroke-width:1.5}\
.usual{fill:none;stroke:#3b7a57;stroke-width:1.5}\
.rate{fill:#3b7a57;fill-opacity:.75}.failed{stroke:#c0182b;stroke-width:1.5}\
@media(prefers-color-scheme:dark){.paper{fill:#0d1117}.ink{fill:#e6e9ee}.faint{fill:#9aa5b4}\
.line{stroke:#9aa5b4}.band{fill:#9aa5b4}.latency{stroke:#f0a35e}.usual{stroke:#6fbf8f}\
.rate{fill:#6fbf8f}.failed{stroke:#ff7b86}}";

/// A picture so high, with a title and what explains it.
pub(crate) fn begin(height: f64, title: &str, subtitle: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\">\n<title>{title}</title>\n\
         <style>{STYLE}</style>\n<rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text class=\"ink\" x=\"14\" y=\"24\" font-size=\"15\" font-weight=\"bold\">{title}</text>\n\
         <text class=\"faint\" x=\"14\" y=\"42\">{subtitle}</text>\n"
    )
}

/// A count as a coordinate.
pub(crate) fn to_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
