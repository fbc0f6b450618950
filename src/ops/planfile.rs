//! Plan files: written by `plan --out`, shown, and carried out as they are. Whatever would make the plan another one than
//! was reviewed is found before the first call that changes something, and before anything is written.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::apply::{Held, made, wrapped};
use super::carry::{self, Begin};
use super::connect::{cloud_file, connect};
use super::load::{Config, files, load, store_problem};
use super::lock::interrupted;
use super::observe::{Sight, observe};
use super::plan::{move_pins, new_pins};
use super::{Applied, Planned, Problem, Site, Watcher, lockfile, path_word};
use crate::cloud::call::Arg;
use crate::cloud::observe::{Needs, RegionNeeds};
use crate::diagnostic::{Diagnostic, SourceMap, codes, visible};
use crate::model::desired::{CloudSpec, Desired};
use crate::model::ids::{CloudId, Region};
use crate::plan::file::{self, parse};
use crate::plan::{Do, Fact, Moved, Plan, Scope, Step, known_now};
use crate::store::{SqliteStore, Store, Stored};

/// The most facts that are told about one by one.
const MOST_TOLD: usize = 20;

/// Writes a plan to a file: to one beside it, and then renamed, so that it is there whole or not at all.
///
/// # Errors
/// The file cannot be written, or would be read as a part of the config.
pub fn write_plan(site: &Site, file: &Path, plan: &Plan) -> Result<(), Problem> {
    let path = site.dir.join(file);
    let shown = visible(&file.display().to_string());
    let refused = |why: String, help: &str| {
        Problem::of(Diagnostic::error(codes::PLAN_FILE, format!("{shown} cannot be written: {why}")).help(help))
    };
    let yaml = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
    if yaml && path.parent() == Some(site.dir.as_path()) {
        let why = "it would be read as a part of the config".to_owned();
        return Err(refused(why, "give it another name: --out plan.json"));
    }
    let Some(name) = path.file_name().filter(|_| !path.is_dir()) else {
        return Err(refused("it is a directory".into(), "name a file: --out plan.json"));
    };
    let beside = path.with_file_name(format!(".{}.{}", name.to_string_lossy(), site.holder.pid));
    let written = std::fs::File::create(&beside).and_then(|mut file| {
        file::write(plan, &mut file)?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&beside, &path)).map_err(|error| {
        drop(std::fs::remove_file(&beside));
        refused(error.to_string(), "check that its directory is there and may be written to")
    })
}

/// Reads a plan file.
///
/// # Errors
/// It cannot be read, is not a plan file, or was changed since it was written.
pub fn read_plan(site: &Site, file: &Path) -> Result<Plan, Problem> {
    let again = Again { site, file, destroy: false, refresh_only: false, scope: Scope::All };
    let shown = again.shown();
    let bytes = read_file(&site.dir.join(file)).map_err(|error| {
        Problem::of(
            Diagnostic::error(codes::PLAN_FILE, format!("{shown} cannot be read: {error}"))
                .help(format!("to make a plan file: {}", again.command())),
        )
    })?;
    parse(&shown, &bytes).map_err(|fault| Problem::of(fault.help(again.plan())))
}

/// The bytes of a file, or of a pipe; not those of a device, which may have no end.
fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    let kind = file.metadata()?.file_type();
    #[cfg(unix)]
    if std::os::unix::fs::FileTypeExt::is_char_device(&kind) || std::os::unix::fs::FileTypeExt::is_block_device(&kind) {
        return Err(std::io::Error::other("it is not a file"));
    }
    if kind.is_dir() {
        return Err(std::io::Error::other("it is a directory"));
    }
    let mut bytes = Vec::new();
    (&file).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Carries out a plan file, and nothing else.
