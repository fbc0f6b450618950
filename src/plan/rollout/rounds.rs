//! The rounds of a rollout: what is out of service together. As few as `max_unavailable` allows, and so put together that
//! they take the fewest calls: what one call serves is not torn apart without need.

/// What of a rollout one call serves, as long as it is of one round: a run of consecutive names that is launched, or what
/// is switched off and on again.
pub(super) type Run<T> = Vec<T>;

/// Puts runs into rounds of at most `at_once`. `others` need calls of their own each, and go where there is room.
pub(super) fn rounds<T>(runs: Vec<Run<T>>, others: Vec<T>, at_once: usize) -> Vec<Vec<T>> {
    let at_once = at_once.max(1);
    let all: usize = runs.iter().map(Vec::len).sum::<usize>() + others.len();
    let fewest = all.div_ceil(at_once);
    let mut rounds: Vec<Vec<T>> = Vec::new();
    let mut rests: Vec<Run<T>> = Vec::new();
    for mut run in runs {
        while run.len() >= at_once {
            let rest = run.split_off(at_once);
            rounds.push(std::mem::replace(&mut run, rest));
        }
        if !run.is_empty() {
            rests.push(run);
        }
    }
    // The longest first, each whole into the first round that has room for it; a stable order keeps zones apart.
    rests.sort_by_key(|rest| std::cmp::Reverse(rest.len()));
    let whole = rounds.len();
    let mut torn: Vec<T> = Vec::new();
    for rest in rests {
        let has_room = |round: &Vec<T>| round.len() + rest.len() <= at_once;
        let opened = rounds.len();
        match rounds.iter_mut().skip(whole).find(|round| has_room(round)) {
            Some(round) => round.extend(rest),
            None if opened < fewest => rounds.push(rest),
            None => torn.extend(rest),
        }
    }
    let mut left = torn.into_iter().chain(others);
    for round in rounds.iter_mut().skip(whole) {
        let room = at_once - round.len();
        round.extend(left.by_ref().take(room));
    }
    loop {
        let round: Vec<T> = left.by_ref().take(at_once).collect();
        if round.is_empty() {
            return rounds;
        }
        rounds.push(round);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(lengths: &[usize]) -> Vec<Run<(usize, usize)>> {
        lengths.iter().enumerate().map(|(run, length)| (0..*length).map(|n| (run, n)).collect()).collect()
    }

    fn pieces(rounds: &[Vec<(usize, usize)>]) -> usize {
        let runs = |round: &Vec<(usize, usize)>| {
            let mut runs: Vec<usize> = round.iter().map(|(run, _)| *run).collect();
            runs.sort_unstable();
            runs.dedup();
            runs.len()
        };
        rounds.iter().map(runs).sum()
    }

    #[test]
    fn runs_stay_whole_where_that_takes_no_round_more() {
        let rolled = |lengths: &[usize], at_once| {
            let rounds = rounds(of(lengths), Vec::new(), at_once);
            (rounds.len(), pieces(&rounds))
        };
        assert_eq!(rolled(&[3, 2], 2), (3, 3));
        assert_eq!(rolled(&[2, 2, 2], 3), (2, 4));
        assert_eq!(rolled(&[25, 25], 10), (5, 6));
        assert_eq!(rolled(&[1, 1, 1, 1], 1), (4, 4));
        assert_eq!(rolled(&[], 3), (0, 0));
    }

    proptest! {
        #[test]
        fn everything_is_in_one_round_and_there_are_as_few_as_can_be(
            lengths in proptest::collection::vec(0_usize..9, 0..6),
            others in 0_usize..5,
            at_once in 1_usize..6,
        ) {
            let others: Vec<(usize, usize)> = (0..others).map(|n| (99, n)).collect();
            let all: usize = lengths.iter().sum::<usize>() + others.len();
            let mut wanted: Vec<(usize, usize)> = of(&lengths).into_iter().flatten().chain(others.clone()).collect();
            let rolled = rounds(of(&lengths), others, at_once);
            prop_assert_eq!(rolled.len(), all.div_ceil(at_once));
            prop_assert!(rolled.iter().all(|round| !round.is_empty() && round.len() <= at_once));
            let mut found: Vec<(usize, usize)> = rolled.into_iter().flatten().collect();
            found.sort_unstable();
            wanted.sort_unstable();
            prop_assert_eq!(found, wanted);
        }
    }
}
