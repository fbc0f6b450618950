//! An apply while it runs, held by snapshots.

use proptest::prelude::*;

use crate::apply::events::{GateNews, Progress, Settled};
use crate::cloud::call::StepId;
use crate::model::addr::Addr;
use crate::model::ids::{Region, RequestId};
use crate::model::recorded::OpId;
use crate::model::rollout::Phase;
use crate::plan::Plan;
use crate::plan::estimate::Measured;

use super::events_json::EventLines;
use super::live::LiveState;
use super::live_table::{MAX_LINES, live};
use super::plan_json::Beside;
use super::progress::{Dated, ProgressText};
use super::samples::{self, NOON, addr};
use super::style::{Style, display_width};
use super::timing::Timing;

const CAPTURE: StepId = StepId(1);
const LAUNCH: StepId = StepId(3);

fn slots(range: std::ops::Range<u32>) -> Vec<Addr> {
    range.map(|n| addr(&format!("fleet.web[{n}]"))).collect()
}

fn with_ids(addrs: &[Addr]) -> Vec<Settled> {
    addrs.iter().zip(0..).map(|(addr, n)| (addr.clone(), Some(samples::instance(n)))).collect()
}

fn started(step: u32, action: &'static str, addrs: Vec<Addr>) -> Progress {
    Progress::Started { step: StepId(step), action, region: Some(samples::region()), addrs }
}

fn sent(step: u32, action: &'static str, attempt: u32) -> Progress {
    Progress::Sent { step: StepId(step), action, region: samples::region(), attempt }
}

fn settled(step: u32, action: &'static str, addrs: &[Addr]) -> Progress {
    Progress::Settled { step: StepId(step), action, targets: with_ids(addrs) }
}

fn done(step: u32, action: &'static str, addrs: Vec<Addr>, took_ms: i64) -> Progress {
    Progress::Done { step: StepId(step), action, addrs, took_ms }
}

fn copy() -> Vec<Addr> {
    vec![addr("image.web@3f9a1c02/ap-guangzhou")]
}

fn builder() -> Vec<Addr> {
    vec![addr("fleet.builder[0]")]
}

/// What an interrupted run had left, before there is a plan.
fn recovery() -> Vec<(i64, Progress)> {
    let op = OpId(12);
    let why = "no answer was recorded; looking whether it took effect".into();
    let waits = "CreateImage may still arrive: its signature holds until then, and what it would make is not there yet";
    vec![
        (0, Progress::Recovering { op, action: "CreateImage", addrs: copy(), why }),
        (100, Progress::Waiting { why: waits.into(), until_ms: NOON + 301_000 }),
        (
            301_000,
            Progress::Recovering {
                op,
                action: "CreateImage",
                addrs: copy(),
                why: "it did not take effect; the next plan does what is still wanted".into(),
            },
        ),
        (301_000, Progress::Recovered { op, action: "CreateImage", addrs: Vec::new() }),
        (301_000, Progress::Recovered { op: OpId(13), action: "RunInstances", addrs: slots(0..4) }),
    ]
}