///
/// # Errors
/// The file is damaged, foreign or stale; the config cannot be read; the state cannot be written.
pub fn apply_file(site: &Site, file: &Path, watcher: &mut dyn Watcher) -> Result<Applied, Problem> {
    site.stop.heed();
    let mut plan = read_plan(site, file)?;
    let again = Again { site, file, destroy: plan.destroy, refresh_only: plan.refresh_only, scope: plan.scope.clone() };
    let files = files(site)?;
    let store = SqliteStore::open_read_only(&site.state_file()).map_err(|fault| store_problem(site, &fault))?;
    let stored = match store {
        Some(mut store) => Some(store.load().map_err(|fault| store_problem(site, &fault))?),
        None => None,
    };
    let config = load(site, &files, &plan.lineage)?;
    let of = |faults: Vec<Diagnostic>| Problem { diagnostics: faults, sources: SourceMap::default() };
    belongs(&plan, stored.as_ref(), &config.desired, &again).map_err(|fault| Problem::of(*fault))?;
    current(&plan, stored.as_ref(), &again).map_err(|fault| Problem::of(*fault))?;
    let changed = secrets_changed(&plan, &config, &again);
    if !changed.is_empty() {
        return Err(of(changed));
    }
    let cloud = &config.desired.cloud;
    // The embedded cloud's file is made only when something is done to it.
    let there = cloud_file(site).exists();
    let taught = stored.as_ref().map_or_else(Vec::new, |stored| stored.taught.clone());
    let mut connected = connect(site, cloud, Arc::clone(&config.secrets), &taught, there)?;
    let facts = known_now(&plan);
    let sight = observe(site, &connected.cloud, needs_of(cloud, &facts))?;
    let moved = facts_moved(&facts, &sight, &again);
    if !moved.is_empty() {
        return Err(of(moved));
    }
    plan.notes = notes(site, &plan, &config.desired)?;
    if !plan.is_empty() && !there {
        connected = connect(site, cloud, Arc::clone(&config.secrets), &taught, true)?;
    }
    let stored = match stored {
        Some(stored) => stored,
        None => super::load::fresh(plan.lineage.clone()),
    };
    let planned = Planned { plan, config, texts: BTreeMap::new(), estimate: None, stored, connected, sight };
    watcher.begins(&planned);
    if planned.plan.is_empty() {
        move_pins(site, &planned.plan)?;
        return Ok(Applied::Nothing { paused: BTreeSet::new() });
    }
    carry_out(&planned, watcher, &again)
}

/// Takes the lock, looks again whether the plan is still current, and runs it.
fn carry_out(planned: &Planned, watcher: &mut dyn Watcher, again: &Again<'_>) -> Result<Applied, Problem> {
    let site = again.site;
    let Planned { plan, connected, .. } = planned;
    interrupted(site, "before the plan was begun")?;
    let store = made(site, plan)?;
    let mut held = Held::take(site, wrapped(site, Box::new(store)), watcher)?;
    let result = held.load().and_then(|stored| {
        let unmoved = stored.recorded.lineage == plan.lineage;
        let moved = || Problem::of(again.stale("another run made the state that is here".into()));
        if unmoved { Ok(stored) } else { Err(moved()) }
    });
    let result = result
        .and_then(|stored| current(plan, Some(&stored), again).map_err(|fault| Problem::of(*fault)))
        .and_then(|()| carry::carry_out(site, watcher, &mut held, planned, connected, Begin::default()));
    held.give_back();
    result
}

/// The commands that lead on from a plan that cannot be applied.
struct Again<'a> {
    site: &'a Site,
    file: &'a Path,
    destroy: bool,
    refresh_only: bool,
    scope: Scope,
}

impl Again<'_> {
    fn file(&self) -> String {
        path_word(&self.file.display().to_string())
    }

    /// The file's name, as a terminal may show it.
    fn shown(&self) -> String {
        visible(&self.file.display().to_string())
    }

    fn command(&self) -> String {
        let kind = match (self.destroy, self.refresh_only) {
            (true, _) => " --destroy",
            (false, true) => " --refresh-only",
            (false, false) => "",
        };
        let scope: String = match self.scope.named() {
            Some((option, named)) => {
                named.iter().map(|addr| format!(" {option} {}", path_word(&addr.to_string()))).collect()
            }
            None => String::new(),
        };
        self.site.command(&format!("plan{kind}{scope} --out {}", self.file()))
    }

    fn plan(&self) -> String {
        format!("to plan again: {}", self.command())
    }

    fn stale(&self, why: String) -> Diagnostic {
        Diagnostic::error(codes::STALE, format!("the plan in {} is stale: {why}", self.shown()))
            .why("nothing was changed")
            .help(self.plan())
    }
}

