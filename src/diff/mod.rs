//! What changes, attribute by attribute.
//!
//! Every function here takes its structs apart without `..`, so that a new field does not compile until somebody has
//! decided what its change means.

mod attr;
pub mod fields;
mod image;
mod image_fields;
mod keeping;
mod learn;
mod shown;
mod slot;
mod tags;

pub use attr::{Attr, Takes};
pub use image::{ImageDiff, image};
pub use image_fields::{ImageField, OnChange, OnDrift, image_field, image_table};
pub use keeping::keeping;
pub use learn::{learn_image, learn_slot};
pub use shown::{Shown, made_with, show_state, show_tags};
pub use slot::{SlotDiff, Wanted, power_of, reset_failed, slot};
pub use tags::{TagDiff, tag_attr, tags};