/// The first plan, carried out with all that can happen.
fn story() -> Vec<(i64, Progress)> {
    let three = || vec![addr("fleet.web[0]"), addr("fleet.web[2]"), addr("fleet.web[4]")];
    let fault = || "RequestLimitExceeded: too many requests".to_owned();
    vec![
        (0, started(0, "RunInstances", builder())),
        (10, sent(0, "RunInstances", 1)),
        (40, Progress::Accepted { step: StepId(0), action: "RunInstances", request_id: RequestId::new("6f1a-77") }),
        (1_500, settled(0, "RunInstances", &builder())),
        (1_500, done(0, "RunInstances", builder(), 1_500)),
        (1_500, started(1, "CreateImage", copy())),
        (1_510, sent(1, "CreateImage", 1)),
        (1_520, Progress::Retrying { step: CAPTURE, action: "CreateImage", fault: fault(), in_ms: 1_500, attempt: 1 }),
        (3_020, sent(1, "CreateImage", 2)),
        (60_000, Progress::Percent { step: CAPTURE, action: "CreateImage", percent: 40 }),
        (600_000, settled(1, "CreateImage", &copy())),
        (600_000, done(1, "CreateImage", copy(), 598_500)),
        (600_000, started(3, "RunInstances", three())),
        (600_000, started(2, "ModifyImageSharePermission", vec![addr("share.partners@3f9a1c02/ap-guangzhou")])),
        (600_010, sent(3, "RunInstances", 1)),
        (625_000, settled(3, "RunInstances", &three()[..1])),
        (
            625_000,
            Progress::Failed {
                step: LAUNCH,
                action: "RunInstances",
                targets: with_ids(&three()[1..]),
                why: "LAUNCH_FAILED: ResourceInsufficient: the type is sold out in ap-guangzhou-3".into(),
            },
        ),
        (625_000, done(3, "RunInstances", three()[..1].to_vec(), 25_000)),
        (
            625_000,
            Progress::Skipped {
                step: StepId(4),
                addrs: vec![addr("fleet.web[1]"), addr("fleet.web[3]"), addr("fleet.web[5]")],
                because: "fleet.web[2] did not succeed".into(),
            },
        ),
        // A second step on what failed already has nothing new to say.
        (
            625_000,
            Progress::Skipped {
                step: StepId(5),
                addrs: vec![addr("fleet.web[1]")],
                because: "fleet.web[2] did not succeed".into(),
            },
        ),
        (630_000, Progress::Stopping { under_way: 1, at_once: false }),
        (640_000, Progress::Stopping { under_way: 1, at_once: true }),
    ]
}

fn lines(dated: Dated, style: Style) -> String {
    let mut text = ProgressText::new(NOON, style, dated);
    let mut out: String = recovery().iter().map(|(at, event)| text.line(NOON + at, event)).collect();
    let begin = NOON + 302_000;
    text.follow(begin, &samples::first());
    out.extend(story().iter().map(|(at, event)| text.line(begin + at, event)));
    out
}

#[test]
fn an_apply_while_it_runs() {
    insta::assert_snapshot!("progress", lines(Dated::Elapsed, Style::PLAIN));
    insta::assert_snapshot!("progress_utc", lines(Dated::Utc, Style { width: 120, color: false }));
}

#[test]
fn a_log_says_the_day_where_it_changes() {
    let mut text = ProgressText::new(NOON, Style::PLAIN, Dated::Utc);
    let day = 86_400_000;
    let out = text.line(NOON, &started(0, "RunInstances", builder()))
        + &text.line(NOON + 1_000, &started(1, "CreateImage", copy()))
        + &text.line(NOON + day, &done(0, "RunInstances", builder(), day));
    insta::assert_snapshot!("progress_days", out);
}

/// The state after so many events of the story, or all.
fn after(plan: &Plan, begin: i64, events: &[(i64, Progress)]) -> LiveState {
    let mut state = LiveState::new(begin);
    state.follow(begin, plan, &Measured::new());
    for (at, event) in events {
        state.note(begin + at, event, None);
    }
    state
}

fn shown(state: &LiveState, now: i64, width: usize, color: bool) -> String {
    live(state, now, Style { width, color }, MAX_LINES).join("\n").replace('\u{1b}', "\\e")
}

#[test]
fn what_is_under_way() {
    let plan = samples::first();
    let early = after(&plan, NOON, &story()[..8]);
    insta::assert_snapshot!("live_retry_80", shown(&early, NOON + 2_000, 80, false));
    let capturing = after(&plan, NOON, &story()[..10]);
    insta::assert_snapshot!("live_percent_80", shown(&capturing, NOON + 60_000, 80, false));
    let partly = after(&plan, NOON, &story()[..17]);
    for width in [20, 39, 40, 63, 64, 80, 120] {
        insta::assert_snapshot!(format!("live_{width}"), shown(&partly, NOON + 625_000, width, false));
        let styled = live(&partly, NOON + 625_000, Style { width, color: true }, MAX_LINES);
        let plain: Vec<String> = styled.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect();
        assert_eq!(plain.join("\n"), shown(&partly, NOON + 625_000, width, false), "colour changes nothing but colour");
    }
    for width in [40, 80, 120] {
        insta::assert_snapshot!(format!("live_{width}_colour"), shown(&partly, NOON + 625_000, width, true));
    }
    let stopping = after(&plan, NOON, &story()[..21]);
    insta::assert_snapshot!("live_stopping_80", shown(&stopping, NOON + 631_000, 80, false));
}

