//! What the client sends, held against the API text: everywhere in these tests, for every request of a [`Rig`](crate::rig::Rig)
//! passes through [`Checked`]; and all that can be sent, made on purpose.

pub(crate) mod calls;
#[path = "../../embedded/conformance/cases.rs"]
mod cases;
mod check;
pub(crate) mod every;
#[path = "../../embedded/conformance/table.rs"]
mod table;
mod wrong;

pub(crate) use check::{Checked, Seen, Signer};
