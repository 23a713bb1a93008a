//! Whether a recording is possible: the subset construction over an engine's hidden choices.
//!
//! All states that explain what was recorded so far are kept, each once, so no guess is made twice and none is
//! left out: a recording is admitted if and only if some choices of the engine, and some travelling times of what
//! is sent, lead to it.

use std::collections::{BTreeMap, BTreeSet};

use super::Rules;
use super::link::{Hop, Link, Visible};
use super::told::{Answer, Choice, Entry, Log, MemberId, MessageId, Sent, Told};
use super::wait::Wait;
use crate::ids::Time;

/// A line of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was written.
    pub time: Time,
    /// What it says.
    pub what: What,
}

/// What a line of a recording says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A message was published.
    Published(Entry),
    /// Something was told to the broker, but for what the other kinds of lines say.
    Told(Told),
    /// A message was answered.
    Answered {
        /// By whom; if left open, by who saw it last.
        member: Option<MemberId>,
        /// The message.
        message: MessageId,
        /// Which of its deliveries; if left open, the last one that the member saw.
        count: Option<u16>,
        /// What was said.
        answer: Answer,
    },
    /// A member commits the offset of a message, or the one beyond it, or goes on there.
    Offset {
        /// The member.
        member: MemberId,
        /// The message.
        message: MessageId,
        /// How far beyond it.
        beyond: u32,
        /// Whether it goes on there, and does not commit.
        seeks: bool,
    },
    /// Something was seen.
    Seen(Seen),
}

/// What can be seen of a broker; what is left open can be anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Seen {
    /// A member was handed a message.
    Got {
        /// The message.
        message: MessageId,
        /// Who got it.
        member: Option<MemberId>,
        /// How often it was sent, this time included.
        count: Option<u16>,
        /// Whether it was sent before.
        redelivered: Option<bool>,
    },
    /// A message was given up.
    GaveUp(MessageId),
}

impl Seen {
    /// All that can be seen of a delivery.
    #[must_use]
    pub const fn all_of(sent: Sent) -> Seen {
        let Sent { message, member, count } = sent;
        Seen::Got { message, member: Some(member), count: Some(count), redelivered: Some(count > 1) }
    }

    fn is_of(&self, sent: Sent) -> bool {
        let Seen::Got { message, member, count, redelivered } = *self else { return false };
        message == sent.message
            && member.is_none_or(|member| member == sent.member)
            && count.is_none_or(|count| count == sent.count)
            && redelivered.is_none_or(|redelivered| redelivered == (sent.count > 1))
    }
}

/// The question whether recordings are possible under some rules.
///
/// ```
/// use pellmell::engine::{Admission, Entry, KeyId, Line, MemberId, PartitionId, Profile, Seen, TopicId, What};
/// # use pellmell::engine::{MessageId, Start, Told};
/// # use pellmell::Time;
/// let stan = Profile::named("stan").unwrap();
/// let line = |what| Line { time: Time(0), what };
/// let published = || line(What::Published(Entry { topic: TopicId(0), key: KeyId(0), partition: PartitionId(0) }));
/// let got = |n| line(What::Seen(Seen::Got { message: MessageId(n), member: None, count: None, redelivered: None }));
/// let joined = || line(What::Told(Told::Joined(MemberId(0), Start::Earliest)));
///
/// let admission = Admission::new(&stan.rules);
/// assert!(admission.run(&[joined(), published(), published(), got(0), got(1)]).is_ok());
/// let refused = admission.run(&[joined(), published(), published(), got(1)]).unwrap_err();
/// assert_eq!(refused.line, 3);
/// ```
#[derive(Clone, Debug)]
pub struct Admission<'a> {
    rules: &'a Rules,
    slack: Wait,
    latency: Option<Wait>,
    states_max: u32,
}

/// What it took to explain a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Admitted {
    /// How many states explained it at most at one time.
    pub states: u32,
    /// What the broker did by itself in one of the explanations, and before which line (its place, from 0).
    pub assumed: Vec<(usize, Assumed)>,
}

/// What a broker did by itself, or something that was sent and arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Assumed {
    /// The engine chose this.
    Chose(Choice),
    /// The first word of a member arrived that had not.
    Arrived(MemberId),
}

/// Why a recording is not admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The first line that nothing explains, by its place, from 0.
    pub line: usize,
    /// What could have been seen there.
    pub possible: BTreeSet<Seen>,
    /// How many states there were, if there were too many to go on: then it is open whether the recording is
    /// possible.
    pub too_many: Option<u32>,
}

/// A state and how it came about.
struct Reached {
    before: u32,
    assumed: Option<(usize, Assumed)>,
}

/// The states that explain what was recorded so far, each with its place among all that were reached.
type States = BTreeMap<Link, u32>;

impl<'a> Admission<'a> {
    /// Under these rules: times are exact, words may travel for ever, and there may be 100,000 states.
    #[must_use]
    pub fn new(rules: &'a Rules) -> Admission<'a> {
        Admission { rules, slack: Wait::of_millis(0), latency: None, states_max: 100_000 }
    }

    /// Timers may end so much earlier than they should, because whoever recorded has another clock.
    #[must_use]
    pub fn with_slack(self, slack: Wait) -> Admission<'a> {
        Admission { slack, ..self }
    }

