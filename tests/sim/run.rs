//! Tells a story: does what it says, puts right what went wrong, and looks whether the world is as it should be.

use fleetwright::cli::Exit;

use super::cover::Cover;
use super::hands::{Failure, failed_imports};
use super::script::{Atom, RUNS, Script, Verb};
use super::shop::Shop;
use super::stage::{Hears, Stage, Teller, secrets};
use super::watch::{Watch, idle, serving};
use crate::crash::wire::{Fate, Trap};
use crate::crash::world::{faults_but_shares, leaks, state};
use crate::kit::{GZ, counts};
use crate::rig::{OWNER, Ran, Rig};

const APPLY: &str = "apply --auto-approve --cancel-undeclared-shares";
/// How often an apply may have to be given until the world is at rest. Each failure that the cloud was asked for takes
/// one.
const MOST_APPLIES: usize = 8;
/// What machines do by themselves, they have done by then.
const REST_MS: i64 = 10_000;

pub(crate) struct ShopTeller<'s> {
    script: &'s Script,
    on: Stage,
    shop: Shop,
    /// The last config that the world came to rest with.
    good: Shop,
    start: Shop,
    serial: u64,
    cover: Cover,
    /// Whether all that the cloud answered in this round was so.
    clear_sight: bool,
    /// Whether the cloud was asked to fail something.
    fails_yet: bool,
}

impl Teller for ShopTeller<'_> {
    type Cover = Cover;

    fn all(&mut self) -> Result<(), String> {
        let script = self.script;
        for atoms in script.atoms.rounds() {
            self.round(&atoms)?;
        }
        self.end()
    }

    fn told(self) -> (Cover, String) {
        (self.cover, self.on.story())
    }
}

impl<'s> ShopTeller<'s> {
    pub(crate) fn new(script: &'s Script, hears: Hears) -> Self {
        let shop = Shop::start(script.tight);
        let rig = Rig::with(&[("shop.yaml", &shop.text()), ("boot.sh", &shop.boot())], script.settings());
        failed_imports(&rig, script.failed_images);
        let mut on = Stage::new(rig, Watch::new(script.tight), script.remote, hears);
        on.say(&format!(
            "seed {}, remote {}, {:?}, {} failed images of others",
            script.seed, script.remote, script.tight, script.failed_images
        ));
        Self {
            script,
            on,
            good: shop.clone(),
            start: shop.clone(),
            shop,
            serial: 0,
            cover: Cover { stories: 1, ..Cover::default() },
            clear_sight: true,
            fails_yet: false,
        }
    }

    fn change_to(&mut self, shop: Shop) {
        if shop != self.shop {
            self.on.say(&format!("edit to {shop:?}"));
        }
        self.on.rig.write("shop.yaml", &shop.text());
        self.on.rig.write("boot.sh", &shop.boot());
        self.shop = shop;
    }

    fn round(&mut self, atoms: &[&Atom]) -> Result<(), String> {
        self.cover.rounds += 1;
        // Where reads still lag since the round before, this one does not begin with a clear sight.
        self.clear_sight = !self.on.wire.lags(&self.on.rig);
        let mut verb = None;
        let mut shop = self.shop.clone();
        let mut faultless = self.clear_sight;
        for atom in atoms {
            match atom {
                Atom::Edit(edit) => shop = shop.edited(*edit),
                Atom::Deed(deed) => {
                    let words = deed.done(&self.on.rig);
                    self.on.say(&words);
                    self.cover.deeds += 1;
                    // What was accepted a moment ago is awaited, should somebody delete it.
                    faultless &= !self.on.remote && !deed.takes_its_time();
                }
                Atom::Wait(ms) => self.on.rig.wait_ms(*ms),
                Atom::Failure(failure) => {
                    let injection = failure.injection(&self.on.rig);
                    self.on.say(&format!("{injection:?}"));
                    *self.cover.failures.entry(Failure::word(&injection)).or_default() += 1;
                    self.on.rig.cloud().inject(injection);
                    faultless = false;
                }
                Atom::Verb(word) => verb = Some(*word),
                Atom::Trap(..) | Atom::Room(..) | Atom::Slow(..) | Atom::Second(..) => faultless = false,
            }
        }
        // What somebody is about to delete is gone then.
        self.on.rig.wait_ms(20_000);
        self.change_to(shop);
        let mut before = serving(&self.on.rig);
        self.expect_served(before, verb);
        for run in 0..RUNS {
            let here: Vec<&Atom> = atoms.iter().copied().filter(|atom| belongs(atom, run)).collect();
            if run == 0 && verb.is_some() || !here.is_empty() {
                self.troubled(&here, if run == 0 { verb } else { None }, before)?;
            }
            if run == 0 && matches!(verb, Some(Verb::Destroy | Verb::DestroyPart(_))) {
                before = before.min(serving(&self.on.rig));
                self.expect_served(before, None);
            }
        }
        self.on.wire.arm(None);
        self.on.wire.limit(None);
        self.on.wire.slow_down(Vec::new());
        self.expect_served(before, None);
        // What the cloud was asked to fail it may fail in a later round.
        self.fails_yet |= atoms.iter().any(|atom| matches!(atom, Atom::Failure(_)));
        self.rest_somehow(faultless && verb.is_none() && !self.fails_yet)
    }

