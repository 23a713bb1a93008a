//! A system as small as the broker's tests need, and a way to play it by hand.
//!
//! A publisher announces notes; a consumer answers each delivery as a test says. A [`Setup`] puts
//! them on a broker, a [`Play`] moves the world by picks written as text. A pick that is not
//! enabled fails the test and lists what is.
//!
//! | pick | what it picks |
//! |---|---|
//! | `publish`, `publish b` | the next command of the client of that name (`client`) |
//! | `n2`, `n2 #3`, `n2@1 > other` | `deliver note:added n2@1 -> other #3` |
//! | `ack n2`, `resume n2` | the late ack, the paused handler |
//! | `clock`, `join other` | the next timer, the late group |
//!
//! After a publish or a delivery come the words of its fate: `lost`, `late` and `dropped` (the ack
//! is, or the message), `paused`, `twice`, and `crash` with the window, as in `n2 crash before ack`; on brokers that
//! engines play also `fetch 2` and the names of what happens to members, `rebalance`, `reconnect`, ….

use std::time::Duration;

use pellmell::broker::{DeliveryIndex, Dispatch, InFlight, Limit, Ordering, Scope};
use pellmell::faults::MemberChange;
use pellmell::scheduler::{Action, Chosen, Enabled, Move};
use pellmell::{
    AckFate, AckTiming, Command, Context, Event, Fate, Hosting, Outcome, Profile, PublishMode, Record, RecordId,
    Rejection, Scheduler, Schema, Service, Simulation, Step, Subject, System, Time, Timer, Version, VersionPolicy,
    Window, Work, World,
};
use serde::Serialize;

/// The system.
pub(crate) struct Notes;

impl System for Notes {
    type Event = Fact;
    type Command = Publish;
}

/// A note was added, or copied by a consumer.
#[derive(Clone, Debug, Hash, Serialize)]
pub(crate) struct Fact {
    pub(crate) copied: bool,
    pub(crate) note: RecordId,
    pub(crate) version: Version,
}

impl Event for Fact {
    fn subject(&self) -> Subject {
        if self.copied { const { Subject::new("note:copied") } } else { const { Subject::new("note:added") } }
    }

    fn record(&self) -> RecordId {
        self.note
    }

    fn version(&self) -> Option<Version> {
        Some(self.version)
    }
}

/// Publishes notes by number and version: at once, or when the clock reaches a moment.
#[derive(Clone, Debug, Hash, Serialize)]
pub(crate) struct Publish {
    pub(crate) notes: Vec<(u32, u64)>,
    pub(crate) at_ms: u64,
}

impl Publish {
    /// Publishes the notes of these numbers as version 0 at once.
    pub(crate) fn now(numbers: impl IntoIterator<Item = u32>) -> Publish {
        Publish { notes: numbers.into_iter().map(|number| (number, 0)).collect(), at_ms: 0 }
    }

    /// Publishes the notes of these numbers as version 0 when the clock reaches `at_ms`.
    pub(crate) fn at(at_ms: u64, numbers: impl IntoIterator<Item = u32>) -> Publish {
        Publish { at_ms, ..Publish::now(numbers) }
    }

    /// Publishes the first `versions` versions of note 1 at once.
    pub(crate) fn versions(versions: u64) -> Publish {
        Publish { notes: (0..versions).map(|version| (1, version)).collect(), at_ms: 0 }
    }
}

impl Command for Publish {
    fn service(&self) -> &'static str {
        "publisher"
    }

    fn record(&self) -> RecordId {
        note(self.notes[0].0)
    }

    fn label(&self) -> String {
        let first = self.notes[0];
        format!("publish {} notes from n{}@{}", self.notes.len(), first.0, first.1)
    }
}

/// The id of note `number`.
pub(crate) fn note(number: u32) -> RecordId {
    RecordId::new('n', number)
}

/// A note as a service keeps it: how often it was saved.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(crate) struct Note {
    pub(crate) saves: u32,
}

impl Record for Note {
    const COLLECTION: &'static str = "notes";
    const KIND: char = 'n';
}

fn save(ctx: &mut Context<'_, Notes>, id: RecordId) -> bool {
    let held = ctx.store.find::<Note>(id).map(|held| (held.version, held.saves));
    match held {
        None => ctx.store.insert(id, Note { saves: 1 }).is_ok(),
        Some((version, saves)) => ctx.store.save_if_current(id, Note { saves: saves + 1 }, version).is_ok(),
    }
}

