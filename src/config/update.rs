//! `update` and `health`: how a fleet's changes are rolled out, and what an instance has to show on the way.

use super::capture::{duration, maybe_none};
use super::context::Context;
use super::language;
use super::node::{Data, ScalarKind};
use super::read::{Fields, Value, cannot_be};
use crate::diagnostic::{Diagnostic, Place, codes};
use crate::model::Millis;
use crate::model::update::{
    Address, Amount, Check, Health, Hook, HookRun, Hooks, OnFailure, Order, Pause, Strategy, Update,
};

/// How long a hook may take where the config says nothing.
const HOOK_TIMEOUT_MS: Millis = 60_000;

pub(super) fn update(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Update> {
    let fields = cx.faults.fields(value, &language::UPDATE)?;
    let strategy = match fields.get("strategy") {
        None => Some(Strategy::Replace),
        Some(value) => cx.faults.word(&value, &["replace", "reset", "auto"], &[]).map(|word| match word {
            "reset" => Strategy::Reset,
            "auto" => Strategy::Auto,
            _ => Strategy::Replace,
        }),
    };
    let max_surge = or(cx, &fields, "max_surge", Amount::NONE, amount);
    // Whoever asks for instances above `count` does not want to be without any of them.
    let silent = if max_surge.is_some_and(Amount::is_none) { Amount::Count(1) } else { Amount::NONE };
    let max_unavailable = or(cx, &fields, "max_unavailable", silent, amount);
    let batch = maybe(cx, &fields, "batch", some_amount);
    let canary = maybe(cx, &fields, "canary", amount);
    let pause = or(cx, &fields, "pause", Pause::None, |cx, value| {
        cx.faults.word(value, &["none", "after_canary", "every_batch"], &[]).map(|word| match word {
            "after_canary" => Pause::AfterCanary,
            "every_batch" => Pause::EveryBatch,
            _ => Pause::None,
        })
    });
    let bake_ms = or(cx, &fields, "bake", 0, maybe_none);
    let min_ready_ms = or(cx, &fields, "min_ready", 0, maybe_none);
    let hooks = or(cx, &fields, "hooks", Hooks::default(), hooks);
    let max_failures = or(cx, &fields, "max_failures", Amount::NONE, amount);
    let on_failure = or(cx, &fields, "on_failure", OnFailure::Stop, |cx, value| {
        cx.faults.word(value, &["stop", "rollback"], &[]).map(|word| match word {
            "rollback" => OnFailure::Rollback,
            _ => OnFailure::Stop,
        })
    });
    let order = or(cx, &fields, "order", Order::Zones, |cx, value| {
        cx.faults.word(value, &["zones", "slots"], &[]).map(|word| match word {
            "slots" => Order::Slots,
            _ => Order::Zones,
        })
    });
    let min_available = maybe(cx, &fields, "min_available", amount);
    let update = Update {
        strategy: strategy?,
        max_surge: max_surge?,
        max_unavailable: max_unavailable?,
        batch: batch?,
        canary: canary?.filter(|canary| !canary.is_none()),
        pause: pause?,
        bake_ms: bake_ms?,
        min_ready_ms: min_ready_ms?,
        hooks: hooks?,
        max_failures: max_failures?,
        on_failure: on_failure?,
        order: order?,
        min_available: min_available?,
    };
    sensible(cx, &fields, &update);
    Some(update)
}

/// What makes no sense together.
fn sensible(cx: &mut Context<'_>, fields: &Fields<'_>, update: &Update) {
    if update.max_surge.is_none()
        && update.max_unavailable.is_none()
        && let Some(value) = fields.get("max_unavailable")
    {
        cx.tell(
            value
                .fault(codes::CONFLICT, "nothing could ever be updated")
                .why("with `max_unavailable: 0` no instance may go before its replacement is there, and without `max_surge` no replacement may be there before it goes")
                .help("allow at least one of them, for example `max_surge: 1`"),
        );
    }
    if update.strategy == Strategy::Reset && update.max_unavailable.is_none() && !update.max_surge.is_none() {
        let at = fields.get("max_unavailable").or_else(|| fields.get("max_surge"));
        if let Some(value) = at {
            cx.tell(
                value
                    .fault(codes::CONFLICT, "an instance is out of service while it is reset")
                    .why("`strategy: reset` formats the disk of the instance that serves; `max_surge` is for `replace`")
                    .help("write `max_unavailable: 1` or more, or `strategy: replace`"),
            );
        }
    }
    if update.pause == Pause::AfterCanary
        && update.canary.is_none()
        && !fields.misspelt("canary")
        && let Some(value) = fields.get("pause")
    {
        let mut fault = value.fault(codes::CONFLICT, "there is no canary to pause after").help("add `canary: 1`");
        if let Some(canary) = fields.get("canary") {
            fault = fault.related(Place::Span(canary.node.span), "none, says this");
        }
        cx.tell(fault);
    }
}

/// The value of a key, or what it means that it is silent.
fn or<T>(
    cx: &mut Context<'_>,
    fields: &Fields<'_>,
    key: &str,
    silent: T,
    read: impl FnOnce(&mut Context<'_>, &Value<'_>) -> Option<T>,
) -> Option<T> {
    match fields.get(key) {
        None => Some(silent),
        Some(value) => read(cx, &value),
    }
}

fn maybe<T>(
    cx: &mut Context<'_>,
    fields: &Fields<'_>,
    key: &str,
    read: impl FnOnce(&mut Context<'_>, &Value<'_>) -> Option<T>,
) -> Option<Option<T>> {
    or(cx, fields, key, None, |cx, value| read(cx, value).map(Some))
}

/// A number, or a percentage.
fn amount(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Amount> {
    if let Data::Scalar(scalar) = &value.node.data
        && scalar.kind == ScalarKind::Text
    {
        let percent = scalar.text.strip_suffix('%').and_then(|digits| digits.parse::<u32>().ok());
        return match percent.filter(|percent| *percent <= 100) {
            Some(percent) => Some(Amount::Percent(percent)),
            None => {
                let mut fault = value.fault(codes::INVALID_VALUE, cannot_be(value, &scalar.text));
                if percent.is_some() {
                    fault = fault.why("a percentage is of the fleet's `count`, and 100% is all of it");
                }
                cx.tell(fault.help("write a number of instances, or a percentage such as `25%`"));
                None
            }
        };
    }
    cx.faults.number(value, 0, u32::MAX).map(Amount::Count)
}

/// The same, but not none.
fn some_amount(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Amount> {
    let found = amount(cx, value)?;
    if found.is_none() {
        let fault = value.fault(codes::INVALID_VALUE, format!("`{}` cannot be 0", value.name()));
        cx.tell(fault.help("write at least 1, or remove the line"));
        return None;
    }
    Some(found)
}

fn hooks(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Hooks> {
    let fields = cx.faults.fields(value, &language::HOOKS)?;
    let before_stop = maybe(cx, &fields, "before_stop", hook);
    let after_ready = maybe(cx, &fields, "after_ready", hook);
    Some(Hooks { before_stop: before_stop?, after_ready: after_ready? })
}

fn hook(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Hook> {
    let fields = cx.faults.fields(value, &language::HOOK)?;
    let timeout_ms = or(cx, &fields, "timeout", HOOK_TIMEOUT_MS, duration);
    let (command, webhook) = (fields.get("command"), fields.get("webhook"));
    match (&command, &webhook) {
        (Some(command), Some(webhook)) => {
            cx.tell(
                Diagnostic::error(codes::CONFLICT, "`command` and `webhook` exclude each other")
                    .at_span(webhook.key)
                    .related(Place::Span(command.key), "and this")
                    .help("keep one of the two; a command can call an address as well"),
            );
            return None;
        }
        (None, None) => {
            if !fields.misspelt("command") && !fields.misspelt("webhook") {
                cx.tell(
                    Diagnostic::error(codes::MISSING_KEY, format!("`{}` needs `command` or `webhook`", value.name()))
                        .at_span(value.key)
                        .help("write `{ command: [./drain.sh] }` or `{ webhook: \"https://…\" }`"),
                );
            }
            return None;
        }
        (Some(_), None) | (None, Some(_)) => {}
    }
    let command = command.map(|value| command_line(cx, &value).map(HookRun::Command));
    let webhook = webhook.map(|value| address(cx, &value).map(HookRun::Webhook));
    Some(Hook { run: command.or(webhook)??, timeout_ms: timeout_ms? })
}

/// A program with its arguments, without a shell between.
fn command_line(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Vec<String>> {
    let items = cx.faults.list(value)?;
    let words: Option<Vec<String>> = items.iter().map(|item| cx.faults.text(item).map(str::to_owned)).collect();
    let words = words?;
    if words.first().is_none_or(String::is_empty) {
        let fault = value.fault(codes::INVALID_VALUE, "`command` names no program");
        cx.tell(fault.help("write the program and its arguments, such as [./drain.sh, --slowly]"));
        return None;
    }
    Some(words)
}

fn address(cx: &mut Context<'_>, value: &Value<'_>) -> Option<String> {
    let rule = "an address that begins with `https://` or `http://`";
    let text = cx.faults.shaped(value, codes::INVALID_VALUE, rule, |text| {
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
            && text.len() <= 2048
            && text.chars().all(|c| !c.is_whitespace() && !c.is_control())
    })?;
    // `user:password@host`: a config is no place for either.
    let host = text.split("://").nth(1).and_then(|rest| rest.split('/').next());
    if host.is_some_and(|host| host.contains('@')) {
        cx.tell(
            value
                .fault(codes::INVALID_VALUE, "`webhook` cannot hold a password")
                .why("credentials never stand in a config: anyone who reads it could use them")
                .help("let a `command` call the address, with what it finds in its environment"),
        );
        return None;
    }
    Some(text.to_owned())
}

/// `health`.
pub(super) fn health(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Health> {
    let fields = cx.faults.fields(value, &language::HEALTH)?;
    let silent = Health::default();
    let tcp = maybe(cx, &fields, "tcp", tcp);
    let http = maybe(cx, &fields, "http", http);
    let address = or(cx, &fields, "address", silent.address, |cx, value| {
        cx.faults.word(value, &["private", "public"], &[]).map(|word| match word {
            "public" => Address::Public,
            _ => Address::Private,
        })
    });
    let interval_ms = or(cx, &fields, "interval", silent.interval_ms, duration);
    let threshold = or(cx, &fields, "threshold", silent.threshold, |cx, value| cx.faults.number(value, 1, 100));
    let deadline_ms = or(cx, &fields, "deadline", silent.deadline_ms, duration);
    if let (Some(one), Some(other)) = (fields.get("tcp"), fields.get("http")) {
        cx.tell(
            Diagnostic::error(codes::CONFLICT, "`tcp` and `http` exclude each other")
                .at_span(other.key)
                .related(Place::Span(one.key), "and this")
                .help("keep `http`: whatever answers takes connections as well"),
        );
        return None;
    }
    let health = Health {
        check: tcp?.or(http?),
        address: address?,
        interval_ms: interval_ms?,
        threshold: threshold?,
        deadline_ms: deadline_ms?,
    };
    let least = health.interval_ms * Millis::from(health.threshold - 1);
    if least >= health.deadline_ms {
        let at = fields.get("deadline").or_else(|| fields.get("interval")).or_else(|| fields.get("threshold"));
        cx.tell(
            at.as_ref()
                .unwrap_or(value)
                .fault(codes::CONFLICT, "no instance could ever be healthy in time")
                .why(format!(
                    "{} looks, {} s apart, take {} s, and the deadline is after {} s",
                    health.threshold,
                    health.interval_ms / 1000,
                    least / 1000,
                    health.deadline_ms / 1000
                ))
                .help("make `deadline` longer, or `interval` shorter"),
        );
        return None;
    }
    Some(health)
}

fn port(cx: &mut Context<'_>, fields: &Fields<'_>, example: &str) -> Option<u16> {
    let value = fields.need("port", example, &mut cx.faults)?;
    cx.faults.number(&value, 1, 65_535).and_then(|port| u16::try_from(port).ok())
}

fn tcp(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Check> {
    let fields = cx.faults.fields(value, &language::TCP)?;
    Some(Check::Tcp { port: port(cx, &fields, "22")? })
}

fn http(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Check> {
    let fields = cx.faults.fields(value, &language::HTTP)?;
    let port = port(cx, &fields, "80");
    let rule = "a path that begins with `/`, such as `/healthz`";
    let path = or(cx, &fields, "path", "/".to_owned(), |cx, value| {
        let fits = |text: &str| {
            text.starts_with('/') && text.len() <= 1024 && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        cx.faults.shaped(value, codes::INVALID_VALUE, rule, fits).map(str::to_owned)
    });
    let status = or(cx, &fields, "status", 200, |cx, value| {
        cx.faults.number(value, 100, 599).and_then(|status| u16::try_from(status).ok())
    });
    let body = maybe(cx, &fields, "body", |cx, value| cx.faults.text(value).map(str::to_owned));
    Some(Check::Http { port: port?, path: path?, status: status?, body: body? })
}
