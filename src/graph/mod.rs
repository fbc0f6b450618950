//! Which block needs which: nodes are blocks, never slots, so 100,000 instances are a few nodes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

use crate::model::addr::Block;
use crate::model::desired::{Capture, Desired, InstanceSource, Source};

/// The blocks of a config, and what each of them needs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Blocks {
    needs: BTreeMap<Block, BTreeSet<Block>>,
    needed_by: BTreeMap<Block, BTreeSet<Block>>,
}

impl Blocks {
    /// The graph of a config: a fleet needs its image, a share its image, and an image captured from a slot the slot's
    /// fleet, a copy what it is copied from, a build its base. What is needed but not in the config is a node as well.
    #[must_use]
    pub fn of(desired: &Desired) -> Self {
        let mut blocks = Self::default();
        for (name, image) in &desired.images {
            let block = Block::image(name);
            blocks.add(block.clone());
            match image.managed().map(|image| &image.source) {
                Some(Source::Capture(Capture { source: InstanceSource::Slot { fleet, .. }, .. })) => {
                    blocks.connect(block, Block::fleet(fleet));
                }
                Some(Source::Copy(copy)) => blocks.connect(block, Block::image(&copy.image)),
                Some(Source::Build(build)) => blocks.connect(block, Block::image(&build.base)),
                Some(Source::Capture(_) | Source::Import(_)) | None => {}
            }
        }
        for (name, share) in &desired.shares {
            blocks.connect(Block::share(name), Block::image(&share.image));
        }
        for (name, fleet) in &desired.fleets {
            blocks.connect(Block::fleet(name), Block::image(&fleet.image));
        }
        blocks
    }

    /// Adds a block, unless it is there.
    pub fn add(&mut self, block: Block) {
        self.needed_by.entry(block.clone()).or_default();
        self.needs.entry(block).or_default();
    }

    /// Adds an edge: `from` needs `to`.
    pub fn connect(&mut self, from: Block, to: Block) {
        self.add(from.clone());
        self.add(to.clone());
        self.needs.entry(from.clone()).or_default().insert(to.clone());
        self.needed_by.entry(to).or_default().insert(from);
    }

