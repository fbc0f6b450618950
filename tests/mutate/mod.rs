//! Changes to texts, as a hand, an editor or a bad disk makes them: always the same ones.

use std::collections::BTreeSet;

/// What belongs together: files by name.
pub(crate) type Texts = Vec<(String, Vec<u8>)>;

/// SplitMix64: the same numbers everywhere.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`; 0 where there is nothing below it.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % (end.max(1) as u64)).expect("below a usize")
    }

    pub(crate) fn one_of<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// The words of some texts, each once.
pub(crate) fn vocabulary(seeds: &[Texts]) -> Vec<Vec<u8>> {
    let all: BTreeSet<Vec<u8>> = seeds
        .iter()
        .flatten()
        .flat_map(|(_, text)| words(text).into_iter().map(|(start, end)| text[start..end].to_vec()))
        .collect();
    all.into_iter().collect()
}

fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// The stretches of letters, digits, `_` and `-`.
fn words(text: &[u8]) -> Vec<(usize, usize)> {
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let mut words = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let length = text[at..].iter().take_while(|byte| part(byte)).count();
        if length > 0 {
            words.push((at, at + length));
        }
        at += length.max(1);
    }
    words
}

const PIECES: [&str; 46] = [
    "\n",
    " ",
    "  ",
    "\t",
    ":",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "#",
    "&a ",
    "*a",
    "!x ",
    "<<",
    "|\n",
    ">-\n",
    "---\n",
    "...\n",
    "%",
    "@",
    "`",
    "?",
    ",",
    "~",
    "null",
    "0",
    "-1",
    "1e9",
    "${env}",
    "{version}",
    "fleets:",
    "images:\n",
    "\\",
    "é",
    "网",
    "\u{feff}",
    "\u{0}",
    "\u{85}",
    "\r",
    "\r\n",
    "\u{2028}",
    "99999999999999999999999",
];

/// One change, as a hand, an editor or a bad disk makes it.
pub(crate) fn mutate(dice: &mut Dice, text: &mut Vec<u8>, vocabulary: &[Vec<u8>], others: &[Texts]) {
    let mut all = lines(text);
    let line = dice.below(all.len());
    match dice.below(10) {
        0 if !text.is_empty() => {
            let at = dice.below(text.len());
            text[at] ^= 1 << dice.below(8);
            return;
        }
        1 if !all.is_empty() => {
            let copy = all[line].clone();
            all.insert(line, copy);
        }
        2 if !all.is_empty() => drop(all.remove(line)),
        3 if !all.is_empty() => {
            let depth = all[line].iter().take_while(|byte| **byte == b' ').count();
            match dice.below(3) {
                0 => all[line].splice(0..0, *b"  ").for_each(drop),
                1 => all[line].insert(0, b' '),
                _ => all[line].drain(..depth.min(2)).for_each(drop),
            }
        }
        4 | 5 => {
            let places = words(text);
            if !places.is_empty() {
                let (start, end) = *dice.one_of(&places);
                text.splice(start..end, dice.one_of(vocabulary).iter().copied()).for_each(drop);
            }
            return;
        }
        6 if !all.is_empty() => {
            let other = dice.below(all.len());
            all.swap(line, other);
        }
        7 => {
            let at = dice.below(text.len() + 1);
            text.truncate(at);
            return;
        }
        8 => {
            let other = dice.one_of(others);
            let more = lines(&dice.one_of(other).1);
            if let Some(taken) = more.get(dice.below(more.len())) {
                all.insert(line, taken.clone());
            }
        }
        _ => {
            let at = dice.below(text.len() + 1);
            let end = (at + dice.below(6)).min(text.len());
            text.splice(at..end, dice.one_of(&PIECES).bytes()).for_each(drop);
            return;
        }
    }
    *text = all.concat();
}
