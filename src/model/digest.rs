//! Digests, and secrets that are known by their digest only.
//!
//! Two kinds: a *content* digest under a fixed context is the same in every state, and names image versions; an
//! *equality* digest is keyed by the state's lineage, so that what is written down cannot be guessed from elsewhere.

use std::{fmt, io};

use serde::{Deserialize, Serialize};

use super::ids::Lineage;

/// A BLAKE3 digest, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// The contexts that content digests are made under; one meaning each, for ever.
pub mod context {
    /// The bytes of a secret, for versions.
    pub const SECRET: &str = "fleetwright 2026 secret content v1";
    /// The inputs of an image's version.
    pub const INPUTS: &str = "fleetwright 2026 image inputs v1";
    /// A name that was too long.
    pub const NAME: &str = "fleetwright 2026 shortened name v1";
    /// The spec of an object.
    pub const SPEC: &str = "fleetwright 2026 object spec v1";
    /// A plan.
    pub const PLAN: &str = "fleetwright 2026 plan v1";
    /// A plan file.
    pub const PLAN_FILE: &str = "fleetwright 2026 plan file v1";
    /// The files of a config.
    pub const CONFIG: &str = "fleetwright 2026 config v1";
    /// The key for equality digests.
    pub const EQUALITY: &str = "fleetwright 2026 equality key v1";
    /// What a rollout rolls out.
    pub const ROLLOUT: &str = "fleetwright 2026 rollout target v1";
    /// Tokens of operations.
    pub const TOKEN: &str = "fleetwright 2026 client token v1";
}

impl Digest {
    /// The digest of `bytes` under a context of [`context`].
    #[must_use]
    pub fn of(context: &str, bytes: &[u8]) -> Self {
        Self(blake3::derive_key(context, bytes))
    }

    /// The digest of several texts, one behind the other.
    #[must_use]
    pub fn of_all(context: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        for part in parts {
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The digest of a value's JSON form under a context of [`context`].
    #[must_use]
    pub fn of_value<T: Serialize>(context: &str, value: &T) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        match serde_json::to_writer(&mut hasher, value) {
            Ok(()) => Self(*hasher.finalize().as_bytes()),
            Err(error) => unreachable!("a plain value always has a JSON form: {error}"),
        }
    }

    /// The first `digits` hexadecimal digits, at most 64.
    #[must_use]
    pub fn short(&self, digits: usize) -> String {
        let mut text = self.to_string();
        text.truncate(digits);
        text
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Passes on what is written, and takes the digest of it.
pub struct Digesting<W> {
    hasher: blake3::Hasher,
    inner: W,
}

impl<W> Digesting<W> {
    /// For what is written under a context of [`context`].
    #[must_use]
    pub fn new(context: &str, inner: W) -> Self {
        Self { hasher: blake3::Hasher::new_derive_key(context), inner }
    }

    /// The digest of all that was written, and where it was passed on to.
    #[must_use]
    pub fn finish(self) -> (Digest, W) {
        (Digest(*self.hasher.finalize().as_bytes()), self.inner)
    }
}

impl<W: io::Write> io::Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(blake3::Hash::from_bytes(self.0).to_hex().as_str())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Digest {
    type Err = blake3::HexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        blake3::Hash::from_hex(text).map(|hash| Self(*hash.as_bytes()))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The key of a state's equality digests.
#[derive(Clone)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// The key that belongs to a lineage.
    #[must_use]
    pub fn of(lineage: &Lineage) -> Self {
        Self(blake3::derive_key(context::EQUALITY, lineage.as_str().as_bytes()))
    }

    /// The reference to a secret of these bytes.
    #[must_use]
    pub fn refer(&self, source: SecretSource, bytes: &[u8]) -> SecretRef {
        SecretRef {
            source,
            digest: Digest(*blake3::keyed_hash(&self.0, bytes).as_bytes()),
            content: Some(Digest::of(context::SECRET, bytes)),
        }
    }
}

/// Where a secret's bytes are read from.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretSource {
    /// A file, by its path from the config's directory.
    File(String),
    /// A text in the config itself, by the path of its key.
    Config(String),
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.write_str(path),
            Self::Config(path) => write!(f, "config: {path}"),
        }
    }
}

/// A secret, without its bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SecretRef {
    /// Where the bytes are.
    pub source: SecretSource,
    /// The equality digest of the bytes; whoever reads the bytes to send them compares it.
    pub digest: Digest,
    /// The content digest, for deriving versions. It is never written down: it would let a guess be verified.
    #[serde(skip)]
    pub content: Option<Digest>,
}

/// Two references are equal when their bytes are: where they come from does not matter.
impl PartialEq for SecretRef {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for SecretRef {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_digests_differ_by_lineage_and_content_digests_do_not() {
        let refer =
            |lineage: &str| SecretKey::of(&Lineage::new(lineage)).refer(SecretSource::File("a.sh".into()), b"secret");
        let (one, two) = (refer("one"), refer("two"));
        assert_ne!(one.digest, two.digest);
        assert_eq!(one.content, two.content);
        assert_eq!(one, refer("one"));
    }

    #[test]
    fn no_secret_bytes_nor_their_content_digest_are_written_down() {
        let secret = SecretKey::of(&Lineage::new("x")).refer(SecretSource::File("a.sh".into()), b"hunter2");
        let json = serde_json::to_string(&secret).expect("JSON");
        let content = secret.content.map(|digest| digest.to_string()).unwrap_or_default();
        assert!(!json.contains("hunter2") && !json.contains(&content), "{json}");
    }
}
