//! The system as scenario files and the command line know it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use crate::documents::{Document, of_kind};
use crate::properties::{Converged, DoneOnce, VersionsNeverFall};
use pellmell_code::{Call, Client, CodeService, Failure, Message, Names, Naming, Process, Started, State};
use pellmell_core::event::System;
use pellmell_core::property::{NoPoison, NoUnboundedGrowth, Property};
use pellmell_core::service::Service;
use pellmell_core::store::VersionPolicy;
use pellmell_scenario::scenario::{ClientOf, Coded, NoRecords, NoWorkload, Place, SeenAt, Services, Speaks, Suite};

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
        let started = started(name, coded, !coded.listens.is_empty(), &[])?;
        let service = CodeService::of(name, started, names).listening(&coded.listens);
        let service = coded.publishing.into_iter().fold(service, CodeService::publishing);
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

/// What a service with a command runs.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    name: String,
    command: Vec<String>,
    folder: Option<String>,
    within: Duration,
    speaks: Speaks,
    listens: Vec<String>,
    environment: Vec<(String, String)>,
}

/// The process of a service of any system, with these variables in its environment: one that a scenario read before has
/// started, if it is still there. It `listens` if it hears of anything, whether or not the file says of what.
///
/// # Errors
/// If it does not start, or keeps a state of its own and the scenario has records that are there before it starts.
pub fn started(name: &str, coded: &Coded, listens: bool, environment: &[(&str, &str)]) -> Result<Arc<Started>, String> {
    static RUNNING: Mutex<BTreeMap<Key, Weak<Started>>> = Mutex::new(BTreeMap::new());
    let environment: Vec<(String, String)> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let Coded { command, folder, within, speaks, .. } = coded;
    let key = Key {
        name: name.to_owned(),
        command: command.clone(),
        folder: folder.clone(),
        within: *within,
        speaks: speaks.clone(),
        listens: coded.listens.clone(),
        environment: environment.clone(),
    };
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let started = match running.get(&key).and_then(Weak::upgrade) {
        Some(started) => started,
        None => {
            let (program, arguments) = coded.command.split_first().ok_or("a command has at least a program")?;
            let process = Process::new(program, arguments).answering_within(coded.within);
            let process = coded.folder.iter().fold(process, |process, folder| process.in_folder(folder));
            let process = environment.into_iter().fold(process, |process, (name, value)| process.with_env(name, value));
            Arc::new(start(name, coded, process, listens).map_err(|failure| failure.on_one_line())?)
        }
    };
    running.retain(|_, known| known.strong_count() > 0);
    running.insert(key, Arc::downgrade(&started));
    coded.hold(Arc::clone(&started) as Arc<_>);
    if coded.has_stored && started.state() != State::Records {
        return Err(format!(
            "{name} keeps a state of its own, and cannot begin with the records of [[record]]: \
                            let a client's command create them"
        ));
    }
    Ok(started)
}

fn start(name: &str, coded: &Coded, process: Process, listens: bool) -> Result<Started, Failure> {
    match &coded.speaks {
        Speaks::Lines => Started::new(name, process),
        Speaks::Client(ClientOf { is_streaming, streams, calls, records }) => {
            let client = if *is_streaming { Client::of_nats_streaming(process) } else { Client::of_nats(process) };
            let client = client.subscribing(&coded.listens);
            let client = if listens { client.subscribing_to_some() } else { client };
            let client = streams.iter().try_fold(client, |client, (name, of)| client.with_stream(name, of))?;
            let client = calls.iter().try_fold(client, |client, (name, request)| client.calling(name, request))?;
            let client = match records {
                None => client,
                Some(SeenAt::Said(records)) => client.with_records(records)?,
                Some(SeenAt::Printed(command)) => client.with_records_of(command),
            };
            Started::new(name, client)
        }
    }
}
