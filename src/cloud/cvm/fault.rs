//! What a refusal means: the cloud's codes by class, and whether a call can have taken effect all the same.
//!
//! Messages are for people and change; only codes are looked at (API text 1.6). A code that this table does not know
//! is judged by its first part, and is [`Class::Invalid`] where that says nothing: such a call is not tried again.

use crate::cloud::call::{Class, Executed, Fault};
use crate::model::Millis;
use crate::model::ids::RequestId;

use super::transport::NoAnswer;

/// Codes whose first part, or whose ending, would say something else (API texts 1.7, 1.9 and 10).
const EXACT: &[(&str, Class)] = &[
    // The way in: not the key, but what it may do, or the clock.
    ("AuthFailure.SignatureExpire", Class::Clock),
    ("AuthFailure.UnauthorizedOperation", Class::Denied),
    ("AuthFailure.CamRoleNameAuthenticateFailed", Class::Denied),
    ("UnauthorizedOperation.InvalidToken", Class::Auth),
    ("UnauthorizedOperation.MFAExpired", Class::Auth),
    ("UnauthorizedOperation.MFANotFound", Class::Auth),
    // Not allowed, whatever the parameters.
    ("AccountQualificationRestrictions", Class::Denied),
    ("InvalidPermission", Class::Denied),
    ("IpInBlacklist", Class::Denied),
    ("IpNotInWhitelist", Class::Denied),
    ("InvalidAccount.InsufficientBalance", Class::Denied),
    ("InvalidAccount.UnpaidOrder", Class::Denied),
    ("FailedOperation.PolicyEnforcedInvalid", Class::Denied),
    ("UnsupportedOperation.InstancesProtected", Class::Denied),
    ("UnsupportedOperation.InvalidInstancesOwner", Class::Denied),
    // Under way; passes by itself.
    ("MutexOperation.TaskRunning", Class::Busy),
    ("OperationDenied.InstanceOperationInProgress", Class::Busy),
    ("ResourceUnavailable", Class::Busy),
    ("ResourceUnavailable.SnapshotCreating", Class::Busy),
    ("FailedOperation.InvalidImageState", Class::Busy),
    ("FailedOperation.ResourceTagProcessing", Class::Busy),
    ("InvalidParameterValue.InvalidImageState", Class::Busy),
    ("LimitExceeded.ExportImageTaskLimitExceeded", Class::Busy),
    ("UnsupportedOperation.InstanceStatePending", Class::Busy),
    ("UnsupportedOperation.InstanceStateStarting", Class::Busy),
    ("UnsupportedOperation.InstanceStateStopping", Class::Busy),
    ("UnsupportedOperation.InstanceStateRebooting", Class::Busy),
    ("UnsupportedOperation.InstanceStateTerminating", Class::Busy),
    ("UnsupportedOperation.InstanceStateIsolating", Class::Busy),
    ("UnsupportedOperation.InstanceStateEnterRescueMode", Class::Busy),
    ("UnsupportedOperation.InstanceStateExitRescueMode", Class::Busy),
    ("UnsupportedOperation.InstanceStateEnterServiceLiveMigrate", Class::Busy),
    ("UnsupportedOperation.InstanceStateServiceLiveMigrate", Class::Busy),
    ("UnsupportedOperation.InstanceStateExitServiceLiveMigrate", Class::Busy),
    ("UnsupportedOperation.LocalDiskMigratingToCloudDisk", Class::Busy),
    // Sold out: another zone or type may do.
    ("InvalidParameterValue.InsufficientOffering", Class::Stock),
    ("ResourceUnavailable.InstanceType", Class::Stock),
    ("ResourceNotFound.NoDefaultCbs", Class::Stock),
    ("ResourceNotFound.NoDefaultCbsWithReason", Class::Stock),
    ("FailedOperation.NoAvailableIpAddressCountInSubnet", Class::Stock),
    // Quotas and caps that do not say so first.
    ("ImageQuotaLimitExceeded", Class::Quota),
    ("InstancesQuotaLimitExceeded", Class::Quota),
    ("OverQuota", Class::Quota),
    ("InvalidParameterValue.TagQuotaLimitExceeded", Class::Quota),
    ("InvalidParameterValue.ExternalIpQuotaLimited", Class::Quota),
    ("ResourceInsufficient.DisasterRecoverGroupCvmQuota", Class::Quota),
    ("UnsupportedOperation.UserLimitOperationExceedQuota", Class::Quota),
    // Limits of one request, which no quota changes.
    ("LimitExceeded.ResourceNumPerRequest", Class::Invalid),
    ("LimitExceeded.TagNumPerRequest", Class::Invalid),
    // There already.
    ("InvalidImageName.Duplicate", Class::Conflict),
    ("FailedOperation.AccountAlreadyExists", Class::Conflict),
    ("VpcIpIsUsed", Class::Conflict),
    // Gone.
    ("UnsupportedOperation.InstanceStateTerminated", Class::NotFound),
];

/// What the first part of a code says.
const FIRST: &[(&str, Class)] = &[
    ("RequestLimitExceeded", Class::Throttled),
    ("InternalError", Class::Transient),
    ("InternalServerError", Class::Transient),
    ("ServiceUnavailable", Class::Transient),
    ("AuthFailure", Class::Auth),
    ("UnauthorizedOperation", Class::Denied),
    ("OperationDenied", Class::Denied),
    ("MutexOperation", Class::Busy),
    ("ResourceInUse", Class::Busy),
    ("ResourceInsufficient", Class::Stock),
    ("ResourcesSoldOut", Class::Stock),
    ("LimitExceeded", Class::Quota),
    ("ResourceNotFound", Class::NotFound),
];

