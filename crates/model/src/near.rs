//! The names that somebody may have meant: one rule for every "did you mean".

/// At most three of `known` that are close to `name`, nearest first.
///
/// Letter case aside, a name is close when few letters were mistyped, swapped,
/// lost or added for its length, or when one is a part of the other (`cloud` for
/// `cloud_confidence`).
///
/// ```
/// use datacube_model::near_names;
/// assert_eq!(near_names("tim", ["creation_time", "time", "lat"]), ["time", "creation_time"]);
/// assert!(near_names("swir", ["red", "cloud"]).is_empty());
/// ```
pub fn near_names<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = name.to_lowercase();
    let mut scored: Vec<(f64, &str)> = known
        .into_iter()
        .map(|candidate| {
            let other = candidate.to_lowercase();
            let score = strsim::normalized_damerau_levenshtein(&wanted, &other);
            let is_part = wanted.len() >= 3
                && other.len() >= 3
                && (other.contains(&wanted) || wanted.contains(&other));
            let score = if is_part { score.max(0.65) } else { score };
            (score, candidate)
        })
        .filter(|(score, _)| *score >= 0.55)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

/// As [`near_names`], to be kept in an error.
pub(crate) fn owned_near_names<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    let near = near_names(name, known);
    near.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::near_names;

    #[test]
    fn mistyped_names_and_parts_of_names_are_near() {
        let known = ["red", "green", "cloud", "cloud_confidence"];
        assert_eq!(near_names("redd", known), ["red"]);
        assert_eq!(near_names("Clod", known), ["cloud"]);
        assert_eq!(near_names("cloud", known), ["cloud", "cloud_confidence"]);
        assert!(near_names("swir", known).is_empty());
    }
}