#[test]
fn a_wait_says_for_what_and_how_long() {
    let mut state = LiveState::new(NOON);
    for (at, event) in &recovery()[..2] {
        state.note(NOON + at, event, None);
    }
    insta::assert_snapshot!("live_recovery_80", shown(&state, NOON + 61_000, 80, false));
    insta::assert_snapshot!("live_recovery_still", state.still(NOON + 61_000).expect("a wait"));
    for (at, event) in &recovery()[2..] {
        state.note(NOON + at, event, None);
    }
    assert_eq!(state.still(NOON + 301_000), None, "nothing is open any more");
}

#[test]
fn a_log_hears_of_what_goes_on_after_half_a_minute() {
    let state = after(&samples::first(), NOON, &story()[..10]);
    let mut text = ProgressText::new(NOON, Style::PLAIN, Dated::Utc);
    text.follow(NOON, &samples::first());
    assert_eq!(text.still(NOON + 29_999, &state), "");
    insta::assert_snapshot!("still", text.still(NOON + 100_000, &state));
    assert_eq!(text.still(NOON + 129_999, &state), "");
    assert_ne!(text.still(NOON + 130_000, &state), "");
}

/// Many fleets, all under way at once.
fn many(count: u32) -> LiveState {
    let mut state = LiveState::new(NOON);
    state.follow(NOON, &samples::first(), &Measured::new());
    for n in 0..count {
        let addrs = (0..20).map(|slot| addr(&format!("fleet.f{n}[{slot}]"))).collect();
        state.note(NOON + i64::from(n), &started(n, "RunInstances", addrs), None);
    }
    state
}

#[test]
fn of_many_the_oldest_are_shown() {
    insta::assert_snapshot!("live_many_80", shown(&many(16), NOON + 12_000, 80, false));
    assert_eq!(live(&many(9), NOON, Style::PLAIN, MAX_LINES).len(), 10, "nine rows and the totals");
    assert_eq!(live(&many(9), NOON, Style::PLAIN, 4).len(), 4);
    assert_eq!(live(&many(9), NOON, Style::PLAIN, 1).len(), 1);
    assert_eq!(live(&many(0), NOON, Style::PLAIN, 0).len(), 1);
}

#[test]
fn steps_that_do_the_same_share_a_row_until_all_are_over() {
    let mut state = LiveState::new(NOON);
    state.follow(NOON, &samples::first(), &Measured::new());
    for n in 0..100_000 {
        state.note(NOON, &started(n, "ResetInstance", slots(n..n + 1)), None);
    }
    for n in 0..40_000 {
        state.note(NOON + 1_000, &settled(n, "ResetInstance", &slots(n..n + 1)), None);
        state.note(NOON + 1_000, &done(n, "ResetInstance", slots(n..n + 1), 1_000), None);
    }
    let rows = live(&state, NOON + 2_000, Style::PLAIN, MAX_LINES);
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows[0].starts_with("! fleet.web[0..99999]") && rows[0].contains("40000 of 100000"), "{rows:?}");
    for n in 40_000..100_000 {
        state.note(NOON + 3_000, &done(n, "ResetInstance", Vec::new(), 1_000), None);
    }
    assert_eq!(live(&state, NOON + 3_000, Style::PLAIN, MAX_LINES).len(), 1, "only the totals are left");
}

