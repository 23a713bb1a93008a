//! The engines against the pages in docs/brokers.

mod histories;
mod ledger;
