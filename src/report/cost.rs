//! What a plan costs and how long it takes, below its closing line, and in its JSON.

use crate::cloud::call::StepId;
use crate::model::price::Micros;
use crate::model::spec::Charge;
use crate::plan::estimate::{Amounts, CURRENCY, Estimate, Fee, FeeShare, Item, LeftOut, Longest, Once, Side, longest};
use crate::plan::{Action, Do, Plan};

use super::fold;
use super::node::{Node, object};
use super::plan_json::number;
use super::style::{Ink, Line, Page, STICKY};
use super::words;

const LIST_INDENT: usize = 2;
const HANG: usize = 4;
/// The most actions that a longest chain names.
const MOST_ACTIONS: usize = 6;

/// How long the plan takes as a rule; nothing where it takes no time.
pub(super) fn time(page: &mut Page, plan: &Plan) {
    let Longest { expected_ms, steps } = longest(plan);
    if expected_ms == 0 {
        return;
    }
    let mut line = Line::new().add(Ink::Strong, "Time:").text(format!(" about {}", words::span(expected_ms)));
    // By action, in the order in which they come first.
    let mut actions: Vec<(&str, usize, i64)> = Vec::new();
    for (id, ms) in &steps {
        let Some(action) = action(plan, *id) else { continue };
        match actions.iter_mut().find(|(other, ..)| *other == action) {
            Some((_, count, sum)) => (*count, *sum) = (*count + 1, *sum + ms),
            None => actions.push((action, 1, *ms)),
        }
    }
    if steps.len() > 1 {
        let more = actions.len().saturating_sub(MOST_ACTIONS);
        let mut parts: Vec<String> = actions
            .iter()
            .take(MOST_ACTIONS)
            .map(|(action, count, ms)| {
                let times = if *count > 1 { format!("{count} × ") } else { String::new() };
                format!("{times}{action} ({})", words::span(*ms)).replace(' ', &STICKY.to_string())
            })
            .collect();
        if more > 0 {
            parts.push(format!("{more} more"));
        }
        line.push(Ink::Plain, format!("; the longest chain: {}", parts.join(", ")));
    }
    page.wrap(0, HANG, &line.text("."));
}

/// What a step of the longest chain does, in one word.
fn action(plan: &Plan, id: StepId) -> Option<&'static str> {
    Some(match &plan.steps.get(id.0 as usize)?.does {
        Do::Call(call) => call.body.action(),
        Do::Await { .. } => "waiting",
        Do::Record => "recording",
        Do::Gate(_) => "watching",
        Do::Hook(_) => "running hooks",
    })
}

/// What the plan costs: one sentence, and the parts where there are several or they are wanted.
pub(super) fn cost(page: &mut Page, estimate: &Estimate, verbose: bool) {
    let Estimate { items, before: _, after: _, once: _, traffic: _, fees, left_out, assumed } = estimate;
    let sentence = sentence(estimate);
    page.wrap(0, HANG, &Line::new().add(Ink::Strong, "Cost:").text(format!(" {sentence}.")));
    if items.len() > 1 || verbose {
        for item in items {
            page.wrap(LIST_INDENT, LIST_INDENT + HANG, &part(item));
        }
    }
    let mut beside = |label: &str, text: &str| {
        let line = Line::new().add(Ink::Faint, label).text(format!(" {text}"));
        page.wrap(LIST_INDENT, LIST_INDENT + HANG, &line);
    };
    for each in fees {
        beside("fee:", &fee(each));
    }
    for LeftOut { addrs, why } in left_out {
        beside("not in it:", &format!("{}: {why}", fold::joined(addrs)));
    }
    for text in assumed {
        beside("assumed:", text);
    }
}

fn money(amount: Micros) -> String {
    format!("{amount}{STICKY}{CURRENCY}")
}

fn instances(count: usize) -> String {
    words::plural(count, "instance")
}

