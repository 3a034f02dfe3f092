//! "Did you mean": the known word that is nearest to what was written.

/// Words longer than this are not compared: nobody misspells that much.
const MAX_LENGTH: usize = 64;

/// So many known words are compared: a thousand misspelt names among ten thousand must not take minutes.
const MAX_KNOWN: usize = 1000;

/// The known word nearest to `word`, if it is near enough to be what was meant.
pub(super) fn nearest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    if MAX_LENGTH < word.len() {
        return None;
    }
    let slips = |known: &str| (known.len() / 3).max(1).min(known.len().saturating_sub(1));
    let alike = known.into_iter().take(MAX_KNOWN).filter(|known| known.len().abs_diff(word.len()) <= slips(known));
    let near = alike.map(|known| (distance(word, known), known)).filter(|(distance, known)| *distance <= slips(known));
    let (mut least, mut nearest) = (usize::MAX, None);
    for (distance, known) in near {
        // Of two that are as near, neither is the likelier.
        nearest = if distance < least {
            Some(known)
        } else {
            nearest.filter(|nearest| least < distance || *nearest == known)
        };
        least = least.min(distance);
    }
    nearest
}

/// How many letters must be inserted, removed, replaced or swapped with their neighbour to turn `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = step(&rows, &a, &b, (i, j));
        }
    }
    rows[a.len()][b.len()]
}

/// The distance between the first `i` letters of `a` and the first `j` of `b`, from the shorter ones.
fn step(rows: &[Vec<usize>], a: &[char], b: &[char], (i, j): (usize, usize)) -> usize {
    if i == 0 || j == 0 {
        return i + j;
    }
    let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
    let best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
    let swapped = 1 < i && 1 < j && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
    if swapped { best.min(rows[i - 2][j - 2] + 1) } else { best }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_slips_are_near_and_other_words_are_not() {
        let known = ["interval", "timeout", "url", "weight"];
        for (word, wanted) in [
            ("intervall", Some("interval")),
            ("tiemout", Some("timeout")),
            ("timeuot", Some("timeout")),
            ("ulr", Some("url")),
            ("wieght", Some("weight")),
            ("password", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), wanted, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
