//! A worker that does jobs in one way or another.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use async_nats::Error;
use pellmell_core::ids::RecordId;
use pellmell_core::run::{Limits, Report, Verdict, run};
use pellmell_core::scheduler::Calm;
use pellmell_core::trace::Recorder;
use pellmell_nats::{FaultPlan, Naming, Service, System, record};
use serde_json::json;

const LIMITS: Limits = Limits { steps_max: 200, ..Limits::OF_A_TEST };

/// What was done: for which jobs, in which order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done(Arc<Mutex<Vec<RecordId>>>);

impl Done {
    pub(crate) fn note(&self, _subject: &str, payload: &[u8]) {
        let body: serde_json::Value = serde_json::from_slice(payload).expect("a job is JSON");
        let id = record('j', body["id"].as_str().expect("a job has an id"));
        self.0.lock().expect("nobody panics with it").push(id);
    }
}

pub(crate) fn done(done: &Done) -> Vec<RecordId> {
    done.0.lock().expect("nobody panics with it").clone()
}

pub(crate) type Work =
    Box<dyn Fn(String, Done) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> + Send + Sync>;

pub(crate) fn work<F>(run: impl Fn(String, Done) -> F + Send + Sync + 'static) -> Work
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    Box::new(move |url, done| Box::pin(run(url, done)))
}

/// As many jobs for a worker.
pub(crate) fn jobs(run: Work, count: u32) -> System {
    let worker = Service::with_state("worker", Done::default, run).listens(["job.new"]).does("done", done);
    let jobs = (1..=count).map(|n| ("job.new", json!({ "id": format!("j{n}") })));
    System::new().about("job.new", Naming::of('j')).publisher("office", jobs).service(worker)
}

pub(crate) fn calm(system: System) -> Report {
    let (simulation, judges) = system.simulation().unwrap_or_else(|error| panic!("{error}"));
    run(&mut simulation.world(), &mut Calm::new(0, FaultPlan::NONE), &judges, LIMITS, &mut ())
}

pub(crate) fn verdict(report: &Report) -> String {
    match &report.verdict {
        Verdict::Panicked { message } => message.clone(),
        other => format!("{other:?}"),
    }
}

/// What is answered in a calm run that holds.
pub(crate) fn answers_to(system: System) -> Vec<String> {
    let (simulation, judges) = system.simulation().unwrap_or_else(|error| panic!("{error}"));
    let mut recorder = Recorder::default();
    let mut calm = Calm::new(0, FaultPlan::NONE);
    let report = run(&mut simulation.world(), &mut calm, &judges, LIMITS, &mut recorder);
    assert_eq!(verdict(&report), "Held");
    recorder.into_records().into_iter().filter_map(|record| record.answer).collect()
}
