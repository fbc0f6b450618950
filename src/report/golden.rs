//! What people see, held by snapshots.

use std::collections::BTreeMap;

use crate::plan::Plan;

use super::plan_text::{PlanOpts, plan};
use super::samples;
use super::style::{Style, display_width};

fn shown(value: &Plan, width: usize) -> String {
    plan(value, Style { width, color: false }, &PlanOpts::default())
}

/// Rows that are wider than they may be, but for one word alone.
fn too_wide(text: &str, width: usize) -> Vec<&str> {
    text.lines().filter(|row| display_width(row) > width && row.trim().contains(' ')).collect()
}

#[test]
fn a_first_plan() {
    insta::assert_snapshot!("first_80", shown(&samples::first(), 80));
    insta::assert_snapshot!("first_120", shown(&samples::first(), 120));
}

#[test]
fn a_mixed_plan() {
    insta::assert_snapshot!("mixed_80", shown(&samples::mixed(), 80));
    insta::assert_snapshot!("mixed_120", shown(&samples::mixed(), 120));
}

#[test]
fn a_mixed_plan_in_colour_with_user_data() {
    let old = "#!/bin/sh\nset -e\napt-get update\napt-get install -y nginx=1.24\nsystemctl enable nginx\n";
    let new = old.replace("1.24", "1.26") + "echo ready\n";
    let texts = BTreeMap::from([(samples::block("fleet.web"), (old.to_owned(), new))]);
    let text = plan(&samples::mixed(), Style { width: 80, color: true }, &PlanOpts { texts, ..PlanOpts::default() });
    insta::assert_snapshot!("mixed_80_colour", text.replace('\u{1b}', "\\e"));
}

#[test]
fn nothing_to_do() {
    insta::assert_snapshot!("empty", shown(&samples::empty(), 80));
    insta::assert_snapshot!("drifted", shown(&samples::drifted(), 80));
}

#[test]
fn a_hundred_thousand_slots_fit_a_screen() {
    for (name, sample) in [("large", samples::large(100_000)), ("torn_down", samples::torn_down(100_000))] {
        let text = shown(&sample, 80);
        assert!(text.lines().count() < 60, "{text}");
        insta::assert_snapshot!(name, text);
    }
}

#[test]
fn no_row_is_wider_than_asked_for() {
    for sample in [samples::first(), samples::mixed(), samples::drifted(), samples::torn_down(500)] {
        for width in 20..130 {
            let text = shown(&sample, width);
            // below that, a label and its id may be all that a row holds
            if width >= 60 {
                assert_eq!(too_wide(&text, width), Vec::<&str>::new(), "at {width}");
            }
        }
    }
}
