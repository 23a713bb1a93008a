//! Pictures of runs under [pellmell](https://docs.rs/pellmell). Use it through the crate `pellmell`, whose
//! command line has it as `export`.
//!
//! A recorded run becomes one value, a [`Picture`]: columns, steps, arrows, records before and after, what
//! caused what. Each export is a function of that value, so the same trace gives the same bytes. All that
//! users wrote is made harmless once, where the value is made (see [`text`]); an export adds what its own
//! syntax asks for.
//!
//! What came of many runs becomes a [`Report`], and that the files of a [`folder`].
//!
//! It makes texts and opens no files.

mod cause;
pub mod chrome;
mod data;
pub mod folder;
pub mod github;
pub mod html;
pub mod jsonl;
pub mod junit;
pub mod mermaid;
pub mod otlp;
pub mod picture;
pub mod report;
pub mod step;
mod style;
pub mod svg;
pub mod text;

pub use picture::{Picture, Source};
pub use report::Report;

#[cfg(test)]
mod tests;
