//! What may be chosen about the embedded cloud, and what tests may inject.
//!
//! Where the API text calls a rule unconfirmed (its section 9), the likelier reading is the default, and the other
//! one a setting.

use std::collections::BTreeSet;

use crate::cloud::SIGNATURE_WINDOW_MS;
use crate::cloud::embedded::accounts::Credentials;
use crate::cloud::embedded::faults::Faults;
use crate::model::Millis;
use crate::model::desired::Latency;
use crate::model::limits::{Limits, Pace};

/// How this cloud behaves.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// How long operations take.
    pub pace: Pace,
    /// By how many percent an operation may take longer or shorter, chosen by the seed.
    pub jitter_percent: u8,
    /// Quotas and caps that are enforced.
    pub limits: Limits,
    /// Where ids and the order of answers come from; a file keeps the seed that it was made with for its ids.
    pub seed: u64,
    /// Keys beside those of the fixed accounts.
    pub credentials: Vec<Credentials>,
    /// By how much a signature's time may be off: five minutes (1.4), or less for tests that cannot wait for so long.
    pub signature_window_ms: Millis,
    /// Whether the log of requests is kept.
    pub log: bool,
    /// Whether more requests than the default rates (1.8) are refused with RequestLimitExceeded. Counted by account,
    /// region and action (9.1), and by process.
    pub rate_limits: bool,
    /// Whether answers are shuffled: their order is undocumented (1.10).
    pub shuffle: bool,
    /// Whether the first DescribeInstances or DescribeImages that would list a new thing leaves it out (4.6), within
    /// [`LISTED_LATE_MS`].
    pub empty_first_read: bool,
    /// Whether a copy bears its source's description (inferred).
    pub copy_carries_description: bool,
    /// Whether a copy bears its source's family and deprecation (9.11).
    pub copy_carries_family: bool,
    /// Whether a copy is SYNCING until it is NORMAL (9.11); else CREATING.
    pub copy_is_syncing: bool,
    /// Whether an instance that ran is started again after CreateImage with ForcePoweroff (9.9).
    pub restart_after_capture: bool,
    /// Whether an instance that ran is started again after ResetInstancesType with ForceStop (9.9).
    pub restart_after_resize: bool,
    /// Whether ResetInstancesType shuts a running instance down when ForceStop is set; else it is refused (5.10).
    pub resize_stops_running: bool,
    /// Whether an instance shows REBOOTING while it is reset (9.10); else what it showed before.
    pub reset_shows_rebooting: bool,
    /// Whether TagSpecification makes keys that do not exist yet; else InvalidParameterValue.TagKeyNotFound.
    pub tag_key_created_at_launch: bool,
    /// How long a client token is remembered (9.2).
    pub token_memory_ms: Millis,
    /// Whether a token that is used again with other parameters is refused (9.2); else the first ids are answered.
    pub token_reuse_refused: bool,
    /// Whether CANCEL for an account without a share is refused with InvalidAccountId.NotFound (9.7).
    pub cancel_without_share_refused: bool,
    /// Whether an image can be renamed and described while it is shared out (9.7).
    pub shared_out_can_be_modified: bool,
    /// Whether failed images count against the quota (9.12).
    pub failed_images_count: bool,
    /// Whether a successful dry run is the error DryRunOperation (9.3); else a plain success.
    pub dry_run_is_error: bool,
    /// Whether ImportImage answers the new id (4.10); not every site does.
    pub import_answers_id: bool,
    /// Regions that import no images. None is known.
    pub regions_without_import: BTreeSet<String>,
    /// Whether a number or a truth value may be sent as a text in JSON (9.4); else InvalidParameter.
    pub numbers_may_be_text: bool,
    /// The most ids of images, or of accounts to share with, in a request (9.5).
    pub image_ids_at_most: usize,
    /// Whether the filter instance-name finds parts of names (9.6); else whole ones.
    pub instance_name_is_fuzzy: bool,
    /// Whether an image with data disks can neither be shared nor copied (9.16: InstanceImageNotSupport).
    pub whole_images_stay: bool,
    /// The largest image that is copied, in GiB (9.13); `None`: any.
    pub copy_at_most_gib: Option<i64>,
    /// The largest image that is exported, in GiB (9.13); `None`: any.
    pub export_at_most_gib: Option<i64>,
    /// Whether a received image becomes one of the receiver's own by SyncImages within its region (4.9); older pages
    /// say that it does not.
    pub shared_can_be_copied: bool,
    /// Whether DescribeImages lists images of the marketplace also where it is not asked for them (9.14).
    pub market_images_always_listed: bool,
    /// The CAM roles that exist; `None`: every well-formed name is one.
    pub cam_roles: Option<BTreeSet<String>>,
    /// How long after it runs a spot instance is taken back; `None`: never.
    pub spot_taken_back_after_ms: Option<Millis>,
    /// Whether an image's fee shows in InstancePrice (9.15); else prices do not tell it.
    pub image_fee_in_instance_price: bool,
    /// Faults by chance: lost requests and answers, throttling, internal errors, late failures, late listings.
    pub faults: Option<Faults>,
}

