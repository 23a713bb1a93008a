//! Faults: what may go wrong with one delivery, one command or one timer, and how often.
//!
//! A [`Fate`] is decided the moment a handler starts. [`Fates`] are drawn from a [`FaultPlan`] by the identity
//! of the delivery, so the same delivery meets the same fate whatever happens around it.

mod change;

use crate::prng::{Prng, Purpose, Ratio, RunKey, Stream, below};

pub use crate::service::{AnswerFault, Awaits};
pub use change::{MemberChange, MemberChanges};

/// Where a member crashes while it handles something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Window {
    /// After reading, before anything was saved.
    BeforeSave = 1,
    /// After the save, before the publish.
    BeforePublish = 2,
    /// After the publish, before the ack.
    BeforeAck = 3,
    /// After the ack was sent.
    AfterAck = 4,
    /// After the first commit of a handler that commits in between
    /// ([`Context::commit`](crate::Context::commit)); where none does, nobody crashes.
    BetweenSaves = 5,
}

impl Window {
    /// All windows of a handler that saves at one go, in the order in which it passes them.
    pub const ALL: [Window; 4] = [Window::BeforeSave, Window::BeforePublish, Window::BeforeAck, Window::AfterAck];

    /// The window in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Window::BeforeSave => "before save",
            Window::BeforePublish => "before publish",
            Window::BeforeAck => "before ack",
            Window::AfterAck => "after ack",
            Window::BetweenSaves => "between saves",
        }
    }

    /// All there are, those of [`Window::ALL`] first.
    pub(crate) fn every() -> impl Iterator<Item = Window> {
        Window::ALL.into_iter().chain([Window::BetweenSaves])
    }

    /// The window of that name.
    pub(crate) fn named(name: &str) -> Option<Window> {
        Window::every().find(|window| window.name() == name)
    }
}

/// The fate of the ack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum AckFate {
    /// It arrives in the same step.
    #[default]
    Prompt,
    /// It travels, and arrives in a step of its own.
    Late,
    /// It never arrives.
    Lost,
}

/// What happens to one delivery, command or timer besides being handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Fate {
    /// The fate of its ack.
    pub ack: AckFate,
    /// Whether the member crashes, and where.
    pub crash: Option<Window>,
    /// Whether the handler is slow between its reads and its saves, so that others come between.
    pub pause: bool,
    /// Whether the message becomes pending once more.
    pub duplicate: bool,
    /// Whether the broker loses the message on its way to the group: no handler runs, and nobody is
    /// told.
    pub lose: bool,
    /// How many of the messages that come next its member has fetched with it.
    pub fetch: u8,
    /// What happens to its member right after.
    pub change: Option<MemberChange>,
    /// Whether what its handler publishes is published a second time, as a publisher does that hears no confirm:
    /// at once, or, beside `slow_publish`, some time after.
    pub republish: bool,
    /// Whether what its handler publishes is out only some time after its saves: the process is slow, or the
    /// relay of its outbox lags. Beside `republish` it is the second time that is late.
    pub slow_publish: bool,
    /// What is wrong with the answers that its handler gets when it asks other services
    /// ([`Context::ask`](crate::Context::ask)).
    pub answer: Option<AnswerFault>,
    /// At which of its awaits the handler is interrupted, so that others come between: that of a handler that is an
    /// `async fn` ([`Context::run`](crate::Context::run)).
    pub awaits: Awaits,
}

impl Fate {
    /// Nothing happens: the fate of everything in the calm run.
    pub const CALM: Fate = Fate {
        ack: AckFate::Prompt,
        crash: None,
        pause: false,
        duplicate: false,
        lose: false,
        fetch: 0,
        change: None,
        republish: false,
        slow_publish: false,
        answer: None,
        awaits: Awaits::NONE,
    };

    /// The most messages that are fetched with another one.
    pub const FETCH_MAX: u8 = 100;