    /// At every moment from now on so many serve as served before, and are to serve, but for those that may be down.
    fn expect_served(&self, before: usize, verb: Option<Verb>) {
        let fewest = match verb {
            Some(Verb::Destroy | Verb::DestroyPart(_)) => 0,
            Some(Verb::Part(_) | Verb::Saved | Verb::Refresh) | None => {
                // Those that stay may be the ones that somebody switched off.
                let stay = self.shop.serving().saturating_sub(idle(&self.on.rig));
                before.min(stay).saturating_sub(self.shop.most)
            }
        };
        self.on.watch.expect(fewest);
    }

    /// A run in which something may go wrong.
    fn troubled(&mut self, atoms: &[&Atom], verb: Option<Verb>, before: usize) -> Result<(), String> {
        let mut traps = Vec::new();
        let (mut room, mut trips) = (None, Vec::new());
        for atom in atoms {
            match atom {
                Atom::Trap(_, trap) => traps.push(*trap),
                Atom::Room(_, pages) => room = Some(*pages),
                Atom::Slow(_, slow) => trips.clone_from(slow),
                Atom::Second(_, edit) => {
                    let next = self.shop.edited(*edit);
                    self.change_to(next);
                    self.expect_served(before, verb);
                }
                Atom::Edit(_) | Atom::Deed(_) | Atom::Wait(_) | Atom::Failure(_) | Atom::Verb(_) => {}
            }
        }
        let args = match verb {
            None => APPLY.to_owned(),
            Some(Verb::Part(part)) => format!("{APPLY} {part}"),
            Some(Verb::Destroy) => "destroy --auto-approve --cancel-undeclared-shares".to_owned(),
            Some(Verb::DestroyPart(part)) => {
                format!("destroy --auto-approve --cancel-undeclared-shares {part}")
            }
            Some(Verb::Refresh) => "refresh --auto-approve".to_owned(),
            Some(Verb::Saved) => {
                let saved = self.on.rig.run("plan --cancel-undeclared-shares --out saved.plan");
                if saved.exit == Exit::Done { "apply saved.plan".to_owned() } else { APPLY.to_owned() }
            }
        };
        self.on.wire.arm(traps);
        self.on.wire.slow_down(trips);
        self.on.wire.limit(room.map(|room| room + self.on.pages()));
        self.on.watch.begins();
        let ran = self.on.wire.run(&self.on.rig, &args, self.on.remote);
        let sprung = self.on.wire.sprung();
        self.on.say(&format!("{args}, ran into {sprung:?}, room {room:?}: {:?}", ran.as_ref().map(|ran| ran.exit)));
        self.cover.ran(verb.map_or("apply", Verb::word), &sprung, self.on.wire.met());
        self.clear_sight &=
            !sprung.iter().any(|trap| matches!(trap, Trap::Call(_, fate) | Trap::Change(_, fate) if blurs(*fate)));
        self.on.rig.go_on();
        let stolen = self.on.stolen()?;
        match ran {
            None => self.on.rig.wait_ms(1_000),
            Some(ran) => {
                self.on.overhear(&ran);
                self.on.quiet(&ran, &self.secrets())?;
                self.on.truly_failed()?;
                if room.is_some() && format!("{}{}", ran.out, ran.err).contains("disk is full") {
                    self.cover.full += 1;
                }
                match ran.exit {
                    Exit::Done | Exit::Partly | Exit::Failed | Exit::Usage | Exit::Config | Exit::Infeasible => {}
                    Exit::Guard | Exit::Foreign | Exit::Interrupted => {}
                    Exit::Locked if stolen => {}
                    Exit::Changes | Exit::Waiting | Exit::Locked | Exit::Bug => {
                        return Err(format!("{args}: {:?}\n{}\n{}", ran.exit, ran.out, ran.err));
                    }
                }
            }
        }
        self.on.unbroken()
    }

    fn secrets(&self) -> Vec<String> {
        secrets(&self.shop.boot())
    }

