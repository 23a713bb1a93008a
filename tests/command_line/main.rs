//! The command line as a user meets it: the binary is run, and what it prints, how it ends and what it
//! writes is compared.

#[path = "../support/ran.rs"]
mod ran;

mod brokers;
mod cases;
mod cli;
mod exhaust;
mod foreign;
mod misfits;
mod readme;
mod robustness;
mod sharding;
