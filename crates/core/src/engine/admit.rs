//! Whether a recording is possible: the subset construction over an engine's hidden choices.
//!
//! All states that explain what was recorded so far are kept, each once, so no guess is made twice and none is
//! left out: a recording is admitted if and only if some choices of the engine, and some travelling times of what
//! is sent, lead to it.

use std::collections::{BTreeMap, BTreeSet};

use super::Rules;
use super::ahead::Ahead;
use super::gap::Gap;
use super::hosts::{Front, Hosts};
use super::link::{Hop, Link, Visible};
use super::told::{Answer, Choice, Entry, MemberId, MessageId, Sent, Told};
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
    /// A message was answered in one of several ways, or not at all.
    AnsweredSomehow {
        /// By whom; if left open, by who saw it last.
        member: Option<MemberId>,
        /// The message.
        message: MessageId,
        /// Which of its deliveries; if left open, the last one that the member saw.
        count: Option<u16>,
        /// What may have been said; `None` is no answer.
        one_of: Vec<Option<Answer>>,
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
    /// A member was handed a message, and nobody knows which.
    GotSome {
        /// Who got it.
        member: Option<MemberId>,
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

    pub(super) fn is_of(&self, sent: Sent) -> bool {
        match *self {
            Seen::Got { message, member, count, redelivered } => {
                message == sent.message
                    && member.is_none_or(|member| member == sent.member)
                    && count.is_none_or(|count| count == sent.count)
                    && redelivered.is_none_or(|redelivered| redelivered == (sent.count > 1))
            }
            Seen::GotSome { member } => member.is_none_or(|member| member == sent.member),
            Seen::GaveUp(_) => false,
        }
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
    gaps: &'a [Gap],
    hosts: &'a [u16],
    tolerance: Wait,
}

/// What it took to explain a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Admitted {
    /// How many states explained it at most at one time.
    pub states: u32,
    /// What was not recorded in one of the explanations, and before which line (its place, from 0).
    pub assumed: Vec<(usize, Assumed)>,
    /// Which delivery each line is that says that a member was handed a message.
    pub handed: Vec<(usize, Sent)>,
}

/// What a broker did by itself, or something that was sent and arrived, or what nobody recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Assumed {
    /// The engine chose this.
    Chose(Choice),
    /// The first word of a member arrived that had not.
    Arrived(MemberId),
    /// A member was handed this, and nobody recorded it.
    Unseen(Sent),
    /// A member was handed this where the recording does not say which message it was.
    Was(Sent),
    /// A member answered a delivery so, and nobody recorded it.
    Said(Sent, Answer),
    /// Of the answers that a delivery may have had, it had this one; `None` is no answer.
    Meant(Sent, Option<Answer>),
    /// The first word of a member was lost that had not arrived.
    Lost(MemberId, Told),
    /// The connection of a member broke, and it was back at once.
    Broke(MemberId),
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
    /// How many more things that nobody recorded were tried than it takes at least up to there, if not all were.
    pub within: Option<u32>,
}

/// Something on the way to a state, with the place of its line.
#[derive(Clone, Debug)]
enum Fact {
    Assumed(Assumed),
    /// The line says that this was seen.
    Handed(Sent),
    /// The line says that something was seen, and this was it.
    Was(Sent),
}

/// A state and how it came about.
struct Reached {
    before: u32,
    fact: Option<(usize, Fact)>,
}

/// How much an explanation takes; the less the better.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    /// How many things that nobody recorded.
    unrecorded: u32,
    /// How many waits that ended, copies, and answers that are not the first of those that they may be.
    unasked: u32,
}

impl Cost {
    fn and(self, hop: &Hop) -> Cost {
        let is_unasked = matches!(hop, Hop::Engine(Choice::Expire(_)) | Hop::Copy(..));
        Cost {
            unrecorded: self.unrecorded + u32::from(hop.is_unrecorded()),
            unasked: self.unasked + u32::from(is_unasked),
        }
    }
}

/// How much a state takes, and its place among all that were reached.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    cost: Cost,
    at: u32,
}

/// The states that explain what was recorded so far.
type States = BTreeMap<Link, Mark>;

/// How much more than the cheapest a state may take that nobody recorded, from one try to the next. There is no end
/// of what nobody recorded, such as a message that is refused and sent again unseen.
const MARGINS: [u32; 5] = [0, 1, 2, 4, 8];

