//! How things are shown: plans, states, progress, the cloud's holdings; as text for people and as JSON for programs.
//! Every function here is pure: values in, text out. `docs/json.md` documents the JSON.

pub mod diagnostics;
pub mod doctor;
pub mod document;
pub mod events_json;
pub mod explain;
pub mod fold;
pub mod graph;
pub mod history;
pub mod images;
pub mod inspect;
pub mod live;
pub mod live_table;
pub mod lock;
pub mod orphans;
pub mod outside;
pub mod plan_json;
pub mod plan_text;
pub mod progress;
pub mod rollout;
pub mod started;
pub mod state_text;
pub mod style;
pub mod table;
pub mod things;
pub mod timing;

mod cost;
mod diff_text;
mod groups;
mod live_rollout;
mod node;
mod rollout_plan;
mod watched;
mod words;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod golden_more;
#[cfg(test)]
mod golden_progress;
#[cfg(test)]
mod samples;
