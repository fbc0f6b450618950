//! The plan file: a plan with a hash over every byte of the file, so that what is applied is what was reviewed.
//!
//! ```text
//! {"format":"fleetwright-plan-file/1",
//! "hash":"…64 hexadecimal digits…",
//! "plan":{…}}
//! ```
//!
//! The hash is taken over the whole file with `0` in the place of its own digits. What a [`Plan`] looks like in there may
//! change with every [`FORMAT`]; a file of an older one opens for ever.

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use serde::Deserialize;

use super::sound;
use super::types::{self, Detail, Effect, Plan};
use crate::diagnostic::{Diagnostic, codes};
use crate::model::digest::{Digest, Digesting, context};
use crate::model::spec::ObjectSpec;

/// What `format` says; the number grows when an older program could misread the plan.
pub const FORMAT: &str = "fleetwright-plan-file/1";
/// What comes before the version in `format`.
const FAMILY: &str = "fleetwright-plan-file/";

const HASH_DIGITS: usize = 64;

fn head(hash: &str) -> String {
    format!("{{\"format\":\"{FORMAT}\",\n\"hash\":\"{hash}\",\n\"plan\":")
}

/// The serialiser writes a few bytes at a time; what takes them wants more at once.
const CHUNK: usize = 64 * 1024;

const END: &[u8] = b"}\n";

/// Writes a plan as a file. Equal plans make equal files. The text is at no moment in memory as a whole: it is made once
/// for its hash, which comes first, and once to be written.
///
/// # Errors
/// It cannot be written.
pub fn write(plan: &Plan, to: &mut dyn Write) -> io::Result<()> {
    let mut hashed = BufWriter::with_capacity(CHUNK, Digesting::new(context::PLAN_FILE, io::sink()));
    write_with(&no_hash(), plan, &mut hashed)?;
    let (hash, _) = hashed.into_inner().map_err(io::IntoInnerError::into_error)?.finish();
    let mut writer = BufWriter::with_capacity(CHUNK, to);
    write_with(&hash.to_string(), plan, &mut writer)?;
    writer.flush()
}

fn write_with(hash: &str, plan: &Plan, to: &mut impl Write) -> io::Result<()> {
    to.write_all(head(hash).as_bytes())?;
    serde_json::to_writer(&mut *to, plan)?;
    to.write_all(END)
}

/// A small plan as a file's text: see [`write`].
#[must_use]
pub fn encode(plan: &Plan) -> String {
    let mut bytes = Vec::new();
    match write(plan, &mut bytes).map(|()| String::from_utf8(bytes)) {
        Ok(Ok(text)) => text,
        Ok(Err(_)) | Err(_) => unreachable!("a plain value always has a JSON form, and JSON is text"),
    }
}

fn no_hash() -> String {
    "0".repeat(HASH_DIGITS)
}

fn hash_of(json: &str) -> Digest {
    Digest::of_all(context::PLAN_FILE, &[head(&no_hash()).as_bytes(), json.as_bytes(), END])
}

/// What any version of a plan file has.
#[derive(Deserialize)]
struct Envelope {
    format: Option<String>,
}