/// How the codes end that say that something is not there.
const ABSENT: [&str; 3] = ["NotFound", "NotExist", "NotExisted"];

/// The class of one of the cloud's codes.
#[must_use]
pub fn class(code: &str) -> Class {
    if let Some((_, class)) = EXACT.iter().find(|(exact, _)| *exact == code) {
        return *class;
    }
    let first = code.split('.').next().unwrap_or(code);
    if let Some((_, class)) = FIRST.iter().find(|(word, _)| *word == first) {
        return *class;
    }
    if ABSENT.iter().any(|ending| code.ends_with(ending)) { Class::NotFound } else { Class::Invalid }
}

/// Whether a call that the service answered with an error of this class can have taken effect: a refusal cannot, the
/// server's own trouble leaves a change in doubt (API text 1.9).
#[must_use]
pub fn executed(class: Class, mutates: bool) -> Executed {
    match class {
        Class::Transient | Class::Transport if mutates => Executed::Unknown,
        Class::Throttled
        | Class::Busy
        | Class::Transient
        | Class::NotFound
        | Class::Conflict
        | Class::Auth
        | Class::Clock
        | Class::Denied
        | Class::Quota
        | Class::Stock
        | Class::Invalid
        | Class::Transport
        | Class::Untrusted
        | Class::Proxy => Executed::No,
    }
}

/// The service answered with an error. `mutates`: whether the call changes anything.
#[must_use]
pub fn refused(
    mutates: bool,
    code: String,
    message: String,
    request_id: Option<RequestId>,
    cloud_ms: Option<Millis>,
) -> Fault {
    let class = class(&code);
    Fault { class, code: Some(code), message, request_id, executed: executed(class, mutates), cloud_ms }
}

/// No answer came.
#[must_use]
pub fn no_answer(mutates: bool, error: &NoAnswer) -> Fault {
    Fault {
        class: error.class,
        code: None,
        message: error.message.clone(),
        request_id: None,
        executed: executed(Class::Transport, mutates && error.sent),
        cloud_ms: None,
    }
}

/// An answer came, but not one of the service's: another status than 200, or not the JSON that it documents.
#[must_use]
pub fn unreadable(mutates: bool, message: String, cloud_ms: Option<Millis>) -> Fault {
    Fault {
        class: Class::Transport,
        code: None,
        message,
        request_id: None,
        executed: executed(Class::Transport, mutates),
        cloud_ms,
    }
}

/// The call cannot be sent as it is; nothing left.
#[must_use]
pub fn unsendable(class: Class, message: String) -> Fault {
    Fault { class, code: None, message, request_id: None, executed: Executed::No, cloud_ms: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The catalogue of codes (API texts 1.7 and 10), each with the class that somebody decided on.
    const CATALOGUE: &str = include_str!("../../../tests/fixtures/cvm-codes.txt");

    #[test]
    fn every_code_of_the_catalogue_has_its_class() {
        let lines: Vec<(&str, &str)> =
            CATALOGUE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' ')).collect();
        assert!(lines.len() > 380, "{}", lines.len());
        let wrong: Vec<String> = lines
            .iter()
            .filter(|(code, expected)| format!("{:?}", class(code)) != *expected)
            .map(|(code, expected)| format!("{code}: {:?}, not {expected}", class(code)))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn every_exact_code_is_in_the_catalogue() {
        for (code, _) in EXACT {
            assert!(CATALOGUE.lines().any(|line| line.split(' ').next() == Some(code)), "{code}");
        }
    }

    #[test]
    fn only_the_servers_trouble_leaves_a_change_in_doubt() {
        for (code, _) in CATALOGUE.lines().filter_map(|line| line.split_once(' ')) {
            let fault = refused(true, code.to_owned(), String::new(), None, None);
            let server = code.starts_with("Internal") || code == "ServiceUnavailable";
            assert_eq!(fault.executed == Executed::Unknown, server, "{code}");
            assert_eq!(refused(false, code.to_owned(), String::new(), None, None).executed, Executed::No, "{code}");
        }
    }

    #[test]
    fn without_an_answer_only_a_change_that_left_is_in_doubt() {
        let lost = |sent| NoAnswer::failed("reset", sent);
        assert_eq!(no_answer(true, &lost(true)).executed, Executed::Unknown);
        assert_eq!(no_answer(true, &lost(false)).executed, Executed::No);
        assert_eq!(no_answer(false, &lost(true)).executed, Executed::No);
        assert_eq!(unreadable(true, String::new(), None).executed, Executed::Unknown);
        assert_eq!(unreadable(false, String::new(), None).executed, Executed::No);
    }

    #[test]
    fn codes_that_come_later_are_judged_by_their_first_part() {
        assert_eq!(class("RequestLimitExceeded.Tomorrow"), Class::Throttled);
        assert_eq!(class("InternalError.Tomorrow"), Class::Transient);
        assert_eq!(class("InvalidDreamId.NotFound"), Class::NotFound);
        assert_eq!(class("SomethingElse"), Class::Invalid);
        assert_eq!(class(""), Class::Invalid);
    }
}
