//! The accounts that exist, and their keys.
//!
//! - Main accounts are `100000000001` to `100000009999`.
//! - Sub-accounts are `200000000001` to `200000009999`: they own nothing, and nothing can be shared with them.
//! - The first four main accounts have fixed keys: SecretId `AKIDembedded` and the number of the account in 22
//!   digits, SecretKey `embedded-secret-` and the number in 16.
//! - Every account has the same default network: a VPC and a security group in each region, a subnet in each zone,
//!   with ids that [`default_vpc`](super::default_vpc), [`default_subnet`](super::default_subnet) and
//!   [`default_group`](super::catalogue::default_group) tell. Any other well-formed id of a VPC, subnet, security
//!   group or key pair exists from its first use, and belongs to that account, region, zone and VPC from then on.
//! - Public images are in every region; [`public_image_id`](super::public_image_id) tells their ids.
//! - Whatever else is needed (other accounts, session tokens) comes with [`Settings`](super::Settings).

use crate::model::ids::Uin;

/// The key of an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// Whose.
    pub account: Uin,
    /// The public half.
    pub secret_id: String,
    /// The secret half. It guards nothing but a cloud inside this binary.
    pub secret_key: String,
    /// The session token that has to come along, where the credentials are temporary.
    pub token: Option<String>,
}

/// The number of the first main account.
pub const FIRST_MAIN: i64 = 100_000_000_001;
/// The number of the last main account.
pub const LAST_MAIN: i64 = 100_000_009_999;
/// The number of the first sub-account.
pub const FIRST_SUB: i64 = 200_000_000_001;
/// The number of the last sub-account.
pub const LAST_SUB: i64 = 200_000_009_999;
/// How many accounts have fixed keys.
pub const WITH_KEYS: i64 = 4;

/// The fixed key of an account, where it has one.
#[must_use]
pub fn credentials(account: &str) -> Option<Credentials> {
    let n = account.parse::<i64>().ok()? - FIRST_MAIN + 1;
    (1..=WITH_KEYS).contains(&n).then(|| Credentials {
        account: Uin::new(account),
        secret_id: format!("AKIDembedded{n:022}"),
        secret_key: format!("embedded-secret-{n:016}"),
        token: None,
    })
}

/// Finds the credentials that a secret id belongs to.
pub(crate) fn find(extra: &[Credentials], secret_id: &str) -> Option<Credentials> {
    if let Some(found) = extra.iter().find(|known| known.secret_id == secret_id) {
        return Some(found.clone());
    }
    let n: i64 = secret_id.strip_prefix("AKIDembedded")?.parse().ok()?;
    credentials(&(FIRST_MAIN + n - 1).to_string()).filter(|known| known.secret_id == secret_id)
}

/// What a number is the id of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Account {
    Main,
    Sub,
    Unknown,
}

/// Which kind of account a text names.
pub(crate) fn kind(text: &str) -> Account {
    match text.parse::<i64>() {
        Ok(FIRST_MAIN..=LAST_MAIN) => Account::Main,
        Ok(FIRST_SUB..=LAST_SUB) => Account::Sub,
        Ok(_) | Err(_) => Account::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_accounts_have_keys_that_are_found_again() {
        for n in 1..=4 {
            let known = credentials(&format!("10000000000{n}")).expect("a key");
            assert_eq!(find(&[], &known.secret_id), Some(known));
        }
        assert_eq!(credentials("100000000005"), None);
        assert_eq!(find(&[], "AKIDembedded1"), None);
        assert_eq!(credentials("100000000001").map(|c| c.secret_id), Some("AKIDembedded0000000000000000000001".into()));
    }
}
