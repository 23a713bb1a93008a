//! The engines against the pages in docs/brokers: which histories are possible, what becomes of each message, and
//! what recordings tell apart.

mod dice;
mod histories;
mod ledger;
mod pairs;
mod walks;