fn sentence(estimate: &Estimate) -> String {
    let Estimate { items, before, after, once, traffic, fees: _, left_out: _, assumed: _ } = estimate;
    let launched = estimate.launched();
    let (passing, builders) = estimate.passing();
    if launched == 0 && builders == 0 {
        return "not known".to_owned();
    }
    let mut parts = Vec::new();
    let hourly = items.iter().any(|item| item.side != Side::Passes && item.each.hourly.is_some());
    if hourly {
        let difference = estimate.difference();
        let by_the_hour = |side| {
            let of = items.iter().filter(|item| item.side == side && item.each.hourly.is_some());
            of.map(|item| item.addrs.len()).sum::<usize>()
        };
        let (come, go) = (by_the_hour(Side::Adds), by_the_hour(Side::Ends));
        let change = match difference {
            Micros(0) => "nothing more an hour".to_owned(),
            Micros(..0) => format!("about {} an hour less", money(Micros(0).minus(difference))),
            Micros(_) => format!("about {} an hour more", money(difference)),
        };
        let how = match (come, go) {
            (come, 0) => instances(come),
            (0, go) => format!("{} fewer", instances(go)),
            (come, go) => {
                format!(
                    "{} for {} that {}, less {} for {go} that {}",
                    money(*after),
                    instances(come),
                    comes(come),
                    money(*before),
                    goes(go)
                )
            }
        };
        parts.push(format!("{change} ({how})"));
    }
    if builders > 0 {
        let there = if builders == 1 { "is" } else { "are" };
        let builders = words::plural(builders, "builder");
        parts.push(format!("{} an hour while {builders} {there} there", money(passing)));
    }
    for Once { months, instances, total } in once {
        parts.push(format!(
            "{} once ({instances} prepaid for {})",
            money(*total),
            words::plural(*months as usize, "month")
        ));
    }
    if !traffic.is_empty() {
        let prices: Vec<String> = traffic.iter().map(|price| money(*price)).collect();
        parts.push(format!("{} a GB of traffic", prices.join(" or ")));
    }
    parts.join("; ")
}

fn comes(count: usize) -> &'static str {
    if count == 1 { "comes" } else { "come" }
}

fn goes(count: usize) -> &'static str {
    if count == 1 { "goes" } else { "go" }
}

/// `+ fleet.web[0..4]  5 × 0.265 = 1.325 CNY an hour`.
fn part(item: &Item) -> Line {
    let Item { side, block: _, addrs, charge, each } = item;
    let action = match side {
        Side::Adds | Side::Passes => Action::Create,
        Side::Ends => Action::Delete,
    };
    let Amounts { hourly, once, per_gb } = each;
    let count = addrs.len();
    let sum = |amount: Micros| match count {
        1 => money(amount),
        _ => format!("{count} × {amount} = {}", money(amount.times(count))),
    };
    let mut texts = Vec::new();
    if let Some(amount) = hourly {
        let spot = match charge {
            Charge::Spot { .. } => ", at the spot price of the moment",
            Charge::Hourly | Charge::Prepaid { .. } => "",
        };
        let there = if *side == Side::Passes { " while it is there" } else { "" };
        texts.push(format!("{} an hour{spot}{there}", sum(*amount)));
    }
    if let Some(amount) = once {
        let period = match charge {
            Charge::Prepaid { months, .. } => format!("for {}", words::plural(*months as usize, "month")),
            Charge::Hourly | Charge::Spot { .. } => "once".to_owned(),
        };
        texts.push(format!("{} {period}", sum(*amount)));
    }
    if let (Side::Adds, Some(amount)) = (side, per_gb) {
        texts.push(format!("{} a GB of traffic", money(*amount)));
    }
    let line = Line::new().add(words::ink(action), action.sign()).text(format!(" {}  ", fold::joined(addrs)));
    line.text(texts.join("; "))
}

