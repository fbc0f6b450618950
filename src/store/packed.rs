//! Plans as they are kept: JSON, compressed. A plan of 100,000 slots is 93 MB of text that says the same of each.

use std::io::{self, BufReader, BufWriter, Read};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fault::{Res, Trouble};
use crate::model::digest::{Digest, Digesting};

/// The serialiser writes a few bytes at a time; what takes them wants more at once.
const CHUNK: usize = 64 * 1024;

/// The JSON form of a value, compressed, and its digest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packed {
    /// Of the JSON text.
    pub(super) hash: Digest,
    /// The JSON text, compressed (zlib, RFC 1950).
    pub(super) zlib: Vec<u8>,
}

impl Packed {
    /// The JSON form of a value, with its digest under a context of [`crate::model::digest::context`]. The whole text is
    /// at no moment in memory.
    #[must_use]
    pub fn of<T: Serialize>(context: &str, value: &T) -> Self {
        match Self::pack(context, value) {
            Ok(packed) => packed,
            Err(error) => unreachable!("a plain value always has a JSON form, and memory takes it: {error}"),
        }
    }

    fn pack<T: Serialize>(context: &str, value: &T) -> io::Result<Self> {
        let zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        let mut writer = BufWriter::with_capacity(CHUNK, Digesting::new(context, zlib));
        serde_json::to_writer(&mut writer, value)?;
        let (hash, zlib) = writer.into_inner().map_err(io::IntoInnerError::into_error)?.finish();
        Ok(Self { hash, zlib: zlib.finish()? })
    }

    /// The digest of the JSON text.
    #[must_use]
    pub fn hash(&self) -> Digest {
        self.hash
    }

    /// How many bytes it takes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.zlib.len()
    }

    /// Whether it takes none; what was packed always takes some.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.zlib.is_empty()
    }
}

/// A plan as a row keeps it.
#[derive(Clone, Copy)]
pub(super) enum Kept<'a> {
    /// As text: until schema 2.
    Json(&'a str),
    /// The text compressed.
    Zlib(&'a [u8]),
}

impl Kept<'_> {
    /// The whole text.
    pub(super) fn text(self) -> Res<String> {
        let mut text = String::new();
        match self {
            Kept::Json(json) => Ok(json.to_owned()),
            Kept::Zlib(zlib) => match ZlibDecoder::new(zlib).read_to_string(&mut text) {
                Ok(_) => Ok(text),
                Err(error) => Err(Trouble::damaged(format!("holds a plan that cannot be unpacked: {error}"))),
            },
        }
    }

    /// What is asked of it, and nothing else of it is kept in memory. `None`: it cannot be read.
    pub(super) fn parse<T: DeserializeOwned>(self) -> Option<T> {
        match self {
            Kept::Json(json) => serde_json::from_str(json).ok(),
            Kept::Zlib(zlib) => serde_json::from_reader(BufReader::with_capacity(CHUNK, ZlibDecoder::new(zlib))).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::context;

    #[test]
    fn what_is_packed_comes_out_as_it_went_in() {
        let value: Vec<String> = (0..20_000).map(|slot| format!("fleet.web[{slot}]")).collect();
        let json = serde_json::to_string(&value).expect("a text");
        let packed = Packed::of(context::PLAN, &value);
        assert_eq!(packed.hash(), Digest::of(context::PLAN, json.as_bytes()));
        assert_eq!(Kept::Zlib(&packed.zlib).text().expect("a text"), json);
        assert!(packed.len() * 4 < json.len(), "{} bytes of {}", packed.len(), json.len());
        assert_eq!(Packed::of(context::PLAN, &value), packed);
    }

    #[test]
    fn what_is_damaged_is_told() {
        let packed = Packed::of(context::PLAN, &"fleet.web");
        for cut in 0..packed.len() {
            Kept::Zlib(&packed.zlib[..cut]).text().expect_err("cut off");
        }
    }
}