    /// All blocks, in the order of their addresses.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.needs.keys()
    }

    /// What a block needs directly.
    pub fn needs(&self, block: &Block) -> impl Iterator<Item = &Block> {
        self.needs.get(block).into_iter().flatten()
    }

    /// What needs a block directly.
    pub fn needed_by(&self, block: &Block) -> impl Iterator<Item = &Block> {
        self.needed_by.get(block).into_iter().flatten()
    }

    /// All blocks, what is needed before what needs it; where that leaves a choice, by address. `None` where blocks need
    /// each other in a circle.
    #[must_use]
    pub fn order(&self) -> Option<Vec<&Block>> {
        let mut open: BTreeMap<&Block, usize> = self.needs.iter().map(|(block, needs)| (block, needs.len())).collect();
        let mut ready: BTreeSet<&Block> =
            open.iter().filter(|(_, open)| **open == 0).map(|(block, _)| *block).collect();
        let mut order = Vec::with_capacity(self.needs.len());
        while let Some(block) = ready.pop_first() {
            order.push(block);
            for dependant in self.needed_by(block) {
                if let Some(open) = open.get_mut(dependant) {
                    *open -= 1;
                    if *open == 0 {
                        ready.insert(dependant);
                    }
                }
            }
        }
        (order.len() == self.needs.len()).then_some(order)
    }

    /// One circle from each knot of blocks that need each other: the shortest through the knot's first block. Each
    /// block of a circle needs the next, and the last one needs the first.
    #[must_use]
    pub fn cycles(&self) -> Vec<Vec<&Block>> {
        let blocks: Vec<&Block> = self.needs.keys().collect();
        let number: BTreeMap<&Block, usize> = blocks.iter().enumerate().map(|(n, block)| (*block, n)).collect();
        let mut graph = DiGraphMap::<usize, ()>::new();
        for (from, to) in self.needs.iter().flat_map(|(from, needs)| needs.iter().map(move |to| (from, to))) {
            graph.add_edge(number[from], number[to], ());
        }
        let mut cycles: Vec<Vec<&Block>> = tarjan_scc(&graph)
            .into_iter()
            .filter(|knot| knot.len() > 1 || knot.iter().any(|n| graph.contains_edge(*n, *n)))
            .filter_map(|knot| knot.iter().min().and_then(|first| self.circle(blocks[*first])))
            .collect();
        cycles.sort();
        cycles
    }

    /// The shortest way from a block back to itself.
    fn circle<'a>(&'a self, start: &'a Block) -> Option<Vec<&'a Block>> {
        let mut came_from: BTreeMap<&Block, &Block> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(block) = queue.pop_front() {
            for next in self.needs(block) {
                if next == start {
                    let mut path = vec![block];
                    while let Some(last) = path.last()
                        && *last != start
                        && let Some(before) = came_from.get(*last)
                    {
                        path.push(before);
                    }
                    path.reverse();
                    return Some(path);
                }
                if !came_from.contains_key(next) {
                    came_from.insert(next, block);
                    queue.push_back(next);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::Name;
    use proptest::prelude::*;

    fn fleet(name: &str) -> Block {
        Block::fleet(&Name::new(name))
    }

    fn image(name: &str) -> Block {
        Block::image(&Name::new(name))
    }

    fn graph(edges: &[(Block, Block)]) -> Blocks {
        let mut blocks = Blocks::default();
        for (from, to) in edges {
            blocks.connect(from.clone(), to.clone());
        }
        blocks
    }

    fn text(blocks: &[&Block]) -> String {
        blocks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_needed_comes_first_and_ties_go_by_address() {
        let blocks = graph(&[
            (fleet("web"), image("web")),
            (image("web"), fleet("builder")),
            (fleet("builder"), image("base")),
            (fleet("api"), image("base")),
        ]);
        let order = blocks.order().expect("no circle");
        assert_eq!(text(&order), "image.base fleet.api fleet.builder image.web fleet.web");
        assert!(blocks.cycles().is_empty());
        assert_eq!(text(&blocks.needed_by(&image("base")).collect::<Vec<_>>()), "fleet.api fleet.builder");
        assert_eq!(text(&blocks.needs(&fleet("web")).collect::<Vec<_>>()), "image.web");
    }

    #[test]
    fn each_knot_shows_one_circle() {
        let blocks = graph(&[
            (fleet("a"), image("a")),
            (image("a"), fleet("b")),
            (fleet("b"), image("b")),
            (image("b"), fleet("a")),
            (fleet("self"), image("self")),
            (image("self"), fleet("self")),
            (fleet("after"), image("a")),
        ]);
        assert_eq!(blocks.order(), None);
        let cycles: Vec<_> = blocks.cycles().iter().map(|cycle| text(cycle)).collect();
        assert_eq!(cycles, ["image.a fleet.b image.b fleet.a", "image.self fleet.self"]);
    }

    proptest! {
        #[test]
        fn an_order_or_a_circle(edges in prop::collection::vec((0_u8..7, 0_u8..7), 0..14)) {
            let block = |n: u8| fleet(&format!("f{n}"));
            let blocks = graph(&edges.iter().map(|(from, to)| (block(*from), block(*to))).collect::<Vec<_>>());
            let cycles = blocks.cycles();
            match blocks.order() {
                Some(order) => {
                    prop_assert!(cycles.is_empty());
                    let place = |wanted: &Block| order.iter().position(|block| *block == wanted);
                    for (from, to) in &edges {
                        prop_assert!(place(&block(*to)) < place(&block(*from)));
                    }
                }
                None => prop_assert!(!cycles.is_empty()),
            }
            for cycle in cycles {
                for (n, from) in cycle.iter().enumerate() {
                    let to = cycle[(n + 1) % cycle.len()];
                    prop_assert!(blocks.needs(from).any(|need| need == to));
                }
            }
        }
    }
}
