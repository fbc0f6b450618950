//! Networks, subnets, security groups, key pairs, placement groups and access roles. Each region has a default VPC and
//! a default group, each zone a default subnet; any other well-formed id exists from its first use on, and stays where
//! that was. A placement group is one of hosts. Every well-formed name of a CAM role is one, unless the settings say
//! which there are.

use rusqlite::{OptionalExtension as _, params};

use super::api::Context;
use super::catalogue::{default_group, default_subnet, default_vpc};
use super::ids::well_formed;
use super::refusal::{Done, refuse};
use crate::cloud::cvm::wire::shapes::VirtualPrivateCloud;
use crate::model::catalog;

/// The most security groups of an instance (8.9).
pub(crate) const MAX_GROUPS: usize = 5;
/// The most placement groups of an account in a region, and instances of a group by its kind: on different hosts,
/// switches, racks. DescribeAccountQuota tells them; the figures are assumed.
pub(crate) const PLACEMENT_GROUPS: i64 = 10;
pub(crate) const GROUP_OF_HOSTS: i64 = 50;
pub(crate) const GROUP_OF_SWITCHES: i64 = 20;
pub(crate) const GROUP_OF_RACKS: i64 = 30;
/// The longest name of a CAM role.
const MAX_ROLE: usize = 128;

struct Bound {
    account: i64,
    region: String,
    zone: String,
    vpc: String,
}

