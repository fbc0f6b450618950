//! Who asks the instances of a config's cloud whether they are well, and runs its hooks.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::hook::{self, Told};
use super::probe::Network;
use super::{FakeHook, FakeProbe, Reach, Site};
use crate::apply::driver::Prober;
use crate::apply::engine::{HookCall, Probe};
use crate::cloud::embedded::Embedded;
use crate::model::Millis;
use crate::model::ids::Name;
use crate::model::update::HookRun;

/// Where instances are asked.
#[derive(Clone)]
pub(super) enum Machines {
    /// In the embedded cloud, whose machines have no addresses that anybody could reach.
    Embedded(Arc<Embedded>),
    /// By their addresses.
    Network,
}

/// The prober of a run.
pub(super) struct Asker {
    machines: Machines,
    network: Network,
    dir: PathBuf,
    reach: Reach,
    env: Name,
    project: Name,
    probe: Option<Arc<FakeProbe>>,
    hook: Option<Arc<FakeHook>>,
}

impl Asker {
    pub(super) fn new(site: &Site, machines: Machines, project: &Name) -> Self {
        Self {
            machines,
            network: Network::new(),
            dir: site.dir.clone(),
            reach: site.reach.clone(),
            env: site.env.clone(),
            project: project.clone(),
            probe: site.hooks.probe.clone(),
            hook: site.hooks.hook.clone(),
        }
    }
}

impl Prober for Asker {
    fn probe(&self, now: Millis, probe: &Probe) -> Result<(), String> {
        if let Some(answer) = self.probe.as_ref().and_then(|fake| fake(now, probe)) {
            return answer;
        }
        match &self.machines {
            Machines::Embedded(cloud) => cloud.probe(now, probe.region.as_str(), probe.instance.as_str(), &probe.check),
            Machines::Network => self.network.ask(probe),
        }
    }

    fn hook(&self, call: &HookCall, called_off: &AtomicBool) -> Result<(), String> {
        if let Some(fake) = &self.hook {
            return fake(call);
        }
        let told = Told::of(&self.project, &self.env, call);
        match &call.hook.run {
            HookRun::Command(words) => {
                hook::command(&self.dir, &self.reach.env, words, &told, call.hook.timeout_ms, called_off)
            }
            HookRun::Webhook(url) => hook::webhook(&self.reach, url, &told, call.hook.timeout_ms, called_off),
        }
    }
}