    /// Any fate, for tests that walk at random.
    #[cfg(test)]
    pub(crate) fn any(prng: &mut Prng, may_pause: bool) -> Fate {
        let mut one_of = |number| prng.below(number);
        let ack = [AckFate::Prompt, AckFate::Prompt, AckFate::Late, AckFate::Lost][one_of(4) as usize];
        let crash = (one_of(6) == 0).then(|| Window::ALL[one_of(Window::ALL.len() as u32) as usize]);
        let pause = may_pause && one_of(3) == 0;
        let (duplicate, lose, slow_publish) = (one_of(5) == 0, one_of(12) == 0, one_of(4) == 0);
        let answer = AnswerFault::ALL.get(one_of(6) as usize).copied();
        Fate { ack, crash, pause, duplicate, lose, slow_publish, answer, ..Fate::CALM }
    }

    /// Said of a message that is lost on its way.
    pub const LOST: &'static str = "message lost";
    /// Said of an ack that comes in a step of its own.
    pub const ACK_LATE: &'static str = "ack late";
    /// Said of an ack that never comes.
    pub const ACK_LOST: &'static str = "ack lost";
    /// Said of a message that becomes pending once more.
    pub const DUPLICATED: &'static str = "duplicated";
    /// Said of what a handler published twice.
    pub const REPUBLISHED: &'static str = "published twice";
    /// Said before the number of an await at which a handler is interrupted.
    pub(crate) const AT_AWAIT: &'static str = "at await ";
    /// Said before how many messages were fetched with another one.
    pub(crate) const FETCHED: &'static str = "fetched with ";
    /// Said of what is published some time after the saves.
    pub(crate) const SLOW_PUBLISH: &'static str = "slow publish";

    /// What goes wrong, in words: `ack lost`, `crash before save`, …
    #[must_use]
    pub fn faults(self) -> Vec<String> {
        let Fate { ack, crash, pause, duplicate, lose, fetch, change, republish, slow_publish, answer, awaits } = self;
        let ack = match ack {
            AckFate::Prompt => None,
            AckFate::Late => Some(Fate::ACK_LATE),
            AckFate::Lost => Some(Fate::ACK_LOST),
        };
        let pause = pause.then_some("paused after read");
        let slow = slow_publish.then_some(Fate::SLOW_PUBLISH);
        let duplicated = duplicate.then_some(Fate::DUPLICATED);
        let words = [lose.then_some(Fate::LOST), ack, pause, answer.map(AnswerFault::name), slow, duplicated];
        let crash = crash.map(|window| format!("crash {}", window.name()));
        let fetched = (fetch > 0).then(|| format!("{}{fetch} more", Fate::FETCHED));
        let rest = [republish.then_some(Fate::REPUBLISHED), change.map(MemberChange::name)];
        let awaits = awaits.iter().map(|place| format!("{}{place}", Fate::AT_AWAIT));
        let words = words.into_iter().flatten().map(str::to_owned).chain(awaits).chain(fetched).chain(crash);
        words.chain(rest.into_iter().flatten().map(str::to_owned)).collect()
    }

    /// The bits of [`Fate::word`] that say that no handler runs, or not through to its answer, or
    /// that its ack travels.
    pub(crate) const INTERRUPTS: u64 = 1 << 8 | 1 << 7 | 1 << 5 | 0b111 << 2 | AckFate::Late as u64;

    /// Whether nothing happens.
    #[inline(always)]
    pub(crate) fn is_calm(self) -> bool {
        // Of bytes that are all 0 then, so that the compiler asks for all of them at once.
        let Fate { ack, crash, pause, duplicate, lose, fetch, change, republish, slow_publish, answer, awaits } = self;
        let (crash, change) = (crash.map_or(0, |window| window as u8), change.map_or(0, |change| change as u8));
        let answer = answer.map_or(0, |fault| fault as u8);
        let flags = u8::from(pause) | u8::from(duplicate) | u8::from(lose) | u8::from(republish);
        (u64::from(ack as u8 | crash | flags | u8::from(slow_publish) | fetch | change | answer) | awaits.word()) == 0
    }

    /// Whether its handler pauses, crashes or is slow to publish.
    #[inline(always)]
    pub(crate) fn is_cut(self) -> bool {
        self.interrupts() || self.slow_publish || self.crash.is_some()
    }

    /// Whether its handler is interrupted, and goes on some other time.
    #[inline(always)]
    pub(crate) fn interrupts(self) -> bool {
        self.pause || !self.awaits.is_none()
    }

