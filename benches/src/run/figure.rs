//! Figures, each with the bar that it must meet.

use std::fmt;

use serde::{Serialize, Serializer};

/// One figure of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// What was measured, and against what.
    pub what: String,
    /// `None` where this machine cannot measure it.
    pub value: Option<f64>,
    /// `x` for a ratio, or a unit.
    pub unit: &'static str,
    /// `None` for what is only reported.
    pub bar: Option<Bar>,
    /// Whether the value is on the right side of the bar.
    pub holds: Option<bool>,
}

/// What a figure is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bar {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Figure {
    /// A figure that must hold.
    pub fn held(what: impl Into<String>, value: Option<f64>, unit: &'static str, bar: Bar) -> Self {
        let holds = value.map(|value| bar.holds(value));
        Self { what: what.into(), value, unit, bar: Some(bar), holds }
    }

    /// A figure that is only reported.
    pub fn reported(what: impl Into<String>, value: Option<f64>, unit: &'static str) -> Self {
        Self { what: what.into(), value, unit, bar: None, holds: None }
    }

    fn verdict(&self) -> &'static str {
        match (self.bar, self.holds) {
            (None, _) => "",
            (_, Some(true)) => "OK",
            (_, None) => "not measured",
            (Some(Bar::AtLeast(_)), Some(false)) => "BELOW",
            (Some(Bar::AtMost(_)), Some(false)) => "ABOVE",
        }
    }
}

impl Bar {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bar) => value >= bar,
            Self::AtMost(bar) => value <= bar,
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bar) => write!(f, ">= {bar}"),
            Self::AtMost(bar) => write!(f, "<= {bar}"),
        }
    }
}

impl Serialize for Bar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match self.value {
            Some(value) => format!("{value:.2} {}", self.unit),
            None => "-".to_owned(),
        };
        let bar = self.bar.map(|bar| bar.to_string()).unwrap_or_default();
        write!(f, "{:<78}{value:>15}  {bar:<10}{}", self.what, self.verdict())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_at_the_bar_holds_and_one_beyond_does_not() {
        let verdict = |value, bar| Figure::held("a", Some(value), "x", bar).verdict();
        assert_eq!(verdict(0.85, Bar::AtLeast(0.85)), "OK");
        assert_eq!(verdict(0.84, Bar::AtLeast(0.85)), "BELOW");
        assert_eq!(verdict(2.0, Bar::AtMost(2.0)), "OK");
        assert_eq!(verdict(2.1, Bar::AtMost(2.0)), "ABOVE");
        assert_eq!(verdict(f64::NAN, Bar::AtMost(2.0)), "ABOVE");
    }

    #[test]
    fn figure_that_cannot_be_measured_neither_holds_nor_misses() {
        let figure = Figure::held("a", None, "x", Bar::AtLeast(1.0));
        assert_eq!((figure.holds, figure.verdict()), (None, "not measured"));
    }
}
