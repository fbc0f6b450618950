//! What older versions are worth keeping for: `keep` lets stay those that are worth the most, and of these the newest.

use crate::model::ids::Version;
use crate::model::recorded::Recorded;
use crate::model::rollout::Phase;
use crate::model::spec::ImageUse;
use crate::plan::revoked::Revoked;

/// What an older version is worth keeping for; the least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::plan) enum Worth {
    /// Nobody may launch from it any more.
    Revoked,
    /// A rollout of it failed, was taken back or given up.
    Failed,
    /// Nothing is known of it.
    Older,
    /// It ran where the current version runs, or is to.
    RanBefore,
}

impl Worth {
    /// What is known of a version, where another one of its image is current.
    pub(in crate::plan) fn of(recorded: &Recorded, revoked: &Revoked<'_>, current: &Version, one: &ImageUse) -> Self {
        if revoked.path(one).is_some() {
            return Self::Revoked;
        }
        let ImageUse::Made { image, .. } = one else { return Self::Older };
        let mut worth = Self::Older;
        for row in recorded.rollouts.values() {
            let to_current =
                matches!(&row.to, ImageUse::Made { image: of, version, .. } if of == image && version == current);
            let before = row.before().map(|before| &before.image);
            match row.phase {
                _ if to_current && before == Some(one) => return Self::RanBefore,
                Phase::Stopped | Phase::Aborted | Phase::TakenBack if row.to == *one => worth = Self::Failed,
                Phase::Running | Phase::Paused | Phase::Done | Phase::Stopped | Phase::Aborted | Phase::TakenBack => {}
            }
        }
        worth
    }
}
