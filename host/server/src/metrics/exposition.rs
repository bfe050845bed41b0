//! Prometheus' text format.

use std::fmt::Write;

/// A page of metrics in the making.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    page: String,
    name: String,
}

impl Exposition {
    pub(super) fn counter(&mut self, name: &str, help: &str) {
        self.head(name, help, "counter");
    }

    pub(super) fn gauges(&mut self, name: &str, help: &str) {
        self.head(name, help, "gauge");
    }

    /// A counter without labels.
    pub(super) fn single(&mut self, name: &str, help: &str, value: u64) {
        self.counter(name, help);
        self.sample(&[], value);
    }

    /// A gauge without labels.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.gauges(name, help);
        self.sample(&[], value);
    }

    /// A counter with one label.
    pub(super) fn family(&mut self, name: &str, help: &str, label: &str, labels: &[&str], values: &[u64]) {
        self.counter(name, help);
        for (text, value) in labels.iter().zip(values) {
            self.sample(&[(label, text)], *value);
        }
    }

    /// Bounds and times in microseconds; counts as they were observed, each in the first bucket it fits.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        help: &str,
        buckets: impl Iterator<Item = (u64, u64)>,
        count: u64,
        micros: u64,
    ) {
        self.head(name, help, "histogram");
        let mut so_far = 0;
        for (bound, here) in buckets {
            so_far += here;
            self.line("_bucket", &[("le", seconds(bound))], &so_far.to_string());
        }
        self.line("_bucket", &[("le", "+Inf".to_owned())], &count.to_string());
        self.line("_sum", &[], &seconds(micros));
        self.line("_count", &[], &count.to_string());
    }

    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: u64) {
        let labels: Vec<_> = labels.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        self.sample_of(&labels, value);
    }

    pub(super) fn sample_of(&mut self, labels: &[(&str, String)], value: u64) {
        self.line("", labels, &value.to_string());
    }

    pub(super) fn finish(self) -> String {
        self.page
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        name.clone_into(&mut self.name);
        // Writing to a string does not fail.
        let _ = write!(self.page, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, String)], value: &str) {
        let labels: Vec<String> = labels.iter().map(|(name, text)| format!("{name}=\"{}\"", escaped(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.page, "{}{suffix}{labels} {value}", self.name);
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_prometheus_reads() {
        let mut page = Exposition::default();
        page.family("calls_total", "Calls.", "status", &["busy", "a\"b\\c\nd"], &[3, 0]);
        page.histogram("wait_seconds", "Waits.", [(500, 2), (1_500_000, 1)].into_iter(), 4, 2_000_123);
        page.gauge("up", "Up.", 1);
        let expected = "# HELP calls_total Calls.\n# TYPE calls_total counter\n\
                        calls_total{status=\"busy\"} 3\ncalls_total{status=\"a\\\"b\\\\c\\nd\"} 0\n\
                        # HELP wait_seconds Waits.\n# TYPE wait_seconds histogram\n\
                        wait_seconds_bucket{le=\"0.000500\"} 2\nwait_seconds_bucket{le=\"1.500000\"} 3\n\
                        wait_seconds_bucket{le=\"+Inf\"} 4\nwait_seconds_sum 2.000123\nwait_seconds_count 4\n\
                        # HELP up Up.\n# TYPE up gauge\nup 1\n";
        assert_eq!(page.finish(), expected);
    }
}
