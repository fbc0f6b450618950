//! The verb `doctor`: whether the cloud can be worked with from here. Only reads; each answer is a sentence.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::connect::{Connected, connect};
use super::load::{Config, files, load, state};
use super::lock::interrupted;
use super::permissions::Command;
use super::reach;
use super::{Problem, Site};
use crate::cloud::SIGNATURE_WINDOW_MS;
use crate::cloud::call::{Answer, Body, Call, Class, Fault, Query, Reply};
use crate::cloud::cvm::keys::{Keys, Whence};
use crate::model::Millis;
use crate::model::desired::{Image, Provider};
use crate::model::ids::{Region, Uin, Zone};
use crate::model::limits::Quota;

/// How far a clock may be off before it is worth a word.
const CLOCK_WORTH_A_WORD_MS: Millis = 30_000;
/// How far a quota may be used before it is worth a word, in percent.
const QUOTA_WORTH_A_WORD: u32 = 90;

/// How something looks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Verdict {
    /// As it should.
    Good,
    /// It may bite one day.
    Doubtful,
    /// Nothing will work like this.
    Bad,
    /// Nobody looked.
    Untried,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How it looks.
    pub verdict: Verdict,
    /// What it is about, in a word or two.
    pub topic: String,
    /// What was found.
    pub says: String,
    /// What helps, where something is wrong.
    pub help: Option<String>,
}

impl Finding {
    pub(super) fn new(verdict: Verdict, topic: impl Into<String>, says: impl Into<String>) -> Self {
        Self { verdict, topic: topic.into(), says: says.into(), help: None }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// What was found out.
pub struct Examined {
    /// The config that says which cloud.
    pub config: Config,
    /// All findings, in the order in which they were made.
    pub findings: Vec<Finding>,
}

impl Examined {
    /// Whether anything stands in the way.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.findings.iter().all(|finding| finding.verdict != Verdict::Bad)
    }
}

/// Looks at keys, endpoint, clock, regions, quotas and permissions. It changes nothing.
///
/// # Errors
/// The config is wrong, or there are no keys.
pub fn doctor(site: &Site) -> Result<Examined, Problem> {
    let files = files(site)?;
    let stored = state(site)?;
    let config = load(site, &files, &stored.recorded.lineage)?;
    let cloud = &config.desired.cloud;
    let mut findings = Vec::new();
    let endpoint = match &cloud.provider {
        Provider::Embedded { .. } => {
            findings.push(Finding::new(Verdict::Good, "keys", "the embedded cloud has keys of its own"));
            "the embedded cloud".to_owned()
        }
        Provider::Tencent(tencent) => {
            findings.push(keys(&reach::keys(site, tencent)?, site.clock.now_ms()));
            tencent.endpoint.host("cvm", Some(&cloud.region))
        }
    };
    let connected = connect(site, cloud, Arc::clone(&config.secrets), &stored.taught, false)?;
    let mut visit = Visit { site, connected: &connected, account: &cloud.account, denied: BTreeMap::new(), findings };
    if visit.first(&endpoint, &cloud.region) {
        for region in regions(&config) {
            interrupted(site, "while looking at the cloud")?;
            visit.region(&region);
        }
        visit.permissions();
    }
    let findings = visit.findings;
    Ok(Examined { config, findings })
}

/// The regions that a config is about.
fn regions(config: &Config) -> BTreeSet<Region> {
    let desired = &config.desired;
    let mut regions = BTreeSet::from([desired.cloud.region.clone()]);
    for image in desired.images.values() {
        if let Image::Managed(image) = image {
            regions.extend(image.regions.iter().flatten().cloned());
        }
    }
    regions.extend(desired.launchers().map(|launcher| launcher.region.clone()));
    regions
}

/// Whose keys they are. The id of a key is no secret, but no more of it is shown than tells it from others.
fn keys(keys: &Keys, now_ms: Millis) -> Finding {
    const SHOWN: usize = 4;
    let id = &keys.credentials.secret_id;
    let end: String = id.chars().skip(id.chars().count().saturating_sub(SHOWN)).collect();
    let whence = match &keys.whence {
        Whence::Environment => "from the environment".to_owned(),
        Whence::Profile(name) => format!("from the profile `{name}` of tccli"),
    };
    let mut says = format!("the key that ends in …{end}, {whence}");
    let Some(expires_s) = keys.expires_s else {
        if keys.credentials.token.is_some() {
            says.push_str(", with a session token");
        }
        return Finding::new(Verdict::Good, "keys", says);
    };
    const HOUR_S: i64 = 3600;
    let left_s = expires_s - now_ms.div_euclid(1000);
    says.push_str(&format!(", temporary: good for {} min more", left_s.div_euclid(60)));
    if left_s < HOUR_S {
        let help = "let tccli renew them before a long apply: an apply that they end in goes on where it was";
        return Finding::new(Verdict::Doubtful, "keys", says).help(help);
    }
    Finding::new(Verdict::Good, "keys", says)
}

/// A visit to the cloud.
struct Visit<'a> {
    site: &'a Site,
    connected: &'a Connected,
    account: &'a Uin,
    /// Actions that are not allowed, and what the cloud says.
    denied: BTreeMap<&'static str, String>,
    findings: Vec<Finding>,
}

