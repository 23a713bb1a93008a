//! The command line of the bank transfers.

fn main() -> std::process::ExitCode {
    pellmell::cli::main::<bank_transfers::BankTransfers>()
}
