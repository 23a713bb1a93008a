//! The system as scenario files and the command line know it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::documents::{Document, of_kind};
use crate::properties::{Converged, DoneOnce, VersionsNeverFall};
use pellmell_code::{Call, CodeService, Message, Names, Naming, Process, Started};
use pellmell_core::event::System;
use pellmell_core::property::{NoPoison, NoUnboundedGrowth, Property};
use pellmell_core::service::Service;
use pellmell_core::store::VersionPolicy;
use pellmell_scenario::scenario::{Coded, NoRecords, NoWorkload, Place, Services, Suite};

/// Services that are processes, whichever there are.
#[derive(Clone, Copy, Debug)]
pub struct Processes;

impl System for Processes {
    type Event = Message;
    type Command = Call;
}

impl Suite for Processes {
    const NAME: &'static str = "processes";
    type Design = ();
    type Workload = NoWorkload;
    type Stored = NoRecords;
    const OF_PROCESSES: bool = true;

    fn program() -> &'static str {
        "pellmell"
    }

    fn services((): &()) -> Services<Processes> {
        Services::new()
    }

    fn coded((): &(), name: &str, coded: &Coded) -> Result<Box<dyn Service<Processes>>, String> {
        let names = coded.messages.iter().fold(Names::new(), |names, of| {
            let naming = Naming::of(of.kind);
            let naming = match &of.record {
                Place::Body(pointer) => naming.record_at(pointer),
                Place::Header(name) => naming.record_in_header(name),
            };
            let naming = match &of.version {
                None => naming,
                Some(Place::Body(pointer)) => naming.version_at(pointer),
                Some(Place::Header(name)) => naming.version_in_header(name),
            };
            names.on(&of.subjects, naming)
        });
        let started = started(name, coded)?;
        let service = CodeService::of(name, started, names).listening(&coded.listens).publishing(coded.publishing);
        let owned = coded.owns.iter().map(|kind| (*kind, true));
        let kinds = owned.chain(coded.keeps.iter().map(|kind| (*kind, false)));
        Ok(Box::new(kinds.fold(service, |service, (kind, is_owned)| declare(service, kind, is_owned))))
    }

    fn properties((): &()) -> Vec<Box<dyn Property<Processes>>> {
        vec![Box::new(Converged), Box::new(VersionsNeverFall), Box::new(NoPoison)]
    }

    fn all_properties() -> Vec<Box<dyn Property<Processes>>> {
        let others: [Box<dyn Property<Processes>>; 2] =
            [Box::new(DoneOnce), Box::new(NoUnboundedGrowth { messages_max: 1_000 })];
        Processes::properties(&()).into_iter().chain(others).collect()
    }
}

/// A service that owns or keeps records of a kind of which nothing else is known: a letter from `a` to `y`. With any
/// other it is as it was.
#[must_use]
pub fn declare(service: CodeService<Processes>, kind: char, is_owned: bool) -> CodeService<Processes> {
    of_kind!(kind, K => service.collection::<Document<K>>(VersionPolicy::EVERY_SAVE, is_owned), else service)
}

/// What a service with a command runs, by name, command, folder and limit.
type Running = BTreeMap<(String, Vec<String>, Option<String>, u128), Weak<Started>>;

/// The process of a service: one that a scenario read before has started, if it is still there.
fn started(name: &str, coded: &Coded) -> Result<Arc<Started>, String> {
    static RUNNING: Mutex<Running> = Mutex::new(BTreeMap::new());
    let key = (name.to_owned(), coded.command.clone(), coded.folder.clone(), coded.within.as_nanos());
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let started = match running.get(&key).and_then(Weak::upgrade) {
        Some(started) => started,
        None => {
            let (program, arguments) = coded.command.split_first().ok_or("a command has at least a program")?;
            let process = Process::new(program, arguments).answering_within(coded.within);
            let process = coded.folder.iter().fold(process, |process, folder| process.in_folder(folder));
            Arc::new(Started::new(name, process).map_err(|failure| failure.to_string())?)
        }
    };
    running.retain(|_, known| known.strong_count() > 0);
    running.insert(key, Arc::downgrade(&started));
    coded.hold(Arc::clone(&started) as Arc<_>);
    Ok(started)
}
