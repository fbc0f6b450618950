//! Stories of rollouts: a fleet goes from version to version of an image that is built for it, some of which are not well,
//! by settings of all kinds, while things go wrong, and somebody pauses, resumes, promotes, aborts and takes back.

mod fleet;
mod run;
pub(crate) mod script;