struct Publisher(PublishMode);

impl Service<Notes> for Publisher {
    fn name(&self) -> &'static str {
        "publisher"
    }

    fn collections(&self, schema: &mut Schema) {
        schema.owns::<Note>(VersionPolicy::EVERY_SAVE);
    }

    fn publish_mode(&self, _: Work) -> PublishMode {
        self.0
    }

    fn execute(&self, command: &Publish, ctx: &mut Context<'_, Notes>) -> Result<(), Rejection> {
        for (number, version) in &command.notes {
            if command.at_ms > 0 {
                ctx.arm(note(*number), Time(command.at_ms * 1_000));
            } else {
                save(ctx, note(*number));
                ctx.publish(Fact { copied: false, note: note(*number), version: Version(*version) });
            }
        }
        Ok(())
    }

    fn on_timer(&self, timer: &Timer, ctx: &mut Context<'_, Notes>) {
        let record = timer.record();
        ctx.publish(Fact { copied: false, note: record, version: Version(0) });
    }
}

/// What a consumer does with a delivery.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// Saves the note and acks, except for these numbers and attempts, where it only answers.
    Answers(&'static [(u32, u16, Outcome)]),
    /// Saves and is silent; acks what it has saved.
    FailsOnce,
    /// Acks without a save.
    Ignores,
    /// Saves and acks version 0, and then each version after the last; acks what it has seen and
    /// is silent on a gap.
    InVersionOrder,
    /// Saves and acks a note only if it has the one before: silent on a gap.
    InNoteOrder,
    /// Counts on from what it has read, whatever is there by now.
    Overwrites,
}

struct Consumer {
    name: &'static str,
    rule: Rule,
    mode: PublishMode,
    timing: AckTiming,
    copies: bool,
    copies_what_it_reads: bool,
}

impl Service<Notes> for Consumer {
    fn name(&self) -> &'static str {
        self.name
    }

    fn collections(&self, schema: &mut Schema) {
        schema.keeps::<Note>(VersionPolicy::EVERY_SAVE);
    }

    fn subjects(&self) -> &[Subject] {
        const { &[Subject::new("note:added")] }
    }

    fn publish_mode(&self, _: Work) -> PublishMode {
        self.mode
    }

    fn ack_timing(&self) -> AckTiming {
        self.timing
    }

    fn handle(&self, event: &Fact, ctx: &mut Context<'_, Notes>) -> Outcome {
        let saves = ctx.store.find::<Note>(event.note).map_or(0, |held| u64::from(held.saves));
        match self.rule {
            Rule::Ignores => return Outcome::Ack,
            Rule::Answers(answers) => {
                let attempt = ctx.attempt();
                let scripted = |answer: &&(u32, u16, Outcome)| (answer.0, answer.1) == (event.note.number(), attempt);
                if let Some((_, _, outcome)) = answers.iter().find(scripted) {
                    return *outcome;
                }
            }
            Rule::FailsOnce if saves > 0 => return Outcome::Ack,
            Rule::InVersionOrder if event.version.0 < saves => return Outcome::Ack,
            Rule::InVersionOrder if event.version.0 > saves => return Outcome::Silent("a version is missing"),
            Rule::InNoteOrder => {
                let number = event.note.number();
                if number > 1 && ctx.store.find::<Note>(note(number - 1)).is_none() {
                    return Outcome::Silent("a note is missing");
                }
            }
            Rule::FailsOnce | Rule::InVersionOrder | Rule::Overwrites => {}
        }
        if self.copies {
            ctx.publish(Fact { copied: true, ..event.clone() });
        }
        let saved = match self.rule {
            Rule::Overwrites => {
                let held = ctx.store.find::<Note>(event.note).map(|held| held.version);
                ctx.store.overwrite(event.note, Note { saves: saves as u32 + 1 }, held);
                true
            }
            _ => save(ctx, event.note),
        };
        if self.copies_what_it_reads {
            let read = ctx.store.find::<Note>(event.note).map_or(0, |held| u64::from(held.saves));
            ctx.publish(Fact { copied: true, note: event.note, version: Version(read) });
        }
        if matches!(self.rule, Rule::FailsOnce) {
            return Outcome::Silent("failed after the save");
        }
        if saved { Outcome::Ack } else { Outcome::Silent("somebody saved meanwhile") }
    }
}

