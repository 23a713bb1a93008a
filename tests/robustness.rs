//! Hostile names, odd files, races, kills and environments: what the command line does to what it is
//! given and to what was there before.
#![cfg(unix)]

#[path = "robustness/corpus.rs"]
mod corpus;
#[path = "robustness/endings.rs"]
mod endings;
#[path = "robustness/files.rs"]
mod files;
#[path = "robustness/folder.rs"]
mod folder;
#[path = "robustness/text.rs"]
mod text;