/// How long lists lag behind at most, where they do: what is older than this is listed. Assumed: no text has it.
pub const LISTED_LATE_MS: Millis = 30_000;
/// How long a failed launch is listed, before it drops out by itself: it cannot be terminated.
pub const LAUNCH_FAILED_LISTED_MS: Millis = 3_600_000;
/// How long a prepaid instance stays in the recycle bin, before it drops out by itself (2.2: up to seven days).
pub const RECYCLE_BIN_MS: Millis = 7 * 86_400_000;

impl Settings {
    /// The defaults, at the pace of a latency.
    #[must_use]
    pub fn new(latency: Latency, limits: Limits, seed: u64) -> Self {
        let pace = match latency {
            Latency::Instant => Pace::INSTANT,
            Latency::Quick => Pace::QUICK,
            Latency::Realistic => Pace::REALISTIC,
        };
        Self {
            pace,
            jitter_percent: 0,
            limits,
            seed,
            credentials: Vec::new(),
            signature_window_ms: SIGNATURE_WINDOW_MS,
            log: false,
            rate_limits: false,
            shuffle: true,
            empty_first_read: false,
            copy_carries_description: true,
            copy_carries_family: false,
            copy_is_syncing: true,
            restart_after_capture: false,
            restart_after_resize: true,
            resize_stops_running: true,
            reset_shows_rebooting: false,
            tag_key_created_at_launch: true,
            token_memory_ms: 86_400_000,
            token_reuse_refused: false,
            cancel_without_share_refused: false,
            shared_out_can_be_modified: true,
            failed_images_count: true,
            dry_run_is_error: false,
            import_answers_id: true,
            regions_without_import: BTreeSet::new(),
            numbers_may_be_text: false,
            image_ids_at_most: 100,
            instance_name_is_fuzzy: false,
            whole_images_stay: false,
            copy_at_most_gib: None,
            export_at_most_gib: None,
            shared_can_be_copied: true,
            market_images_always_listed: false,
            cam_roles: None,
            spot_taken_back_after_ms: None,
            image_fee_in_instance_price: true,
            faults: None,
        }
    }

    /// Whether something new may be missing in the first list that would tell of it.
    pub(crate) fn may_list_late(&self) -> bool {
        self.empty_first_read || self.faults.is_some()
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new(Latency::default(), Limits::EMBEDDED, 0)
    }
}

/// A fault that a test asks for. Each strikes once, but [`Refuse`](Self::Refuse), which counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Injection {
    /// The next instance of this name fails to launch.
    LaunchFails {
        /// The instance's name.
        name: String,
    },
    /// The next image captured under this name fails.
    CaptureFails {
        /// The image's name.
        name: String,
    },
    /// The next image imported under this name fails.
    ImportFails {
        /// The image's name.
        name: String,
        /// Why (4.10).
        reason: String,
    },
    /// The next spot instance of this name is taken back by the cloud.
    TakenBack {
        /// The instance's name.
        name: String,
        /// How long after it runs.
        after_ms: Millis,
    },
    /// The next copy of this name to this region fails.
    CopyFails {
        /// The copy's name.
        name: String,
        /// The destination.
        region: String,
    },
    /// The next reset of this instance is accepted, and fails later.
    ResetFails {
        /// The instance's id.
        instance: String,
    },
    /// The next tagging of this resource fails for it alone.
    TagFails {
        /// The id of the resource.
        id: String,
        /// The code in FailedResources.
        code: String,
    },
    /// Requests are refused before anything is done.
    Refuse {
        /// The action.
        action: String,
        /// The code.
        code: String,
        /// How many times.
        times: u32,
    },
}

/// What nobody got to hear an answer for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lost {
    /// The request: nothing was done, and nothing refused.
    Request,
    /// The answer: what was done is done, as the rest of the entry says.
    Answer,
}

/// A request that came in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogEntry {
    /// Cloud time.
    pub ms: Millis,
    /// The service, out of the credential scope.
    pub service: String,
    /// The action.
    pub action: String,
    /// The region, where one was given.
    pub region: String,
    /// The account; empty where the request was not let in.
    pub account: String,
    /// The error's code, where it was refused.
    pub code: Option<String>,
    /// What the request was called.
    pub request_id: String,
    /// What was lost on the way, by a fault that [`Settings::faults`] asked for: nobody gets to hear an answer.
    pub lost: Option<Lost>,
    /// The body, or the query of a GET.
    pub body: String,
}