/// The name of the one consumer most tests have.
pub(crate) const CONSUMER: &str = "consumer";

/// Publisher, consumers, commands and the broker between them.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) profile: Profile,
    /// The commands of `client`, and then those of `b`.
    pub(crate) commands: [Vec<Publish>; 2],
    pub(crate) rule: Rule,
    pub(crate) hosting: Hosting,
    /// How publisher and consumers publish.
    pub(crate) mode: PublishMode,
    /// When consumers ack.
    pub(crate) timing: AckTiming,
    /// Whether consumers publish `note:copied`.
    pub(crate) copies: bool,
    /// Whether consumers publish how often they find the note saved after their own save.
    pub(crate) copies_what_it_reads: bool,
    /// A second consumer with a rule of its own.
    pub(crate) other: Option<(Rule, Hosting)>,
}

impl Setup {
    /// A broker with these rules, n1 to n`notes` to publish, a consumer that saves and acks.
    pub(crate) fn on(profile: Profile, notes: u32) -> Setup {
        Setup {
            profile,
            commands: [vec![Publish::now(1..=notes)], Vec::new()],
            rule: Rule::Answers(&[]),
            hosting: Hosting::ALONE,
            mode: PublishMode::Outbox,
            timing: AckTiming::AfterSave,
            copies: false,
            copies_what_it_reads: false,
            other: None,
        }
    }

    /// A consumer with `members` members.
    pub(crate) fn members(mut self, members: u16) -> Setup {
        self.hosting.members = members;
        self
    }

    /// A consumer that saves and acks except for these numbers and attempts.
    pub(crate) fn answers(self, answers: &'static [(u32, u16, Outcome)]) -> Setup {
        Setup { rule: Rule::Answers(answers), ..self }
    }

    pub(crate) fn simulation(&self) -> Simulation<Notes> {
        let Setup { mode, timing, copies, copies_what_it_reads, .. } = *self;
        let consumer = |name, rule| Consumer { name, rule, mode, timing, copies, copies_what_it_reads };
        let [commands, of_b] = self.commands.clone();
        let mut builder = Simulation::on(self.profile.clone())
            .service(Publisher(self.mode))
            .hosted(consumer(CONSUMER, self.rule), self.hosting.clone())
            .client("client", commands);
        if let Some((rule, hosting)) = &self.other {
            builder = builder.hosted(consumer("other", *rule), hosting.clone());
        }
        if !of_b.is_empty() {
            builder = builder.client("b", of_b);
        }
        builder.build().expect("the parts fit")
    }

    /// A play before its first step.
    pub(crate) fn play(&self) -> Play {
        Play { world: self.simulation().world(), handled: Vec::new() }
    }

    /// A play after these picks, separated by semicolons.
    pub(crate) fn after(&self, picks: &str) -> Play {
        let mut play = self.play();
        play.pick(picks);
        play
    }
}

/// A world that is moved by hand, and what its consumers were handed so far.
#[derive(Clone)]
pub(crate) struct Play {
    pub(crate) world: World<Notes>,
    /// As the recorded traces write it: the note, and `r` with the number of redeliveries.
    pub(crate) handled: Vec<String>,
}

impl Play {
    /// Picks what the text says, one pick after each semicolon.
    pub(crate) fn pick(&mut self, picks: &str) -> &mut Play {
        for pick in picks.split(';').map(str::trim).filter(|pick| !pick.is_empty()) {
            let (action, fate) = parse(pick);
            let Some(action) = find(&self.world, &self.world.enabled(), &action) else {
                panic!("`{pick}` is not enabled; enabled are: {}", self.enabled().join("; "));
            };
            self.step(action, fate);
        }
        self
    }

    /// Takes a step and notes who was handed what.
    pub(crate) fn step(&mut self, action: Action, fate: Fate) -> Step {
        let delivery = match action {
            // Its name before the step: an answer may make it the next attempt at once.
            Action::Deliver(index) => Some(self.world.broker().name(index)),
            _ => None,
        };
        let number = delivery.map(|name| (name.message.record.number(), name.attempt));
        let step = self.world.step(action, fate);
        if let (Some((number, attempt)), Some(actor)) = (number, step.actor) {
            let service = self.world.service_name(actor.service);
            let service = if service == CONSUMER { String::new() } else { format!("{service}:") };
            let redeliveries = if attempt > 1 { format!("r{}", attempt - 1) } else { String::new() };
            self.handled.push(format!("{service}{number}{redeliveries}"));
        }
        step
    }

