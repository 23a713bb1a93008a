//! The command line of the read model.

fn main() -> std::process::ExitCode {
    pellmell::cli::main::<read_model::ReadModel>()
}
