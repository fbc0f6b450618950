//! From a request to its answer: who asks, for which service, version and action, and where.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::faults::Fault;
use super::refusal::{Done, Refusal, refuse};
use super::settings::{Injection, LogEntry, Settings};
use super::{auth, images, instances, neighbours, params, places, quotas, tagged, tags};
use crate::cloud::budget::documented;
use crate::cloud::cvm::transport::HttpRequest;
use crate::cloud::cvm::wire::{Answer, CBS, CVM, Envelope, Request, TAG, VPC};
use crate::model::Millis;
use crate::model::catalog::{self, RegionEntry};

/// What an action works with.
pub(crate) struct Context<'a> {
    /// The transaction of this request.
    pub(crate) db: &'a Connection,
    /// Cloud time.
    pub(crate) now: Millis,
    /// How many requests there were.
    pub(crate) requests: u64,
    /// Where ids come from.
    pub(crate) seed: u64,
    /// What the request is called.
    pub(crate) request_id: String,
    /// How this cloud behaves.
    pub(crate) settings: &'a Settings,
    /// What tests asked for.
    pub(crate) injections: &'a mut Vec<Injection>,
    /// How often was asked for what.
    pub(crate) rates: &'a mut Rates,
    /// Who asks.
    pub(crate) account: i64,
    /// Where.
    pub(crate) region: Option<&'static RegionEntry>,
    /// Whether what was done is undone after all: a dry run.
    pub(crate) discard: bool,
    /// What this request meets by chance.
    pub(crate) fault: Option<Fault>,
}

impl Context<'_> {
    /// The region of the request.
    pub(crate) fn region(&self) -> Done<&'static RegionEntry> {
        self.region.ok_or_else(|| Refusal::new("MissingParameter", "the header X-TC-Region is required"))
    }

    /// How long an operation takes, with the settings' jitter.
    pub(crate) fn takes(&self, base: Millis, salt: i64) -> Millis {
        let jitter = u64::from(self.settings.jitter_percent.min(100));
        if jitter == 0 || base == 0 {
            return base;
        }
        let draw = super::ids::mix(self.seed ^ self.requests, salt.cast_unsigned()) % (2 * jitter + 1);
        base * (100 + draw.cast_signed() - jitter.cast_signed()) / 100
    }

    /// Takes the first injection that fits.
    pub(crate) fn strike(&mut self, fits: impl Fn(&Injection) -> bool) -> Option<Injection> {
        let place = self.injections.iter().position(fits)?;
        Some(self.injections.remove(place))
    }

    /// Whether what is begun here fails later: by an injection that fits, or, once a request, by chance.
    pub(crate) fn fails_later(&mut self, fits: impl Fn(&Injection) -> bool) -> bool {
        self.strike(fits).is_some() || self.fault.take_if(|fault| *fault == Fault::FailsLater).is_some()
    }

    /// Whether what is made here is missing in the first list that would tell of it.
    pub(crate) fn lists_late(&self) -> bool {
        self.settings.empty_first_read || self.fault == Some(Fault::ListedLate)
    }

    /// The end of a dry run: nothing is kept (1.10).
    pub(crate) fn dry_run<T: Default>(&mut self) -> Done<T> {
        self.discard = true;
        if self.settings.dry_run_is_error {
            return refuse("DryRunOperation", "the request would have succeeded");
        }
        Ok(T::default())
    }
}

/// How many requests of an account, region and action were let in, in which second.
#[derive(Debug, Default)]
pub(crate) struct Rates(BTreeMap<(i64, String, String), (Millis, u32)>);

impl Rates {
    fn admit(&mut self, key: (i64, String, String), now: Millis) -> bool {
        let most = documented(&key.2);
        let second = now.div_euclid(1000);
        let entry = self.0.entry(key).or_insert((second, 0));
        if entry.0 != second {
            *entry = (second, 0);
        }
        entry.1 += 1;
        entry.1 <= most
    }
}

