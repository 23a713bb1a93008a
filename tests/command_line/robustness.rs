//! Hostile names, odd files, races, kills and environments: what the command line does to what it is
//! given and to what was there before.
#![cfg(unix)]

mod corpus;
mod endings;
mod files;
pub(crate) mod folder;
mod text;
