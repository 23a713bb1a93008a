//! The engines against the pages in docs/brokers: which histories are possible, and what becomes of each message.

mod histories;
mod ledger;
mod pairs;