/// Where an id belongs: here, from now on, if it was never used.
fn bind(cx: &Context<'_>, id: &str, region: &str, zone: &str, vpc: &str) -> Done<Bound> {
    let found = cx
        .db
        .prepare_cached("SELECT account, region, zone, vpc FROM net WHERE id = ?1")?
        .query_row([id], |row| {
            Ok(Bound { account: row.get(0)?, region: row.get(1)?, zone: row.get(2)?, vpc: row.get(3)? })
        })
        .optional()?;
    if let Some(found) = found {
        return Ok(found);
    }
    cx.db
        .prepare_cached("INSERT INTO net VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![id, cx.account, region, zone, vpc])?;
    Ok(Bound { account: cx.account, region: region.to_owned(), zone: zone.to_owned(), vpc: vpc.to_owned() })
}

/// The VPC and the subnet of a launch in a zone.
pub(crate) fn place(cx: &Context<'_>, asked: Option<&VirtualPrivateCloud>, zone: &str) -> Done<(String, String)> {
    let region = cx.region()?.region;
    let Some(asked) = asked else { return Ok((default_vpc(region), default_subnet(zone))) };
    let (Some(vpc), Some(subnet)) = (asked.vpc_id.as_deref(), asked.subnet_id.as_deref()) else {
        return refuse("MissingParameter", "VirtualPrivateCloud has a VpcId and a SubnetId");
    };
    match (vpc, subnet) {
        ("DEFAULT", "DEFAULT") => return Ok((default_vpc(region), default_subnet(zone))),
        ("DEFAULT", _) | (_, "DEFAULT") => {
            return refuse("InvalidParameterValue.VpcIdSubnetIdNotMatch", "DEFAULT is for VPC and subnet together");
        }
        _ => {}
    }
    if !well_formed("vpc-", vpc) {
        return refuse("InvalidParameterValue.VpcIdMalformed", format!("`{vpc}` is no VPC id: vpc-xxxxxxxx"));
    }
    if !well_formed("subnet-", subnet) {
        return refuse(
            "InvalidParameterValue.SubnetIdMalformed",
            format!("`{subnet}` is no subnet id: subnet-xxxxxxxx"),
        );
    }
    if vpc != default_vpc(region) {
        let other = catalog::REGIONS.iter().any(|entry| vpc == default_vpc(entry.region));
        let bound = if other { None } else { Some(bind(cx, vpc, region, "", "")?) };
        if bound.is_none_or(|bound| bound.account != cx.account || bound.region != region) {
            return refuse("InvalidParameterValue.VpcIdNotExist", format!("there is no VPC `{vpc}` in {region}"));
        }
    }
    let default_of = catalog::REGIONS
        .iter()
        .flat_map(|entry| entry.zones.iter().map(move |zone| (entry, zone)))
        .find(|(_, zone)| subnet == default_subnet(zone.zone));
    let bound = match default_of {
        Some((entry, at)) => Bound {
            account: cx.account,
            region: entry.region.to_owned(),
            zone: at.zone.to_owned(),
            vpc: default_vpc(entry.region),
        },
        None => bind(cx, subnet, region, zone, vpc)?,
    };
    if bound.account != cx.account || bound.region != region {
        return refuse("InvalidParameterValue.SubnetNotExist", format!("there is no subnet `{subnet}` in {region}"));
    }
    if bound.vpc != vpc {
        let code = "InvalidParameterValue.VpcIdSubnetIdNotMatch";
        return refuse(code, format!("the subnet `{subnet}` is in {}, not in {vpc}", bound.vpc));
    }
    if bound.zone != zone {
        let code = "InvalidParameterValue.SubnetIdZoneIdNotMatch";
        return refuse(code, format!("the subnet `{subnet}` is in {}, not in {zone}", bound.zone));
    }
    Ok((vpc.to_owned(), subnet.to_owned()))
}

/// Security groups of an instance; silent: the default group.
pub(crate) fn groups(cx: &Context<'_>, asked: Option<Vec<String>>, too_many: &str) -> Done<Vec<String>> {
    let region = cx.region()?.region;
    let asked = asked.unwrap_or_default();
    if asked.is_empty() {
        return Ok(vec![default_group(region)]);
    }
    if asked.len() > MAX_GROUPS {
        return refuse(too_many, format!("an instance takes at most {MAX_GROUPS} security groups"));
    }
    for id in &asked {
        let foreign = catalog::REGIONS.iter().any(|entry| entry.region != region && *id == default_group(entry.region));
        let known = well_formed("sg-", id)
            && !foreign
            && (*id == default_group(region) || here(&bind(cx, id, region, "", "")?, cx.account, region));
        if !known {
            return refuse("InvalidSecurityGroupId.NotFound", format!("there is no security group `{id}` in {region}"));
        }
    }
    Ok(asked)
}

/// Key pairs.
pub(crate) fn keys(cx: &Context<'_>, asked: Vec<String>) -> Done<Vec<String>> {
    let region = cx.region()?.region;
    for id in &asked {
        if !well_formed("skey-", id) {
            return refuse("InvalidKeyPairId.Malformed", format!("`{id}` is no key pair id: skey-xxxxxxxx"));
        }
        if !here(&bind(cx, id, region, "", "")?, cx.account, region) {
            return refuse("InvalidParameterValue.KeyPairNotFound", format!("there is no key pair `{id}` in {region}"));
        }
    }
    Ok(asked)
}

fn here(bound: &Bound, account: i64, region: &str) -> bool {
    bound.account == account && bound.region == region
}

/// How many placement groups the caller has in the region.
pub(crate) fn placement_groups(cx: &Context<'_>) -> Done<i64> {
    Ok(cx
        .db
        .prepare_cached("SELECT count(*) FROM net WHERE account = ?1 AND region = ?2 AND id LIKE 'ps-%'")?
        .query_row(params![cx.account, cx.region()?.region], |row| row.get(0))?)
}

/// The placement group of a launch, where it has one, with room for so many more instances.
pub(crate) fn placement_group(cx: &Context<'_>, asked: Option<Vec<String>>, count: i64) -> Done<Option<String>> {
    let region = cx.region()?.region;
    let asked = asked.unwrap_or_default();
    let id = match asked.as_slice() {
        [] => return Ok(None),
        [id] => id,
        _ => return refuse("InvalidParameterValue.LimitExceeded", "an instance is in one placement group"),
    };
    if !well_formed("ps-", id) || !here(&bind(cx, id, region, "", "")?, cx.account, region) {
        let text = format!("there is no placement group `{id}` in {region}");
        return refuse("FailedOperation.DisasterRecoverGroupNotFound", text);
    }
    if placement_groups(cx)? > PLACEMENT_GROUPS {
        let text = format!("an account has at most {PLACEMENT_GROUPS} placement groups in {region}");
        return refuse("LimitExceeded.DisasterRecoverGroup", text);
    }
    let used: i64 = cx
        .db
        .prepare_cached("SELECT count(*) FROM instance WHERE placement_group = ?1 AND account = ?2")?
        .query_row(params![id, cx.account], |row| row.get(0))?;
    if used + count > GROUP_OF_HOSTS {
        let text = format!("`{id}` holds {used} of at most {GROUP_OF_HOSTS} instances, {count} more asked for");
        return refuse("ResourceInsufficient.DisasterRecoverGroupCvmQuota", text);
    }
    Ok(Some(id.clone()))
}

/// Whether a text can be the name of an access role.
fn names_a_role(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c);
    name.chars().count() <= MAX_ROLE && name.chars().all(legal)
}

/// Whether there is an access role of that name.
pub(crate) fn has_role(cx: &Context<'_>, name: &str) -> bool {
    names_a_role(name) && cx.settings.cam_roles.as_ref().is_none_or(|known| known.contains(name))
}

/// Refuses what is no name of an access role that there is.
pub(crate) fn check_role(cx: &Context<'_>, name: &str) -> Done<()> {
    if !names_a_role(name) {
        let text = format!("`{name}` is no name of a CAM role: at most {MAX_ROLE} letters, digits and + = , . @ _ -");
        return refuse("InvalidParameterValue.CamRoleNameMalformed", text);
    }
    if !has_role(cx, name) {
        return refuse("AuthFailure.CamRoleNameAuthenticateFailed", format!("there is no CAM role `{name}`"));
    }
    Ok(())
}
