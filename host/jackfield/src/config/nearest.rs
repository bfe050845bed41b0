//! What somebody may have meant.

/// The known name that takes the fewest changes, if that is few for its length.
pub(super) fn nearest(name: &str, known: &[String]) -> Option<String> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let far = |candidate: &String| distance(name, candidate).min(distance(&last(name), &last(candidate)) + 1);
    let best = known.iter().min_by_key(|candidate| far(candidate))?;
    (far(best) <= 1 + name.len() / 4).then(|| best.clone())
}

/// Letters to add, drop or change.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        for (column, wanted) in other.iter().enumerate() {
            let above = row.get(column + 1).copied().unwrap_or(usize::MAX);
            let here = (diagonal + usize::from(letter != *wanted)).min(above + 1).min(left + 1);
            if let Some(cell) = row.get_mut(column) {
                *cell = left;
            }
            (diagonal, left) = (above, here);
        }
        if let Some(cell) = row.last_mut() {
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_letters() {
        for (one, other, letters) in
            [("", "", 0), ("abc", "abc", 0), ("abc", "", 3), ("", "abc", 3), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(one, other), letters, "{one} {other}");
        }
    }

    #[test]
    fn a_slip_is_recognised_and_nonsense_is_not() {
        let known: Vec<String> = ["listen", "limits.calls", "limits.ring_seconds"].map(str::to_owned).into();
        assert_eq!(nearest("lisen", &known).as_deref(), Some("listen"));
        assert_eq!(nearest("limits.call", &known).as_deref(), Some("limits.calls"));
        assert_eq!(nearest("ring_seconds", &known).as_deref(), Some("limits.ring_seconds"));
        assert_eq!(nearest("something_else_entirely", &known), None);
    }
}
