//! The command line. Everything it does is in `cli`; the library does no I/O.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main::<pellmell::ticketing::Ticketing>()
}