    /// What a member says arrives after so long at most.
    #[must_use]
    pub fn with_latency(self, latency: Option<Wait>) -> Admission<'a> {
        Admission { latency, ..self }
    }

    /// The most states that may explain what was recorded so far.
    #[must_use]
    pub fn with_states_max(self, states_max: u32) -> Admission<'a> {
        Admission { states_max, ..self }
    }

    /// Whether this recording is possible.
    ///
    /// # Errors
    /// The first line that is not, and what would have been possible there.
    pub fn run(&self, lines: &[Line]) -> Result<Admitted, Refusal> {
        // Who records no message that is given up has not looked for them.
        let looks_for_given_up = lines.iter().any(|line| matches!(line.what, What::Seen(Seen::GaveUp(_))));
        let mut log = Log::default();
        let mut reached = vec![Reached { before: 0, assumed: None }];
        let mut states: States = BTreeMap::from([(Link::new(self.rules), 0)]);
        let mut most = 1;
        for (place, line) in lines.iter().enumerate() {
            let mut step = Step { admission: self, log: &log, place, reached: &mut reached };
            let (closed, next, possible) = step.close(states, line, looks_for_given_up)?;
            most = most.max(closed.len() as u32);
            states = match &line.what {
                What::Seen(_) => next,
                what => {
                    let published = match what {
                        What::Published(entry) => Some(log.append(*entry)),
                        _ => None,
                    };
                    self.told(&log, line.time, closed, what, published)
                }
            };
            if states.is_empty() {
                return Err(Refusal { line: place, possible, too_many: None });
            }
        }
        let last = states.values().min().copied().unwrap_or_default();
        Ok(Admitted { states: most, assumed: path(&reached, last) })
    }

    /// All states after something was told.
    fn told(&self, log: &Log, time: Time, closed: States, what: &What, published: Option<MessageId>) -> States {
        let mut next = States::new();
        for (mut state, at) in closed {
            let told = match what {
                What::Told(told) => Some(told.clone()),
                What::Published(_) => published.map(Told::Published),
                What::Answered { member, message, count, answer } => {
                    let seen = state.last_seen(*message, *member);
                    seen.map(|seen| Told::Answered {
                        member: seen.member,
                        message: *message,
                        count: count.unwrap_or(seen.count),
                        answer: *answer,
                    })
                }
                What::Offset { member, message, beyond, seeks } => {
                    let (partition, before) = log.position(*message);
                    let told = if *seeks { Told::Sought } else { Told::Committed };
                    Some(told(*member, partition, before + beyond))
                }
                What::Seen(_) => None,
            };
            // Nobody answers what nobody saw.
            if let Some(told) = told {
                state.tell(self.rules, log, time, &told);
                next.entry(state).and_modify(|other| *other = at.min(*other)).or_insert(at);
            }
        }
        next
    }
}

/// What happens before a line.
struct Step<'a> {
    admission: &'a Admission<'a>,
    log: &'a Log,
    place: usize,
    reached: &'a mut Vec<Reached>,
}

impl Step<'_> {
    /// Everything that hidden choices lead to; of that, what a line that was seen leads to; and all else that
    /// could have been seen.
    fn close(
        &mut self,
        states: States,
        line: &Line,
        looks_for_given_up: bool,
    ) -> Result<(States, States, BTreeSet<Seen>), Refusal> {
        let Admission { rules, slack, latency, states_max } = *self.admission;
        let late = slack.after(line.time);
        let (mut closed, mut next, mut possible) = (states, States::new(), BTreeSet::new());
        let mut todo: Vec<(Link, u32)> = closed.iter().map(|(state, at)| (state.clone(), *at)).collect();
        let wanted = match &line.what {
            What::Seen(seen) => Some(*seen),
            _ => None,
        };
        let is_overdue = |state: &Link| {
            latency.is_some_and(|latency| state.oldest_word().is_some_and(|said| latency.after(said) < line.time))
        };
        let mut hops = Vec::new();
        while let Some((state, at)) = todo.pop() {
            if closed.len() as u32 > states_max {
                return Err(Refusal { line: self.place, possible, too_many: Some(states_max) });
            }
            hops.clear();
            state.may(rules, self.log, late, &mut hops);
            for hop in &hops {
                let mut after = state.clone();
                let seen = match after.hop(rules, self.log, line.time, hop) {
                    Some(Visible::Got(sent)) => {
                        Some((Seen::all_of(sent), wanted.is_some_and(|wanted| wanted.is_of(sent))))
                    }
                    Some(Visible::GaveUp(message)) if looks_for_given_up => {
                        Some((Seen::GaveUp(message), wanted == Some(Seen::GaveUp(message))))
                    }
                    _ => None,
                };
                match seen {
                    None => {
                        if !closed.contains_key(&after) {
                            let at = self.reach(at, hop);
                            closed.insert(after.clone(), at);
                            todo.push((after, at));
                        }
                    }
                    Some(_) if is_overdue(&after) => {}
                    Some((_, true)) => {
                        next.entry(after).or_insert_with(|| self.reach(at, hop));
                    }
                    Some((seen, false)) => {
                        possible.insert(seen);
                    }
                }
            }
        }
        closed.retain(|state, _| !is_overdue(state));
        Ok((closed, next, possible))
    }

    fn reach(&mut self, before: u32, hop: &Hop) -> u32 {
        let assumed = match hop {
            Hop::Engine(choice) => Some(Assumed::Chose(choice.clone())),
            Hop::Copy(message, member) => Some(Assumed::Chose(Choice::Copy(*message, *member))),
            Hop::Arrive(member) => Some(Assumed::Arrived(*member)),
            Hop::Hand(_) => None,
        };
        self.reached.push(Reached { before, assumed: assumed.map(|assumed| (self.place, assumed)) });
        self.reached.len() as u32 - 1
    }
}

/// What was assumed on the way to a state.
fn path(reached: &[Reached], mut at: u32) -> Vec<(usize, Assumed)> {
    let mut path = Vec::new();
    while at != 0 {
        let Reached { before, assumed } = &reached[at as usize];
        path.extend(assumed.clone());
        at = *before;
    }
    path.reverse();
    path
}
