//! Time as the domain knows it: milliseconds since 1970 from an injected clock. The only file that reads the system clock.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// ISO-8601 with milliseconds and `Z`, as JavaScript's `toISOString`. Moments outside the calendar's range show as 1970.
    pub fn iso(self) -> String {
        format!("{:.3}", self.calendar())
    }

    /// Reads ISO-8601, a date alone too; without a zone it is in UTC. `None` for all else.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(moment) = text.parse::<jiff::Timestamp>() {
            return Some(Self(moment.as_millisecond()));
        }
        let moment: jiff::civil::DateTime = text.parse().ok()?;
        Some(Self(moment.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond()))
    }

    /// Date and time in the server's zone as JavaScript's en-US `toLocaleString`: `11/20/2026, 8:23:02 AM`.
    pub fn local_en_us(self) -> String {
        self.calendar().to_zoned(TimeZone::system()).strftime("%-m/%-d/%Y, %-I:%M:%S %p").to_string()
    }

    /// Milliseconds from `earlier` to this moment; never negative.
    pub fn since(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0).max(0)
    }

    /// This moment moved by `ms` milliseconds.
    pub fn plus_ms(self, ms: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(ms))
    }

    fn calendar(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }
}

/// Where the present comes from; tests advance their own.
pub trait Clock: Send + Sync + 'static {
    /// The present.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    fn now(&self) -> Timestamp {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_as_javascript_prints_them() {
        assert_eq!(Timestamp(0).iso(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp(1_795_163_582_007).iso(), "2026-11-20T08:33:02.007Z");
    }

    #[test]
    fn times_are_read_with_their_zone_and_dates_without() {
        let read = |text| Timestamp::parse(text).map(Timestamp::iso);
        assert_eq!(read("2026-11-20T08:33:02.007Z").as_deref(), Some("2026-11-20T08:33:02.007Z"));
        assert_eq!(read("2026-11-20T08:33:02+02:00").as_deref(), Some("2026-11-20T06:33:02.000Z"));
        assert_eq!(read("2026-11-20").as_deref(), Some("2026-11-20T00:00:00.000Z"));
        assert_eq!(read("2026-11-20T08:33").as_deref(), Some("2026-11-20T08:33:00.000Z"));
        assert_eq!((read(""), read("yesterday"), read("2026-13-01"), read("5")), (None, None, None, None));
    }

    #[test]
    fn spans_are_never_negative() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), 0);
        assert_eq!(Timestamp(9).since(Timestamp(5)), 4);
    }
}