    /// Comes to rest with this config, with the last good one, or with the one that it all began with.
    fn rest_somehow(&mut self, faultless: bool) -> Result<(), String> {
        if self.rest(faultless)? {
            self.good = self.shop.clone();
            return Ok(());
        }
        self.on.say("refused");
        self.change_to(self.good.clone());
        self.on.watch.expect(0);
        if self.rest(faultless)? {
            return Ok(());
        }
        // What somebody deleted may be what the config cannot do without any more: then it begins anew.
        self.make_room();
        self.change_to(self.start.clone());
        if self.rest(faultless)? {
            self.good = self.start.clone();
            return Ok(());
        }
        let ran = self.on.rig.run("plan --cancel-undeclared-shares");
        Err(format!("not even the first config is taken any more:\n{}\n{}", ran.out, ran.err))
    }

    /// Images of others go.
    fn make_room(&mut self) {
        let images = self.on.rig.images(GZ);
        for (_, id) in images.iter().filter(|(name, _)| name.starts_with("theirs-")) {
            let body = serde_json::json!({"ImageIds": [id], "DeleteBindedSnap": true});
            self.on.rig.ask(OWNER, GZ, "DeleteImages", &body);
        }
        self.on.rig.wait_ms(20_000);
        // A fleet that is protected is given up.
        self.change_to(self.good.unprotected());
    }

    /// Applies until there is nothing left to do. `false`: it was refused, and nothing was done. Where nothing is meant
    /// to fail, the calls are those that the plan said.
    fn rest(&mut self, faultless: bool) -> Result<bool, String> {
        for turn in 0..MOST_APPLIES {
            let plan =
                if faultless { self.on.rig.run("plan --json --cancel-undeclared-shares").out } else { String::new() };
            let mark = self.on.rig.mark();
            self.on.watch.begins();
            let ran = self.on.wire.run(&self.on.rig, APPLY, self.on.remote).ok_or("nobody dies any more")?;
            self.on.overhear(&ran);
            self.on.say(&format!("apply: {:?}", ran.exit));
            self.on.quiet(&ran, &self.secrets())?;
            self.on.truly_failed()?;
            self.on.unbroken()?;
            self.within_quotas(mark, &ran)?;
            match ran.exit {
                Exit::Done => {
                    if faultless && turn == 0 {
                        let plan: serde_json::Value = serde_json::from_str(&plan).map_err(|error| error.to_string())?;
                        let made = serde_json::to_value(self.on.rig.mutations(mark)).expect("counts");
                        if plan["calls"]["by_action"] != made {
                            return Err(format!("foretold {}, made {made}", plan["calls"]["by_action"]));
                        }
                    }
                    self.on.wire.land(&self.on.rig);
                    self.on.rig.wait_ms(REST_MS);
                    if self.on.rig.run("plan --detailed-exitcode").exit == Exit::Done {
                        return self.is_right().map(|()| true);
                    }
                }
                Exit::Partly | Exit::Failed if faultless => {
                    return Err(format!("nothing was meant to fail: {:?}\n{}\n{}", ran.exit, ran.out, ran.err));
                }
                Exit::Partly | Exit::Failed => {}
                Exit::Config | Exit::Infeasible | Exit::Guard => {
                    // What an interrupted run left is settled first: a launch by the same request, for one.
                    let settled = ran.err.contains("had left open is settled");
                    if !settled && self.on.rig.mutations(mark) != counts(&[]) {
                        return Err(format!("refused, and half done: {:?}\n{}", self.on.rig.mutations(mark), ran.err));
                    }
                    return self.rightly_refused(&ran).map(|()| false);
                }
                Exit::Changes
                | Exit::Waiting
                | Exit::Locked
                | Exit::Foreign
                | Exit::Usage
                | Exit::Bug
                | Exit::Interrupted => {
                    return Err(format!("{:?}\n{}\n{}", ran.exit, ran.out, ran.err));
                }
            }
            // What somebody deleted by hand is on its way out for a while.
            self.on.rig.wait_ms(1_000 << turn);
        }
        let (last, plan) = (self.on.rig.run(APPLY), self.on.rig.run("plan"));
        Err(format!("does not come to rest:\n{}{}\n{}{}", last.out, last.err, plan.out, plan.err))
    }