    /// Whether its handler runs, through to its answer, which arrives at once or never.
    #[inline]
    pub(crate) fn lets_through(self) -> bool {
        self.word() & Fate::INTERRUPTS == 0 && self.awaits.is_none()
    }

    /// All of the fate as one word, which leaves its 32nd bit and its highest byte free.
    pub(crate) fn whole_word(self) -> u64 {
        self.word() | self.awaits.word() << 32
    }

    /// The fate as one word, for hashing; but for its awaits, of which those that a handler came to make steps of their
    /// own.
    #[inline]
    pub(crate) fn word(self) -> u64 {
        let crash = self.crash.map_or(0, |window| window as u64);
        let lose = u64::from(self.lose) << 7;
        // Of its four bits one stands apart, as it came later.
        let change = self.change.map_or(0, |change| change as u64);
        let change = (change & 0b111) << 12 | (change >> 3) << 9;
        let rest = change | u64::from(self.republish) << 15 | u64::from(self.fetch) << 16;
        let late = u64::from(self.slow_publish) << 8 | self.answer.map_or(0, |fault| fault as u64) << 24;
        self.ack as u64 | crash << 2 | u64::from(self.pause) << 5 | u64::from(self.duplicate) << 6 | lose | late | rest
    }
}

/// How often something happens, and at most how many times in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The probability for each delivery.
    pub ratio: Ratio,
    /// The most times in one run.
    pub most: u32,
}

impl Rate {
    /// Never.
    pub const NEVER: Rate = Rate { ratio: Ratio::NEVER, most: u32::MAX };

    fn can_happen(&self) -> bool {
        self.most > 0 && !self.ratio.is_never()
    }

    /// With probability `ratio`, any number of times.
    #[must_use]
    pub const fn of(ratio: Ratio) -> Rate {
        Rate { ratio, most: u32::MAX }
    }
}

/// Which faults a run may meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultPlan {
    /// An ack is lost.
    pub lose_ack: Rate,
    /// An ack is late.
    pub delay_ack: Rate,
    /// A message is delivered once more.
    pub duplicate: Rate,
    /// A member crashes in one of the windows of [`Window::ALL`].
    pub crash: Rate,
    /// A handler pauses between read and save.
    pub pause: Rate,
    /// The broker loses a message on its way to a group: a first attempt, which then is the last.
    pub lose_message: Rate,
    /// A member has fetched some of the messages that come next, 1 to 4 of them.
    pub fetch: Rate,
    /// Something happens to a member or to what it has, of what the broker knows: a rebalance, a lost connection, …
    pub change: Rate,
    /// The broker restarts, forgets an ack or the positions of a group: [`MemberChange::OF_BROKERS`].
    pub broker_failure: Rate,
    /// The broker loses the last message of its log: [`MemberChange::Truncate`].
    pub truncate: Rate,
    /// The broker forgets how often it had sent messages: [`MemberChange::ForgetCounts`].
    pub forget_counts: Rate,
    /// The broker is told to put dead letters back: [`MemberChange::Redrive`].
    pub redrive: Rate,
    /// The log is compacted: [`MemberChange::Compact`].
    pub compact: Rate,
    /// The broker deletes what it has kept for long enough: [`MemberChange::Expire`].
    pub expire: Rate,
    /// A publisher hears no confirm, and publishes a second time.
    pub republish: Rate,
    /// What a handler publishes is out only some time after its saves.
    pub slow_publish: Rate,
    /// A member crashes between two saves of a handler, if that commits in between.
    pub crash_between_saves: Rate,
    /// A handler that asks other services is told what was there a save ago ([`AnswerFault::Stale`]).
    pub stale_answer: Rate,
    /// A handler that asks other services is told nothing ([`AnswerFault::Missing`]).
    pub no_answer: Rate,
    /// Faults fall only on this many first attempts of a message at a group, so that redelivery is
    /// fair: in the end an ack arrives.
    pub attempts_max: u16,
    /// Each seed switches each kind off with probability one half.
    pub swarm: bool,
}