/// Reads a plan file. `name` is what a person calls the file.
///
/// # Errors
/// It is no plan file, not all of one, was changed since it was written, makes no sense, or is of a format that this
/// version does not know; the code says which.
pub fn parse(name: &str, bytes: &[u8]) -> Result<Plan, Box<Diagnostic>> {
    let damaged = |message: String, why: &str| {
        Box::new(Diagnostic::error(codes::DAMAGED_PLAN, message).why(why).why("nothing was changed"))
    };
    if bytes.is_empty() {
        return Err(damaged(format!("{name} is empty"), "a plan file is written whole or not at all"));
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(damaged(format!("{name} is not a plan file"), "it is not UTF-8 text"));
    };
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
        let ours = text.starts_with("{\"format\":\"fleetwright-plan-file/");
        return Err(if ours && error.is_eof() {
            damaged(format!("{name} is cut off"), "the end of it is missing")
        } else if ours {
            damaged(format!("{name} is damaged"), &format!("it is not JSON: {error}"))
        } else {
            damaged(format!("{name} is not a plan file"), &format!("it is not JSON: {error}"))
        });
    }
    let format = serde_json::from_str::<Envelope>(text).ok().and_then(|envelope| envelope.format);
    match format.as_deref() {
        Some(FORMAT) => {}
        Some(other) if other.starts_with(FAMILY) => {
            return Err(Box::new(
                Diagnostic::error(codes::NEWER_PLAN, format!("{name} is of another format than this version knows"))
                    .why(format!("it says {other:?}, and this version knows {FORMAT:?}"))
                    .why("nothing was changed"),
            ));
        }
        Some(other) => {
            let why = format!("its `format` says {other:?}, and a plan file's is {FORMAT:?}");
            return Err(damaged(format!("{name} is not a plan file"), &why));
        }
        None => return Err(damaged(format!("{name} is not a plan file"), "it says no `format`")),
    }
    let whole = split(text).filter(|(hash, json)| hash_of(json).to_string() == *hash);
    let Some((_, json)) = whole else {
        return Err(damaged(
            format!("{name} was changed since it was written"),
            "its hash is not that of what it holds; only a plan that is just as it was made is applied",
        ));
    };
    match serde_json::from_str::<Plan>(json) {
        Ok(plan) if plan.format == types::FORMAT => match sound::faults(&plan) {
            wrong if wrong.is_empty() => Ok(shared(plan)),
            wrong => {
                let fault = Diagnostic::error(codes::DAMAGED_PLAN, format!("{name} holds a plan that makes no sense"));
                let fault = wrong.into_iter().fold(fault, Diagnostic::why);
                Err(Box::new(fault.why("no version of this program makes such a plan; nothing was changed")))
            }
        },
        Ok(plan) => Err(Box::new(
            Diagnostic::error(codes::NEWER_PLAN, format!("{name} holds a plan of another format"))
                .why(format!("its plan is of format {}, and this version knows {}", plan.format, types::FORMAT))
                .why("nothing was changed"),
        )),
        Err(error) => Err(Box::new(
            Diagnostic::error(codes::NEWER_PLAN, format!("{name} holds what this version does not know"))
                .why(error.to_string())
                .why("nothing was changed"),
        )),
    }
}

/// The hash that a file says, and the plan's own text.
fn split(text: &str) -> Option<(&str, &str)> {
    let empty = head("");
    let (before, after) = empty.split_at(empty.find("\",\n\"plan\"")?);
    let rest = text.strip_prefix(before)?;
    let hash = rest.get(..HASH_DIGITS)?;
    let json = rest.get(HASH_DIGITS..)?.strip_prefix(after)?.strip_suffix("}\n")?;
    Some((hash, json))
}

