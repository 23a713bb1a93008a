//! The command line of the shop that docs/guide/first-bug.md begins with: as it is first written, or, if the
//! environment has `SHOP=mended`, as it is in the end. The tests run the commands of that page with it.

#![expect(unreachable_pub, reason = "it is written as a library")]

use std::process::ExitCode;

mod as_written;
#[expect(clippy::duplicate_mod, reason = "what both have in common is written once")]
mod mended;

fn main() -> ExitCode {
    match std::env::var_os("SHOP") {
        Some(which) if which == "mended" => pellmell::cli::main::<mended::shop::Shop>(),
        _ => pellmell::cli::main::<as_written::shop::Shop>(),
    }
}
