//! Services as they are, in a [pellmell](https://docs.rs/pellmell) simulation: code that is not written as rules
//! over a [`Store`](pellmell_core::Store), such as a process in any language that speaks lines of JSON.
//!
//! The seam is [`Code`]: it starts a [`Running`] instance, which is told one [`Input`] at a time, a delivery, a
//! command or a timer, and does what it does through a [`Port`] until it answers. [`CodeService`] makes a
//! [`Service`](pellmell_core::Service) of it that any simulation hosts beside others; [`Process`] is code in a process
//! of its own.
//!
//! What a service keeps decides what it can be searched with ([`State`]): records that pellmell keeps for it, a
//! snapshot that it gives and takes, or a state of its own, of which pellmell knows the inputs that led to it and to
//! which it comes back by telling them again. The world stays a value in each case, so that everything works that
//! works with rules: schedules, shrinking, explanations, kept cases, and complete searches, which are slow where a
//! state is of inputs.
//!
//! `docs/processes.md` is the page for people whose services are processes, with the lines that they speak.

mod codec;
mod failure;
mod message;
pub mod nats;
mod pool;
mod port;
mod service;
pub mod serving;
mod state;

#[cfg(unix)]
mod child;
#[cfg(unix)]
mod client;
#[cfg(unix)]
mod lines;
#[cfg(unix)]
mod process;

pub use codec::{Codec, Names, Naming};
pub use failure::Failure;
pub use message::{Body, Call, Message};
pub use port::{Answer, Code, Delivered, Found, Input, Port, Put, Running, State};
pub use service::{CodeService, Started};

#[cfg(unix)]
pub use client::Client;
#[cfg(unix)]
pub use process::Process;