/// What many slots have alike is kept once, as it was when the plan was made.
fn shared(mut plan: Plan) -> Plan {
    let mut details: BTreeSet<Arc<Detail>> = BTreeSet::new();
    for change in &mut plan.changes {
        match details.get(&change.detail) {
            Some(same) => change.detail = Arc::clone(same),
            None => drop(details.insert(Arc::clone(&change.detail))),
        }
    }
    let mut last: Option<Arc<ObjectSpec>> = None;
    for target in plan.steps.iter_mut().flat_map(|step| &mut step.targets) {
        let spec = match &mut target.effect {
            Effect::Make(made) => &mut made.spec,
            Effect::Become(spec) => spec,
            Effect::Nothing | Effect::Remove | Effect::Arrive => continue,
        };
        match &last {
            Some(same) if same == spec => *spec = Arc::clone(same),
            Some(_) | None => last = Some(Arc::clone(spec)),
        }
    }
    plan
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cloud::call::{Body, Call, StepId};
    use crate::model::addr::{Addr, Block};
    use crate::model::ids::{CloudId, Lineage};
    use crate::model::recorded::Origin;
    use crate::plan::draft::{at_once, detail};
    use crate::plan::input::Scope;
    use crate::plan::types::{Action, Change, Do, Fact, Reason, Step};

    /// A step that relies on something.
    pub(in crate::plan) fn step(id: u32, does: Do, expect: Vec<Fact>) -> Step {
        let (needs, targets, holds) = (Vec::new(), Vec::new(), Vec::new());
        Step { id: StepId(id), needs, does, targets, expect, settle: at_once(), holds }
    }

    pub(in crate::plan) fn call(region: &str, body: Body) -> Do {
        Do::Call(Call { account: "100000000001".into(), region: region.into(), body })
    }

    /// The end of an image of this name.
    pub(in crate::plan) fn deletion(id: &str, name: &str) -> Change {
        Change {
            addr: Addr::of(Block::image(&"web".into())),
            action: Action::Delete,
            id: Some(CloudId::Image(id.into())),
            name: name.into(),
            detail: detail(vec![Reason::CreationFailed], Vec::new()),
        }
    }

    /// A plan that does nothing.
    pub(in crate::plan) fn empty() -> Plan {
        Plan {
            format: types::FORMAT,
            lineage: Lineage::new("l"),
            serial: 3,
            origin: Origin { endpoint: "embedded".into(), account: "100000000001".into(), project: "shop".into() },
            env: "default".into(),
            config_digest: Digest::of(context::CONFIG, b"x"),
            as_of_ms: 1,
            destroy: false,
            from_memory: false,
            refresh_only: false,
            scope: Scope::All,
            lookups: Vec::new(),
            changes: Vec::new(),
            drift: Vec::new(),
            steps: Vec::new(),
            edges: BTreeSet::new(),
            rollouts: Vec::new(),
            peaks: Vec::new(),
            assumptions: vec!["} is a brace".into()],
            floor: None,
            notes: Vec::new(),
        }
    }

    #[test]
    fn a_plan_comes_back_as_it_went() {
        let text = encode(&empty());
        assert_eq!(parse("p", text.as_bytes()), Ok(empty()));
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
    }

    /// Sees how large the pieces are that it is given.
    #[derive(Default)]
    struct Pieces(Vec<u8>, Vec<usize>);

    impl Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.extend(bytes);
            self.1.push(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_long_plan_is_written_in_pieces() {
        let plan = Plan { assumptions: vec!["it is long".into(); 100_000], ..empty() };
        let mut file = Pieces::default();
        write(&plan, &mut file).expect("written");
        let Pieces(bytes, sizes) = file;
        assert!(bytes.len() > 10 * CHUNK && sizes.iter().all(|size| *size <= CHUNK), "{sizes:?}");
        assert!(sizes.len() <= bytes.len().div_ceil(CHUNK / 2), "{sizes:?}");
        assert_eq!(parse("p", &bytes), Ok(plan));
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_noticed() {
        let text = encode(&empty()).into_bytes();
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bytes = text.clone();
                bytes[at] ^= 1 << bit;
                assert!(parse("p", &bytes).is_err(), "byte {at}, bit {bit}");
            }
            let fault = parse("p", &text[..at]).expect_err("cut off");
            assert_eq!(fault.code, codes::DAMAGED_PLAN, "at {at}: {fault:?}");
        }
        let mut longer = text;
        longer.push(b'\n');
        assert!(parse("p", &longer).is_err());
    }

    #[test]
    fn other_formats_are_told_apart_from_damage() {
        let code = |text: &str| parse("p", text.as_bytes()).expect_err("refused").code;
        assert_eq!(code(&encode(&empty()).replace("file/1", "file/2")), codes::NEWER_PLAN);
        assert_eq!(code("{\"format\":\"fleetwright-plan/1\"}"), codes::DAMAGED_PLAN);
        assert_eq!(code("{}"), codes::DAMAGED_PLAN);
        assert_eq!(code("[1]"), codes::DAMAGED_PLAN);
        assert_eq!(code("project: shop"), codes::DAMAGED_PLAN);
        let newer = Plan { format: types::FORMAT + 1, ..empty() };
        assert_eq!(code(&encode(&newer)), codes::NEWER_PLAN);
        assert_eq!(parse("p", &[0xff, 0xfe]).expect_err("refused").code, codes::DAMAGED_PLAN);
    }
}