/// Refuses a plan that was made for another state, cloud, account, project or environment.
fn belongs(plan: &Plan, stored: Option<&Stored>, desired: &Desired, again: &Again<'_>) -> Result<(), Box<Diagnostic>> {
    let site = again.site;
    let (made, here) = (&plan.origin, desired);
    let mut differ: Vec<(&str, String, String)> = vec![
        ("environment", plan.env.to_string(), site.env.to_string()),
        ("project", made.project.to_string(), here.project.to_string()),
        ("endpoint", made.endpoint.clone(), here.cloud.provider.endpoint().to_owned()),
        ("account", made.account.to_string(), here.cloud.account.to_string()),
    ];
    if let Some(stored) = stored {
        differ.push(("lineage of the state", plan.lineage.to_string(), stored.recorded.lineage.to_string()));
    }
    let mut whys: Vec<String> = differ
        .into_iter()
        .filter(|(_, made, here)| made != here)
        .map(|(what, made, here)| format!("{what}: the plan was made for {made:?}, and here it is {here:?}"))
        .collect();
    let file = site.show(&site.state_file());
    if stored.is_none() && plan.serial > 0 {
        whys.push(format!("state: the plan was made from one that was written before, and there is no {file}"));
    } else if stored.is_some_and(|stored| stored.recorded.lineage != plan.lineage) && plan.serial == 0 {
        whys.push(format!("the plan was made before there was a state; {file} was made by another run since"));
    }
    if whys.is_empty() {
        return Ok(());
    }
    let fault = Diagnostic::error(
        codes::FOREIGN_PLAN,
        format!("the plan in {} was made for something else than is here", again.shown()),
    );
    let fault = whys.into_iter().fold(fault, Diagnostic::why).why("nothing was changed");
    Err(Box::new(fault.help(format!("apply it where it was made, or make one for here: {}", again.command()))))
}

/// Refuses a plan that was made from another moment of the state.
fn current(plan: &Plan, stored: Option<&Stored>, again: &Again<'_>) -> Result<(), Box<Diagnostic>> {
    let Some(stored) = stored else { return Ok(()) };
    let open = stored.open.len();
    if open > 0 {
        let what = if open == 1 { "an operation".to_owned() } else { format!("{open} operations") };
        let verb = if again.destroy { "destroy" } else { "apply" };
        let fault = again.stale(format!("an interrupted run left {what} open"));
        return Err(Box::new(
            fault.help(format!("to settle what is open, and plan anew: {}", again.site.command(verb))),
        ));
    }
    let serial = stored.recorded.serial;
    if serial == plan.serial {
        return Ok(());
    }
    Err(Box::new(again.stale(format!("the state has changed since, from serial {} to {serial}", plan.serial))))
}

/// Secrets whose bytes are no longer those that were planned with.
fn secrets_changed(plan: &Plan, config: &Config, again: &Again<'_>) -> Vec<Diagnostic> {
    let mut read = BTreeSet::new();
    let mut faults = Vec::new();
    for step in &plan.steps {
        let Do::Call(call) = &step.does else { continue };
        let Some(secret) = call.body.secret() else { continue };
        if !read.insert((&secret.source, secret.digest)) {
            continue;
        }
        if let Err(why) = config.secrets.read(secret) {
            let what = address(step, None);
            faults.push(
                Diagnostic::error(codes::SECRET_CHANGED, format!("{what}: {why}"))
                    .why("nothing was changed: a plan holds no secret, only by what it is known again")
                    .help(again.plan()),
            );
        }
    }
    faults
}