/// Answers a request with the JSON of its envelope.
pub(crate) fn answer(cx: &mut Context<'_>, request: &HttpRequest, entry: &mut LogEntry) -> Done<Vec<u8>> {
    if request.method != "POST" && request.method != "GET" {
        return refuse("UnsupportedProtocol", "only POST and GET are served");
    }
    let claim = auth::claim(request)?;
    let known = auth::verify(&claim, request, cx.now, cx.settings)?;
    cx.account = known.account.as_str().parse().unwrap_or_default();
    entry.account = known.account.as_str().to_owned();
    entry.service = claim.service.to_owned();
    let json = if request.method == "POST" { "application/json" } else { "application/x-www-form-urlencoded" };
    if !request.header("Content-Type").is_some_and(|kind| kind.starts_with(json)) {
        return refuse("UnsupportedProtocol", format!("{} takes Content-Type {json}", request.method));
    }
    let header = |name: &str| {
        request.header(name).ok_or_else(|| Refusal::new("MissingParameter", format!("the header {name} is required")))
    };
    let action = header("X-TC-Action")?;
    entry.action = action.to_owned();
    let version = header("X-TC-Version")?;
    let served = match claim.service {
        "cvm" => CVM.1,
        "tag" => TAG.1,
        "cbs" => CBS.1,
        "vpc" => VPC.1,
        other => return refuse("NoSuchProduct", format!("there is no service `{other}` here")),
    };
    if version != served {
        return refuse("NoSuchVersion", format!("`{}` has the version {served}", claim.service));
    }
    match request.header("X-TC-Region").unwrap_or_default() {
        "" => {}
        name => {
            entry.region = name.to_owned();
            cx.region = catalog::find_region(name);
            if cx.region.is_none() && claim.service != TAG.0 {
                return refuse("UnsupportedRegion", format!("there is no region `{name}`"));
            }
        }
    }
    if cx.settings.rate_limits {
        let key = (cx.account, entry.region.clone(), action.to_owned());
        if !cx.rates.admit(key, cx.now) {
            return refuse("RequestLimitExceeded", format!("more than {} requests a second", documented(action)));
        }
    }
    refuse_if_injected(cx, action)?;
    cx.fault = cx.settings.faults.and_then(|faults| faults.of(action, cx.requests));
    match cx.fault {
        // Nobody hears of it.
        Some(Fault::RequestLost) => return refuse("InternalError", "the request was lost"),
        Some(Fault::Throttled) => return refuse("RequestLimitExceeded", "a fault by chance: too many requests"),
        Some(Fault::Internal) => return refuse("InternalError", "a fault by chance"),
        Some(Fault::AnswerLost | Fault::FailsLater | Fault::ListedLate) | None => {}
    }
    dispatch(cx, claim.service, action, request)
}

fn refuse_if_injected(cx: &mut Context<'_>, asked: &str) -> Done<()> {
    let found = cx.injections.iter_mut().find_map(|injection| match injection {
        Injection::Refuse { action, code, times } if action == asked && *times > 0 => Some((code.clone(), times)),
        Injection::Refuse { .. }
        | Injection::LaunchFails { .. }
        | Injection::CaptureFails { .. }
        | Injection::CopyFails { .. }
        | Injection::ImportFails { .. }
        | Injection::TakenBack { .. }
        | Injection::ResetFails { .. }
        | Injection::TagFails { .. } => None,
    });
    let Some((code, times)) = found else { return Ok(()) };
    *times -= 1;
    refuse(code, "injected")
}

