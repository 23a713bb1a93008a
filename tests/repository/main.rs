//! What the text of the repository shows, pages that have to agree with it, and faults planted in it that tests must
//! catch.

mod incidents;
mod mutants;
mod profiles;
mod tidy;
