//! Whose keys sign: out of a profile of `tccli`, or out of the environment. Pure: texts come in as values.
//!
//! In this order: the profile that somebody asked for, the environment, the profile that `tccli` uses where nobody asks
//! for one. A profile that was asked for is not passed over in silence.

use serde::Deserialize;

use super::sign::{Credentials, SecretText};

/// Seconds since the Unix epoch.
type Seconds = i64;

/// The profile that `tccli` uses where nobody asks for one.
pub const DEFAULT_PROFILE: &str = "default";

/// The variables that keys are taken from.
pub const SECRET_ID: &str = "TENCENTCLOUD_SECRET_ID";
/// The key itself.
pub const SECRET_KEY: &str = "TENCENTCLOUD_SECRET_KEY";
/// The token of temporary keys: as the vendor's terraform provider calls it, and as `tccli` does.
pub const TOKENS: [&str; 2] = ["TENCENTCLOUD_SECURITY_TOKEN", "TENCENTCLOUD_TOKEN"];

/// Where keys came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Whence {
    /// The environment.
    Environment,
    /// A profile of `tccli`.
    Profile(String),
}

/// Keys, and where they came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keys {
    /// What is signed with.
    pub credentials: Credentials,
    /// Where they came from.
    pub whence: Whence,
    /// When they stop being good, where they say so.
    pub expires_s: Option<Seconds>,
}

/// Why there are no keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoKeys {
    /// Nobody has any.
    Nowhere,
    /// One of the two variables is set, and the other is not.
    Half {
        /// The one that is not.
        missing: &'static str,
    },
    /// There is no such profile.
    NoProfile(String),
    /// The profile's file cannot be read: why.
    Unreadable(String, String),
    /// The profile's file is not what `tccli` writes: why.
    Strange(String, String),
    /// The profile gets its keys in a way that only `tccli` knows: which.
    Elsewhere(String, &'static str),
    /// The profile's keys were temporary, and their time is over.
    Expired(String, Seconds),
}

/// What is looked into.
pub struct Sources<'a> {
    /// The profile that somebody asked for.
    pub profile: Option<&'a str>,
    /// A variable of the environment.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The text of a profile's file; `None` where there is no such file.
    ///
    /// # Errors
    /// It cannot be read: why.
    pub file: &'a dyn Fn(&str) -> Result<Option<String>, String>,
    /// The time now.
    pub now_s: Seconds,
}

/// Looks for keys.
///
/// # Errors
/// There are none, or none that can be used.
pub fn find(sources: &Sources<'_>) -> Result<Keys, NoKeys> {
    if let Some(profile) = sources.profile {
        return of_profile(sources, profile)?.ok_or_else(|| NoKeys::NoProfile(profile.to_owned()));
    }
    // What is set to nothing is not set.
    let variable = |name: &str| {
        let text = (sources.variable)(name)?.trim().to_owned();
        (!text.is_empty()).then_some(text)
    };
    match (variable(SECRET_ID), variable(SECRET_KEY)) {
        (Some(secret_id), Some(secret_key)) => {
            let token = TOKENS.into_iter().find_map(variable).map(SecretText::new);
            let credentials = Credentials { secret_id, secret_key: SecretText::new(secret_key), token };
            Ok(Keys { credentials, whence: Whence::Environment, expires_s: None })
        }
        (Some(_), None) => Err(NoKeys::Half { missing: SECRET_KEY }),
        (None, Some(_)) => Err(NoKeys::Half { missing: SECRET_ID }),
        (None, None) => of_profile(sources, DEFAULT_PROFILE)?.ok_or(NoKeys::Nowhere),
    }
}

/// A profile's file, as `tccli configure` and `tccli auth login` write it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProfileFile {
    secret_id: Option<String>,
    secret_key: Option<String>,
    token: Option<String>,
    /// `oauth` and `sso` keep temporary keys here, and renew them; `cvm-role` asks the machine for them.
    #[serde(rename = "type")]
    kind: Option<String>,
    expires_at: Option<Seconds>,
    #[serde(rename = "role-arn")]
    role_arn: Option<String>,
}

