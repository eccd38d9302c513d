//! Drawings as inline SVG: marks on a canvas, scales with round ticks.
//!
//! A drawing says nothing about colour: marks carry classes, the page's style sheet gives them colours for light and
//! dark. The template escapes all text.

use askama::Template;

/// A figure of the report.
#[derive(Clone, Debug, PartialEq, Template)]
#[template(path = "drawing.svg", escape = "html")]
pub struct Drawing {
    /// Unique on the page.
    pub id: &'static str,
    /// What it shows, for those who cannot see it; also its heading.
    pub title: String,
    /// What is to be seen in it.
    pub description: String,
    /// Canvas, user units.
    pub width: f64,
    /// Canvas, user units.
    pub height: f64,
    /// From back to front.
    pub marks: Vec<Mark>,
    /// Names of the classes, in the order of the plot.
    pub legend: Vec<Key>,
}

/// An entry of the legend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Class of the marks.
    pub class: String,
    /// What they are.
    pub name: String,
}

/// Something drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// A straight line.
    Line {
        /// From here.
        from: (f64, f64),
        /// To here.
        to: (f64, f64),
        /// Its look.
        class: String,
    },
    /// Points joined by lines.
    Path {
        /// As in the `points` attribute.
        points: String,
        /// Its look.
        class: String,
    },
    /// A box.
    Rect {
        /// Left upper corner.
        at: (f64, f64),
        /// Width and height.
        size: (f64, f64),
        /// Its look.
        class: String,
    },
    /// A dot.
    Dot {
        /// Centre.
        at: (f64, f64),
        /// Radius.
        radius: f64,
        /// Its look.
        class: String,
    },
    /// Words.
    Text {
        /// Where the baseline of the text begins, ends or has its middle, by `anchor`.
        at: (f64, f64),
        /// `start`, `middle` or `end`.
        anchor: &'static str,
        /// Its look.
        class: String,
        /// What it says.
        text: String,
    },
}

/// Values to places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    start: f64,
    end: f64,
    logarithmic: bool,
}

// === impl Mark ===

impl Mark {
    /// A straight line.
    pub fn line(from: (f64, f64), to: (f64, f64), class: &str) -> Mark {
        Mark::Line { from: round(from), to: round(to), class: class.to_owned() }
    }

    /// Points joined by lines.
    pub fn path(points: impl IntoIterator<Item = (f64, f64)>, class: &str) -> Mark {
        let points: Vec<String> = points.into_iter().map(round).map(|(x, y)| format!("{x},{y}")).collect();
        Mark::Path { points: points.join(" "), class: class.to_owned() }
    }

    /// A box.
    pub fn rect(at: (f64, f64), size: (f64, f64), class: &str) -> Mark {
        Mark::Rect { at: round(at), size: round(size), class: class.to_owned() }
    }

    /// A dot.
    pub fn dot(at: (f64, f64), radius: f64, class: &str) -> Mark {
        Mark::Dot { at: round(at), radius, class: class.to_owned() }
    }

    /// Words.
    pub fn text(at: (f64, f64), anchor: &'static str, class: &str, text: impl Into<String>) -> Mark {
        Mark::Text { at: round(at), anchor, class: class.to_owned(), text: text.into() }
    }
}

// === impl Scale ===

impl Scale {
    /// Even steps from `low` to `high`, over `start` to `end`.
    pub fn linear((low, high): (f64, f64), (start, end): (f64, f64)) -> Scale {
        let high = if high > low { high } else { low + 1.0 };
        Scale { low, high, start, end, logarithmic: false }
    }

    /// Even factors; `low` must be positive.
    pub fn logarithmic((low, high): (f64, f64), (start, end): (f64, f64)) -> Scale {
        let high = if high > low { high } else { low * 10.0 };
        Scale { low: low.log10(), high: high.log10(), start, end, logarithmic: true }
    }

    /// Where a value is; values beyond the ends are at the ends.
    pub fn at(&self, value: f64) -> f64 {
        let value = if self.logarithmic { value.max(f64::MIN_POSITIVE).log10() } else { value };
        let part = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.start + part * (self.end - self.start)
    }

    /// Round values inside the scale, about five of them.
    pub fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            let decades = self.low.floor() as i32..=self.high.ceil() as i32;
            let parts: &[f64] = if self.high - self.low > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
            let values = decades.flat_map(|d| parts.iter().map(move |p| p * 10f64.powi(d)));
            let inside = |v: &f64| (self.low - 1e-9..=self.high + 1e-9).contains(&v.log10());
            return values.filter(inside).collect();
        }
        let step = round_step((self.high - self.low) / 5.0);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|tick| tick as f64 * step).collect()
    }
}

/// The next of 1, 2, 5, 10, 20, ... from `step` up.
fn round_step(step: f64) -> f64 {
    let unit = 10f64.powf(step.log10().floor());
    let of_unit = step / unit;
    unit * [1.0, 2.0, 5.0].into_iter().find(|s| of_unit <= s * 1.000_001).unwrap_or(10.0)
}

/// A tenth of a user unit is finer than a pixel.
fn round((x, y): (f64, f64)) -> (f64, f64) {
    ((x * 10.0).round() / 10.0, (y * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let linear = Scale::linear((0.0, 437.0), (300.0, 0.0));
        assert_eq!(linear.ticks(), [0.0, 100.0, 200.0, 300.0, 400.0]);
        assert_eq!((linear.at(0.0), linear.at(437.0), linear.at(900.0)), (300.0, 0.0, 0.0));
        assert_eq!(Scale::linear((0.0, 0.012), (0.0, 1.0)).ticks().len(), 3);
        let log = Scale::logarithmic((1.0, 100.0), (0.0, 100.0));
        assert_eq!(log.ticks(), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
        assert_eq!(log.at(10.0), 50.0);
        let flat = Scale::linear((0.0, 0.0), (0.0, 10.0));
        assert!(flat.ticks().len() > 1 && flat.at(0.0) == 0.0);
    }

    #[test]
    fn text_in_a_drawing_is_escaped() {
        let drawing = Drawing {
            id: "x",
            title: "<b>".into(),
            description: "a & b".into(),
            width: 1.0,
            height: 1.0,
            marks: vec![Mark::text((0.0, 0.0), "start", "t", "</svg><script>")],
            legend: Vec::new(),
        };
        let svg = drawing.render().unwrap();
        assert!(!svg.contains("<script>") && !svg.contains("<b>"), "{svg}");
    }
}
