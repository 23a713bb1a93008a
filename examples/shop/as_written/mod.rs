//! The shop whose search is as it was first written.

#[cfg(test)]
mod agrees;
mod search;
#[path = "../shop.rs"]
pub mod shop;

pub use search::search;
