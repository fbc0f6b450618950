//! `fleetwright cloud inspect`, `reset` and `credentials`: the embedded cloud, looked at from outside.

use std::path::Path;

use super::args::InspectArgs;
use super::serve::ANOTHER_FILE;
use super::{Exit, Shell};
use crate::cloud::embedded::inspect::Holding;
use crate::cloud::embedded::{self, Embedded, Holdings, OpenError, Settings, fixtures};
use crate::diagnostic::{Diagnostic, SourceMap, codes};
use crate::model::ids::{Region, Uin};
use crate::model::naming::TAG_KEY;
use crate::ops::{Problem, Site, cloud_file, open_problem, open_problem_of, path_word};
use crate::report::inspect::{self, Inspect, InspectImage, InspectInstance, InspectOffer};

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
    held.offers = offers(args.account.as_deref(), args.region.as_deref());
    let text = if shell.json { inspect::json(&held) } else { inspect::text(&held, shell.out) };
    shell.print(&text);
    Ok(Exit::Done)
}

fn holdings(site: &Site) -> Result<Holdings, Problem> {
    let file = cloud_file(site);
    let refused = |error: OpenError| open_problem(site, &error);
    let embedded = match &site.hooks.embedded {
        Some(embedded) => std::sync::Arc::clone(embedded),
        None if std::fs::symlink_metadata(&file).is_ok() => {
            let opened = Embedded::open(Some(&file), Settings::default()).map_err(refused)?;
            std::sync::Arc::new(opened)
        }
        None => return Ok(Holdings(std::collections::BTreeMap::new())),
    };
    embedded.holdings(site.clock.now_ms()).map_err(refused)
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
            charge_type: instance.charge.clone(),
            protected: instance.protected,
            hostname: instance.host_name.clone(),
            placement_group: instance.placement_group.clone(),
            cam_role: instance.cam_role.clone(),
            fee_micros_per_hour: instance.content.fee_micros_per_hour,
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
            family: image.family.clone(),
            deprecated: image.deprecated,
            imported: image.imported,
            encrypted: image.encrypted,
            error: image.error.clone(),
            fee_micros_per_hour: image.content.fee_micros_per_hour,
            owner: owner(&image.tags),
        });
    }
}

/// Images of others, as far as they concern an account and a region.
fn offers(account: Option<&str>, region: Option<&str>) -> Vec<InspectOffer> {
    let mut offers = Vec::new();
    for image in fixtures::OTHERS {
        let concerned = |account: &str| {
            std::iter::once(image.owner).chain(fixtures::receivers(image)).any(|known| known.to_string() == account)
        };
        if account.is_none_or(concerned) && region.is_none_or(|region| region == image.region) {
            offers.push(InspectOffer {
                id: image.id.to_owned(),
                kind: if image.shared { "shared" } else { "private" }.to_owned(),
                owner: image.owner.to_string(),
                name: image.name.to_owned(),
                region: image.region.to_owned(),
                fee_micros_per_hour: 0,
            });
        }
    }
    if region.is_none_or(fixtures::has_market) {
        offers.extend(fixtures::MARKET.iter().map(|image| InspectOffer {
            id: image.id.to_owned(),
            kind: "marketplace".to_owned(),
            owner: String::new(),
            name: image.name.to_owned(),
            region: "mainland".to_owned(),
            fee_micros_per_hour: image.fee_micros_per_hour,
        }));
    }
    offers
}

pub(super) fn reset(shell: &mut Shell<'_>, site: &Site, auto_approve: bool) -> Result<Exit, Problem> {
    let file = cloud_file(site);
    let shown = site.show(&file);
    if std::fs::symlink_metadata(&file).is_err() {
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
        let confirmed = shell.confirmed(&question);
        shell.unless_interrupted()?;
        if !confirmed {
            shell.say("Not approved; nothing was deleted.\n");
            return Ok(Exit::Failed);
        }
    }
    Embedded::reset(&file).map_err(|error| {
        let fault = Diagnostic::error(codes::CLOUD, format!("{shown} cannot be deleted: {error}"));
        problem(fault.help("check the owner and the permissions of the directory that it is in"))
    })?;
    shell.print(&format!("Deleted {shown}. States that speak of it see everything as vanished.\n"));
    Ok(Exit::Done)
}

pub(super) fn credentials(
    shell: &mut Shell<'_>,
    site: &Site,
    account: &str,
    data: Option<&Path>,
) -> Result<Exit, Problem> {
    if let Some(data) = data {
        let file = site.dir.join(data);
        let shown = site.show(&file);
        if std::fs::symlink_metadata(&file).is_err() {
            return Err(problem(
                Diagnostic::error(codes::USAGE, format!("there is no {shown}"))
                    .help(format!("name the file that `fleetwright cloud serve --data {}` serves", path_word(&shown))),
            ));
        }
        Embedded::open(Some(&file), Settings::default())
            .map_err(|error| open_problem_of(site, &file, &error, ANOTHER_FILE))?;
    }
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