impl FaultPlan {
    /// No faults.
    pub const NONE: FaultPlan = FaultPlan {
        lose_ack: Rate::NEVER,
        delay_ack: Rate::NEVER,
        duplicate: Rate::NEVER,
        crash: Rate::NEVER,
        pause: Rate::NEVER,
        lose_message: Rate::NEVER,
        fetch: Rate::NEVER,
        change: Rate::NEVER,
        broker_failure: Rate::NEVER,
        truncate: Rate::NEVER,
        forget_counts: Rate::NEVER,
        redrive: Rate::NEVER,
        compact: Rate::NEVER,
        expire: Rate::NEVER,
        republish: Rate::NEVER,
        slow_publish: Rate::NEVER,
        crash_between_saves: Rate::NEVER,
        stale_answer: Rate::NEVER,
        no_answer: Rate::NEVER,
        attempts_max: 3,
        swarm: false,
    };

    /// Some of everything that at-least-once brokers and their services do. They lose no messages, and what
    /// is saved is published at once and by one save, and who asks another service is told what is there:
    /// [`FaultPlan::slow_publish`], [`FaultPlan::crash_between_saves`], [`FaultPlan::stale_answer`] and
    /// [`FaultPlan::no_answer`] are to be asked for.
    ///
    /// Of each delivery the ack is lost with probability 1/10 and late with 1/10, it is duplicated with
    /// 1/20, its member crashes with 1/50, and a handler that can pauses with 1/5; on the first 3 attempts
    /// of a message at a group, so what fails longer than that is the services' doing. Each seed switches
    /// each kind off with probability 1/2.
    pub const SOME: FaultPlan = FaultPlan {
        lose_ack: Rate::of(Ratio::new(1, 10)),
        delay_ack: Rate::of(Ratio::new(1, 10)),
        duplicate: Rate::of(Ratio::new(1, 20)),
        crash: Rate::of(Ratio::new(1, 50)),
        pause: Rate::of(Ratio::new(1, 5)),
        lose_message: Rate::NEVER,
        fetch: Rate::NEVER,
        change: Rate::NEVER,
        broker_failure: Rate::NEVER,
        truncate: Rate::NEVER,
        forget_counts: Rate::NEVER,
        redrive: Rate::NEVER,
        compact: Rate::NEVER,
        expire: Rate::NEVER,
        republish: Rate::NEVER,
        slow_publish: Rate::NEVER,
        crash_between_saves: Rate::NEVER,
        stale_answer: Rate::NEVER,
        no_answer: Rate::NEVER,
        attempts_max: 3,
        swarm: true,
    };

    /// Whether nothing can go wrong, whatever is drawn.
    pub(crate) fn is_calm(&self) -> bool {
        let mut plan = *self;
        !plan.kinds().into_iter().any(|rate| rate.can_happen())
    }

    /// How often a change is drawn: with the others of its kind, of which one is drawn next.
    pub(crate) fn of_change(&mut self, change: MemberChange) -> &mut Rate {
        match change {
            MemberChange::Truncate => &mut self.truncate,
            MemberChange::ForgetCounts => &mut self.forget_counts,
            MemberChange::Redrive => &mut self.redrive,
            MemberChange::Compact => &mut self.compact,
            MemberChange::Expire => &mut self.expire,
            change if MemberChange::OF_BROKERS.contains(&change) => &mut self.broker_failure,
            _ => &mut self.change,
        }
    }

    /// How often such an answer is drawn.
    pub(crate) fn of_answer(&mut self, fault: AnswerFault) -> &mut Rate {
        match fault {
            AnswerFault::Stale => &mut self.stale_answer,
            AnswerFault::Missing => &mut self.no_answer,
        }
    }

    /// How often each kind of fault happens; in the order they were added, so that a seed keeps its coins.
    fn kinds(&mut self) -> [&mut Rate; 19] {
        [
            &mut self.lose_ack,
            &mut self.delay_ack,
            &mut self.duplicate,
            &mut self.crash,
            &mut self.pause,
            &mut self.lose_message,
            &mut self.fetch,
            &mut self.change,
            &mut self.republish,
            &mut self.slow_publish,
            &mut self.crash_between_saves,
            &mut self.broker_failure,
            &mut self.truncate,
            &mut self.stale_answer,
            &mut self.no_answer,
            &mut self.forget_counts,
            &mut self.redrive,
            &mut self.compact,
            &mut self.expire,
        ]
    }

