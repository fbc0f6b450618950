//! Ids: a prefix and eight characters, one-to-one with the number of a row (API text 1.10: 8 lower-case letters or
//! digits). They look random, differ from file to file by its seed, and are never given out twice.

/// How many ids a prefix has: 36 to the power of 8.
const SPACE: u64 = 2_821_109_907_456;
/// Coprime to 36, so that multiplying permutes the numbers below [`SPACE`].
const STEP: u64 = 1_743_392_201_035;
/// `STEP · BACK = 1` modulo [`SPACE`].
const BACK: u64 = 1_369_397_782_627;
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// What an id names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Instance,
    Image,
    Snapshot,
    Disk,
}

impl Kind {
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Instance => "ins-",
            Self::Image => "img-",
            Self::Snapshot => "snap-",
            Self::Disk => "disk-",
        }
    }

    fn salt(self, seed: u64) -> u64 {
        let salt = match self {
            Self::Instance => 1,
            Self::Image => 2,
            Self::Snapshot => 3,
            Self::Disk => 4,
        };
        mix(seed, salt) % SPACE
    }
}

/// The id of a number.
pub(crate) fn encode(kind: Kind, seed: u64, n: i64) -> String {
    let n = u128::from(n.unsigned_abs());
    let mut left = ((n * u128::from(STEP) + u128::from(kind.salt(seed))) % u128::from(SPACE)) as u64;
    let mut text = kind.prefix().as_bytes().to_vec();
    let start = text.len();
    for _ in 0..8 {
        text.push(DIGITS[(left % 36) as usize]);
        left /= 36;
    }
    text[start..].reverse();
    text.into_iter().map(char::from).collect()
}

/// The number of a well-formed id.
pub(crate) fn decode(kind: Kind, seed: u64, id: &str) -> Option<i64> {
    let digits = id.strip_prefix(kind.prefix())?;
    if !is_tail(digits) {
        return None;
    }
    let value = u64::from_str_radix(digits, 36).ok()?;
    let back = (value + SPACE - kind.salt(seed)) % SPACE;
    i64::try_from((u128::from(back) * u128::from(BACK)) % u128::from(SPACE)).ok()
}

fn is_tail(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// One number for a thing of any kind.
pub(crate) fn resource(kind: Kind, n: i64) -> i64 {
    let place = match kind {
        Kind::Instance => 0,
        Kind::Image => 1,
        Kind::Snapshot => 2,
        Kind::Disk => 3,
    };
    n * 4 + place
}

/// The kind and the number behind [`resource`].
pub(crate) fn of_resource(resource: i64) -> (Kind, i64) {
    let kind = match resource % 4 {
        0 => Kind::Instance,
        1 => Kind::Image,
        2 => Kind::Snapshot,
        _ => Kind::Disk,
    };
    (kind, resource / 4)
}

/// Whether a text has the shape of an id with this prefix.
pub(crate) fn well_formed(prefix: &str, id: &str) -> bool {
    id.strip_prefix(prefix).is_some_and(is_tail)
}

/// The id of a disk of an instance: the system disk is 0, data disks follow.
pub(crate) fn disk_number(instance: i64, place: usize) -> i64 {
    instance * 32 + i64::try_from(place).unwrap_or(0)
}

/// Which instance a disk was made with, and which of its disks it is.
pub(crate) fn disk_place(disk: i64) -> (i64, usize) {
    (disk / 32, usize::try_from(disk % 32).unwrap_or(0))
}

/// A number out of two, evenly spread (splitmix64).
pub(crate) fn mix(seed: u64, n: u64) -> u64 {
    let mut z = seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A UUID out of two numbers.
pub(crate) fn uuid(seed: u64, n: u64) -> String {
    let high = mix(seed, n) & 0xffff_ffff_ffff_0fff | 0x4000;
    let low = mix(seed ^ 0x5eed, n) & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_numbers_are_one_to_one() {
        let mut seen = std::collections::BTreeSet::new();
        for n in (0..2000).chain([1 << 40, 99_999_999_999]) {
            let id = encode(Kind::Instance, 7, n);
            assert!(well_formed("ins-", &id), "{id}");
            assert_eq!(decode(Kind::Instance, 7, &id), Some(n));
            assert!(seen.insert(id));
        }
        assert_eq!(decode(Kind::Image, 7, "ins-00000000"), None);
        assert_eq!(decode(Kind::Instance, 7, "ins-0000000A"), None);
        assert_eq!(disk_place(disk_number(77, 3)), (77, 3));
    }

    #[test]
    fn uuids_have_their_shape() {
        let id = uuid(1, 2);
        assert_eq!(id.len(), 36);
        assert_eq!(&id[14..15], "4");
    }
}
