//! Makes a story that goes wrong shorter: leaves out whatever it goes wrong without.

use super::story::Story;

/// The numbers of the atoms that a story still goes wrong with, as few as can be found by telling so many stories.
pub(crate) fn shrunk<S: Story>(story: &S, most: u64) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..story.atoms().0.len()).collect();
    let mut tries = 0;
    let mut part = kept.len().div_ceil(2).max(1);
    // Delta debugging: first halves are left out, then quarters, and in the end single atoms, as long as one can be.
    loop {
        let mut smaller = false;
        let mut at = 0;
        while at < kept.len() && tries < most {
            let mut without = kept.clone();
            without.drain(at..(at + part).min(kept.len()));
            tries += 1;
            if story.only(&without).tell(|_| {}).is_err() {
                kept = without;
                smaller = true;
            } else {
                at += part;
            }
        }
        if tries >= most || part == 1 && !smaller {
            return kept;
        }
        part = part.div_ceil(2).max(1);
    }
}
