//! pellmell's part: the same systems as services, searched through the public interface.

use pellmell::search::{Bounds, DeliveryOrder, Exhaust, Most};
use pellmell::testing::{at_quiescence, service};
use pellmell::{Command, Event, Hosting, Judges, Outcome, Record, RecordId, Simulation, Subject, System};
use pellmell::{Version, VersionPolicy, Violation};
use serde::Serialize;

/// A simulation and its judges: made once and used for every search.
pub struct Ours<S: System> {
    simulation: Simulation<S>,
    judges: Judges<S>,
}

impl<S: System> Ours<S> {
    /// The states within so many lost acks, in any order.
    pub fn search(&self, lost_acks: u8) -> u64 {
        let bounds = Bounds { lost_acks: Most::Of(lost_acks), ..bounds() };
        let result = Exhaust::new(&self.simulation, &self.judges).with_bounds(bounds).run();
        assert!(result.is_complete(), "it holds: {result:?}");
        result.stats.states
    }
}

fn bounds() -> Bounds {
    Bounds::of(DeliveryOrder::Any)
}

/// What the receiver of a fan-in keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The order in which messages came.
    Order,
    /// Which messages came.
    Set,
}

pub struct FanIn;

impl System for FanIn {
    type Event = Message;
    type Command = Send;
}

#[derive(Clone, Debug, Hash, Serialize)]
pub struct Message(u32);

impl Event for Message {
    fn subject(&self) -> Subject {
        SENT
    }

    fn record(&self) -> RecordId {
        RecordId::new('m', self.0)
    }

    fn version(&self) -> Option<Version> {
        None
    }
}

#[derive(Clone, Debug, Hash, Serialize)]
pub struct Send {
    messages: u32,
}

impl Command for Send {
    fn service(&self) -> &'static str {
        "sender"
    }

    fn record(&self) -> RecordId {
        RecordId::new('m', 0)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
struct Came(Vec<u32>);

impl Record for Came {
    const COLLECTION: &'static str = "came";
    const KIND: char = 'c';
}

const SENT: Subject = Subject::new("message:sent");

impl Ours<FanIn> {
    /// A command publishes all messages; the receiver handles each once, and in the end it has all.
    pub fn fan_in(messages: u32, kept: Kept) -> Self {
        let sender = service::<FanIn>("sender").on_command(|command, ctx| {
            (0..command.messages).for_each(|message| ctx.publish(Message(message)));
            Ok(())
        });
        let came = RecordId::new('c', 1);
        let receiver = service::<FanIn>("receiver").keeps::<Came>(VersionPolicy::EVERY_SAVE);
        let receiver = receiver.on_event(const { &[SENT] }, move |message, ctx| {
            let held = ctx.store.find::<Came>(came);
            let version = held.map(|held| held.version);
            let mut list = held.map_or_else(Vec::new, |held| held.value.0.clone());
            if !list.contains(&message.0) {
                list.push(message.0);
                if kept == Kept::Set {
                    list.sort_unstable();
                }
                ctx.store.overwrite(came, Came(list), version);
            }
            Outcome::Ack
        });
        let complete = at_quiescence("Complete", move |moment| {
            let sent = moment.world().broker().messages().len();
            let held = moment.store_of("receiver").find::<Came>(came).map_or(0, |came| came.value.0.len());
            if held == sent { Ok(()) } else { Err(Violation::at("receiver").of(came).because("a message is missing")) }
        });
        let simulation = Simulation::on(bounds().order.profile()).service(sender).service(receiver);
        let simulation = simulation.client("ann", vec![Send { messages }]).build().expect("the parts fit");
        Ours { simulation, judges: Judges::new(vec![complete]) }
    }
}

pub struct Jobs;

impl System for Jobs {
    type Event = Job;
    type Command = Submit;
}

#[derive(Clone, Debug, Hash, Serialize)]
pub enum Job {
    Top(String),
    Leaf(String),
}

const JOB: Subject = Subject::new("job:submitted");

impl Event for Job {
    fn subject(&self) -> Subject {
        JOB
    }

    fn record(&self) -> RecordId {
        RecordId::new('j', 1)
    }

    fn version(&self) -> Option<Version> {
        None
    }
}

#[derive(Clone, Debug, Hash, Serialize)]
pub struct Submit;

impl Command for Submit {
    fn service(&self) -> &'static str {
        "front"
    }

    fn record(&self) -> RecordId {
        RecordId::new('j', 1)
    }
}

impl Ours<Jobs> {
    /// Two members of a group share the jobs. They keep nothing, so a job that comes again makes its
    /// two again.
    pub fn jobs() -> Self {
        let front = service::<Jobs>("front").on_command(|_, ctx| {
            ctx.publish(Job::Top("a".to_owned()));
            Ok(())
        });
        let workers = service::<Jobs>("workers").on_event(const { &[JOB] }, |job, ctx| {
            if let Job::Top(name) = job {
                ctx.publish(Job::Leaf(name.clone() + "1"));
                ctx.publish(Job::Leaf(name.clone() + "2"));
            }
            Outcome::Ack
        });
        let simulation = Simulation::on(bounds().order.profile()).service(front);
        let simulation = simulation.hosted(workers, Hosting { members: 2, ..Hosting::ALONE });
        let simulation = simulation.client("ann", vec![Submit]).build().expect("the parts fit");
        Ours { simulation, judges: Judges::new(Vec::new()) }
    }
}
