//! Figures as people read them.

use super::latency::{Figure, Interval};

/// Milliseconds with three significant digits; seconds from ten on.
pub fn millis(ms: f64) -> String {
    match ms.abs() {
        v if v >= 10_000.0 => format!("{:.1} s", ms / 1_000.0),
        v if v >= 100.0 => format!("{ms:.0} ms"),
        v if v >= 10.0 => format!("{ms:.1} ms"),
        v if v >= 1.0 => format!("{ms:.2} ms"),
        0.0 => "0 ms".to_owned(),
        _ => format!("{ms:.3} ms"),
    }
}

/// Milliseconds with their sign.
pub fn shift(ms: f64) -> String {
    if ms > 0.0 { format!("+{}", millis(ms)) } else { millis(ms) }
}

/// A share in percent, with as many digits as keep it from looking like nothing or everything when it is not.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let to_round = percent.abs().min((100.0 - percent).abs());
    match to_round {
        r if r < 1e-9 => format!("{percent:.0} %"),
        r if r >= 1.0 => format!("{percent:.1} %"),
        r if r >= 0.1 => format!("{percent:.2} %"),
        r if r >= 0.01 => format!("{percent:.3} %"),
        _ => format!("{percent:.4} %"),
    }
}

/// A limit in percent, as short as it was given.
pub fn limit_percent(share: f64) -> String {
    let rounded = (share * 1e8).round() / 1e6;
    format!("{rounded} %")
}

/// A limit in milliseconds, as short as it was given.
pub fn limit_millis(ms: f64) -> String {
    format!("{ms} ms")
}

/// A score or a difference of scores.
pub fn score(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v >= 0.01 => format!("{value:.3}"),
        v if v >= 0.000_1 => format!("{value:.5}"),
        _ => format!("{value:.1e}"),
    }
}

/// A count with its thousands apart.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of requests, rounded up to two digits: it is an estimate.
pub fn about(n: f64) -> u64 {
    let n = n.max(1.0).ceil();
    let unit = 10f64.powf(n.log10().floor() - 1.0).max(1.0);
    ((n / unit).ceil() * unit) as u64
}

/// `1 request`, `2 requests`.
pub fn requests(n: u64) -> String {
    format!("{} request{}", count(n), if n == 1 { "" } else { "s" })
}

/// A confidence level: `95 %`, `97.5 %`.
pub fn confidence(level: f64) -> String {
    limit_percent((level * 1e4).round() / 1e4)
}

/// An interval whose ends are written by `write`.
pub fn interval(interval: Interval, write: impl Fn(f64) -> String) -> String {
    match (interval.low, interval.high) {
        (Some(low), Some(high)) => format!("{} to {}", write(low), write(high)),
        (Some(low), None) => format!("{} or more", write(low)),
        (None, Some(high)) => format!("{} or less", write(high)),
        (None, None) => "unknown".to_owned(),
    }
}

/// A quantile in a table.
pub fn figure(figure: Figure) -> String {
    match figure {
        Figure::Ms(ms) => millis(ms),
        Figure::Failed => "failed".to_owned(),
        Figure::TooFew(floor) => format!("needs {}", count(floor)),
    }
}

/// `p95`, `p99.9`.
pub fn quantile(q: f64) -> String {
    format!("p{}", (q * 1e6).round() / 1e4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_as_people_write_them() {
        let written = [412.4, 41.26, 4.126, 0.4126, 0.0, 12_345.0].map(millis);
        assert_eq!(written, ["412 ms", "41.3 ms", "4.13 ms", "0.413 ms", "0 ms", "12.3 s"]);
        assert_eq!([shift(3.0), shift(-3.0)], ["+3.00 ms", "-3.00 ms"]);
        let shares = [0.0, 1.0, 0.052, 0.0037, 0.9996, 0.999_996, 0.000_004].map(percent);
        assert_eq!(shares, ["0 %", "100 %", "5.2 %", "0.37 %", "99.960 %", "99.9996 %", "0.0004 %"]);
        assert_eq!(
            [limit_percent(0.01), limit_percent(0.07), limit_percent(0.999)],
            ["1 %", "7 %", "99.9 %"]
        );
        assert_eq!(
            [count(0), count(999), count(1_000), count(1_234_567)],
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!([about(0.2), about(7.0), about(268.3), about(12_345.0)], [1, 7, 270, 13_000]);
        assert_eq!([confidence(0.95), confidence(1.0 - 0.05 / 3.0)], ["95 %", "98.33 %"]);
        assert_eq!([quantile(0.5), quantile(0.95), quantile(0.999)], ["p50", "p95", "p99.9"]);
        assert_eq!(interval(Interval { low: Some(1.0), high: None }, millis), "1.00 ms or more");
    }
}