impl<'a> Admission<'a> {
    /// Under these rules: times are exact, words may travel for ever, and there may be 100,000 states.
    #[must_use]
    pub fn new(rules: &'a Rules) -> Admission<'a> {
        let none = Wait::of_millis(0);
        Admission { rules, slack: none, latency: None, states_max: 100_000, gaps: &[], hosts: &[], tolerance: none }
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

    /// What may have happened without a line. An explanation is looked for that takes little of it.
    #[must_use]
    pub fn with_gaps(self, gaps: &'a [Gap]) -> Admission<'a> {
        Admission { gaps, ..self }
    }

    /// Which host wrote each line, and how far their clocks are apart at most: the lines of a host are in order,
    /// those of two hosts where their times are further apart. Without hosts all lines are of one.
    #[must_use]
    pub fn with_hosts(self, hosts: &'a [u16], tolerance: Wait) -> Admission<'a> {
        Admission { hosts, tolerance, ..self }
    }

    /// Whether this recording is possible.
    ///
    /// # Errors
    /// The first line that is not, and what would have been possible there.
    pub fn run(&self, lines: &[Line]) -> Result<Admitted, Refusal> {
        // Own recordings are short, and of one clock: what is ahead of them is not looked at.
        let is_ahead = !(self.hosts.is_empty() && self.gaps.is_empty());
        let mut refused = Refusal { line: 0, possible: BTreeSet::new(), too_many: None, within: None };
        for margin in MARGINS {
            let mut search = Search::new(self, lines, margin, is_ahead);
            match search.run() {
                Err(refusal) if refusal.too_many.is_none() => {
                    refused = Refusal { within: search.was_cut.then_some(margin), ..refusal };
                    if !search.was_cut {
                        break;
                    }
                }
                ended => return ended,
            }
        }
        // What is ahead shows too early that nothing leads there.
        let within = refused.within;
        let margin = within.unwrap_or(MARGINS[MARGINS.len() - 1]);
        let first = if is_ahead { Search::new(self, lines, margin, false).run() } else { Err(refused.clone()) };
        Err(first.err().filter(|first| first.too_many.is_none()).map_or(refused, |first| Refusal { within, ..first }))
    }
}

/// A search through the lines of a recording.
struct Search<'a> {
    admission: &'a Admission<'a>,
    lines: &'a [Line],
    hosts: Hosts<'a>,
    /// Whether a message that is given up is seen.
    sees_given_up: bool,
    margin: u32,
    /// Whether states were left out because they take too much that nobody recorded.
    was_cut: bool,
    reached: Vec<Reached>,
    ahead: Option<Ahead>,
}

/// A line that may be next.
struct Next {
    place: usize,
    /// What is taken in with it.
    beyond: Front,
    /// What was seen, if that is what it says.
    wanted: Option<Seen>,
    /// What it leads to.
    states: States,
}

impl Next {
    fn is(&self, visible: &Visible) -> bool {
        self.wanted.is_some_and(|wanted| match visible {
            Visible::Got(sent) => wanted.is_of(*sent),
            Visible::GaveUp(message) => wanted == Seen::GaveUp(*message),
        })
    }
}

impl<'a> Search<'a> {
    fn new(admission: &'a Admission<'a>, lines: &'a [Line], margin: u32, is_ahead: bool) -> Search<'a> {
        // Who records no message that is given up has not looked for them.
        let gave_up = |line: &Line| matches!(line.what, What::Seen(Seen::GaveUp(_)));
        Search {
            admission,
            lines,
            hosts: Hosts::new(lines, admission.hosts, admission.tolerance),
            sees_given_up: lines.iter().any(gave_up),
            margin,
            was_cut: false,
            reached: vec![Reached { before: 0, fact: None }],
            ahead: is_ahead.then(|| Ahead::new(lines, admission.hosts)),
        }
    }

    fn run(&mut self) -> Result<Admitted, Refusal> {
        let begin = States::from([(Link::new(self.admission.rules), Mark { cost: Cost::default(), at: 0 })]);
        let mut all = BTreeMap::from([(self.hosts.first(), begin)]);
        let mut most = 1;
        for _ in self.lines {
            let cheapest =
                all.values().flat_map(States::values).map(|mark| mark.cost.unrecorded).min().unwrap_or_default();
            let most_unrecorded = cheapest + self.margin;
            let (mut after, mut line, mut possible) = (BTreeMap::new(), usize::MAX, BTreeSet::new());
            for (front, states) in all {
                let (count, next, seen) = self.close(&front, states, most_unrecorded)?;
                most = most.max(count);
                line = next.iter().map(|next| next.place).fold(line, usize::min);
                possible.extend(seen.into_iter().map(|seen| front.recorded_seen(seen)));
                for next in next.into_iter().filter(|next| !next.states.is_empty()) {
                    let to: &mut States = after.entry(next.beyond).or_default();
                    for (state, mark) in next.states {
                        to.entry(state).and_modify(|other| *other = mark.min(*other)).or_insert(mark);
                    }
                }
            }
            if after.is_empty() {
                return Err(Refusal { line, possible, too_many: None, within: None });
            }
            all = after;
        }
        let ends = all.iter().flat_map(|(front, states)| states.values().map(move |mark| (*mark, front)));
        let mut admitted = Admitted { states: most, assumed: Vec::new(), handed: Vec::new() };
        if let Some((mark, front)) = ends.min() {
            self.tell_path(mark.at, front, &mut admitted);
        }
        Ok(admitted)
    }

    /// Everything that hidden choices lead to, and how much that is; what each line that may be next leads to; and
    /// all else that could have been seen.
    fn close(
        &mut self,
        front: &Front,
        states: States,
        most_unrecorded: u32,
    ) -> Result<(u32, Vec<Next>, BTreeSet<Seen>), Refusal> {
        let Admission { rules, slack, latency, states_max, gaps, tolerance, .. } = *self.admission;
        let lines = self.lines;
        let next = self.hosts.next(front).into_iter().map(|place| {
            let wanted = match &lines[place].what {
                What::Seen(seen) => front.logged_seen(*seen),
                _ => None,
            };
            Next { place, beyond: self.hosts.beyond(front, place), wanted, states: States::new() }
        });
        let mut next: Vec<Next> = next.collect();
        let place = next.iter().map(|next| next.place).min().unwrap_or_default();
        let time = lines[place].time;
        let late = slack.after(tolerance.after(time));
        let is_overdue_at = |state: &Link, time: Time| {
            // It was said by one clock, at the earliest, and is looked at by another.
            let due = |(latency, said): (Wait, Time)| tolerance.after(tolerance.after(latency.after(said)));
            let due = latency.zip(state.oldest_word()).map(due);
            due.is_some_and(|due| due < time)
        };
        let is_overdue = |state: &Link| is_overdue_at(state, time);
        let mut possible = BTreeSet::new();
        let mut todo: BTreeMap<Cost, Vec<(Link, u32)>> = BTreeMap::new();
        for (state, mark) in &states {
            todo.entry(mark.cost).or_default().push((state.clone(), mark.at));
        }
        let (mut closed, mut hops) = (states, Vec::new());
        while let Some(mut cheapest) = todo.first_entry() {
            let so_far = *cheapest.key();
            let Some((state, at)) = cheapest.get_mut().pop() else {
                cheapest.remove();
                continue;
            };
            // It was reached with less since.
            if closed.get(&state).is_some_and(|mark| mark.cost < so_far) {
                continue;
            }
            if closed.len() as u32 > states_max {
                return Err(Refusal { line: place, possible, too_many: Some(states_max), within: None });
            }
            hops.clear();
            state.may(rules, &front.log, late, &mut hops);
            state.may_unrecorded(rules, gaps, &mut hops);
            for hop in &hops {
                let cost = so_far.and(hop);
                if cost.unrecorded > most_unrecorded {
                    self.was_cut = true;
                    continue;
                }
                let mut after = state.clone();
                let visible = after.hop(rules, &front.log, time, hop);
                let visible = visible.filter(|visible| self.sees_given_up || matches!(visible, Visible::Got(_)));
                if visible.is_none() && self.ahead.as_ref().is_some_and(|ahead| ahead.rules_out(front, &after)) {
                    // It takes at least one more thing that nobody recorded, where that may be.
                    if cost.unrecorded >= most_unrecorded || gaps.is_empty() {
                        self.was_cut |= !gaps.is_empty();
                        continue;
                    }
                }
                match visible {
                    // A wait that ended tells the time as a line does.
                    None if is_overdue_at(&after, after.time_less(slack)) => {}
                    None if closed.get(&after).is_none_or(|mark| mark.cost > cost) => {
                        let at = self.reach(at, place, state.assumed(hop).map(Fact::Assumed));
                        closed.insert(after.clone(), Mark { cost, at });
                        todo.entry(cost).or_default().push((after, at));
                    }
                    None => {}
                    Some(_) if is_overdue(&after) => {}
                    Some(visible) => {
                        let mut is_next = false;
                        for next in next.iter_mut().filter(|next| next.is(&visible)) {
                            is_next = true;
                            let mut after = after.clone();
                            after.seen_at(next.beyond.time);
                            let fact = match (&visible, next.wanted) {
                                (Visible::Got(sent), Some(Seen::GotSome { .. })) => Some(Fact::Was(*sent)),
                                (Visible::Got(sent), _) => Some(Fact::Handed(*sent)),
                                (Visible::GaveUp(_), _) => state.assumed(hop).map(Fact::Assumed),
                            };
                            if !next.states.contains_key(&after) {
                                let at = self.reach(at, next.place, fact);
                                next.states.insert(after, Mark { cost, at });
                            }
                        }
                        if !is_next {
                            possible.insert(visible.seen());
                        }
                    }
                }
            }
        }
        closed.retain(|state, _| !is_overdue(state));
        next.iter_mut().for_each(|next| self.tell(next, &closed));
        Ok((closed.len() as u32, next, possible))
    }

    /// What a line leads to that says that something was told.
    fn tell(&mut self, next: &mut Next, states: &States) {
        let lines = self.lines;
        let (what, front) = (&lines[next.place].what, &next.beyond);
        for (state, mark) in states {
            let answered = |member: &Option<MemberId>, message: &MessageId, count: &Option<u16>| {
                // Nobody answers what nobody saw.
                let seen = state.last_seen(front.logged(*message)?, *member)?;
                Some(Sent { count: count.unwrap_or(seen.count), ..seen })
            };
            let told: Vec<(Option<Told>, Option<Assumed>)> = match what {
                What::Seen(_) => return,
                What::Told(told) => front.logged_told(told).map(|told| (Some(told), None)).into_iter().collect(),
                What::Published(_) => vec![(front.log.last().map(Told::Published), None)],
                What::Answered { member, message, count, answer } => {
                    let sent = answered(member, message, count);
                    sent.map(|sent| (Some(sent.answered(*answer)), None)).into_iter().collect()
                }
                What::AnsweredSomehow { member, message, count, one_of } => {
                    let sent = answered(member, message, count);
                    let answers = sent.into_iter().flat_map(|sent| one_of.iter().map(move |answer| (sent, *answer)));
                    let told = answers.map(|(sent, answer)| {
                        (answer.map(|answer| sent.answered(answer)), Some(Assumed::Meant(sent, answer)))
                    });
                    told.collect()
                }
                What::Offset { member, message, beyond, seeks } => {
                    let told = front.logged(*message).map(|message| {
                        let (partition, before) = front.log.position(message);
                        let told = if *seeks { Told::Sought } else { Told::Committed };
                        (Some(told(*member, partition, before + beyond)), None)
                    });
                    told.into_iter().collect()
                }
            };
            for (later, (told, assumed)) in (0..).zip(told) {
                let mut state = state.clone();
                match told {
                    Some(told) => state.tell(self.admission.rules, &front.log, front.time, &told),
                    None => state.seen_at(front.time),
                }
                let at = match assumed {
                    Some(assumed) => self.reach(mark.at, next.place, Some(Fact::Assumed(assumed))),
                    None => mark.at,
                };
                // The first of several answers is taken where it explains as much as the others.
                let cost = Cost { unasked: mark.cost.unasked + later, ..mark.cost };
                let mark = Mark { cost, at };
                next.states.entry(state).and_modify(|other| *other = mark.min(*other)).or_insert(mark);
            }
        }
    }

    fn reach(&mut self, before: u32, place: usize, fact: Option<Fact>) -> u32 {
        self.reached.push(Reached { before, fact: fact.map(|fact| (place, fact)) });
        self.reached.len() as u32 - 1
    }

    /// What was assumed on the way to a state, and which deliveries were seen; by the numbers of the recording.
    fn tell_path(&self, mut at: u32, front: &Front, admitted: &mut Admitted) {
        let Admitted { assumed, handed, .. } = admitted;
        while at != 0 {
            let Reached { before, fact } = &self.reached[at as usize];
            match fact {
                Some((place, Fact::Assumed(what))) => assumed.push((*place, front.recorded_assumed(what))),
                Some((place, Fact::Handed(sent))) => handed.push((*place, front.recorded_sent(*sent))),
                Some((place, Fact::Was(sent))) => {
                    let sent = front.recorded_sent(*sent);
                    assumed.push((*place, Assumed::Was(sent)));
                    handed.push((*place, sent));
                }
                None => {}
            }
            at = *before;
        }
        assumed.reverse();
        handed.reverse();
    }
}
