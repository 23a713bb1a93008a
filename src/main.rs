//! The command line. Everything it does is in `cli`; the library knows nothing of files, terminals
//! and the environment.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main::<pellmell::ticketing::Ticketing>()
}
