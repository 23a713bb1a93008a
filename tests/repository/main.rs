//! What the text of the repository shows, and faults planted in it that tests must catch.

mod mutants;
mod tidy;
