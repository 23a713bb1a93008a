//! What tests of services have in common that are a shop and a search service, whatever they speak.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pellmell::{Judges, Record, RecordId, Simulation, System, Versioned, testing};
use pellmell_code::{Call, Message, Process};
use serde::{Deserialize, Serialize};

pub(crate) struct Shop;

impl System for Shop {
    type Event = Message;
    type Command = Call;
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Item {
    pub(crate) price: u32,
}

impl Record for Item {
    const COLLECTION: &'static str = "items";
    const KIND: char = 'i';
}

pub(crate) const I1: RecordId = RecordId::new('i', 1);

/// Where the services are that only tests have.
pub(crate) fn services() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services")
}

/// A service in Node.
pub(crate) fn node(arguments: &[&str]) -> Process {
    Process::new("node", arguments.iter().copied()).in_folder(services()).answering_within(Duration::from_secs(60))
}

/// Without what pellmell loads into Node, as a program is that is no Node.
pub(crate) fn unseen(arguments: &[&str]) -> Process {
    let script = format!("unset NODE_OPTIONS; exec node {}", arguments.join(" "));
    Process::new("sh", ["-c", &script]).in_folder(services()).answering_within(Duration::from_secs(60))
}

/// Whether these programs are there; a machine that has only Rust has neither Node nor Python.
pub(crate) fn has(programs: &[&str]) -> bool {
    programs.iter().all(|program| {
        let is_there = std::process::Command::new(program).arg("--version").output().is_ok();
        if !is_there {
            println!("SKIPPED: `{program}` is not installed");
        }
        is_there
    })
}

pub(crate) fn judges() -> Judges<Shop> {
    let agree =
        |item: &Versioned<Item>, copy: &Versioned<Item>| (copy.version, copy.price) == (item.version, item.price);
    Judges::new(vec![testing::converges("SearchAgreesWithShop", "shop", "search", agree)])
}

/// How a schedule ends, in words.
pub(crate) fn replay(simulation: &Simulation<Shop>, judges: &Judges<Shop>, schedule: &[&str]) -> String {
    let work = || testing::replay(simulation, schedule, judges);
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(_) => "held".to_owned(),
        Err(panic) => panic.downcast_ref::<String>().expect("a text").clone(),
    }
}
