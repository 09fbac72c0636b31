//! How much: the keys that follow from a limit's kind.

use std::time::Duration;

use crate::limit::{Amount, LimitKind, Rate, Unit};
use crate::quantity;
use crate::raw::Section;

/// The keys of all kinds.
const KEYS: [&str; 10] = [
    "count",
    "window",
    "unit",
    "rate",
    "burst",
    "in_flight",
    "produce_rate",
    "fetch_rate",
    "produce_burst",
    "fetch_burst",
];

/// Those of one kind.
const fn keys_of(kind: LimitKind) -> &'static [&'static str] {
    match kind {
        LimitKind::FixedWindow(_) | LimitKind::SlidingWindow(_) => &["count", "window", "unit"],
        LimitKind::LeakyBucket | LimitKind::ConnectionRate | LimitKind::Mutations => &["rate", "burst"],
        LimitKind::Concurrency => &["in_flight"],
        LimitKind::Connections => &["count"],
        LimitKind::Bytes => &["produce_rate", "fetch_rate", "produce_burst", "fetch_burst"],
    }
}

/// The amount of a limit of this kind, or of one of its overrides. `None` where it is missing or faulty; missing is a
/// fault if it `is_needed`.
pub(super) fn read(section: &mut Section<'_, '_>, kind: LimitKind, is_needed: bool) -> Option<Amount> {
    let known = keys_of(kind);
    for key in KEYS.into_iter().filter(|key| !known.contains(key)) {
        let what = format!("`{key}` is not for limits of the kind {}", kind.name());
        section.refuse(key, &what, &format!("remove it; such a limit has {}", known.join(", ")));
    }
    match kind {
        LimitKind::FixedWindow(unit) | LimitKind::SlidingWindow(unit) => {
            let example = if unit == Unit::Bytes { "\"10MiB\"" } else { "600" };
            let is_needed = is_needed || section.has("count") || section.has("window");
            needed(section, "count", example, is_needed);
            needed(section, "window", "\"60s\"", is_needed);
            let count = if unit == Unit::Bytes && section.is_text("count") {
                section.size64("count")
            } else {
                section.number_written("count", 1..=usize::MAX >> 1).map(|count| count.value as u64)
            };
            let window = section.time_if("window", ["100ms", "30d"]);
            Some(Amount::Count { count: count?, window: window? })
        }
        LimitKind::LeakyBucket | LimitKind::ConnectionRate | LimitKind::Mutations => {
            let is_needed = is_needed || section.has("burst");
            needed(section, "rate", "100", is_needed);
            let rate = section.rate("rate");
            let burst = section.number_written("burst", 1..=usize::MAX >> 1).map(|burst| burst.value as u64);
            let (units, per) = rate?;
            let second = units / per.as_secs().max(1);
            let default = if kind == LimitKind::LeakyBucket { 1 } else { second.max(1) };
            Some(Amount::Rate(Rate { units, per, burst: burst.unwrap_or(default) }))
        }
        LimitKind::Concurrency => at_once(section, "in_flight", "8", is_needed),
        LimitKind::Connections => at_once(section, "count", "100", is_needed),
        LimitKind::Bytes => {
            let is_needed = is_needed && !section.has("fetch_rate");
            needed(section, "produce_rate", "\"10MiB/s\" (or fetch_rate, or both)", is_needed);
            let produce = bytes(section, "produce_rate", "produce_burst");
            let fetch = bytes(section, "fetch_rate", "fetch_burst");
            (produce.is_some() || fetch.is_some()).then_some(Amount::Bytes { produce, fetch })
        }
    }
}

fn needed(section: &Section<'_, '_>, key: &str, example: &str, is_needed: bool) {
    if is_needed && !section.has(key) {
        section.missing(key, example);
    }
}

fn at_once(section: &mut Section<'_, '_>, key: &'static str, example: &str, needs: bool) -> Option<Amount> {
    needed(section, key, example, needs);
    section.number_written(key, 1..=10_000_000).map(|count| Amount::AtOnce(count.value as u64))
}

fn bytes(section: &mut Section<'_, '_>, rate: &'static str, burst: &'static str) -> Option<Rate> {
    let units = section.byte_rate(rate);
    let written = section.size64(burst);
    if units.is_none() && written.is_some() && !section.has(rate) {
        section.fault(&section.place_of(burst), format!("`{burst}` without `{rate}`"), format!("add {rate}"));
    }
    let units = units?;
    Some(Rate { units, per: Duration::from_secs(1), burst: written.unwrap_or(units) })
}

impl Section<'_, '_> {
    fn is_text(&self, key: &str) -> bool {
        self.kind_of(key) == Some("string")
    }

    /// A size such as `"10GiB"`, of 64 bits, at least one byte.
    fn size64(&mut self, key: &'static str) -> Option<u64> {
        let remedy = "write a size such as \"64KiB\", \"100MiB\" or \"10GiB\"";
        self.quantity(key, quantity::size64, ["1B", "8388608TiB"], remedy)
    }

    /// Bytes per second, such as `"10MiB/s"`.
    fn byte_rate(&mut self, key: &'static str) -> Option<u64> {
        let remedy = "write bytes per second such as \"64KiB/s\" or \"10MiB/s\"";
        self.quantity(key, quantity::byte_rate, ["1B/s", "8388608TiB/s"], remedy)
    }

    /// So many per second, with up to three decimals: units, and the time that they are for.
    fn rate(&mut self, key: &'static str) -> Option<(u64, Duration)> {
        let remedy = "write a number per second from 0.001 to 1000000000, with at most three decimals, such as 100 or 0.5";
        let (text, at) = self.digits(key, remedy)?;
        let rate = thousandths(&text).filter(|rate| (1..=1_000_000_000_000).contains(rate));
        let Some(thousandths) = rate else {
            self.fault(&at, format!("`{key}` = {text} is no such rate"), remedy);
            return None;
        };
        Some(match thousandths % 1000 {
            0 => (thousandths / 1000, Duration::from_secs(1)),
            _ => (thousandths, Duration::from_secs(1000)),
        })
    }
}

/// A decimal number in thousandths; `None` if it has finer parts, or is none.
fn thousandths(text: &str) -> Option<u64> {
    let text = text.replace('_', "");
    let (whole, parts) = text.split_once('.').unwrap_or((&text, ""));
    let parts = parts.trim_end_matches('0');
    if parts.len() > 3 || !parts.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    let parts: u64 = format!("{parts:0<3}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(parts)
}

#[cfg(test)]
mod tests {
    use super::thousandths;

    #[test]
    fn rates_are_exact_to_three_decimals() {
        for (text, expected) in [
            ("100", 100_000),
            ("0.5", 500),
            ("2.125", 2125),
            ("1_000.010", 1_000_010),
            ("0.10000", 100),
            ("0", 0),
        ] {
            assert_eq!(thousandths(text), Some(expected), "{text}");
        }
        for text in ["", "-1", "1e3", "0.0001", "inf", "nan", "1.2.3", "18446744073709551615"] {
            assert_eq!(thousandths(text), None, "{text}");
        }
    }
}
