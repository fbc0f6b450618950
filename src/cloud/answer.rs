//! What comes back from a call: answers, and faults.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::Millis;
use crate::model::ids::{CloudId, ImageId, InstanceId, InstanceType, Region, RequestId, Uin, Zone};
use crate::model::limits::Quota;
use crate::model::observed::{Image, ImportOs, Instance, InstanceState, TypeSeen};
use crate::model::price::Price;

/// What the cloud answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// The answer itself.
    pub reply: Reply,
    /// What the cloud calls the request.
    pub request_id: RequestId,
    /// Cloud time of the answer.
    pub cloud_ms: Millis,
}

/// The answer itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// The ids of what is being made, in no order.
    Ids(Vec<CloudId>),
    /// The ids of copies that are being made.
    Copies(Vec<(Region, ImageId)>),
    /// Tagged or untagged, but for these.
    Tagged {
        /// What was refused.
        failed: Vec<TagFailure>,
    },
    /// Accepted.
    Done,
    /// A page of instances.
    Instances(Page<Instance>),
    /// A page of images.
    Images(Page<Image>),
    /// Accounts that an image is shared with.
    Shares(BTreeSet<Uin>),
    /// How many custom images the account may hold.
    ImageQuota(u32),
    /// How much of each quota is used.
    AccountQuota {
        /// Custom images.
        images: Option<Quota>,
        /// Pay-as-you-go instances by zone.
        instances: BTreeMap<Zone, Quota>,
        /// Prepaid instances by zone: made this month and allowed in a month.
        prepaid: BTreeMap<Zone, Quota>,
        /// Cores of spot instances by zone.
        spot: BTreeMap<Zone, Quota>,
    },
    /// Regions.
    Regions(BTreeSet<Region>),
    /// Zones, and whether they are available.
    Zones(BTreeMap<Zone, bool>),
    /// Types by zone.
    Types(BTreeMap<(Zone, InstanceType), TypeSeen>),
    /// States of instances.
    States(BTreeMap<InstanceId, InstanceState>),
    /// Systems that can be imported.
    ImportOs(ImportOs),
    /// Whether types are sold, by zone, type and billing mode, and how the cloud calls what is left of them.
    Stock(BTreeMap<(Zone, InstanceType, String), Sold>),
    /// What a launch would cost.
    Price(Price),
    /// User data of instances, decoded.
    UserData(BTreeMap<InstanceId, Vec<u8>>),
}

/// Whether a type is sold (InstanceTypeQuotaItem).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sold {
    /// Whether it is sold at this moment (Status SELL).
    pub sells: bool,
    /// How much is left, in the cloud's words (StatusCategory), such as `EnoughStock`; maybe empty.
    pub category: String,
}

/// A thing that could not be tagged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TagFailure {
    /// The thing's id.
    pub id: String,
    /// The cloud's code.
    pub code: String,
    /// The cloud's text.
    pub message: String,
}

/// One page of a listing, whose order nobody documents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T> {
    /// How many there are on all pages.
    pub total: u32,
    /// Those of this page.
    pub items: Vec<T>,
}

/// Why a call did not succeed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// What kind of trouble it is, and so what helps.
    pub class: Class,
    /// The cloud's code, where the cloud answered.
    pub code: Option<String>,
    /// The cloud's text, for people.
    pub message: String,
    /// What the cloud calls the request, where it answered.
    pub request_id: Option<RequestId>,
    /// Whether the call can have taken effect.
    pub executed: Executed,
    /// Cloud time of the answer, where there was one.
    pub cloud_ms: Option<Millis>,
}

/// Kinds of trouble.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Too many requests; later.
    Throttled,
    /// Something else is under way; passes by itself.
    Busy,
    /// The server's own trouble.
    Transient,
    /// There is no such thing.
    NotFound,
    /// It is there already, or a name is taken.
    Conflict,
    /// The key, the token or the signature.
    Auth,
    /// The signature's time.
    Clock,
    /// Not allowed.
    Denied,
    /// A quota or a cap.
    Quota,
    /// Sold out.
    Stock,
    /// The request itself, or the state of a thing.
    Invalid,
    /// The way to the server.
    Transport,
    /// Whoever answers on the way does not show a certificate that can be trusted.
    Untrusted,
    /// The proxy on the way refuses.
    Proxy,
}

impl Class {
    /// What to do about it, where there is more to say than to put it right.
    #[must_use]
    pub fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Throttled | Self::Busy | Self::Transient | Self::Transport => {
                Some("this passes by itself: run the same command again in a while")
            }
            Self::Auth => Some("check the keys that it is signed with: `fleetwright doctor`"),
            Self::Clock => Some("set the clock of this machine right: a signature holds for five minutes"),
            Self::Denied => Some("let whoever owns the account allow it: docs/cam-policy.md has the policy"),
            Self::Quota => {
                Some("ask the cloud's support for a higher quota, or let something go that counts against it")
            }
            Self::Stock => Some("choose another zone or another type, or wait until there is more"),
            Self::Untrusted => Some(
                "see who answers there; the system's root certificates say whom to trust, or the file that SSL_CERT_FILE \
                 names: where a server or a proxy has a root certificate of its own, put it there",
            ),
            Self::Proxy => Some(
                "put right what HTTPS_PROXY, HTTP_PROXY or ALL_PROXY says, its login among it, or name the host in NO_PROXY",
            ),
            Self::NotFound | Self::Conflict | Self::Invalid => None,
        }
    }
}

/// Whether a call that did not succeed can have taken effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Executed {
    /// It was refused.
    No,
    /// It is in doubt.
    Unknown,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{code}: {}", self.message)?,
            None => f.write_str(&self.message)?,
        }
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}
