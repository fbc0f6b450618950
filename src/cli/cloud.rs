//! `fleetwright cloud inspect`, `reset` and `credentials`: the embedded cloud, looked at from outside.

use super::args::InspectArgs;
use super::{Exit, Shell};
use crate::cloud::embedded::inspect::Holding;
use crate::cloud::embedded::{self, Embedded, Holdings, Settings};
use crate::diagnostic::{Diagnostic, SourceMap, codes};
use crate::model::ids::{Region, Uin};
use crate::model::naming::TAG_KEY;
use crate::ops::{Problem, Site, cloud_file};
use crate::report::inspect::{self, Inspect, InspectImage, InspectInstance};

fn problem(diagnostic: Diagnostic) -> Problem {
    Problem { diagnostics: vec![diagnostic], sources: SourceMap::default() }
}

pub(super) fn inspect(shell: &mut Shell<'_>, site: &Site, args: &InspectArgs) -> Result<Exit, Problem> {
    let holdings = holdings(site)?;
    let mut held = Inspect::default();
    for (account, regions) in &holdings.0 {
        for (region, holding) in regions {
            let wanted = |wish: &Option<String>, is: &str| wish.as_ref().is_none_or(|wish| wish == is);
            if wanted(&args.account, account.as_str()) && wanted(&args.region, region.as_str()) {
                add(&mut held, account, region, holding);
            }
        }
    }
    let text = if shell.json { inspect::json(&held) } else { inspect::text(&held, shell.out) };
    shell.print(&text);
    Ok(Exit::Done)
}

fn holdings(site: &Site) -> Result<Holdings, Problem> {
    let file = cloud_file(site);
    let refused = |why: &dyn std::fmt::Display| {
        problem(Diagnostic::error(codes::CLOUD, format!("the embedded cloud cannot be read: {why}")))
    };
    let embedded = match &site.hooks.embedded {
        Some(embedded) => std::sync::Arc::clone(embedded),
        None if file.exists() => {
            let opened = Embedded::open(Some(&file), Settings::default()).map_err(|error| refused(&error))?;
            std::sync::Arc::new(opened)
        }
        None => return Ok(Holdings(std::collections::BTreeMap::new())),
    };
    embedded.holdings(site.clock.now_ms()).map_err(|error| refused(&error))
}

fn add(held: &mut Inspect, account: &Uin, region: &Region, holding: &Holding) {
    let owner = |tags: &std::collections::BTreeMap<String, String>| tags.get(TAG_KEY).cloned().unwrap_or_default();
    for (id, instance) in &holding.instances {
        held.instances.push(InspectInstance {
            account: account.to_string(),
            id: id.clone(),
            name: instance.name.clone(),
            zone: instance.zone.clone(),
            state: instance.state.clone(),
            instance_type: instance.instance_type.clone(),
            image: instance.image.clone(),
            addresses: Vec::new(),
            owner: owner(&instance.tags),
        });
    }
    for (id, image) in &holding.images {
        held.images.push(InspectImage {
            account: account.to_string(),
            id: id.clone(),
            name: image.name.clone(),
            region: region.to_string(),
            state: image.state.clone(),
            size_gib: u32::try_from(image.size_gib).unwrap_or(0),
            shared_with: image.shared_with.iter().map(ToString::to_string).collect(),
            owner: owner(&image.tags),
        });
    }
}

pub(super) fn reset(shell: &mut Shell<'_>, site: &Site, auto_approve: bool) -> Result<Exit, Problem> {
    let file = cloud_file(site);
    let shown = site.show(&file);
    if !file.exists() {
        shell.print(&format!("There is no embedded cloud in {shown}.\n"));
        return Ok(Exit::Done);
    }
    if !auto_approve {
        if !shell.world.terminals.stdin {
            return Err(problem(
                Diagnostic::error(codes::NEEDS_APPROVAL, "nothing was deleted: there is no terminal to ask on")
                    .help("to go on without being asked: --auto-approve"),
            ));
        }
        let question = format!("All instances and images in {shown} are lost. To delete them, type `yes`: ");
        if !shell.confirmed(&question) {
            shell.say("Not approved; nothing was deleted.\n");
            return Ok(Exit::Failed);
        }
    }
    Embedded::reset(&file)
        .map_err(|error| problem(Diagnostic::error(codes::CLOUD, format!("{shown} cannot be deleted: {error}"))))?;
    shell.print(&format!("Deleted {shown}. States that speak of it see everything as vanished.\n"));
    Ok(Exit::Done)
}

pub(super) fn credentials(shell: &mut Shell<'_>, account: &str) -> Result<Exit, Problem> {
    let Some(keys) = embedded::credentials(account) else {
        return Err(problem(
            Diagnostic::error(codes::USAGE, format!("the embedded cloud has no keys of account {account:?}"))
                .help("accounts 100000000001 to 100000000004 have keys"),
        ));
    };
    let text = if shell.json {
        format!(
            "{{\"account\":\"{account}\",\"secret_id\":\"{}\",\"secret_key\":\"{}\"}}\n",
            keys.secret_id, keys.secret_key
        )
    } else {
        format!(
            "export TENCENTCLOUD_SECRET_ID={}\nexport TENCENTCLOUD_SECRET_KEY={}\n",
            keys.secret_id, keys.secret_key
        )
    };
    shell.print(&text);
    Ok(Exit::Done)
}
