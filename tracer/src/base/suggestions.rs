//! Finds names that are similar to a misspelt word, for "did you mean".

/// The most suggested names.
pub(crate) const MAX_SUGGESTIONS: usize = 3;

/// Number of compared characters of a name. The rest is ignored.
const MAX_COMPARED: usize = 128;

/// Returns the names that are most similar to a word, nearest first.
///
/// Case is ignored. The distance counts insertions, deletions, replacements and swaps. Names with more
/// than about one mistake in three letters are left out.
#[must_use]
pub fn near_names<'n>(typed: &str, names: impl IntoIterator<Item = &'n str>) -> Vec<String> {
    nearest_names(typed, names, MAX_SUGGESTIONS)
}

/// Like [`near_names`], with at most `most` names.
pub(crate) fn nearest_names<'n>(
    typed: &str,
    names: impl IntoIterator<Item = &'n str>,
    most: usize,
) -> Vec<String> {
    let wanted: Vec<char> = typed.to_lowercase().chars().take(MAX_COMPARED).collect();
    let limit = (wanted.len() / 3).max(1);
    let mut near: Vec<(usize, &str)> = Vec::new();
    for name in names {
        let letters: Vec<char> = name.to_lowercase().chars().take(MAX_COMPARED).collect();
        if letters.len().abs_diff(wanted.len()) > limit {
            continue;
        }
        let distance = edit_distance(&wanted, &letters);
        if distance <= limit && !near.iter().any(|(_, other)| *other == name) {
            near.push((distance, name));
            near.sort_unstable();
            near.truncate(most);
        }
    }
    near.into_iter().map(|(_, name)| name.to_owned()).collect()
}

/// Counts the insertions, deletions, replacements and swaps of neighbours between two words.
fn edit_distance(left: &[char], right: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.iter().enumerate() {
        let mut current = Vec::with_capacity(above.len());
        current.push(row + 1);
        for (column, b) in right.iter().enumerate() {
            let at =
                |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut best = (at(&above, column) + usize::from(a != b))
                .min(at(&above, column + 1) + 1)
                .min(at(&current, column) + 1);
            if row > 0
                && column > 0
                && left.get(row - 1) == Some(b)
                && right.get(column - 1) == Some(a)
            {
                best = best.min(at(&before, column - 1) + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_one_mistake_nearest_first() {
        let names = ["current", "currant", "last", "cur"];
        assert_eq!(near_names("curent", names), ["current", "currant"]);
        // A swap counts as one mistake. Two mistakes in seven letters are still near.
        assert_eq!(near_names("crurent", names), ["current", "currant"]);
        assert!(near_names("position", names).is_empty());
    }
}
