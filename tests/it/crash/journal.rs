//! The journal file of a state (SQLite's WAL), and what a disk may have of it.

use std::path::{Path, PathBuf};

/// How much of what was new in a journal file was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cut {
    /// So many of its frames, each with a page.
    Frames(usize),
    /// So many thousandths of its bytes.
    Thousandths(u16),
    /// So many of its bytes, or what is left of that number when all of them are taken off it again and again.
    Bytes(usize),
    /// So many frames of the whole file: also of what is not new, and was on the disk. No crash does this.
    OfAll(usize),
}

/// What stands behind the end of what was written to a journal file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tail {
    /// What was there before.
    Old,
    /// Anything.
    Noise,
    /// Zeros.
    Zeros,
    /// Nothing: the file ends there.
    Cut,
}

/// The database and its journal, as the disk has them.
pub(super) fn disk(file: &Path) -> Vec<Vec<u8>> {
    ["", "-wal"].map(|end| std::fs::read(beside(file, end)).unwrap_or_default()).into()
}

pub(super) fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// A journal file: a header of 32 bytes that names the size of a page, and frames, each a page with a header of 24 bytes.
pub(super) struct Journal<'a> {
    old: &'a [u8],
    new: &'a [u8],
    /// How many bytes are as they were.
    same: usize,
    frame: usize,
}

impl<'a> Journal<'a> {
    const HEADER: usize = 32;
    const FRAME_HEADER: usize = 24;

    pub(super) fn of(old: &'a [u8], new: &'a [u8]) -> Self {
        let same = old.iter().zip(new).take_while(|(old, new)| old == new).count();
        let page = new.get(8..12).map_or(4096, |size| size.iter().fold(0, |n, byte| n << 8 | usize::from(*byte)));
        Self { old, new, same, frame: Self::FRAME_HEADER + page }
    }

    /// How many frames there are, and how many of them are new.
    pub(super) fn frames(&self) -> (usize, usize) {
        let whole = |bytes: usize| bytes.saturating_sub(Self::HEADER) / self.frame;
        (whole(self.new.len()), whole(self.new.len()) - whole(self.same).min(whole(self.new.len())))
    }

    /// The file of which only a part of what is new was written.
    pub(super) fn torn(&self, kept: Cut, tail: Tail) -> Vec<u8> {
        let Self { old, new, same, frame } = *self;
        let after = |frames: usize| Self::HEADER + frames * frame;
        let cut = match kept {
            Cut::Thousandths(kept) => same + (new.len() - same) * usize::from(kept) / 1000,
            Cut::Bytes(kept) => same + kept % (new.len() - same).max(1),
            Cut::Frames(kept) => after(same.saturating_sub(Self::HEADER) / frame + kept).clamp(same, new.len()),
            Cut::OfAll(kept) => after(kept).min(new.len()),
        };
        let mut bytes = new[..cut].to_vec();
        match tail {
            Tail::Old => bytes.extend(old.iter().skip(cut)),
            Tail::Noise => bytes.extend((cut..new.len()).map(|n| n.wrapping_mul(151).to_le_bytes()[0])),
            Tail::Zeros => bytes.resize(new.len(), 0),
            Tail::Cut => {}
        }
        bytes
    }
}