impl Visit<'_> {
    fn ask(&mut self, region: &Region, query: Query) -> Result<Answer, Fault> {
        let call = Call { account: self.account.clone(), region: region.clone(), body: Body::Describe(query) };
        let asked = self.connected.cloud.call(&call, self.site.clock.now_ms());
        if let Err(fault) = &asked
            && fault.class == Class::Denied
        {
            self.denied.insert(call.body.action(), fault.to_string());
        }
        asked
    }

    fn say(&mut self, verdict: Verdict, topic: impl Into<String>, says: impl Into<String>) {
        self.findings.push(Finding::new(verdict, topic, says));
    }

    /// The first question: whether anybody answers, and whether the signature is taken. `false`: there is no use in more.
    fn first(&mut self, endpoint: &str, region: &Region) -> bool {
        let before_ms = self.site.clock.now_ms();
        let answer = self.ask(region, Query::Regions);
        let now_ms = self.site.clock.now_ms();
        let took_ms = now_ms - before_ms;
        let cloud_ms = match &answer {
            Ok(answer) => Some(answer.cloud_ms),
            Err(fault) => fault.cloud_ms,
        };
        // Whoever could be asked for a time has answered.
        match (&answer, cloud_ms) {
            (Ok(_), _) | (Err(Fault { code: Some(_), .. }), _) => {
                self.say(Verdict::Good, "endpoint", format!("{endpoint} answers, in {took_ms} ms"));
            }
            (Err(fault), _) => {
                let reach =
                    "see whether this machine reaches the network, whether HTTPS_PROXY is right, and `cloud.endpoint`";
                let remedy = fault.class.remedy().filter(|_| fault.class != Class::Transport);
                let help = remedy.unwrap_or(reach);
                self.findings.push(Finding::new(Verdict::Bad, "endpoint", fault.message.clone()).help(help));
                return false;
            }
        }
        if let Some(cloud_ms) = cloud_ms {
            // It answered somewhere between.
            self.clock(cloud_ms - (before_ms + took_ms / 2));
        }
        match answer {
            Ok(Answer { reply: Reply::Regions(regions), .. }) => {
                self.say(Verdict::Good, "signature", "the cloud takes it");
                self.say(Verdict::Good, "regions", format!("the cloud has {}", regions.len()));
                true
            }
            Ok(_) => true,
            Err(fault) if fault.class == Class::Denied => {
                self.say(Verdict::Good, "signature", "the cloud takes it");
                true
            }
            Err(fault) => {
                let keys = "check the keys: they may be mistyped, disabled, or of another site";
                let remedy = if fault.class == Class::Auth { Some(keys) } else { fault.class.remedy() };
                let help = remedy.unwrap_or("see what the cloud says about it");
                self.findings.push(Finding::new(Verdict::Bad, "signature", fault.to_string()).help(help));
                false
            }
        }
    }

    fn clock(&mut self, ahead_ms: Millis) {
        let says = match ahead_ms.abs() / 1000 {
            0 => "this machine and the cloud agree to the second".to_owned(),
            s if ahead_ms > 0 => format!("this machine is {s} s behind the cloud"),
            s => format!("this machine is {s} s ahead of the cloud"),
        };
        let help = "set the clock of this machine right: the cloud refuses what is more than five minutes off";
        let finding = if ahead_ms.abs() >= SIGNATURE_WINDOW_MS {
            Finding::new(Verdict::Bad, "clock", says).help(help)
        } else if ahead_ms.abs() >= CLOCK_WORTH_A_WORD_MS {
            Finding::new(Verdict::Doubtful, "clock", says).help(help)
        } else {
            Finding::new(Verdict::Good, "clock", says)
        };
        self.findings.push(finding);
    }

    /// What a region has, and how much of it may be used.
    fn region(&mut self, region: &Region) {
        let topic = region.as_str();
        match self.ask(region, Query::Zones) {
            Ok(Answer { reply: Reply::Zones(zones), .. }) => {
                let open = zones.values().filter(|open| **open).count();
                self.say(Verdict::Good, topic, format!("{open} of {} zones have something to offer", zones.len()));
            }
            Ok(_) => {}
            Err(fault) => self.trouble(topic, "DescribeZones", &fault),
        }
        let limit = match self.ask(region, Query::ImageQuota) {
            Ok(Answer { reply: Reply::ImageQuota(limit), .. }) => Some(limit),
            Ok(_) => None,
            Err(fault) => {
                self.trouble(topic, "DescribeImageQuota", &fault);
                None
            }
        };
        match self.ask(region, Query::AccountQuota) {
            Ok(Answer { reply: Reply::AccountQuota { images, instances, .. }, .. }) => {
                self.quotas(topic, limit, images, &instances);
            }
            Ok(_) => {}
            Err(fault) => self.trouble(topic, "DescribeAccountQuota", &fault),
        }
        match self.ask(region, Query::CustomImages { offset: 0 }) {
            Ok(Answer { reply: Reply::Images(page), .. }) => {
                let others: BTreeSet<&str> = page
                    .items
                    .iter()
                    .map(|image| image.creator.as_str())
                    .filter(|creator| is_account(creator) && *creator != self.account.as_str())
                    .collect();
                if let Some(other) = others.first() {
                    let says = format!("custom images here are {other}'s, and `cloud.account` is {}", self.account);
                    let help = "write the main account whose keys these are; a state is one account's for ever";
                    self.findings.push(Finding::new(Verdict::Doubtful, "account", says).help(help));
                }
            }
            Ok(_) => {}
            Err(fault) => self.trouble(topic, "DescribeImages", &fault),
        }
        for query in [Query::Instances { offset: 0 }, Query::Types] {
            let action = query.action();
            if let Err(fault) = self.ask(region, query) {
                self.trouble(topic, action, &fault);
            }
        }
    }

    fn quotas(&mut self, topic: &str, limit: Option<u32>, images: Option<Quota>, instances: &BTreeMap<Zone, Quota>) {
        if let Some(Quota { used, total }) = images {
            let total = limit.unwrap_or(total);
            self.quota(topic, &format!("{used} of {total} custom images"), Quota { used, total });
        }
        let sum = instances.values().fold(Quota { used: 0, total: 0 }, |sum, zone| Quota {
            used: sum.used + zone.used,
            total: sum.total + zone.total,
        });
        if sum.total > 0 {
            let says = format!("{} of {} pay-as-you-go instances, over all zones", sum.used, sum.total);
            self.quota(topic, &says, sum);
        }
        let full: Vec<&str> =
            instances.iter().filter(|(_, zone)| is_nearly_used(**zone)).map(|(zone, _)| zone.as_str()).collect();
        if !full.is_empty() {
            let help = "ask the vendor for more, or use another zone: `plan` refuses what does not fit";
            let says = format!("the quota of instances is nearly used up in {}", full.join(", "));
            self.findings.push(Finding::new(Verdict::Doubtful, topic, says).help(help));
        }
    }

    fn quota(&mut self, topic: &str, says: &str, quota: Quota) {
        let verdict = if is_nearly_used(quota) { Verdict::Doubtful } else { Verdict::Good };
        self.say(verdict, topic, says);
    }

    /// What is not allowed is told once, at the end.
    fn trouble(&mut self, topic: &str, action: &str, fault: &Fault) {
        if fault.class != Class::Denied {
            let finding = Finding::new(Verdict::Bad, topic, format!("{action} did not work: {fault}"));
            self.findings
                .push(finding.help("see whether the account may use this region, and whether it is spelt right"));
        }
    }

    fn permissions(&mut self) {
        if self.denied.is_empty() {
            self.say(Verdict::Good, "permissions", "all that was asked may be asked");
        }
        for (action, says) in std::mem::take(&mut self.denied) {
            let finding = Finding::new(Verdict::Bad, "permissions", format!("{action} is not allowed: {says}"));
            let commands: Vec<String> =
                Command::that_send(action).into_iter().map(|command| format!("`{}`", command.words())).collect();
            self.findings.push(finding.help(format!(
                "let whoever owns the account allow it, for {}: docs/cam-policy.md has the policies",
                commands.join(", ")
            )));
        }
        self.say(
            Verdict::Untried,
            "permissions",
            "whether changes are allowed is not tried, for that would change something; `plan --preflight` tries those of a \
             plan that the cloud can try dry",
        );
    }
}

fn is_nearly_used(quota: Quota) -> bool {
    u64::from(quota.used) * 100 >= u64::from(quota.total) * u64::from(QUOTA_WORTH_A_WORD)
}

fn is_account(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
