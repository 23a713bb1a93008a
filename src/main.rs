//! The command line of the ticketing system. That of a system of yours is the same line with its name.

fn main() -> std::process::ExitCode {
    pellmell::cli::main::<pellmell::ticketing::Ticketing>()
}
