//! The ticketing services: their rules, properties and defects, their scenarios and kept cases, and what
//! searching, shrinking and explaining come to on them.

#[path = "../support/ran.rs"]
mod ran;
mod support;

mod clients;
mod commands;
mod convergence;
mod corpus;
mod course;
mod coverage;
mod damaged_files;
mod determinism;
mod exhaust;
mod explain;
mod extract;
mod hold_sweep;
mod lessons;
mod payments;
mod portfolio;
mod properties;
mod races;
mod rules;
mod scenarios;
mod shortest;
mod shrink;
mod survival;
mod union;
mod verdicts;
mod zoo;