    /// The plan one seed uses: the same, or with some kinds switched off.
    #[must_use]
    pub fn for_seed(mut self, seed: u64) -> FaultPlan {
        if self.swarm {
            let mut prng = Prng::new(seed, Stream::Swarm);
            let half = Ratio::new(1, 2);
            for rate in self.kinds() {
                if prng.chance(half) {
                    rate.most = 0;
                }
            }
        }
        self
    }
}

/// The faults of one run: a plan and a run's key, ready to be drawn from.
#[derive(Clone, Debug)]
pub struct Fates {
    lose_ack: Coin,
    delay_ack: Coin,
    duplicate: Coin,
    crash: Coin,
    pause: Coin,
    lose_message: Coin,
    fetch: Coin,
    change: Coin,
    broker_failure: Coin,
    truncate: Coin,
    forget_counts: Coin,
    redrive: Coin,
    compact: Coin,
    expire: Coin,
    republish: Coin,
    slow_publish: Coin,
    crash_between_saves: Coin,
    stale_answer: Coin,
    no_answer: Coin,
    /// Whether any of those eleven may happen, which are to be asked for.
    has_more: bool,
    /// Whether no more than acks are lost and deliveries duplicated.
    is_sparse: bool,
    attempts_max: u16,
    key: RunKey,
}

impl Fates {
    /// The faults that `key` draws from `plan`.
    #[must_use]
    pub fn new(plan: &FaultPlan, key: RunKey) -> Fates {
        let coin = |rate, purpose| Coin::new(rate, key, purpose);
        let members = [plan.fetch, plan.change];
        let brokers = [plan.broker_failure, plan.truncate, plan.forget_counts, plan.redrive, plan.compact, plan.expire];
        let handlers = [plan.republish, plan.slow_publish, plan.crash_between_saves];
        let asked_for = [&members[..], &brokers, &handlers, &[plan.stale_answer, plan.no_answer]].concat();
        let usual = [plan.delay_ack, plan.crash, plan.pause, plan.lose_message];
        Fates {
            fetch: coin(plan.fetch, Purpose::Fetch),
            change: coin(plan.change, Purpose::MemberChange),
            broker_failure: coin(plan.broker_failure, Purpose::BrokerFailure),
            truncate: coin(plan.truncate, Purpose::Truncate),
            forget_counts: coin(plan.forget_counts, Purpose::ForgetCounts),
            redrive: coin(plan.redrive, Purpose::Redrive),
            compact: coin(plan.compact, Purpose::Compact),
            expire: coin(plan.expire, Purpose::Expire),
            republish: coin(plan.republish, Purpose::Republish),
            has_more: asked_for.iter().any(Rate::can_happen),
            is_sparse: !usual.iter().chain(&asked_for).any(Rate::can_happen),
            lose_ack: coin(plan.lose_ack, Purpose::LoseAck),
            delay_ack: coin(plan.delay_ack, Purpose::DelayAck),
            duplicate: coin(plan.duplicate, Purpose::Duplicate),
            crash: coin(plan.crash, Purpose::Crash),
            pause: coin(plan.pause, Purpose::Pause),
            lose_message: coin(plan.lose_message, Purpose::LoseMessage),
            slow_publish: coin(plan.slow_publish, Purpose::SlowPublish),
            crash_between_saves: coin(plan.crash_between_saves, Purpose::CrashBetweenSaves),
            stale_answer: coin(plan.stale_answer, Purpose::StaleAnswer),
            no_answer: coin(plan.no_answer, Purpose::NoAnswer),
            attempts_max: plan.attempts_max,
            key,
        }
    }

    /// Draws whether the broker loses attempt `attempt` of the delivery that `identity` names, and
    /// counts it. Nothing else happens to what is lost.
    #[inline(never)]
    pub fn draw_loss(&mut self, identity: u64, attempt: u16) -> bool {
        attempt == 1 && self.lose_message.takes(identity)
    }