fn dispatch(cx: &mut Context<'_>, service: &str, action: &str, request: &HttpRequest) -> Done<Vec<u8>> {
    match (service, action) {
        ("cvm", "DescribeRegions") => run(cx, request, places::regions),
        ("cvm", "DescribeZones") => run(cx, request, places::zones),
        ("cvm", "DescribeInstanceTypeConfigs") => run(cx, request, places::types),
        ("cvm", "DescribeZoneInstanceConfigInfos") => run(cx, request, places::sold),
        ("cvm", "DescribeImageQuota") => run(cx, request, quotas::image_quota),
        ("cvm", "DescribeAccountQuota") => run(cx, request, quotas::account_quota),
        ("cvm", "DescribeImages") => run(cx, request, images::read::describe),
        ("cvm", "DescribeImageFromFamily") => run(cx, request, images::read::from_family),
        ("cvm", "DescribeImportImageOs") => run(cx, request, images::import::systems),
        ("cvm", "ImportImage") => run(cx, request, images::import::import),
        ("cvm", "ExportImages") => run(cx, request, images::export::export),
        ("cvm", "CreateImage") => run(cx, request, images::capture::create),
        ("cvm", "SyncImages") => run(cx, request, images::copy::sync),
        ("cvm", "ModifyImageAttribute") => run(cx, request, images::write::modify),
        ("cvm", "DeleteImages") => run(cx, request, images::write::delete),
        ("cvm", "DescribeImageSharePermission") => run(cx, request, images::share::describe),
        ("cvm", "ModifyImageSharePermission") => run(cx, request, images::share::modify),
        ("cvm", "RunInstances") => run(cx, request, instances::launch::run),
        ("cvm", "DescribeInstances") => run(cx, request, instances::read::describe),
        ("cvm", "DescribeInstancesStatus") => run(cx, request, instances::read::status),
        ("cvm", "DescribeInstancesAttributes") => run(cx, request, instances::read::attributes),
        ("cvm", "TerminateInstances") => run(cx, request, instances::power::terminate),
        ("cvm", "StartInstances") => run(cx, request, instances::power::start),
        ("cvm", "StopInstances") => run(cx, request, instances::power::stop),
        ("cvm", "RebootInstances") => run(cx, request, instances::power::reboot),
        ("cvm", "InquiryPriceRunInstances") => run(cx, request, instances::inquire::launch),
        ("cvm", "InquiryPriceResetInstance") => run(cx, request, instances::inquire::reset),
        ("cvm", "ResetInstance") => run(cx, request, instances::change::reset),
        ("cvm", "ResetInstancesType") => run(cx, request, instances::change::resize),
        ("cvm", "ModifyInstancesAttribute") => run(cx, request, instances::change::modify),
        ("tag", "TagResources") => run(cx, request, tags::tag),
        ("tag", "UnTagResources") => run(cx, request, tags::untag),
        ("tag", "ModifyResourceTags") => run(cx, request, tagged::modify),
        ("tag", "DescribeResourceTagsByResourceIds") => run(cx, request, tagged::of_resources),
        ("cbs", "DescribeDisks") => run(cx, request, neighbours::disks),
        ("cbs", "DescribeSnapshots") => run(cx, request, neighbours::snapshots),
        ("vpc", "DescribeUsedIpAddress") => run(cx, request, neighbours::used_addresses),
        _ => refuse("InvalidAction", format!("`{service}` has no action `{action}` here")),
    }
}

fn run<R: Request>(
    cx: &mut Context<'_>,
    request: &HttpRequest,
    act: fn(&mut Context<'_>, R) -> Done<R::Answer>,
) -> Done<Vec<u8>> {
    // Whether DescribeRegions needs a region is unconfirmed (9.4); it makes no sense that it should.
    if R::SERVICE != TAG.0 && R::ACTION != "DescribeRegions" {
        cx.region()?;
    }
    let parameters = params::parse::<R>(request, cx.settings.numbers_may_be_text)?;
    let mut response = act(cx, parameters)?;
    response.set_request_id(cx.request_id.clone());
    Ok(serde_json::to_vec(&Envelope { response })?)
}

/// The account as text.
pub(crate) fn uin(account: i64) -> String {
    account.to_string()
}
