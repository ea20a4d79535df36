//! Names that were probably meant by one that is not there. Clap does the same for commands, options and their values.

/// Most names that are offered.
const OFFERED: usize = 3;
/// Longer names are compared by their starts.
const MAX_CHARS: usize = 64;

/// `; did you mean "Grep"?`; nothing if no name is near.
pub(super) fn did_you_mean<'n>(asked: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    let near: Vec<String> = nearest(asked, names).iter().map(|name| format!("{name:?}")).collect();
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) }
}

/// The names that are nearest to what was asked: those that hold it or begin it first, then those a few letters away.
pub(super) fn nearest<'n>(asked: &str, names: impl IntoIterator<Item = &'n str>) -> Vec<&'n str> {
    let asked = folded(asked);
    if asked.is_empty() {
        return Vec::new();
    }
    // One letter in three may be wrong.
    let most = (asked.len() / 3).max(1);
    let mut near: Vec<(usize, &str)> = names
        .into_iter()
        .filter_map(|name| {
            let folded = folded(name);
            let is_part =
                asked.len() > 2 && holds(&folded, &asked) || folded.len() > 2 && holds(&asked, &folded);
            let distance = if is_part { 0 } else { distance(&asked, &folded) };
            (distance <= most).then_some((distance, name))
        })
        .collect();
    near.sort_by_key(|(distance, name)| (*distance, name.len(), *name));
    near.dedup();
    near.into_iter().take(OFFERED).map(|(_, name)| name).collect()
}

fn folded(name: &str) -> Vec<char> {
    name.chars().take(MAX_CHARS).flat_map(char::to_lowercase).collect()
}

fn holds(name: &[char], part: &[char]) -> bool {
    name.windows(part.len()).any(|window| window == part)
}

/// How many letters must be added, left out, changed or exchanged with their neighbour to make one of the other.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, a) in one.iter().enumerate() {
        let mut this = vec![row + 1];
        for (column, b) in other.iter().enumerate() {
            let mut least =
                (last[column] + usize::from(a != b)).min(last[column + 1] + 1).min(this[column] + 1);
            if row > 0 && column > 0 && *a == other[column - 1] && one[row - 1] == *b {
                least = least.min(before[column - 1] + 1);
            }
            this.push(least);
        }
        before = std::mem::replace(&mut last, this);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_offered_and_nothing_else() {
        let tools = ["Bash", "Read", "Grep", "mcp__tracker__get_issue", "Write"];
        assert_eq!(nearest("Grpe", tools), ["Grep"]);
        assert_eq!(nearest("bash", tools), ["Bash"]);
        assert_eq!(nearest("tracker", tools), ["mcp__tracker__get_issue"]);
        assert_eq!(nearest("Hammer", tools), Vec::<&str>::new());
        assert_eq!(nearest("", tools), Vec::<&str>::new());
        assert_eq!(did_you_mean("Raed", tools), "; did you mean \"Read\"?");
        assert_eq!(did_you_mean("zzzz", tools), "");
        let models = ["claude-opus-5-5", "claude-opus-4-6", "claude-sonnet-5-5", "claude-haiku-5-5"];
        assert_eq!(nearest("claude-opsu-5-5", models)[0], "claude-opus-5-5");
    }
}
