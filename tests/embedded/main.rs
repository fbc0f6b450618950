//! The embedded cloud, by its bytes: raw JSON through signed requests, and the documented codes back. Nothing here
//! uses the client's wire types or its signer, so that a mistake of theirs shows.

mod auth;
mod durable;
mod images;
mod instances;
mod limits;
mod machines;
mod protocol;
mod settings;
mod shares;
mod tags;
mod world;
