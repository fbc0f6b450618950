//! What a store should hold, as plain maps: the same records, applied the naive way.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright::cloud::budget::FORGOTTEN_MS;
use fleetwright::model::recorded::{OpId, Recorded};
use fleetwright::store::{OpRecord, OpState, Record, Stored, Taught};

use crate::samples;

pub(crate) struct Reference {
    pub(crate) recorded: Recorded,
    pub(crate) ops: BTreeMap<OpId, OpRecord>,
    handed_out: BTreeSet<String>,
    taught: Vec<Taught>,
}

impl Reference {
    pub(crate) fn new() -> Self {
        let recorded = Recorded::empty(samples::lineage());
        Self { recorded, ops: BTreeMap::new(), handed_out: BTreeSet::new(), taught: Vec::new() }
    }

    pub(crate) fn is_open(op: &OpRecord) -> bool {
        !matches!(op.state, OpState::Settled | OpState::Failed)
    }

    pub(crate) fn next_op(&self) -> OpId {
        OpId(self.ops.keys().next_back().map_or(1, |op| op.0 + 1))
    }

    /// One commit.
    pub(crate) fn commit(&mut self, records: &[Record]) {
        let mut changed = false;
        for record in records {
            let before = (self.recorded.edges.clone(), self.recorded.origin.clone());
            self.apply(record);
            changed |= matches!(
                record,
                Record::Put(_)
                    | Record::Change { .. }
                    | Record::Remove { .. }
                    | Record::Version(_)
                    | Record::DropVersion { .. }
                    | Record::Rollout(_)
                    | Record::DropRollout(_)
            ) || before != (self.recorded.edges.clone(), self.recorded.origin.clone());
        }
        if changed {
            self.recorded.serial += 1;
        }
    }

    fn apply(&mut self, record: &Record) {
        let Recorded { objects, versions, edges, origin, rollouts, .. } = &mut self.recorded;
        match record {
            Record::Intend(op) => {
                self.handed_out.extend(op.ids.iter().flatten().chain(&op.unbound).map(ToString::to_string));
                self.ops.insert(op.id, (**op).clone());
            }
            Record::Sent { op, attempt, sent_ms } => {
                let op = self.ops.get_mut(op).expect("an op");
                (op.state, op.attempt, op.sent_ms) = (OpState::Sent, *attempt, Some(*sent_ms));
            }
            Record::Accepted { op, request_id, unbound } => {
                self.handed_out.extend(unbound.iter().map(ToString::to_string));
                let op = self.ops.get_mut(op).expect("an op");
                (op.state, op.request_id, op.unbound) = (OpState::Accepted, request_id.clone(), unbound.clone());
            }
            Record::Bound { op, target, id } => {
                self.handed_out.insert(id.to_string());
                let op = self.ops.get_mut(op).expect("an op");
                op.ids[*target as usize] = Some(id.clone());
                op.unbound.retain(|unbound| unbound != id);
            }
            Record::Outcome { op, target, outcome } => {
                self.ops.get_mut(op).expect("an op").outcomes[*target as usize] = Some(outcome.clone());
            }
            Record::Settled { op, .. } => self.ops.get_mut(op).expect("an op").state = OpState::Settled,
            Record::Failed { op, .. } => self.ops.get_mut(op).expect("an op").state = OpState::Failed,
            Record::Put(object) => {
                objects.retain(|old| (&old.addr, old.generation) != (&object.addr, object.generation));
                objects.push((**object).clone());
            }
            Record::Change { addr, generation, status, spec, made_from } => {
                let object = objects.iter_mut().find(|old| (&old.addr, old.generation) == (addr, *generation));
                let object = object.expect("an object");
                object.status = *status;
                if let Some(spec) = spec {
                    object.spec = spec.clone();
                }
                if made_from.is_some() {
                    object.made_from = made_from.clone();
                }
            }
            Record::Remove { addr, generation } => {
                objects.retain(|old| (&old.addr, old.generation) != (addr, *generation));
            }
            Record::Version(version) => {
                versions.retain(|old| (&old.version, old.generation) != (&version.version, version.generation));
                versions.push((**version).clone());
            }
            Record::DropVersion { version, generation, .. } => {
                versions.retain(|old| (&old.version, old.generation) != (version, *generation));
            }
            Record::Edges(all) => *edges = all.clone(),
            Record::Rollout(rollout) => drop(rollouts.insert(rollout.block.clone(), (**rollout).clone())),
            Record::DropRollout(block) => drop(rollouts.remove(block).expect("a rollout")),
            Record::Origin(of) => *origin = Some(of.clone()),
            Record::Took { .. } => {}
            Record::Budget(taught) => {
                let same = |other: &Taught| {
                    (&other.account, &other.region, &other.action) == (&taught.account, &taught.region, &taught.action)
                };
                self.taught.retain(|other| !same(other) && taught.learned.at_ms - other.learned.at_ms < FORGOTTEN_MS);
                self.taught.push(taught.clone());
            }
        }
        objects.sort_by(|a, b| (&a.addr, a.generation).cmp(&(&b.addr, b.generation)));
        versions.sort_by(|a, b| (&a.block, &a.version, a.generation).cmp(&(&b.block, &b.version, b.generation)));
    }

    pub(crate) fn stored(&self) -> Stored {
        let open: Vec<OpRecord> = self.ops.values().filter(|op| Self::is_open(op)).cloned().collect();
        let mut ids_ever = BTreeSet::new();
        if !open.is_empty() {
            ids_ever.clone_from(&self.handed_out);
            ids_ever.extend(self.recorded.objects.iter().map(|object| object.cloud_id.to_string()));
        }
        Stored {
            recorded: self.recorded.clone(),
            open,
            next_op: self.next_op(),
            ids_ever,
            displaced: Vec::new(),
            taught: self.taught.clone(),
        }
    }
}
