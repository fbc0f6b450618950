//! The wire: requests, answers and the objects in them, as serde types with the API's own names in PascalCase.
//!
//! Client and embedded cloud share them. A parameter of a request is an `Option`: what is `None` is not sent, and an
//! explicit `null` is read as not given (API text 1.2). Every documented parameter of an action is a field, so that
//! whatever else arrives is an unknown parameter. In an answer, what may be `null` or absent is an `Option`; other
//! fields default, for an answer that failed holds none of them, and fields that are unknown here are passed over
//! (API text 1.6).
//!
//! - [`requests`]: the parameters of each action, and which answer belongs to it ([`Request`]).
//! - [`answers`]: what follows `"Response":`, with the error and the request id ([`Answer`]).
//! - [`shapes`]: the objects inside (API text 3).

pub mod answers;
pub mod requests;
pub mod shapes;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What stands around every answer: `{"Response": …}` (API text 1.6).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Envelope<T> {
    /// The answer.
    #[serde(rename = "Response")]
    pub response: T,
}

/// `Error` of an answer: there exactly when the call failed (API text 1.6).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ErrorBody {
    /// What programs branch on.
    pub code: String,
    /// For people; changes over time.
    pub message: String,
}

/// The parameters of one action.
pub trait Request: Serialize + DeserializeOwned + Default {
    /// The service in the credential scope.
    const SERVICE: &'static str;
    /// The API's version.
    const VERSION: &'static str;
    /// The action's name, exact case.
    const ACTION: &'static str;
    /// What is answered.
    type Answer: Answer;
}

/// What is answered to one action.
pub trait Answer: Serialize + DeserializeOwned + Default {
    /// Why the call failed, where it did.
    fn error(&self) -> Option<&ErrorBody>;
    /// What the service calls the request.
    fn request_id(&self) -> &str;
    /// Says what the service calls the request.
    fn set_request_id(&mut self, id: String);
}

/// Service and version of the CVM actions (API text 1.1).
pub const CVM: (&str, &str) = ("cvm", "2017-03-12");
/// Service and version of the tag actions (API text 1.1).
pub const TAG: (&str, &str) = ("tag", "2018-08-13");
/// Service and version of the disks' actions, which other clients ask.
pub const CBS: (&str, &str) = ("cbs", "2017-03-12");
/// Service and version of the networks' actions, which other clients ask.
pub const VPC: (&str, &str) = ("vpc", "2017-03-12");

#[cfg(test)]
mod tests {
    use super::answers::{DescribeImagesAnswer, RunInstancesAnswer};
    use super::requests::{DescribeImages, RunInstances};
    use super::*;

    #[test]
    fn what_is_not_given_is_not_sent_and_null_is_not_given() {
        let request = DescribeImages { limit: Some(100), ..DescribeImages::default() };
        assert_eq!(serde_json::to_string(&request).expect("json"), r#"{"Limit":100}"#);
        let request: DescribeImages = serde_json::from_str(r#"{"ImageIds":null}"#).expect("null is not given");
        assert_eq!(request, DescribeImages::default());
    }

    #[test]
    fn names_are_the_apis_own() {
        let text = r#"{"Placement":{"Zone":"z"},"VirtualPrivateCloud":{"Ipv6AddressCount":1},"InternetAccessible":{"IPv4AddressType":"WanIP"},"UserData":"IyE="}"#;
        let request: RunInstances = serde_json::from_str(text).expect("json");
        assert_eq!(
            serde_json::to_value(request).expect("json"),
            serde_json::from_str::<serde_json::Value>(text).expect("json")
        );
    }

    #[test]
    fn one_type_reads_success_and_failure() {
        let ok: Envelope<RunInstancesAnswer> =
            serde_json::from_str(r#"{"Response":{"InstanceIdSet":["ins-1"],"RequestId":"r","New":1}}"#).expect("json");
        assert_eq!(ok.response.instance_id_set, ["ins-1"]);
        assert_eq!(ok.response.error(), None);
        let failed: Envelope<DescribeImagesAnswer> =
            serde_json::from_str(r#"{"Response":{"Error":{"Code":"InternalError","Message":"m"},"RequestId":"r"}}"#)
                .expect("json");
        assert_eq!(failed.response.error().map(|e| e.code.as_str()), Some("InternalError"));
        assert_eq!(failed.response.request_id(), "r");
    }
}
