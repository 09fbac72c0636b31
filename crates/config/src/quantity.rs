//! Times and sizes as they are written: a whole number and a unit, with nothing between them.

use std::time::Duration;

/// `500ms`, `10s`, `5m`, `1h`, `1d`; nothing else.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return None,
    };
    number.checked_mul(unit_ms).map(Duration::from_millis)
}

/// `512B`, `64KiB`, `100MiB`, `1GiB`; nothing else. At most what fits into 32 bits.
pub(crate) fn size(text: &str) -> Option<u32> {
    let (number, unit) = split(text)?;
    let unit_bytes = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit_bytes).and_then(|bytes| u32::try_from(bytes).ok())
}

/// `512B` to `1TiB`, of 64 bits.
pub(crate) fn size64(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let unit_bytes = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(unit_bytes)
}

/// `64KiB/s`: bytes per second.
pub(crate) fn byte_rate(text: &str) -> Option<u64> {
    size64(text.strip_suffix("/s")?)
}

fn split(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_have_units() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("11m"), Some(Duration::from_mins(11)));
        assert_eq!(duration("1d"), Some(Duration::from_hours(24)));
        assert_eq!(size("100MiB"), Some(100 << 20));
        for text in
            ["", "10", "s", "-1s", "1.5s", "10 s", "10S", "99999999999999999999s", "18446744073709551615d"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
        for text in ["100", "100MB", "4GiB", "-1B"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
