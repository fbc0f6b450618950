//! The bytes of secrets, read when they are sent, and only if they are still those that were planned with.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::cloud::Secrets;
use crate::config::read_below;
use crate::model::digest::{SecretKey, SecretRef, SecretSource};

/// Reads secrets from files below the config's directory, and from the config itself.
pub(super) struct ConfigSecrets {
    pub(super) dir: PathBuf,
    pub(super) texts: BTreeMap<String, Vec<u8>>,
    pub(super) key: SecretKey,
}

impl Secrets for ConfigSecrets {
    fn read(&self, secret: &SecretRef) -> Result<Vec<u8>, String> {
        let bytes = match &secret.source {
            SecretSource::File(path) => {
                read_below(&self.dir, path).map_err(|why| format!("{path} cannot be read: {why}"))?
            }
            SecretSource::Config(path) => {
                self.texts.get(path).cloned().ok_or_else(|| format!("the config has no text at `{path}` any more"))?
            }
        };
        if self.key.refer(secret.source.clone(), &bytes).digest != secret.digest {
            return Err(format!("{} is no longer what the plan was made with", secret.source));
        }
        Ok(bytes)
    }
}
