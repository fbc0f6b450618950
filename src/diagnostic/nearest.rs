//! What was probably meant.

/// What was probably meant by a word: the nearest of the candidates, if it is near at all.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const FARTHEST: usize = 3;
    let length = word.chars().count();
    if length > 64 {
        return None;
    }
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
            let allowed = (length.max(candidate.chars().count()) / 3).clamp(1, FARTHEST);
            (distance <= allowed).then_some((distance, candidate))
        })
        .min()
        .map(|(_, candidate)| candidate)
}
