//! Faults that nobody asked for by name: drawn from a seed, so that what works with this cloud has to stand them.
//!
//! What a request meets is a function of the seed and of the request's number. Whoever makes the same requests again,
//! one after the other, meets the same faults again.

use super::ids::mix;
use super::settings::Lost;

/// How often something goes wrong, and what it is drawn from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Faults {
    /// Another seed, other faults.
    pub seed: u64,
    /// Of a thousand requests, so many meet a fault.
    pub per_mille: u16,
}

/// What a request meets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// It is lost on the way: nothing is done, and no answer comes.
    RequestLost,
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// RequestLimitExceeded.
    Throttled,
    /// InternalError, and nothing is done.
    Internal,
    /// One of the operations that it begins is accepted, and fails later.
    FailsLater,
    /// What it makes is missing in the first list that would tell of it (API text 4.6).
    ListedLate,
}

impl Fault {
    /// What is lost by it.
    pub(crate) fn loses(self) -> Option<Lost> {
        match self {
            Self::RequestLost => Some(Lost::Request),
            Self::AnswerLost => Some(Lost::Answer),
            Self::Throttled | Self::Internal | Self::FailsLater | Self::ListedLate => None,
        }
    }
}

/// What reads meet: they begin nothing.
const READS: [Fault; 4] = [Fault::RequestLost, Fault::AnswerLost, Fault::Throttled, Fault::Internal];
/// What other requests meet.
const WRITES: [Fault; 6] =
    [Fault::RequestLost, Fault::AnswerLost, Fault::Throttled, Fault::Internal, Fault::FailsLater, Fault::ListedLate];

impl Faults {
    /// What the request of this number meets, if anything.
    pub(crate) fn of(self, action: &str, number: u64) -> Option<Fault> {
        let drawn = mix(self.seed ^ 0xfa17, number);
        if drawn % 1000 >= u64::from(self.per_mille) {
            return None;
        }
        let reads = action.starts_with("Describe") || action.starts_with("Inquiry");
        let kinds: &[Fault] = if reads { &READS } else { &WRITES };
        let count = u64::try_from(kinds.len()).unwrap_or(1);
        kinds.get(usize::try_from(drawn / 1000 % count).unwrap_or(0)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(faults: Faults, action: &str) -> Vec<Option<Fault>> {
        (1..=4_000).map(|number| faults.of(action, number)).collect()
    }

    #[test]
    fn as_many_as_asked_for_and_all_kinds() {
        for (action, kinds) in [("DescribeInstances", READS.as_slice()), ("RunInstances", WRITES.as_slice())] {
            let met = met(Faults { seed: 7, per_mille: 200 }, action);
            let count = met.iter().flatten().count();
            assert!((700..900).contains(&count), "{count} of 4000 at 20 %");
            for kind in kinds {
                assert!(met.contains(&Some(*kind)), "{action} never meets {kind:?}");
            }
            assert!(met.iter().flatten().all(|fault| kinds.contains(fault)));
        }
        assert!(met(Faults { seed: 7, per_mille: 0 }, "RunInstances").iter().all(Option::is_none));
        assert!(met(Faults { seed: 7, per_mille: 1000 }, "RunInstances").iter().all(Option::is_some));
    }

    #[test]
    fn a_seed_tells_all_of_them() {
        let of = |seed| met(Faults { seed, per_mille: 300 }, "CreateImage");
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
