//! Look-ups that were made once and hold until somebody moves them: what `fleetwright.lock` keeps.

use std::collections::BTreeMap;

use super::Millis;
use super::ids::{ImageId, Region, Uin};

/// Which look-up, where, and as whom; so that environments do not overwrite each other.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PinKey {
    /// As [`Provider::endpoint`](super::desired::Provider::endpoint) tells.
    pub endpoint: String,
    /// Who looks.
    pub account: Uin,
    /// Where.
    pub region: Region,
    /// The exact name of a public image.
    pub name: String,
}

/// What a look-up found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pin {
    /// The image.
    pub id: ImageId,
    /// When it was made.
    pub created_ms: Millis,
}

/// All pins.
pub type Pins = BTreeMap<PinKey, Pin>;
