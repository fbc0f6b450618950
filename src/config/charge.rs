//! `charge_type`, `prepaid` and `spot`: how a fleet's instances are paid for (API text 2.2, 3.10).

use super::context::Context;
use super::language;
use super::read::{Fields, Value};
use crate::diagnostic::{Diagnostic, Place, codes};
use crate::model::spec::{Charge, Renew};

const HOURLY: &str = "POSTPAID_BY_HOUR";
const PREPAID: &str = "PREPAID";
const SPOT: &str = "SPOTPAID";
/// For how many months one can pay in advance, beside each number up to 12 (InstanceChargePrepaid.Period).
const LONG_TERMS: [u32; 4] = [24, 36, 48, 60];

/// What the fleet's keys say together.
pub(super) fn charge(cx: &mut Context<'_>, fleet: &Fields<'_>) -> Option<Charge> {
    let word = match fleet.get("charge_type") {
        None => Some(HOURLY),
        Some(value) => cx.faults.word(&value, &[HOURLY, PREPAID, SPOT], &[]),
    };
    let prepaid = fleet.get("prepaid");
    let spot = fleet.get("spot");
    for (key, value, fits) in [("prepaid", &prepaid, PREPAID), ("spot", &spot, SPOT)] {
        let (Some(value), Some(word)) = (value, word) else { continue };
        if word != fits && !fleet.misspelt("charge_type") {
            belongs_elsewhere(cx, fleet, value, key, fits, word);
        }
    }
    let needs_months = word == Some(PREPAID);
    let terms = match prepaid {
        Some(value) => months_and_renewal(cx, &value),
        None => {
            if needs_months && !fleet.misspelt("prepaid") {
                let at = fleet.get("charge_type").map_or(fleet.at, |value| value.place());
                cx.tell(
                    Diagnostic::error(codes::MISSING_KEY, "`prepaid` is missing")
                        .at_span(at)
                        .label("for how many months?")
                        .why("instances that are paid in advance are paid for a number of months")
                        .help("add `prepaid: { months: 1 }`"),
                );
            }
            None
        }
    };
    let max_price = spot.map_or(Some(None), |value| max_price(cx, &value));
    match word? {
        PREPAID => terms.map(|(months, renew)| Charge::Prepaid { months, renew }),
        SPOT => Some(Charge::Spot { max_price: max_price? }),
        _ => Some(Charge::Hourly),
    }
}

fn belongs_elsewhere(cx: &mut Context<'_>, fleet: &Fields<'_>, value: &Value<'_>, key: &str, fits: &str, word: &str) {
    let fault = Diagnostic::error(codes::CONFLICT, format!("`{key}` goes with `charge_type: {fits}` only"))
        .at_span(value.key)
        .help(format!("write `charge_type: {fits}`, or remove `{key}`"));
    cx.tell(match fleet.get("charge_type") {
        Some(charge) => fault.related(Place::Span(charge.node.span), "this says otherwise"),
        None => fault.why(format!("`charge_type` is silent, which means {word}")),
    });
}

fn months_and_renewal(cx: &mut Context<'_>, value: &Value<'_>) -> Option<(u32, Renew)> {
    let fields = cx.faults.fields(value, &language::PREPAID)?;
    let months = fields.need("months", "1", &mut cx.faults).and_then(|value| {
        let months = cx.faults.number(&value, 1, LONG_TERMS[LONG_TERMS.len() - 1])?;
        if months > 12 && !LONG_TERMS.contains(&months) {
            cx.tell(
                value
                    .fault(codes::INVALID_VALUE, format!("one cannot pay for {months} months"))
                    .help("write 1 to 12, 24, 36, 48 or 60"),
            );
            return None;
        }
        Some(months)
    });
    let renew = fields.get("renew").map_or(Some(Renew::default()), |value| {
        let word = cx.faults.word(&value, &Renew::ALL.map(Renew::word), &[])?;
        Renew::ALL.into_iter().find(|renew| renew.word() == word)
    });
    Some((months?, renew?))
}

fn max_price(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Option<String>> {
    let fields = cx.faults.fields(value, &language::SPOT)?;
    let Some(value) = fields.get("max_price") else { return Some(None) };
    let rule = "a price in yuan an hour, in quotes, such as \"0.08\"";
    cx.faults.shaped(&value, codes::INVALID_VALUE, rule, is_price).map(|text| Some(text.to_owned()))
}

/// A decimal number above zero, without sign and exponent.
fn is_price(text: &str) -> bool {
    let digits =
        |part: &str, most: usize| (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let fits = match text.split_once('.') {
        Some((yuan, part)) => digits(yuan, 6) && digits(part, 6),
        None => digits(text, 6),
    };
    fits && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_plain_numbers_above_zero() {
        for price in ["0.08", "1", "12.5", "999999.999999"] {
            assert!(is_price(price), "{price}");
        }
        for price in ["", "0", "0.00", "-1", "+1", "1e3", ".5", "1.", "1,5", "0x1", "1.2.3", "٣", "1234567"] {
            assert!(!is_price(price), "{price}");
        }
    }
}
