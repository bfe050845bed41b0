//! Figures beside their limits.

use crate::demo::tell;

/// Rows in the order they were measured.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    what: String,
    figure: String,
    limit: String,
    within: Option<bool>,
}

/// Which side of a limit is the good one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Limit {
    AtMost(f64),
    AtLeast(f64),
}

/// A count as a figure.
pub(super) fn count(value: impl TryInto<u32>) -> f64 {
    f64::from(value.try_into().unwrap_or(u32::MAX))
}

impl Table {
    /// A figure that is held against a limit.
    pub(super) fn held(&mut self, what: &str, figure: f64, unit: &str, limit: Limit) {
        let (within, sign, bound) = match limit {
            Limit::AtMost(bound) => (figure <= bound, "<=", bound),
            Limit::AtLeast(bound) => (figure >= bound, ">=", bound),
        };
        let (figure, limit) = (format!("{figure:.2} {unit}"), format!("{sign} {bound} {unit}"));
        self.row(what, figure, limit, Some(within));
    }

    /// A figure for comparison.
    pub(super) fn told(&mut self, what: &str, figure: f64, unit: &str) {
        self.row(what, format!("{figure:.2} {unit}"), String::new(), None);
    }

    fn row(&mut self, what: &str, figure: String, limit: String, within: Option<bool>) {
        tell(&format!("  {what}: {figure}"));
        self.rows.push(Row { what: what.to_owned(), figure, limit, within });
    }

    /// Prints all rows.
    pub(super) fn print(&self) {
        tell(&format!("\n{:<58} {:>18} {:>18}", "what", "figure", "limit"));
        for Row { what, figure, limit, within } in &self.rows {
            let mark = within.map_or("", |within| if within { "  ok" } else { "  MISSED" });
            tell(&format!("{what:<58} {figure:>18} {limit:>18}{mark}"));
        }
    }
}
