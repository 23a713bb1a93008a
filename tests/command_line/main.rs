//! The command line as a user meets it: the binary is run, and what it prints, how it ends and what it
//! writes is compared.

#[path = "../support/ran.rs"]
mod ran;

mod brokers;
mod cases;
mod claims;
mod cli;
mod coded;
mod exhaust;
mod export;
mod foreign;
#[cfg(unix)]
mod help;
mod misfits;
mod pages;
mod processes;
mod report;
mod reservations;
mod robustness;
mod sharding;
mod shop;
#[cfg(unix)]
mod terminal;
