//! The config: text in, [`Desired`] or faults out, each with its place. All faults are told at once.
//!
//! [`read_dir`] does the I/O; [`load`] is pure. A file goes through `scan` (text to tree, by saphyr-parser, which knows
//! places), `typing` (what each scalar is, by serde_yaml), and the readers of the blocks, who go through the tree and
//! stop at nothing: each fault leaves its value out, and its block, and nothing else.

mod build;
mod capture;
mod charge;
mod cloud;
mod context;
mod copy;
mod disks;
mod files;
mod fleet;
mod ignored;
mod image;
mod import;
mod index;
mod language;
mod names;
mod node;
mod parse;
mod promoted;
mod read;
mod received;
mod scan;
mod share;
mod typing;
mod update;
mod user_data;

pub use files::{expect_dir, read_below, read_dir};

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostic::{Diagnostic, Place, SourceMap, codes};
use crate::model::addr::Kind;
use crate::model::desired::{CloudSpec, Desired, Fleet, Image, Share};
use crate::model::digest::{Digest, SecretKey, SecretSource, context as digest_context};
use crate::model::ids::Name;
use crate::model::limits::LimitOverrides;
use crate::model::path::Path;
use context::Context;
use index::Index;
use read::Faults;

/// Reads a file by its path from the config's directory; says why it cannot.
pub type ReadFile<'a> = dyn Fn(&str) -> Result<Vec<u8>, String> + 'a;

/// The files of a config, as [`read_dir`] finds them or a test makes them up.
pub struct ConfigFiles<'a> {
    /// The YAML files: path as it is shown, and bytes.
    pub yaml: Vec<(String, Vec<u8>)>,
    /// The names of the environments that have a file, `environments/NAME.yaml`.
    pub environments: BTreeSet<String>,
    /// What was wrong when they were read.
    pub faults: Vec<Diagnostic>,
    /// Any other file of the directory or below it.
    pub others: Box<ReadFile<'a>>,
}

/// A config that was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it asks for; none where anything is an error.
    pub desired: Option<Desired>,
    /// All errors and warnings, by their place.
    pub diagnostics: Vec<Diagnostic>,
    /// The files, and where everything stands in them.
    pub sources: SourceMap,
    /// The texts of secrets that stand in the config itself, by the path of [`SecretSource::Config`].
    pub secret_texts: BTreeMap<String, Vec<u8>>,
}

/// The bytes behind a secret's source.
///
/// # Errors
/// A sentence that says why they cannot be read.
pub fn resolve_text(files: &ConfigFiles<'_>, loaded: &Loaded, source: &SecretSource) -> Result<Vec<u8>, String> {
    match source {
        SecretSource::File(path) => (files.others)(path),
        SecretSource::Config(path) => {
            loaded.secret_texts.get(path).cloned().ok_or_else(|| format!("the config has no text at `{path}`"))
        }
    }
}

/// Reads a config for an environment. `key` is what secrets are digested with.
#[must_use]
pub fn load(files: &ConfigFiles<'_>, env: &Name, key: &SecretKey) -> Loaded {
    let mut faults = Faults { list: files.faults.clone(), last: false };
    if files.yaml.is_empty() && !files.faults.iter().any(Diagnostic::is_error) {
        faults.tell(
            Diagnostic::error(codes::NO_CONFIG, "there is no *.yaml file here")
                .why("a config is all *.yaml of a directory, not of the directories below it")
                .help("run fleetwright in the config's directory, or name it with -C"),
        );
    }
    let parse::Parsed { top, mut sources, partial } = parse::parse(files, &mut faults);
    environment(files, env, &mut sources, &mut faults);
    // Where something could not be read, nothing is missed: why it could not is told already.
    let partial = partial || top.is_empty() || faults.list.iter().any(|fault| fault.code == codes::UNREADABLE);
    let twice = faults.list.iter().any(|fault| fault.code == codes::DUPLICATE_KEY);

    let mut cx = Context::new(faults, Index::of(&top, partial), files, key);
    let blocks = read_all(&mut cx, &top, env);
    let mut diagnostics = std::mem::take(&mut cx.faults.list);
    let mut unshown = cx.unshown;
    if twice {
        let faults = Faults { list: Vec::new(), last: true };
        let mut cx = Context::new(faults, Index::of(&top, partial), files, key);
        read_all(&mut cx, &top, env);
        diagnostics.extend(cx.faults.list);
        unshown.extend(cx.unshown);
    }
    for (file, source) in sources.sources.iter_mut().enumerate() {
        import::hide(&mut source.text, unshown.iter().copied().filter(|span| span.file == file));
    }
    let diagnostics = in_order(diagnostics, &sources);

    let trusted_owners = cx.trusted.owners;
    let whole = !diagnostics.iter().any(Diagnostic::is_error);
    let digest = digest(files, key, &cx.secret_digests);
    let desired = blocks.filter(|_| whole).map(|(project, cloud, Blocks { images, shares, fleets })| Desired {
        project,
        env: env.clone(),
        cloud,
        trusted_owners,
        images,
        shares,
        fleets,
        digest,
    });
    Loaded { desired, diagnostics, sources, secret_texts: cx.secret_texts }
}