    /// The cloud had no quota to refuse anything for, where it was seen as it is.
    /// Whether it may say no. Accounts can come and go in an order that any list has room for which has room for them all
    /// in the end.
    fn rightly_refused(&mut self, ran: &Ran) -> Result<(), String> {
        let text = ran.err.split_whitespace().collect::<Vec<_>>().join(" ");
        let codes: Vec<&str> = text.split("error[").skip(1).filter_map(|rest| rest.split(']').next()).collect();
        for code in &codes {
            *self.cover.refused.entry((*code).to_owned()).or_default() += 1;
        }
        if codes.is_empty() || codes.contains(&"share-cap") && !text.contains("would be shared with") {
            return Err(format!("refused: {:?}\n{}\n{}", ran.exit, ran.out, ran.err));
        }
        Ok(())
    }

    fn within_quotas(&self, mark: usize, ran: &Ran) -> Result<(), String> {
        let quota = |code: &str| code.contains("Quota") || code.starts_with("LimitExceeded");
        let refused = self.on.rig.since(mark).into_iter().find(|entry| entry.code.as_deref().is_some_and(quota));
        match refused {
            Some(entry) if self.clear_sight => {
                Err(format!("a quota was in the way: {entry:?}\n{}{}", ran.out, ran.err))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// State and cloud are one; nothing is left behind, and nothing is said that is secret.
    fn is_right(&mut self) -> Result<(), String> {
        let theirs: Vec<String> = [GZ, "ap-shanghai", "ap-beijing"]
            .iter()
            .flat_map(|region| self.on.rig.images(region))
            .filter(|(name, _)| name.starts_with("theirs-"))
            .map(|(_, id)| id)
            .collect();
        let faults: Vec<String> = faults_but_shares(&self.on.rig)
            .into_iter()
            .filter(|fault| !theirs.iter().any(|id| fault.contains(id)))
            .collect();
        if !faults.is_empty() {
            return Err(faults.join("; "));
        }
        self.on.rig.expect_in_step();
        let leaks = leaks(&self.on.rig, &self.secrets());
        if !leaks.is_empty() {
            return Err(leaks.join("; "));
        }
        let serial = state(&self.on.rig)["serial"].as_u64().unwrap_or(0);
        if serial < self.serial {
            return Err(format!("the serial went from {} to {serial}", self.serial));
        }
        self.serial = serial;
        Ok(())
    }

    /// Everything is destroyed, and nothing is left.
    fn end(&mut self) -> Result<(), String> {
        self.on.watch.expect(0);
        self.change_to(self.shop.unprotected());
        if !self.rest(false)? {
            self.make_room();
        }
        for _ in 0..MOST_APPLIES {
            let args = "destroy --auto-approve --cancel-undeclared-shares";
            let ran = self.on.wire.run(&self.on.rig, args, self.on.remote).ok_or("nobody dies any more")?;
            self.on.say(&format!("destroy: {:?}", ran.exit));
            if ran.exit == Exit::Done {
                break;
            }
            self.on.say(&format!("{}{}", ran.out, ran.err));
            // Others may be at something that takes its time, a reset say; nobody types it again within the second.
            self.on.rig.wait_ms(60_000);
        }
        self.on.wire.land(&self.on.rig);
        self.on.rig.wait_ms(REST_MS);
        self.on.unbroken()?;
        let holdings = self.on.rig.holdings();
        for holding in holdings.0.values().flat_map(std::collections::BTreeMap::values) {
            let gone = ["LAUNCH_FAILED", "SHUTDOWN"];
            let left = holding.instances.values().filter(|one| !gone.contains(&one.state.as_str())).count();
            let ours = holding.images.values().filter(|image| !image.name.starts_with("theirs-")).count();
            let lost = holding.snapshots.values().filter(|snapshot| snapshot.image.is_none()).count();
            if (left, ours, lost) != (0, 0, 0) {
                return Err(format!("something is left: {holdings:#?}"));
            }
        }
        let listed = self.on.rig.addrs();
        if listed.is_empty() { Ok(()) } else { Err(format!("the state still lists {listed:?}")) }
    }
}

fn belongs(atom: &Atom, to: usize) -> bool {
    match atom {
        Atom::Trap(run, _) | Atom::Room(run, _) | Atom::Slow(run, _) | Atom::Second(run, _) => *run == to,
        Atom::Edit(_) | Atom::Deed(_) | Atom::Wait(_) | Atom::Failure(_) | Atom::Verb(_) => false,
    }
}

/// Whether the program then sees another world than there is, or one that still changes.
fn blurs(fate: Fate) -> bool {
    match fate {
        Fate::Stale(_) | Fate::Unlisted(_) | Fate::Late(_) | Fate::SilentLate(_) => true,
        Fate::NotSent
        | Fate::AnswerLost
        | Fate::Refused(..)
        | Fate::SilentNever
        | Fate::SilentDone
        | Fate::CloudDies(_) => false,
    }
}