#[test]
fn what_took_the_time() {
    let mut timing = Timing::new(NOON);
    let mut text = ProgressText::new(NOON, Style::PLAIN, Dated::Elapsed);
    timing.follow(NOON, &samples::first());
    text.follow(NOON, &samples::first());
    for (at, event) in story() {
        timing.note(NOON + at, &event);
        text.line(NOON + at, &event);
    }
    let chain: Vec<u32> = timing.chain().iter().map(|link| link.step.0).collect();
    assert_eq!(chain, [0, 1, 3], "the fleet waited for the image, and that for its builder");
    let what = |step: StepId, action: &str| text.label(step, action);
    insta::assert_snapshot!("took_80", timing.text(NOON + 640_000, Style::PLAIN, &what));
    insta::assert_snapshot!("took_40", timing.text(NOON + 640_000, Style { width: 40, color: false }, &what));
    assert_eq!(timing.text(NOON + 4_999, Style::PLAIN, &what), "", "what was quick needs no explanation");
}

/// A canary that was passed, and a batch of which one fails while it bakes.
fn rollout() -> Vec<(i64, Progress)> {
    let fleet = || samples::block("fleet.web");
    let news = |step: u32, news: GateNews| Progress::Gate { step: StepId(step), fleet: fleet(), news };
    let again = |range: std::ops::Range<u32>| -> Vec<Addr> {
        range.map(|n| addr(&format!("fleet.web[{n}]")).generation(2)).collect()
    };
    let fails = |step: u32, action: &'static str, addrs: &[Addr], why: &str| Progress::Failed {
        step: StepId(step),
        action,
        targets: with_ids(addrs),
        why: why.to_owned(),
    };
    let why = "did not stay healthy while it baked: http 500 in place of 200";
    let whole = "fleet.web[3]#2 did not stay healthy while it baked: http 500 in place of 200";
    let back = GateNews::Failed { phase: Some(Phase::TakenBack), why: whole.to_owned() };
    vec![
        (0, started(0, "RunInstances", again(0..1))),
        (20_000, settled(0, "RunInstances", &again(0..1))),
        (20_000, done(0, "RunInstances", again(0..1), 20_000)),
        (20_000, started(1, "Gate", again(0..1))),
        (30_000, news(1, GateNews::Healthy { healthy: 1, of: 1 })),
        (60_000, settled(1, "Gate", &again(0..1))),
        (60_000, news(1, GateNews::Baking { until_ms: NOON + 660_000 })),
        (660_000, news(1, GateNews::Passed { phase: Some(Phase::Running) })),
        (660_000, done(1, "Gate", again(0..1), 640_000)),
        (660_000, started(3, "RunInstances", again(1..5))),
        (680_000, settled(3, "RunInstances", &again(1..5))),
        (680_000, done(3, "RunInstances", again(1..5), 20_000)),
        (680_000, started(4, "Gate", again(1..5))),
        (680_000, news(4, GateNews::Healthy { healthy: 0, of: 4 })),
        (700_000, news(4, GateNews::Healthy { healthy: 3, of: 4 })),
        (730_000, settled(4, "Gate", &again(1..4))),
        (1_280_000, fails(4, "Gate", &again(4..5), "was not healthy within 600 s: port 80 refuses connections")),
        (1_280_000, news(4, GateNews::Healthy { healthy: 3, of: 3 })),
        (1_280_000, news(4, GateNews::Baking { until_ms: NOON + 1_880_000 })),
        (1_400_000, fails(4, "Gate", &again(3..4), why)),
        (1_400_000, news(4, back)),
        (1_400_000, done(4, "Gate", again(1..3), 720_000)),
    ]
}

/// The last batch passes, and its hooks run.
fn ending() -> Vec<(i64, Progress)> {
    let news = |news: GateNews| Progress::Gate { step: StepId(4), fleet: samples::block("fleet.web"), news };
    let old = || slots(1..5);
    let why = "it waits after a batch, as `pause` says".to_owned();
    vec![
        (1_880_000, news(GateNews::Paused { why })),
        (1_880_000, started(5, "Hook", old())),
        (1_882_000, done(5, "Hook", old(), 2_000)),
        (1_882_000, started(7, "Hook", old())),
    ]
}

