//! All codes, each with what it means in a line, and at length on a page of its own below `pages/`.
//! `docs/diagnostics.md` and `fleetwright explain` are made from both.

use super::page::Page;

/// What a fault means for the run, and so for the exit code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// The config is wrong: exit 65.
    Config,
    /// What the config asks for cannot be reached from here: exit 6.
    Infeasible,
    /// A guard refuses: exit 8.
    Guard,
    /// State, lock file or cloud do not belong to this config: exit 5.
    Foreign,
    /// Somebody else holds the lock: exit 4.
    Locked,
    /// The command line is wrong: exit 64.
    Usage,
    /// It was tried and did not work: exit 1.
    Failed,
    /// Somebody wanted it to stop: exit 130.
    Interrupted,
}

impl Class {
    /// All of them, with what they mean, in the order in which they are listed.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Config, "The config is wrong"),
        (Self::Usage, "The command line is wrong"),
        (Self::Infeasible, "What is asked for cannot be reached from here"),
        (Self::Guard, "A guard refuses"),
        (Self::Foreign, "State, plan or lock file belong to something else"),
        (Self::Locked, "Somebody else holds the lock"),
        (Self::Failed, "It was tried and did not work"),
        (Self::Interrupted, "Somebody wanted it to stop"),
    ];

    /// What it means, in a few words.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        Self::ALL.into_iter().find(|(class, _)| *class == self).map_or("", |(_, meaning)| meaning)
    }
}

/// A code: stable, documented, one meaning.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    /// The word.
    pub word: &'static str,
    /// What it means for the run.
    pub class: Class,
    /// What it means, in a sentence or two; [`Code::page`] tells more.
    pub meaning: &'static str,
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.word == other.word
    }
}

impl Eq for Code {}

impl Code {
    /// What is told about it at length.
    #[must_use]
    pub fn page(self) -> Page {
        Page::of(page_text(self))
    }
}

macro_rules! codes {
    ($($name:ident $word:literal $class:ident $meaning:literal)*) => {
        /// The codes by name.
        #[expect(missing_docs, reason = "each constant's meaning is its third field")]
        pub mod codes {
            use super::{Class, Code};
            $(pub const $name: Code = Code { word: $word, class: Class::$class, meaning: $meaning };)*
            /// All of them, in the order of the table.
            pub const ALL: &[Code] = &[$($name),*];
        }

        /// The page of a code, as Markdown.
        fn page_text(code: Code) -> &'static str {
            match code.word {
                $($word => include_str!(concat!("pages/", $word, ".md")),)*
                _ => "",
            }
        }
    };
}