fn fee(fee: &Fee) -> String {
    let Fee { block, instances: count, image, heir, market, share } = fee;
    let whose = match (image, market) {
        (Some(id), true) => format!("{id}, an image of the marketplace"),
        (Some(id), false) => id.to_string(),
        (None, _) => "an image that nobody remembers".to_owned(),
    };
    let inherits = heir.as_ref().map(|heir| format!("; {heir} inherits it")).unwrap_or_default();
    match share {
        FeeShare::Hourly(amount) => format!(
            "about {} an hour of it, for {} of {block}, is the fee of {whose}{inherits}",
            money(*amount),
            instances(*count)
        ),
        FeeShare::Once(amount) => format!(
            "about {} of what is paid once, for {} of {block}, is the fee of {whose}{inherits}",
            money(*amount),
            instances(*count)
        ),
        FeeShare::NotShown => {
            format!("the price of {block} shows none for {whose}: it is free, or its fee comes on top{inherits}")
        }
        FeeShare::Unknown => {
            format!("how much of the price of {block} is the fee of {whose} could not be asked{inherits}")
        }
    }
}

/// The time in JSON.
pub(super) fn time_json(plan: &Plan) -> Node {
    let Longest { expected_ms, steps } = longest(plan);
    object! { "expected_ms" => expected_ms, "longest" => Node::list(steps.iter().map(|(step, _)| step.0)) }
}

/// The estimate in JSON.
pub(super) fn json(estimate: &Estimate) -> Node {
    let Estimate { items, before, after, once, traffic, fees, left_out, assumed } = estimate;
    object! {
        "currency" => CURRENCY,
        "hourly_micros" => object! {
            "before" => before.0,
            "after" => after.0,
            "difference" => estimate.difference().0,
        },
        "once" => Node::list(once.iter().map(|Once { months, instances, total }| {
            object! { "months" => *months, "instances" => count(*instances), "total_micros" => total.0 }
        })),
        "traffic_micros_per_gb" => Node::list(traffic.iter().map(|price| price.0)),
        "items" => Node::list(items.iter().map(item_json)),
        "fees" => Node::list(fees.iter().map(fee_json)),
        "left_out" => Node::list(left_out.iter().map(|LeftOut { addrs, why }| {
            object! { "addresses" => Node::list(fold::addrs_within(addrs, usize::MAX)), "message" => why }
        })),
        "assumed" => Node::list(assumed),
    }
}

fn count(count: usize) -> Node {
    number(count as u64)
}

fn micros(amount: Option<Micros>) -> Node {
    amount.map_or(Node::Null, |amount| amount.0.into())
}

fn item_json(item: &Item) -> Node {
    let Item { side, block, addrs, charge, each: Amounts { hourly, once, per_gb } } = item;
    object! {
        "side" => match side {
            Side::Adds => "adds",
            Side::Ends => "ends",
            Side::Passes => "passes",
        },
        "block" => block.to_string(),
        "addresses" => Node::list(fold::addrs_within(addrs, usize::MAX)),
        "instances" => count(addrs.len()),
        "charge_type" => charge.word(),
        "hourly_micros" => micros(*hourly),
        "once_micros" => micros(*once),
        "traffic_micros_per_gb" => micros(*per_gb),
    }
}

fn fee_json(fee: &Fee) -> Node {
    let Fee { block, instances, image, heir, market, share } = fee;
    let (hourly, once) = match share {
        FeeShare::Hourly(amount) => (Some(*amount), None),
        FeeShare::Once(amount) => (None, Some(*amount)),
        FeeShare::NotShown | FeeShare::Unknown => (None, None),
    };
    object! {
        "block" => block.to_string(),
        "instances" => count(*instances),
        "image" => Node::maybe(image.as_ref()),
        "inherited_by" => Node::maybe(heir.as_ref()),
        "marketplace" => *market,
        "shown" => match share {
            FeeShare::Hourly(_) | FeeShare::Once(_) => Node::Bool(true),
            FeeShare::NotShown => Node::Bool(false),
            FeeShare::Unknown => Node::Null,
        },
        "hourly_micros" => micros(hourly),
        "once_micros" => micros(once),
    }
}