#[test]
fn a_rollout_while_it_runs() {
    let plan = samples::rolled();
    for (name, events, at) in [("looking", 15, 701_000), ("baking", 19, 1_300_000), ("failed", 22, 1_400_500)] {
        let state = after(&plan, NOON, &rollout()[..events]);
        for width in [40, 80, 120] {
            insta::assert_snapshot!(format!("rollout_{name}_{width}"), shown(&state, NOON + at, width, false));
        }
    }
    let mut state = after(&plan, NOON, &rollout()[..19]);
    for (at, event) in ending() {
        state.note(NOON + at, &event, Some("before_stop: ./drain.sh --wait"));
    }
    insta::assert_snapshot!("rollout_paused_80", shown(&state, NOON + 1_882_500, 80, false));
}

/// Resets, after slots that were out of service; and the way back.
#[test]
fn a_rollout_that_formats_disks() {
    let plan = samples::reset();
    let news =
        |step: u32, news: GateNews| Progress::Gate { step: StepId(step), fleet: samples::block("fleet.web"), news };
    let made = slots(5..6);
    let mut events = vec![
        (0, started(0, "RunInstances", made.clone())),
        (20_000, settled(0, "RunInstances", &made)),
        (20_000, done(0, "RunInstances", made.clone(), 20_000)),
        (20_000, started(1, "Gate", made.clone())),
    ];
    let state = after(&plan, NOON, &events);
    insta::assert_snapshot!("reset_first_80", shown(&state, NOON + 30_000, 80, false));
    let batch = slots(0..2);
    events.extend([
        (60_000, settled(1, "Gate", &made)),
        (60_000, done(1, "Gate", made, 40_000)),
        (60_000, started(2, "ResetInstance", batch[..1].to_vec())),
        (60_000, started(3, "ResetInstance", batch[1..].to_vec())),
        (90_000, settled(2, "ResetInstance", &batch[..1])),
        (90_000, settled(3, "ResetInstance", &batch[1..])),
        (90_000, started(4, "Gate", batch.clone())),
        (95_000, settled(4, "Gate", &batch[..1])),
        (95_000, news(4, GateNews::Healthy { healthy: 1, of: 2 })),
    ]);
    let state = after(&plan, NOON, &events);
    for width in [40, 80, 120] {
        insta::assert_snapshot!(format!("reset_{width}"), shown(&state, NOON + 96_000, width, false));
    }
    let mut back = plan;
    back.rollouts[0].row.phase = Phase::TakenBack;
    let state = after(&back, NOON, &events);
    insta::assert_snapshot!("reset_back_120", shown(&state, NOON + 96_000, 120, false));
}

/// What is done to slots beside the rollout leads none of them anywhere.
#[test]
fn what_waits_behind_a_pause_is_old_whatever_is_done_to_it() {
    let plan = samples::reset();
    let all = slots(0..6);
    let events = [
        (0, started(7, "ModifyInstancesAttribute", all.clone())),
        (1_000, settled(7, "ModifyInstancesAttribute", &all)),
        (1_000, done(7, "ModifyInstancesAttribute", all, 1_000)),
        (
            1_000,
            Progress::Failed {
                step: StepId(8),
                action: "TagResources",
                targets: with_ids(&slots(2..5)),
                why: "no".into(),
            },
        ),
    ];
    let text = shown(&after(&plan, NOON, &events), NOON + 2_000, 80, false);
    assert!(text.contains("ap-guangzhou-3: 1 new, 3 old · ap-guangzhou-4: 1 new, 3 old"), "{text}");
}

#[test]
fn a_rollout_as_lines() {
    let mut out = String::new();
    for (width, events) in [(80, rollout()), (120, [&rollout()[..19], &ending()].concat())] {
        let mut text = ProgressText::new(NOON, Style { width, color: false }, Dated::Elapsed);
        text.follow(NOON, &samples::rolled());
        out.extend(events.iter().map(|(at, event)| text.line(NOON + at, event)));
        out.push('\n');
    }
    insta::assert_snapshot!("rollout_lines", out);
}