fn of_profile(sources: &Sources<'_>, profile: &str) -> Result<Option<Keys>, NoKeys> {
    let name = || profile.to_owned();
    let Some(text) = (sources.file)(profile).map_err(|why| NoKeys::Unreadable(name(), why))? else { return Ok(None) };
    // What a fault of serde_json shows of a text are places and types, and at most a key.
    let file: ProfileFile = serde_json::from_str(&text).map_err(|error| {
        NoKeys::Strange(
            name(),
            format!("line {}, column {}: not the JSON that it should be", error.line(), error.column()),
        )
    })?;
    let ProfileFile { secret_id, secret_key, token, kind, expires_at, role_arn } = file;
    if kind.as_deref() == Some("cvm-role") {
        return Err(NoKeys::Elsewhere(name(), "the role of the machine that it runs on"));
    }
    if role_arn.is_some_and(|role| !role.is_empty()) {
        return Err(NoKeys::Elsewhere(name(), "a role that it assumes"));
    }
    let text = |text: Option<String>| text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let missing = |key: &str| NoKeys::Strange(name(), format!("it has no `{key}`"));
    let secret_id = text(secret_id).ok_or_else(|| missing("secretId"))?;
    let secret_key = text(secret_key).ok_or_else(|| missing("secretKey"))?;
    if let Some(expired_s) = expires_at.filter(|expires_s| *expires_s <= sources.now_s) {
        return Err(NoKeys::Expired(name(), expired_s));
    }
    let credentials =
        Credentials { secret_id, secret_key: SecretText::new(secret_key), token: text(token).map(SecretText::new) };
    Ok(Some(Keys { credentials, whence: Whence::Profile(name()), expires_s: expires_at }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn look(profile: Option<&str>, variables: &[(&str, &str)], files: &[(&str, &str)]) -> Result<Keys, NoKeys> {
        let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
        let files: BTreeMap<&str, &str> = files.iter().copied().collect();
        find(&Sources {
            profile,
            variable: &|name| variables.get(name).map(|text| (*text).to_owned()),
            file: &|name| Ok(files.get(name).map(|text| (*text).to_owned())),
            now_s: 1_700_000_000,
        })
    }

    fn told(keys: &Result<Keys, NoKeys>) -> (&str, &str, Option<&str>, &Whence) {
        let Keys { credentials, whence, expires_s: _ } = keys.as_ref().expect("keys");
        let token = credentials.token.as_ref().map(SecretText::reveal);
        (&credentials.secret_id, credentials.secret_key.reveal(), token, whence)
    }

    const ENV: [(&str, &str); 2] = [(SECRET_ID, " AKIDenv "), (SECRET_KEY, "env-key")];
    const DEFAULT: (&str, &str) = ("default", r#"{"secretId": "AKIDdefault", "secretKey": "default-key"}"#);
    const PROD: (&str, &str) = ("prod", r#"{"secretId": "AKIDprod", "secretKey": "prod-key", "token": null}"#);

    #[test]
    fn a_profile_that_was_asked_for_comes_first_then_the_environment_then_the_default() {
        let all = [DEFAULT, PROD];
        let profile = |name: &str| Whence::Profile(name.to_owned());
        let prod = look(Some("prod"), &ENV, &all);
        assert_eq!(told(&prod), ("AKIDprod", "prod-key", None, &profile("prod")));
        assert_eq!(told(&look(None, &ENV, &all)), ("AKIDenv", "env-key", None, &Whence::Environment));
        assert_eq!(told(&look(None, &[], &all)), ("AKIDdefault", "default-key", None, &profile("default")));
        assert_eq!(look(Some("stage"), &ENV, &all), Err(NoKeys::NoProfile("stage".to_owned())));
        assert_eq!(look(None, &[], &[PROD]), Err(NoKeys::Nowhere));
        assert_eq!(look(None, &[(SECRET_ID, ""), (SECRET_KEY, "")], &[]), Err(NoKeys::Nowhere));
    }

    #[test]
    fn half_a_pair_is_told_and_not_passed_over() {
        assert_eq!(look(None, &ENV[..1], &[DEFAULT]), Err(NoKeys::Half { missing: SECRET_KEY }));
        assert_eq!(look(None, &ENV[1..], &[DEFAULT]), Err(NoKeys::Half { missing: SECRET_ID }));
    }

    #[test]
    fn tokens_come_by_either_name_and_out_of_what_a_login_writes() {
        for name in TOKENS {
            let variables = [ENV[0], ENV[1], (name, "session")];
            assert_eq!(told(&look(None, &variables, &[])).2, Some("session"), "{name}");
        }
        // As `tccli auth login` writes it.
        let login = r#"{"type": "oauth", "secretId": "AKIDtemp", "secretKey": "k", "token": "t", "expiresAt": 1700003600,
            "oauth": {"openId": "o", "accessToken": "a", "expiresAt": 1, "refreshToken": "r", "site": "cn"}}"#;
        let keys = look(None, &[], &[("default", login)]);
        assert_eq!(told(&keys), ("AKIDtemp", "k", Some("t"), &Whence::Profile("default".to_owned())));
        assert_eq!(keys.map(|keys| keys.expires_s), Ok(Some(1_700_003_600)));
        let over = login.replace("1700003600", "1700000000");
        assert_eq!(look(None, &[], &[("default", &over)]), Err(NoKeys::Expired("default".to_owned(), 1_700_000_000)));
    }

    #[test]
    fn what_only_tccli_can_do_is_told() {
        for (text, how) in [
            (r#"{"type": "cvm-role"}"#, "the role of the machine that it runs on"),
            (
                r#"{"secretId": "a", "secretKey": "b", "role-arn": "qcs::cam::uin/1:roleName/x"}"#,
                "a role that it assumes",
            ),
        ] {
            assert_eq!(look(None, &[], &[("default", text)]), Err(NoKeys::Elsewhere("default".to_owned(), how)));
        }
    }

    #[test]
    fn a_file_that_is_something_else_is_told_without_what_is_in_it() {
        for text in
            ["", "secretId: hunter2", r#"{"secretId": "hunter2"}"#, r#"{"secretId": 5, "secretKey": "hunter2"}"#, "[]"]
        {
            let fault = look(None, &[], &[("default", text)]).expect_err(text);
            assert!(matches!(fault, NoKeys::Strange(..)), "{fault:?}");
            assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
        }
    }
}
