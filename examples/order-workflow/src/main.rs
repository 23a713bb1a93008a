//! The command line of the order workflow.

fn main() -> std::process::ExitCode {
    pellmell::cli::main::<order_workflow::OrderWorkflow>()
}