    /// What the consumers were handed, in order.
    pub(crate) fn handled(&self) -> String {
        self.handled.join(" ")
    }

    /// Everything enabled, as the world describes it.
    pub(crate) fn enabled(&self) -> Vec<String> {
        self.world.enabled().iter().map(|action| self.world.describe(action)).collect()
    }

    /// The ready deliveries as picks are written, by message, group and attempt.
    pub(crate) fn ready(&self) -> String {
        self.list(self.world.broker().ready().iter().copied())
    }

    /// The deliveries that still have to be done.
    pub(crate) fn open(&self) -> String {
        self.list(self.world.broker().open())
    }

    /// The deliveries given up.
    pub(crate) fn dead(&self) -> String {
        self.list(self.world.broker().dead().iter().copied())
    }

    fn list(&self, indices: impl Iterator<Item = DeliveryIndex>) -> String {
        let broker = self.world.broker();
        let mut indices: Vec<DeliveryIndex> = indices.collect();
        indices.sort_by_key(|index| {
            let delivery = broker.delivery(*index);
            (delivery.message, delivery.group, delivery.attempt)
        });
        indices.into_iter().map(|index| short(&broker.name(index).to_string())).collect::<Vec<_>>().join(", ")
    }

    /// How often the consumer saved a note.
    pub(crate) fn saves(&self, number: u32) -> u32 {
        self.world.store_of(CONSUMER).find::<Note>(note(number)).map_or(0, |held| held.saves)
    }

    /// The simulated time in milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        self.world.now().0 / 1_000
    }

    /// How many messages of a subject were published.
    pub(crate) fn published(&self, subject: &str) -> usize {
        let messages = self.world.broker().messages().iter();
        messages.filter(|message| message.name.subject.name() == subject).count()
    }

    /// Hands out what is ready, first published first, until nothing is.
    pub(crate) fn drain(&mut self) -> &mut Play {
        loop {
            let broker = self.world.broker();
            let first = broker.ready().iter().min_by_key(|index| broker.delivery(**index).message);
            let Some(index) = first.copied() else { return self };
            self.step(Action::Deliver(index), Fate::CALM);
        }
    }

    /// Plays the rest of the run calmly.
    pub(crate) fn calm_to_the_end(&mut self) -> &mut Play {
        let mut scheduler = pellmell::Calm::new(0, pellmell::FaultPlan::NONE);
        let judges = pellmell::Judges::new(Vec::new());
        pellmell::run(&mut self.world, &mut scheduler, &judges, pellmell::Limits::default(), &mut ());
        self
    }
}

/// `note:added n1@0 -> consumer #1` becomes `n1`.
fn short(name: &str) -> String {
    let name = name.strip_prefix("note:added ").unwrap_or(name);
    let name = name.strip_suffix(" #1").unwrap_or(name);
    name.replacen("@0", "", 1).replacen(" -> consumer", "", 1).replacen(" -> ", " > ", 1)
}

fn find(world: &World<Notes>, enabled: &Enabled<'_>, text: &str) -> Option<Action> {
    let found = |action: &Action| {
        let described = world.describe(*action);
        described == text || text.strip_suffix(':').is_some_and(|kind| described.starts_with(kind))
    };
    enabled.iter().find(found)
}

/// What the world calls the action a pick means (its beginning, if that ends in a colon), and the
/// fate.
fn parse(pick: &str) -> (String, Fate) {
    let words: Vec<&str> = pick.split_whitespace().collect();
    match words[0] {
        "publish" => {
            let named = words.get(1).copied().filter(|word| *word == "b").unwrap_or("client");
            let rest = words[1..].iter().skip_while(|word| **word == "b");
            (format!("{named}:"), fate(&rest.copied().collect::<Vec<_>>()))
        }
        "clock" => ("clock:".to_owned(), Fate::CALM),
        "join" => (format!("{} joins", words[1]), Fate::CALM),
        "ack" => (format!("late ack of {}", delivery(&words[1..]).0), Fate::CALM),
        "resume" => (format!("resume {}", delivery(&words[1..]).0), Fate::CALM),
        _ => {
            let (name, rest) = delivery(&words);
            (format!("deliver {name}"), fate(rest))
        }
    }
}