/// Reads limits out of a file of their own, with the keys of `cloud.limits`: what a served cloud is to enforce.
///
/// # Errors
/// All that is wrong with it, and the file.
pub fn limits(path: &str, bytes: Vec<u8>) -> Result<LimitOverrides, (Vec<Diagnostic>, SourceMap)> {
    let files = ConfigFiles {
        yaml: vec![(path.to_owned(), bytes)],
        environments: BTreeSet::new(),
        faults: Vec::new(),
        others: Box::new(|_| Err(String::new())),
    };
    let mut faults = Faults { list: Vec::new(), last: false };
    let parse::Parsed { top, sources, partial: _ } = parse::parse(&files, &mut faults);
    let limits = cloud::limits_file(&mut faults, &top);
    let diagnostics = in_order(faults.list, &sources);
    if diagnostics.iter().any(Diagnostic::is_error) { Err((diagnostics, sources)) } else { Ok(limits) }
}

struct Blocks {
    images: BTreeMap<Name, Image>,
    shares: BTreeMap<Name, Share>,
    fleets: BTreeMap<Name, Fleet>,
}

/// Reads everything, telling the faults.
fn read_all(cx: &mut Context<'_>, top: &[node::Pair], env: &Name) -> Option<(Name, CloudSpec, Blocks)> {
    cx.faults.check_keys(top, &language::TOP, &Path::default());
    let project = cloud::project(cx, top);
    cx.place = project.clone().map(|project| (project, env.clone()));
    let cloud = cloud::cloud(cx, top);
    cloud::trusted_owners(cx, top);
    let mut blocks = Blocks { images: BTreeMap::new(), shares: BTreeMap::new(), fleets: BTreeMap::new() };
    for (name, value) in cx.blocks(top, Kind::Image) {
        blocks.images.extend(image::image(cx, &name, &value).map(|image| (name, image)));
    }
    let mut shared = BTreeMap::new();
    for (name, value) in cx.blocks(top, Kind::Share) {
        blocks.shares.extend(share::share(cx, &name, &value, &mut shared).map(|share| (name, share)));
    }
    for (name, value) in cx.blocks(top, Kind::Fleet) {
        blocks.fleets.extend(fleet::fleet(cx, &name, &value).map(|fleet| (name, fleet)));
    }
    cx.tell_cycles();
    if let Some(project) = &project {
        names::same_image_names(cx, project, env, &blocks.images);
    }
    Some((project?, cloud?, blocks))
}

/// By their places, none twice.
fn in_order(mut diagnostics: Vec<Diagnostic>, sources: &SourceMap) -> Vec<Diagnostic> {
    let place = |fault: &Diagnostic| {
        let span = fault.place.as_ref().and_then(|place| sources.span(place));
        span.map(|span| (span.file, span.start, span.end))
    };
    diagnostics.sort_by_key(|fault| (place(fault), fault.severity));
    let mut told = BTreeSet::new();
    diagnostics.retain(|fault| told.insert((place(fault), fault.code.word, fault.message.clone())));
    diagnostics
}

/// The values of an environment are not supported yet; an environment as such is.
fn environment(files: &ConfigFiles<'_>, env: &Name, sources: &mut SourceMap, faults: &mut Faults) {
    if !Name::is_valid(env.as_str()) {
        faults.tell(
            Diagnostic::error(codes::INVALID_NAME, format!("`{}` cannot be an environment", read::shown(env.as_str())))
                .why(context::NAME_RULE)
                .help("choose another name with -e"),
        );
        return;
    }
    if files.environments.contains(env.as_str()) {
        let path = format!("environments/{env}.yaml");
        let bytes = (files.others)(&path).unwrap_or_default();
        let span = parse::add_source(sources, path.clone(), String::from_utf8_lossy(&bytes).into_owned());
        faults.unsupported(span, &format!("`{path}`"));
    }
}

/// Of the files' names and bytes, and of what they refer to. All of it is keyed: the files may hold secrets.
fn digest(files: &ConfigFiles<'_>, key: &SecretKey, secrets: &BTreeSet<(String, Digest)>) -> Digest {
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let mut parts: Vec<(String, Digest)> = files
        .yaml
        .iter()
        .map(|(path, bytes)| (name(path), key.refer(SecretSource::File(String::new()), bytes).digest))
        .collect();
    parts.sort();
    Digest::of_value(digest_context::CONFIG, &(parts, secrets))
}

/// A place at the very start of a file.
fn file_start(file: usize) -> Place {
    Place::Span(crate::diagnostic::Span { file, start: 0, end: 0 })
}
