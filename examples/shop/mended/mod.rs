//! The shop whose search is right.

mod search;
#[path = "../shop.rs"]
pub mod shop;

pub use search::search;