/// The name of the delivery that words such as `n2 > other #3` begin with, and the words after it.
fn delivery<'a>(words: &'a [&'a str]) -> (String, &'a [&'a str]) {
    let version = if words[0].contains('@') { "" } else { "@0" };
    let mut rest = &words[1..];
    let mut group = CONSUMER;
    if rest.first() == Some(&">") {
        (group, rest) = (rest[1], &rest[2..]);
    }
    let mut attempt = "#1";
    if let Some(word) = rest.first().filter(|word| word.starts_with('#')) {
        (attempt, rest) = (word, &rest[1..]);
    }
    (format!("note:added {}{version} -> {group} {attempt}", words[0]), rest)
}

fn fate(words: &[&str]) -> Fate {
    let mut fate = Fate::CALM;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "lost" => fate.ack = AckFate::Lost,
            "late" => fate.ack = AckFate::Late,
            "dropped" => fate.lose = true,
            "paused" => fate.pause = true,
            "twice" => fate.duplicate = true,
            "fetch" => fate.fetch = words.next().and_then(|number| number.parse().ok()).expect("a number"),
            "again" => fate.republish = true,
            "ahead" => fate.change = Some(MemberChange::CommitAhead),
            "restarted" => fate.change = Some(MemberChange::Restart),
            "forgotten" => fate.change = Some(MemberChange::ForgetAck),
            "truncated" => fate.change = Some(MemberChange::Truncate),
            "uncounted" => fate.change = Some(MemberChange::ForgetCounts),
            "redriven" => fate.change = Some(MemberChange::Redrive),
            "compacted" => fate.change = Some(MemberChange::Compact),
            "expired" => fate.change = Some(MemberChange::Expire),
            word if MemberChange::all().any(|change| change.name() == word) => {
                fate.change = MemberChange::all().find(|change| change.name() == word);
            }
            "crash" => {
                let name: Vec<&str> = words.by_ref().take(2).copied().collect();
                let name = name.join(" ");
                let window = Window::ALL.into_iter().find(|window| window.name() == name);
                fate.crash = Some(window.unwrap_or_else(|| panic!("`{name}` is no window")));
            }
            _ => panic!("`{word}` is no fate"),
        }
    }
    fate
}

/// The same picks as a [`Scheduler`]: it reads the actions' texts off a world of its own, which it
/// moves along, and is calm when the picks are over.
pub(crate) struct Scripted {
    mirror: World<Notes>,
    picks: Vec<String>,
    /// What was picked but not yet played to the mirror.
    last: Option<Move>,
    next_fate: Fate,
}

impl Scripted {
    pub(crate) fn new(world: &World<Notes>, picks: &str) -> Scripted {
        let picks = picks.split(';').map(|pick| pick.trim().to_owned()).rev().collect();
        Scripted { mirror: world.clone(), picks, last: None, next_fate: Fate::CALM }
    }
}

impl Scheduler for Scripted {
    fn pick(&mut self, enabled: &Enabled<'_>) -> Action {
        if let Some(Move { action, fate }) = self.last.take() {
            self.mirror.step(action, fate);
        }
        let (action, fate) = match self.picks.pop() {
            Some(pick) => {
                let (text, fate) = parse(&pick);
                let action = find(&self.mirror, enabled, &text);
                (action.unwrap_or_else(|| panic!("`{pick}` is not enabled")), fate)
            }
            None => (enabled.calm().expect("something is enabled"), Fate::CALM),
        };
        self.last = Some(Move::calm(action));
        self.next_fate = fate;
        action
    }

    fn fate(&mut self, _chosen: &Chosen) -> Fate {
        let picked = self.last.as_mut().expect("a fate is asked for after a pick");
        picked.fate = self.next_fate;
        self.next_fate
    }
}

/// NATS Streaming with an ack wait of 1 s, as the recordings were made.
pub(crate) fn stan() -> Profile {
    Profile { ack_wait: vec![Duration::from_secs(1)], ..Profile::stan() }
}

/// [`stan`] with at most `limit` unsettled deliveries.
pub(crate) fn limited(limit: u32, scope: Scope) -> Profile {
    Profile { max_in_flight: InFlight { limit: Limit::Of(limit), scope }, ..stan() }
}

/// [`stan`] with another ordering.
pub(crate) fn ordered(ordering: Ordering) -> Profile {
    Profile { ordering, ..stan() }
}

/// [`stan`] where one member owns each unit.
pub(crate) fn exclusive() -> Profile {
    Profile { dispatch: Dispatch::Exclusive, ..stan() }
}