    /// Draws the fate of attempt `attempt` of what `identity` names, and counts it.
    #[inline(never)]
    pub fn draw(&mut self, identity: u64, attempt: u16) -> Fate {
        if attempt > self.attempts_max {
            return Fate::CALM;
        }
        let few = self.draw_sparse(identity, attempt);
        let mut fate = few.map_or(Fate::CALM, |(loses_ack, duplicate)| self.take_sparse(loses_ack, duplicate));
        if fate.ack != AckFate::Lost && self.delay_ack.takes(identity) {
            fate.ack = AckFate::Late;
        }
        fate.pause = self.pause.takes(identity);
        if self.crash.takes(identity) {
            fate.crash = Some(self.window(identity));
        }
        if self.has_more {
            self.draw_more(identity, &mut fate);
        }
        fate
    }

    /// Draws at which awaits the handler of that attempt is interrupted: at each as often as handlers pause.
    #[inline(never)]
    pub(crate) fn draw_awaits(&mut self, identity: u64, attempt: u16) -> Awaits {
        let mut awaits = Awaits::NONE;
        let last = if attempt > self.attempts_max { 0 } else { Awaits::LAST };
        (1..=last).filter(|place| self.pause.takes(Awaits::key(identity, *place))).for_each(|place| awaits.add(place));
        awaits
    }

    /// Draws what is to be asked for.
    #[inline(never)]
    fn draw_more(&mut self, identity: u64, fate: &mut Fate) {
        let key = self.key;
        let one_of = |number: usize, purpose| below(key.draw(purpose, identity), number as u32) as usize;
        if self.fetch.takes(identity) {
            fate.fetch = one_of(4, Purpose::HowMany) as u8 + 1;
        }
        if self.change.takes(identity) {
            let all = MemberChange::OF_MEMBERS;
            fate.change = Some(all[one_of(all.len(), Purpose::WhichChange)]);
        }
        if self.broker_failure.takes(identity) {
            let all = MemberChange::OF_BROKERS;
            fate.change = Some(all[one_of(all.len(), Purpose::WhichFailure)]);
        }
        if self.truncate.takes(identity) {
            fate.change = Some(MemberChange::Truncate);
        }
        if self.forget_counts.takes(identity) {
            fate.change = Some(MemberChange::ForgetCounts);
        }
        if self.redrive.takes(identity) {
            fate.change = Some(MemberChange::Redrive);
        }
        if self.compact.takes(identity) {
            fate.change = Some(MemberChange::Compact);
        }
        if self.expire.takes(identity) {
            fate.change = Some(MemberChange::Expire);
        }
        fate.republish = self.republish.takes(identity);
        fate.slow_publish = self.slow_publish.takes(identity);
        if fate.crash.is_none() && self.crash_between_saves.takes(identity) {
            fate.crash = Some(Window::BetweenSaves);
        }
        if self.stale_answer.takes(identity) {
            fate.answer = Some(AnswerFault::Stale);
        } else if self.no_answer.takes(identity) {
            fate.answer = Some(AnswerFault::Missing);
        }
    }

    /// Whether no more than acks are lost and deliveries duplicated in this run.
    #[inline(always)]
    pub(crate) fn is_sparse(&self) -> bool {
        self.is_sparse
    }

    /// [`Fates::draw`] where they are sparse: whether the ack is lost, and whether it is duplicated;
    /// `None` if neither.
    #[inline(always)]
    pub(crate) fn draw_sparse(&self, identity: u64, attempt: u16) -> Option<(bool, bool)> {
        if attempt > self.attempts_max {
            return None;
        }
        let (loses_ack, duplicate) = (self.lose_ack.falls(identity), self.duplicate.falls(identity));
        // Not `||`: neither of them follows a pattern that a processor could learn.
        if !(loses_ack | duplicate) {
            return None;
        }
        Some((loses_ack, duplicate))
    }

    /// Counts that an ack is lost or a delivery duplicated, or both, and makes the fate of it.
    // Not inlined, so that the compiler keeps the calm fate apart.
    #[inline(never)]
    pub(crate) fn take_sparse(&mut self, loses_ack: bool, duplicate: bool) -> Fate {
        self.lose_ack.left -= u32::from(loses_ack);
        self.duplicate.left -= u32::from(duplicate);
        Fate { ack: if loses_ack { AckFate::Lost } else { AckFate::Prompt }, duplicate, ..Fate::CALM }
    }

    fn window(&self, identity: u64) -> Window {
        Window::ALL[below(self.key.draw(Purpose::CrashWindow, identity), 4) as usize]
    }
}

