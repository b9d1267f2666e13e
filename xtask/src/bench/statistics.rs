//! Numbers over several repeats.

/// The median; for an even number of values, the mean of the two in the middle.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len().is_multiple_of(2) {
        let lower = *sorted.get(sorted.len() / 2 - 1)?;
        return Some((lower + upper) / 2.0);
    }
    Some(upper)
}

/// Rounds to this many decimal places.
pub(super) fn round(value: f64, places: i32) -> f64 {
    let scale = 10_f64.powi(places);
    (value * scale).round() / scale
}

/// The median of a number over all repeats. `None` if a repeat has none.
pub(super) fn median_of_all(values: &[Option<f64>]) -> Option<f64> {
    median(&values.iter().copied().collect::<Option<Vec<f64>>>()?)
}

/// The sum of a number over all repeats. `None` if a repeat has none.
pub(super) fn sum_of_all(values: impl IntoIterator<Item = Option<u64>>) -> Option<u64> {
    values.into_iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_number_is_the_middle_one() {
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
    }

    #[test]
    fn median_of_even_number_is_between() {
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn median_of_nothing_is_nothing() {
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn one_unmeasured_repeat_makes_the_whole_unmeasured() {
        assert_eq!(median_of_all(&[Some(1.0), None]), None);
        assert_eq!(sum_of_all([Some(1), None]), None);
        assert_eq!(sum_of_all([Some(1), Some(2)]), Some(3));
    }

    #[test]
    fn rounding_keeps_the_places() {
        assert_eq!(round(1.23456, 2), 1.23);
        assert_eq!(round(1234.5, 0), 1235.0);
    }
}