/// What a step does something to, as far as a fact is about it.
fn address(step: &Step, id: Option<&CloudId>) -> String {
    let full = |target: &crate::plan::Target| target.addr.clone().generation(target.generation).to_string();
    let is = |target: &&crate::plan::Target| id.is_some() && target.id.as_ref().and_then(Arg::known) == id;
    if let Some(target) = step.targets.iter().find(is) {
        return full(target);
    }
    match step.targets.as_slice() {
        [] => step.id.to_string(),
        [one] => full(one),
        [first, more @ ..] => format!("{} and {} more", full(first), more.len()),
    }
}

/// What has to be asked to know whether facts still hold: a hundred ids a call.
fn needs_of(cloud: &CloudSpec, facts: &[(&Step, &Fact)]) -> Needs {
    let mut regions: BTreeMap<Region, RegionNeeds> = BTreeMap::new();
    for (_, fact) in facts {
        match fact {
            Fact::NameFree { region, name: _ } => regions.entry(region.clone()).or_default().custom_images = true,
            Fact::Instance { region, id, .. }
            | Fact::Remembered { region, id, .. }
            | Fact::Gone { region, id: CloudId::Instance(id) } => {
                regions.entry(region.clone()).or_default().instances.insert(id.clone());
            }
            Fact::Instances { region, ids } | Fact::Terminable { region, ids, .. } => {
                regions.entry(region.clone()).or_default().instances.extend(ids.iter().cloned());
            }
            Fact::Shared { region, image, .. } | Fact::Unshared { region, image } => {
                regions.entry(region.clone()).or_default().shares.insert(image.clone());
            }
            Fact::Image { region, id } | Fact::Gone { region, id: CloudId::Image(id) } => {
                regions.entry(region.clone()).or_default().images.insert(id.clone());
            }
        }
    }
    Needs { account: cloud.account.clone(), home: cloud.region.clone(), regions_list: false, regions }
}

/// Facts that no longer hold, each told once.
fn facts_moved(facts: &[(&Step, &Fact)], sight: &Sight, again: &Again<'_>) -> Vec<Diagnostic> {
    let mut told = BTreeSet::new();
    let mut faults = Vec::new();
    let mut more = 0_usize;
    for (step, fact) in facts {
        for Moved { id, what, planned, now } in fact.moved(&sight.observed) {
            if !told.insert(what.clone()) {
                continue;
            }
            if faults.len() == MOST_TOLD {
                more += 1;
                continue;
            }
            let addr = address(step, id.as_ref());
            faults.push(
                Diagnostic::error(codes::FACT_MOVED, format!("{addr}: {what} since the plan was made"))
                    .why(format!("planned with {planned}; now {now}")),
            );
        }
    }
    if let Some(last) = faults.last_mut() {
        if more > 0 {
            last.notes.push(format!("{more} more things are no longer as they were"));
        }
        last.notes.push(format!("the plan in {} is stale; nothing was changed", again.shown()));
        last.help = Some(again.plan());
    }
    faults
}

/// What a person should know before the plan is carried out as it is.
fn notes(site: &Site, plan: &Plan, desired: &Desired) -> Result<Vec<Diagnostic>, Problem> {
    let mut notes = Vec::new();
    if plan.config_digest != desired.digest {
        notes.push(
            Diagnostic::note(codes::CONFIG_CHANGED, "the config has changed since the plan was made")
                .why("the plan is carried out as it was made")
                .help(format!("to see what is left to do then: {}", site.command("plan"))),
        );
    }
    let lock = lockfile::read(site)?;
    for new in new_pins(plan) {
        if let Some(other) = new.other(&lock) {
            notes.push(
                Diagnostic::note(
                    codes::CONFIG_CHANGED,
                    format!(
                        "fleetwright.lock pins {:?} in {} to {other} since the plan was made",
                        new.name(),
                        new.region()
                    ),
                )
                .why(format!("the plan was made with {}; the lock file stays as it is", new.id())),
            );
        }
    }
    Ok(notes)
}

/// The command that carries a plan file out.
#[must_use]
pub fn apply_command(site: &Site, file: &Path) -> String {
    site.command(&format!("apply {}", path_word(&file.display().to_string())))
}