#[test]
fn a_rollout_for_programs() {
    let mut lines = EventLines::default();
    drop(lines.plan(NOON, &samples::rolled(), Beside::default()));
    let events = rollout();
    let out: String = events[12..].iter().map(|(at, event)| lines.progress(NOON + at, event)).collect();
    insta::assert_snapshot!("rollout_events", out);
}

/// Many fleets at once: what is rolled out leaves room for what is done.
#[test]
fn rollouts_leave_room_for_what_is_under_way() {
    let mut plan = samples::rolled();
    let one = plan.rollouts[0].clone();
    for n in 0..12 {
        let mut more = one.clone();
        more.row.block = samples::block(&format!("fleet.f{n}"));
        plan.rollouts.push(more);
        let mut state = LiveState::new(NOON);
        state.follow(NOON, &plan, &Measured::new());
        state.note(NOON, &started(0, "RunInstances", slots(0..1)), None);
        for most in 1..=MAX_LINES {
            let rows = live(&state, NOON, Style::PLAIN, most);
            assert!(rows.len() <= most, "{rows:#?}");
            assert!(most < 3 || rows.iter().any(|row| row.contains("RunInstances")), "{rows:#?}");
        }
    }
}

fn any_event() -> impl Strategy<Value = Progress> {
    let word =
        prop::sample::select(vec!["RunInstances", "Await", "Record", "SyncImages", "ResetInstance", "Gate", "Hook"]);
    (0u32..8, 0u8..13, word, 0u32..6, 0u32..5, "\\PC{0,40}").prop_map(|(n, kind, action, first, count, why)| {
        let (step, addrs) = (StepId(n), slots(first..first + count));
        match kind {
            0 | 1 => Progress::Started { step, action, region: Some(Region::new("ap-guangzhou")), addrs },
            2 => Progress::Done { step, action, addrs, took_ms: 10 },
            3 => Progress::Settled { step, action, targets: with_ids(&addrs) },
            4 => Progress::Failed { step, action, targets: with_ids(&addrs), why },
            5 => Progress::Skipped { step, addrs, because: why },
            6 => Progress::Sent { step, action, region: Region::new("ap-guangzhou"), attempt: n },
            7 => Progress::Retrying { step, action, fault: why, in_ms: 10_000, attempt: 1 },
            8 => Progress::Percent { step, action, percent: 70 },
            9 => Progress::Waiting { why, until_ms: NOON + 3_000 },
            10 => Progress::Gate {
                step,
                fleet: samples::block("fleet.web"),
                news: match first {
                    0 => GateNews::Healthy { healthy: 1, of: count as usize },
                    1 => GateNews::Baking { until_ms: NOON + 3_000 },
                    2 => GateNews::Passed { phase: None },
                    3 => GateNews::Paused { why },
                    _ => GateNews::Failed { phase: Some(Phase::Stopped), why },
                },
            },
            11 => Progress::Recovering { op: OpId(i64::from(n)), action, addrs, why },
            _ => Progress::Recovered { op: OpId(i64::from(n)), action, addrs },
        }
    })
}

proptest! {
    #[test]
    fn the_table_fits_whatever_happens(
        events in prop::collection::vec(any_event(), 0..30), width in 0usize..200, most in 0usize..20, later in 0i64..5_000_000,
    ) {
        let mut state = LiveState::new(NOON);
        state.follow(NOON, &if later % 2 == 0 { samples::first() } else { samples::rolled() }, &Measured::new());
        for event in &events {
            state.note(NOON, event, None);
        }
        let rows = live(&state, NOON + later, Style { width, color: false }, most);
        prop_assert!(!rows.is_empty() && rows.len() <= MAX_LINES && rows.len() <= most.max(1), "{rows:#?}");
        for row in &rows {
            prop_assert!(display_width(row) <= width, "{} > {width}: {row:?}", display_width(row));
            prop_assert!(!row.contains(|c: char| c.is_control()));
        }
    }
}
