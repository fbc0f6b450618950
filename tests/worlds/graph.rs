//! All graphs of so many blocks, each once: whatever its blocks are called, a graph is the same.

use std::collections::BTreeMap;

/// What a block is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// An image that the cloud has for everybody.
    Public,
    /// An image that another account shares.
    Shared,
    /// An image of the marketplace.
    Market,
    /// An image that is imported from a file.
    Import,
    /// An image that is captured from the first slot of a fleet.
    Capture,
    /// An image that is a copy of another one.
    Copy,
    /// A fleet that runs from an image.
    Fleet,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Public, Self::Shared, Self::Market, Self::Import, Self::Capture, Self::Copy, Self::Fleet];

    fn letter(self) -> char {
        match self {
            Self::Public => 'P',
            Self::Shared => 'S',
            Self::Market => 'M',
            Self::Import => 'I',
            Self::Capture => 'C',
            Self::Copy => 'Y',
            Self::Fleet => 'F',
        }
    }
}

/// Blocks, each with the one that it needs, which stands before it. No block needs more than one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Graph(pub(crate) Vec<(Kind, Option<usize>)>);

impl Graph {
    /// Every graph of 1 to `most` blocks, smaller ones first.
    pub(crate) fn all(most: usize) -> Vec<Self> {
        let mut all = Vec::new();
        let mut last = vec![Self(Vec::new())];
        for _ in 0..most {
            // Every graph of one more block is one of these and a leaf.
            let mut larger: BTreeMap<String, Self> = BTreeMap::new();
            for graph in &last {
                for (_, grown) in graph.grown() {
                    larger.entry(grown.name(&[])).or_insert(grown);
                }
            }
            last = larger.into_values().collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    /// The graph with a leaf more, in every way that there is.
    fn grown(&self) -> Vec<(Kind, Self)> {
        let parents = || std::iter::once(None).chain((0..self.0.len()).map(Some));
        let ways = Kind::ALL.into_iter().flat_map(|kind| parents().map(move |on| (kind, on)));
        let fitting = ways.filter(|(kind, on)| match (kind, on) {
            (Kind::Public | Kind::Shared | Kind::Market | Kind::Import, on) => on.is_none(),
            (Kind::Capture | Kind::Copy | Kind::Fleet, None) => false,
            (Kind::Capture, Some(on)) => self.can_be_captured(*on),
            (Kind::Copy, Some(on)) => self.can_be_copied(*on),
            (Kind::Fleet, Some(on)) => self.0[*on].0 != Kind::Fleet,
        });
        fitting
            .map(|(kind, on)| {
                let mut grown = self.clone();
                grown.0.push((kind, on));
                (kind, grown)
            })
            .collect()
    }

    /// Whether an image can be captured from this fleet: not from a disk that is encrypted.
    fn can_be_captured(&self, at: usize) -> bool {
        match self.0[at] {
            (Kind::Fleet, Some(image)) => !self.encrypted(image),
            _ => false,
        }
    }

    /// Whether this image can be copied in its region: one that is shared with us as it is, one of our own encrypted.
    fn can_be_copied(&self, at: usize) -> bool {
        match self.0[at].0 {
            Kind::Shared | Kind::Import | Kind::Capture => true,
            Kind::Copy => !self.encrypted(at),
            Kind::Public | Kind::Market | Kind::Fleet => false,
        }
    }

    /// Whether this image is an encrypted copy: the copy of an image of our own is.
    pub(crate) fn encrypted(&self, at: usize) -> bool {
        match self.0[at] {
            (Kind::Copy, Some(of)) => self.0[of].0 != Kind::Shared,
            _ => false,
        }
    }

    /// Whether this block is an image of our own.
    pub(crate) fn ours(&self, at: usize) -> bool {
        matches!(self.0[at].0, Kind::Import | Kind::Capture | Kind::Copy)
    }

    /// The blocks that need this one.
    pub(crate) fn users(&self, of: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.0.len()).filter(move |user| self.0[*user].1 == Some(of))
    }

    /// What a graph is called: equal for graphs that differ in the names of their blocks only. Some blocks may be
    /// pointed out, each in its own way.
    pub(crate) fn name(&self, marked: &[usize]) -> String {
        let mut roots: Vec<String> =
            (0..self.0.len()).filter(|at| self.0[*at].1.is_none()).map(|at| self.tree(at, marked)).collect();
        roots.sort();
        roots.join(" ")
    }

    fn tree(&self, at: usize, marked: &[usize]) -> String {
        let mut users: Vec<String> = self.users(at).map(|user| self.tree(user, marked)).collect();
        users.sort();
        let mark = marked.iter().position(|of| *of == at).map_or("", |n| ["'", "\""][n % 2]);
        let users = if users.is_empty() { String::new() } else { format!("({})", users.join(" ")) };
        format!("{}{mark}{users}", self.0[at].0.letter())
    }

    /// The blocks, of those that cannot be told apart the first one only.
    pub(crate) fn different(&self) -> Vec<usize> {
        let mut seen = std::collections::BTreeSet::new();
        (0..self.0.len()).filter(|at| seen.insert(self.name(&[*at]))).collect()
    }
}

#[test]
fn every_graph_is_there_once() {
    let count = |blocks: usize| Graph::all(blocks).iter().filter(|graph| graph.0.len() == blocks).count();
    // Four images that need nothing; any two of them, a fleet from each, a copy of each of two of them; and so on.
    assert_eq!((count(1), count(2)), (4, 16));
    // By counting trees: of 3 blocks 2 + 2 + 6 + 5, then a tree of 2 beside one, then three single ones.
    assert_eq!(count(3), 15 + 6 * 4 + 20);
    let all = Graph::all(4);
    let names: std::collections::BTreeSet<String> = all.iter().map(|graph| graph.name(&[])).collect();
    assert_eq!(names.len(), all.len());
    assert!(names.contains("P(F(C(F)))") && names.contains("S(Y(Y(F)))") && names.contains("I(F(C)) P"));
    assert!(!names.contains("P(Y)") && !names.contains("I(Y(Y))") && !names.contains("I(Y(F(C)))"));
}
