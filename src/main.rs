//! The command line of the ticketing system.

fn main() -> std::process::ExitCode {
    pellmell::ticketing::main()
}
