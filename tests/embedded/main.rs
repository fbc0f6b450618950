//! The embedded cloud, by its bytes: raw JSON through signed requests, and the documented codes back. Nothing here
//! uses the client's wire types or its signer, so that a mistake of theirs shows.

mod attributes;
mod auth;
mod charges;
mod conformance;
mod durable;
mod exports;
mod faults;
mod images;
mod imports;
mod instances;
mod limits;
mod machines;
mod neighbours;
mod others;
mod prices;
mod protocol;
mod refusals;
mod rules;
mod settings;
mod shares;
mod sold;
mod tags;
mod world;