codes! {
    NO_CONFIG "no-config" Config "The directory holds no *.yaml file."
    UNREADABLE "unreadable" Config "A file cannot be read."
    NOT_READ "not-read" Config "A file looks like a part of the config, but is not read. Only a warning."
    NOT_UTF8 "not-utf8" Config "A file is not UTF-8 text."
    TOO_LARGE "too-large" Config "A file is larger, or nested deeper, than a config can sensibly be."
    EMPTY_FILE "empty-file" Config "A file holds nothing. An empty config would mean: delete everything."
    SYNTAX "syntax" Config "The text is not YAML."
    SEVERAL_DOCUMENTS "several-documents" Config "A file holds more than one YAML document."
    MERGE_KEY "merge-key" Config "`<<` merges are not part of this language."
    ALIAS "alias" Config "Anchors and aliases are not part of this language."
    TAG "tag" Config "YAML tags (`!…`) are not part of this language."
    DUPLICATE_KEY "duplicate-key" Config "The same key stands twice in a mapping, or in two files."
    UNKNOWN_KEY "unknown-key" Config "The language has no such key here."
    MISSING_KEY "missing-key" Config "A key that must be there is not."
    WRONG_TYPE "wrong-type" Config "A value is of another type than the key takes."
    INVALID_VALUE "invalid-value" Config "A value is of the right type, but not one that the key takes."
    INVALID_NAME "invalid-name" Config "A name may hold lower-case letters, digits, `_` and `-`, starts with a letter, and has at most 40 characters."
    UNSUPPORTED_YET "unsupported-yet" Config "The key belongs to the language, but this build does not support it yet."
    UNKNOWN_REFERENCE "unknown-reference" Config "A reference names a block or a slot that is not there."
    WRONG_KIND "wrong-kind" Config "A reference names a block that cannot be used there."
    CYCLE "cycle" Config "Blocks depend on each other in a circle."
    ROLLOUT_HELD "rollout-held" Guard "A rollout is paused, stopped, aborted or was taken back: the fleet stays as it is, or goes back."
    NO_WAY_BACK "no-way-back" Infeasible "A rollout is to be taken back, and what ran before is not there any more."
    STOPS_ONLY "stops-only" Infeasible "A rollout that fails would stop: it could not go back by itself."
    MIN_AVAILABLE "min-available" Infeasible "A fleet would have fewer instances in service than `min_available` asks for."
    CONFLICT "conflict" Config "Two values exclude each other."
    NOT_OURS "not-ours" Config "A public, shared or marketplace image is only looked up: it can be launched from, but not renamed, tagged, versioned, or sent to another region."
    UNTRUSTED_OWNER "untrusted-owner" Config "A shared image belongs to an account that is not in `trusted_owners`. The cloud does not check what others share."
    FEE_NOT_ACCEPTED "fee-not-accepted" Config "A marketplace image charges a fee for each instance, and so do custom images made from it; `accept_fee: true` says that this is meant."
    SIGNED_URL "signed-url" Config "A URL with a signature or a login in it is a secret, and secrets do not belong in a config."
    UNKNOWN_SYSTEM "unknown-system" Config "No such system is known for imports; `plan` asks the cloud."
    UNKNOWN_FORMAT "unknown-format" Config "The name of an imported file does not end like an image in a format that the cloud reads. Only a warning."
    COPY_NOT_POSSIBLE "copy-not-possible" Config "An image cannot be copied in this way: a shared image is copied as it is, a custom image of the same region encrypted, and no others at all."
    ENCRYPTED_IMAGE "encrypted-image" Config "An encrypted image can neither be shared nor be copied, stays in its region, and its instances are not captured."
    BYOL_IMAGE "byol-image" Config "An image that runs under a licence of one's own (BYOL) cannot be shared."
    INVALID_IMAGE_NAME "invalid-image-name" Config "The name of a custom image holds `{version}`, and has at most 60 characters once it is filled in."
    SAME_IMAGE_NAME "same-image-name" Config "Two images would bear the same name in one region."
    INVALID_HOSTNAME "invalid-hostname" Config "A host's name has 2 to 60 letters, digits, `-` and `.`, the last two neither at an end nor beside each other; with Windows 2 to 15 letters, digits and `-`, not digits only."
    SAME_HOSTNAME "same-hostname" Config "Several instances of a fleet would bear the same host name."
    UNKNOWN_PLACEHOLDER "unknown-placeholder" Config "A name holds something in braces that stands for nothing."
    CANNOT_BE_IGNORED "cannot-be-ignored" Config "Changes of this attribute cannot be ignored, because it says which instances there are, or guards them."
    UNKNOWN_VERSION "unknown-version" Config "A version is revoked that the image never had. Only a warning."
    MISSING_VERSION "missing-version" Config "An image of a machine made by hand needs an explicit version."
    VERSION_REUSED "version-reused" Config "An explicit version stays, but what it is made of changed."
    SECOND_SHARE "second-share" Config "An image has two share blocks."
    OWN_ACCOUNT "own-account" Config "An image cannot be shared with its own owner."
    ZONE_OUTSIDE "zone-outside" Config "A zone is in another region than its fleet."
    UNKNOWN_REGION "unknown-region" Config "No such region is known; `plan` asks the cloud."
    UNKNOWN_ZONE "unknown-zone" Config "No such zone is known; `plan` asks the cloud."
    UNKNOWN_TYPE "unknown-type" Config "No such instance type is known in the zone; `plan` asks the cloud."
    IMAGE_NOT_IN_REGION "image-not-in-region" Config "A fleet's image is not in the fleet's region."
    IMAGE_NOT_FOUND "image-not-found" Config "A look-up finds no usable image."
    IMAGE_NOT_SHARED "image-not-shared" Config "A received image is not shared with this account, or is no longer there."
    IMAGE_OWNER "image-owner" Config "A received image belongs to another account than the config says: the cloud does not vet shared images."
    IMAGE_KIND "image-kind" Config "A looked-up image is of another kind than the config says."
    IMAGE_MISFIT "image-misfit" Config "An image does not run on an instance type."
    NOTHING_TO_PROMOTE "nothing-to-promote" Config "The environment that an image is promoted from has no state here, no such image, or no version of it yet."
    PIN_GONE "pin-gone" Config "The image that a look-up is pinned to is no longer there."
    SOURCE_NOT_FOUND "source-not-found" Config "The machine that an image is captured from is not there."
    REGION_CHANGED "region-changed" Config "A fleet that exists stays in its region."
    ZONE_EMPTY "zone-empty" Config "A zone of a fleet has no instance, though another one has several. Only a warning."
    SOURCE_SWITCHED_OFF "source-switched-off" Config "An image is captured from a running instance of a fleet that is to be off."
    CHANGE_NOT_POSSIBLE "change-not-possible" Config "The cloud cannot change an instance in this way where it is: it takes a new one."
    RESET_LOGIN "reset-login" Config "A reset without keys would give the instance a random password."
    DISK_TOO_SMALL "disk-too-small" Config "The system disk is smaller than the image."
    LOGIN_NOT_KEPT "login-not-kept" Config "Only custom and shared images have a login to keep."
    KEYS_NOT_TAKEN "keys-not-taken" Config "Windows takes no key pairs."
    USER_DATA_TOO_LARGE "user-data-too-large" Config "User data is at most 16 KiB."
    IMAGE_QUOTA "image-quota" Infeasible "At some moment a region would hold more custom images than its quota allows."
    SHARE_CAP "share-cap" Infeasible "An image would be shared with more accounts than allowed."
    INSTANCE_QUOTA "instance-quota" Infeasible "At some moment a zone would hold more instances than its quota allows."
    BUILDER_GONE "builder-gone" Infeasible "A version is not captured yet, and what it would be captured from is not in the config."
    NAME_TAKEN "name-taken" Infeasible "A name that is needed belongs to something that is not ours."
    BUSY "busy" Infeasible "A thing is in a state in which nothing can be done to it."
    UNDECLARED_SHARES "undeclared-shares" Guard "An image must go, but accounts that are not in the config use it."
    REVOKED "revoked" Guard "Something would be launched from a version that is revoked, or from what descends from one."
    PROTECTED "protected" Guard "A thing is protected against deletion."
    OTHER_CLOUD "other-cloud" Foreign "The state is of another endpoint, account or project."
    STALE "stale" Foreign "The state has changed since the plan was made, or an interrupted run left operations open in it."
    FACT_MOVED "fact-moved" Foreign "Something in the cloud that a saved plan relies on is no longer as it was."
    FOREIGN_PLAN "foreign-plan" Foreign "A saved plan was made for another state, cloud, account, project or environment."
    DAMAGED_PLAN "damaged-plan" Foreign "A file is not a plan that this program wrote, or not all of it, or it was changed since."
    NEWER_PLAN "newer-plan" Foreign "A plan file is of a format that this version does not know."
    NEWER_STATE "newer-state" Foreign "The state was written by a newer version of this program."
    NOT_A_STATE "not-a-state" Foreign "The file is not a state of this program."
    BAD_LOCK_FILE "bad-lock-file" Config "`fleetwright.lock` cannot be read as what this program writes."
    LOCKED "locked" Locked "Somebody else is applying."
    INTERRUPTED "interrupted" Interrupted "Somebody wanted it to stop before it had begun."
    FENCED "fenced" Locked "The lock was taken over while this run was under way; it stopped before it wrote anything."
    NOT_IN_STATE "not-in-state" Failed "The state knows no such thing, or no such run."
    NO_ROLLOUT "no-rollout" Failed "A fleet has no rollout to which something could be said."
    ROLLOUT_PHASE "rollout-phase" Failed "A rollout is past what somebody says to it."
    ALREADY_THERE "already-there" Failed "A file that would be written is there already."
    UNWRITABLE "unwritable" Failed "A file or a directory cannot be written."
    STORE "store" Failed "The state cannot be read or written."
    CLOUD "cloud" Failed "The cloud refused, or could not be reached."
    NO_KEYS "no-keys" Failed "There are no keys to sign with, or none that can be used."
    PARTIAL_PLAN "partial-plan" Failed "A plan is about a part of config and state only: the command line names which."
    CANNOT_ADOPT "cannot-adopt" Failed "Something in the cloud cannot be taken into the state: it is none of ours, of no use, or it cannot be told which place it has."
    IN_DOUBT "in-doubt" Failed "Whether a call took effect cannot be told by this program alone."
    SECRET_CHANGED "secret-changed" Foreign "A secret's bytes are no longer those that were planned with."
    PLAN_FILE "plan-file" Failed "A plan file cannot be read or written."
    NEEDS_APPROVAL "needs-approval" Failed "There is no terminal to ask on, and no `--auto-approve`."
    USAGE "usage" Usage "The command line is not understood."
    SELF_CHECK "self-check" Failed "The plan failed its second check; this is a fault of the program."
    NEWER_MATCH "newer-match" Config "A look-up is pinned, and a newer image matches it. Only a note."
    CONFIG_CHANGED "config-changed" Foreign "The config or `fleetwright.lock` has changed since a saved plan was made. Only a note: the plan is carried out as it is."
    IMPORT_FAILED "import-failed" Config "The cloud could not import a file. Only a note: it is tried again."
    NAME_LATER "name-later" Config "A new `name` is borne by what is made from now on. Only a note: what is there keeps its name."
    REVOKED_IN_USE "revoked-in-use" Config "Instances run from a version that is revoked, or it is shared. Only a warning."
    STILL_IN_USE "still-in-use" Config "An older version stays, for instances run from it. Only a note."
    REFRESH_LOSES "refresh-loses" Config "After a refresh, the next plan replaces or resets instances. Only a note."
    BUILDER_REMOVED "builder-removed" Config "What an image was captured from is no longer in the config. Only a warning: the image stays."
}