/// A rate in one run, as far as it can be worked out before it is known whose fate is drawn.
#[derive(Clone, Copy, Debug)]
struct Coin {
    /// What all draws for the purpose have in common.
    root: u64,
    /// The largest word that means yes.
    last: u64,
    /// How many more times in this run; 0 if it can never happen.
    left: u32,
}

impl Coin {
    fn new(rate: Rate, key: RunKey, purpose: Purpose) -> Coin {
        match rate.ratio.last_word() {
            Some(last) => Coin { root: key.root(purpose), last, left: rate.most },
            None => Coin { root: 0, last: 0, left: 0 },
        }
    }

    /// Whether it happens to what `identity` names, which is not counted yet.
    #[inline(always)]
    fn falls(&self, identity: u64) -> bool {
        (self.left > 0) & (RunKey::draw_from(self.root, identity) <= self.last)
    }

    /// The same, counted.
    #[inline(always)]
    fn takes(&mut self, identity: u64) -> bool {
        let falls = self.falls(identity);
        self.left -= u32::from(falls);
        falls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: u64 = 11;

    #[test]
    fn a_fate_depends_on_the_identity_and_not_on_what_was_drawn_before() {
        let mut one = Fates::new(&FaultPlan { swarm: false, ..FaultPlan::SOME }, RunKey::new(KEY));
        let mut two = one.clone();
        let late: Vec<Fate> = (0..100).map(|identity| one.draw(identity, 1)).collect();
        for identity in (0..100).rev() {
            assert_eq!(two.draw(identity, 1), late[identity as usize]);
        }
        assert!(late.iter().any(|fate| *fate != Fate::CALM));
    }

    #[test]
    fn a_fault_happens_at_most_as_often_as_the_plan_says() {
        let rate = Rate { ratio: Ratio::ALWAYS, most: 2 };
        let mut fates = Fates::new(&FaultPlan { lose_ack: rate, ..FaultPlan::NONE }, RunKey::new(KEY));
        let lost = (0..10).filter(|i| fates.draw(*i, 1).ack == AckFate::Lost).count();
        assert_eq!(lost, 2);
    }

    #[test]
    fn only_a_first_attempt_is_lost() {
        let plan = FaultPlan { lose_message: Rate::of(Ratio::ALWAYS), ..FaultPlan::NONE };
        let mut fates = Fates::new(&plan, RunKey::new(KEY));
        assert!(fates.draw_loss(1, 1));
        assert!(!fates.draw_loss(1, 2));
    }

    #[test]
    fn each_window_is_drawn_about_as_often_as_any_other() {
        let plan = FaultPlan { crash: Rate::of(Ratio::ALWAYS), ..FaultPlan::NONE };
        let mut fates = Fates::new(&plan, RunKey::new(KEY));
        let drawn: Vec<Window> = (0..4_000).filter_map(|identity| fates.draw(identity, 1).crash).collect();
        for window in Window::ALL {
            let times = drawn.iter().filter(|drawn| **drawn == window).count();
            assert!((900..1_100).contains(&times), "crash {}: {times} of 4000", window.name());
        }
    }

    #[test]
    fn late_attempts_meet_no_faults() {
        let plan = FaultPlan { lose_ack: Rate::of(Ratio::ALWAYS), ..FaultPlan::NONE };
        let mut fates = Fates::new(&plan, RunKey::new(KEY));
        assert_eq!(fates.draw(1, 3).ack, AckFate::Lost);
        assert_eq!(fates.draw(1, 4), Fate::CALM);
    }

    #[test]
    fn seeds_of_a_swarm_differ_in_the_kinds_they_use() {
        let kinds = |seed| {
            let plan = FaultPlan::SOME.for_seed(seed);
            let old = [plan.lose_ack, plan.delay_ack, plan.duplicate, plan.crash, plan.pause];
            let newer = [plan.lose_message, plan.slow_publish, plan.crash_between_saves];
            (old.map(|rate| rate.most > 0), newer.map(|rate| rate.most > 0))
        };
        let seen: std::collections::BTreeSet<_> = (0..3_200).map(kinds).collect();
        assert_eq!(seen.len(), 256, "all 2^8 subsets of the eight kinds appear");
    }
}
