//! Positions in partitions, as their pages tell of them.

use std::collections::BTreeSet;

use pellmell_core::engine::{Answer, Choice, Entry, How, KeyId, MemberId, MessageId, PartitionId, Start, Told};

use super::{A, B, Event, History, Page, SECOND, World, entry, walk, with};

/// What a page says of a group that keeps offsets.
#[derive(Clone, Debug)]
struct Offsets {
    /// The partition of each message.
    partitions: Vec<u16>,
    /// How many there are.
    many: u16,
    /// How far a member reads beyond what is committed.
    window: u32,
    /// How long one that crashed counts as a member.
    session: u64,
    commits_by_itself: bool,
    /// Whether a partition that stays with its member goes on.
    goes_on: bool,
    /// Whether a partition without an offset begins at its end when it is given to somebody.
    begins_at_the_end: bool,
    /// How often a message is tried that cannot be handled, and after how long each time, if there is a retry topic.
    retries: Option<(u16, u64)>,
    /// Whether an answer is committed in a transaction.
    in_transactions: bool,
}

/// What the history says of a partition.
#[derive(Clone, Debug, Default)]
struct Part {
    owner: Option<MemberId>,
    /// The step at which it was given to that member.
    given: usize,
    next: u32,
    committed: Option<u32>,
    begin: u32,
    /// How many messages were deleted from its beginning.
    deleted: u32,
}

impl Part {
    fn done(&self) -> u32 {
        self.committed.unwrap_or(self.begin)
    }

    /// Whoever goes on at what was deleted begins as one does that has no offset.
    fn in_range(&mut self, published: u32, from_the_end: bool) {
        if self.next < self.deleted {
            self.next = if from_the_end { published } else { self.deleted };
            if self.done() < self.deleted {
                (self.committed, self.begin) = (None, self.next);
            }
        }
    }
}

/// What the history says of a group.
struct Group {
    parts: Vec<Part>,
    /// The members, and since when each has been silent that crashed.
    members: Vec<(MemberId, Option<u64>)>,
    /// The step at which the members changed last.
    changed: usize,
    retry: Retry,
}

/// What the history says of a retry topic, the partition of which is the last one.
#[derive(Default)]
struct Retry {
    /// What it holds: a message, which attempt it is, and from when on.
    records: Vec<(MessageId, u16, u64)>,
    /// How many of these waits are over.
    ended: usize,
    /// What was tried too often.
    over: Vec<MessageId>,
    /// What was sent from it: a message, the number of its delivery, and the record.
    sent: Vec<(MessageId, u16, usize)>,
}

impl Retry {
    fn of(&self, message: MessageId, count: u16) -> Option<usize> {
        self.sent.iter().find(|(other, nth, _)| (*other, *nth) == (message, count)).map(|(.., place)| *place)
    }
}

impl Group {
    /// Whether the group went back behind a delivery of a message, which so many come up to, since it was sent.
    fn is_fenced(
        &self,
        history: &History,
        step: usize,
        partition: u16,
        (message, count, upto): (MessageId, u16, usize),
    ) -> bool {
        let mut sent = history.steps[..step].iter().flat_map(|step| &step.sent);
        let is_last = sent.rfind(|sent| sent.message == message).is_some_and(|sent| sent.count == count);
        !is_last || (self.parts[usize::from(partition)].next as usize) < upto
    }
}

impl Offsets {
    /// The messages of a partition that are there, each with how many come before it.
    fn there(&self, history: &History, partition: u16) -> Vec<(u32, MessageId)> {
        let entries: Vec<Entry> =
            self.partitions.iter().map(|partition| Entry { partition: PartitionId(*partition), ..entry(0) }).collect();
        let messages = (0..).zip(self.messages(history, partition));
        messages.filter(|(_, message)| history.has(*message, &entries)).collect()
    }

    /// What may be sent next of a partition in which these are there, and to whom.
    fn next(&self, part: &Part, there: &[(u32, MessageId)]) -> Option<(MessageId, MemberId)> {
        let ahead = there.iter().filter(|(before, _)| (part.done()..part.next).contains(before)).count() as u32;
        let (_, message) = there.iter().find(|(before, _)| *before >= part.next)?;
        part.owner.filter(|_| ahead < self.window).map(|owner| (*message, owner))
    }

    fn messages(&self, history: &History, partition: u16) -> Vec<MessageId> {
        let published = (0..history.published()).zip(&self.partitions);
        published.filter(|(_, other)| **other == partition).map(|(message, _)| MessageId(message)).collect()
    }

    fn group(&self, history: &History) -> Group {
        let many = usize::from(self.many) + usize::from(self.retries.is_some());
        let (members, retry) = (Vec::new(), Retry::default());
        let mut group = Group { parts: vec![Part::default(); many], members, changed: 0, retry };
        let mut published = vec![0; many];
        // The first member says it for the group.
        let mut from_the_end = None;
        for (step, happened) in history.steps.iter().enumerate() {
            let mut gone = None;
            match &happened.event {
                Event::Told(Told::Published(message)) => {
                    published[usize::from(self.partitions[message.0 as usize])] += 1;
                }
                Event::Told(Told::Joined(member, start)) => {
                    from_the_end.get_or_insert(self.begins_at_the_end || *start == Start::New);
                    // Whoever is back after a crash is a new member, and the group has not given it anything.
                    group
                        .parts
                        .iter_mut()
                        .filter(|part| part.owner == Some(*member))
                        .for_each(|part| part.owner = None);
                    group.members.retain(|(other, _)| other != member);
                    group.members.push((*member, None));
                    group.changed = step;
                }
                Event::Told(Told::Left(member, How::Crash)) => {
                    let its = group.members.iter_mut().filter(|(other, _)| other == member);
                    its.for_each(|(_, silent)| *silent = Some(happened.ms));
                }
                Event::Told(Told::Left(member, How::Reconnect)) => {
                    let its = group.parts.iter_mut().zip(&published).filter(|(part, _)| part.owner == Some(*member));
                    its.for_each(|(part, published)| {
                        part.next = part.done();
                        part.in_range(*published, from_the_end == Some(true));
                    });
                }
                Event::Told(Told::Expired(partition, upto)) => {
                    let place = usize::from(partition.0);
                    let part = &mut group.parts[place];
                    part.deleted = part.deleted.max(*upto);
                    if part.owner.is_some() {
                        part.in_range(published[place], from_the_end == Some(true));
                    }
                }
                Event::Told(Told::Left(member, _)) | Event::Did(Choice::Evict(member)) => gone = Some(*member),
                Event::Told(Told::Committed(member, partition, upto)) => {
                    // Whoever sets offsets of a group that nobody has joined yet is no member.
                    let is_before = from_the_end.is_none();
                    let part = &mut group.parts[usize::from(partition.0)];
                    // An offset of what was deleted is none.
                    if (is_before || part.owner == Some(*member)) && *upto >= part.deleted {
                        part.committed = Some(*upto);
                    }
                }
                Event::Told(Told::Answered {
                    member,
                    message,
                    count,
                    answer: answer @ (Answer::Ack | Answer::Nak(_)),
                }) if *answer == Answer::Ack || self.retries.is_some() => {
                    let partition = self.partitions[message.0 as usize];
                    let before = self.messages(history, partition).iter().filter(|other| *other <= message).count();
                    let retried = group.retry.of(*message, *count);
                    if self.in_transactions && group.is_fenced(history, step, partition, (*message, *count, before)) {
                        continue;
                    }
                    if let (Answer::Nak(_), Some((attempts, delay))) = (answer, self.retries) {
                        let attempt = retried.map_or(1, |place| group.retry.records[place].1);
                        // It is in the next topic whoever has the partition by now.
                        if attempt < attempts {
                            group.retry.records.push((*message, attempt + 1, happened.ms + delay));
                            published[many - 1] += 1;
                        } else {
                            group.retry.over.push(*message);
                        }
                    }
                    let (place, before) =
                        retried.map_or((usize::from(partition), before), |place| (many - 1, place + 1));
                    let part = &mut group.parts[place];
                    if part.owner == Some(*member) && before as u32 >= part.deleted {
                        part.committed = Some(before as u32);
                    }
                }
                Event::Did(Choice::Expire(_)) => group.retry.ended += 1,
                Event::Did(Choice::GiveUp(message)) => {
                    let place = group.retry.over.iter().position(|other| other == message);
                    group.retry.over.remove(place.expect("it was tried too often"));
                }
                Event::Told(Told::Sought(member, partition, to)) => {
                    let part = &mut group.parts[usize::from(partition.0)];
                    if part.owner == Some(*member) {
                        part.next = *to;
                        part.in_range(published[usize::from(partition.0)], from_the_end == Some(true));
                    }
                }
                Event::Did(Choice::Move(partition, member)) => {
                    let part = &mut group.parts[usize::from(partition.0)];
                    if !(self.goes_on && part.owner == Some(*member)) {
                        // Whoever has a retry topic commits where it begins, once and for all.
                        if self.retries.is_some() && from_the_end == Some(true) && part.committed.is_none() {
                            part.committed = Some(published[usize::from(partition.0)]);
                        }
                        if from_the_end == Some(true) {
                            part.begin = published[usize::from(partition.0)];
                        }
                        part.next = part.done();
                        part.in_range(published[usize::from(partition.0)], from_the_end == Some(true));
                    }
                    (part.owner, part.given) = (Some(*member), step);
                }
                Event::Did(Choice::AutoCommit(member)) => {
                    let its = group.parts.iter_mut().filter(|part| part.owner == Some(*member));
                    its.for_each(|part| part.committed = Some(part.next));
                }
                _ => {}
            }
            if let Some(gone) = gone {
                group.members.retain(|(other, _)| *other != gone);
                group.parts.iter_mut().filter(|part| part.owner == Some(gone)).for_each(|part| part.owner = None);
                group.changed = step;
            }
            for sent in &happened.sent {
                let partition = self.partitions[sent.message.0 as usize];
                let all = self.messages(history, partition);
                let before = all.iter().filter(|other| **other <= sent.message).count();
                let own = &group.parts[usize::from(partition)];
                // What both could send is of its own partition.
                let is_own = || {
                    let there = self.there(&History { steps: history.steps[..step].to_vec() }, partition);
                    self.next(own, &there) == Some((sent.message, sent.member))
                };
                if self.retries.is_some() && !is_own() {
                    let part = &mut group.parts[many - 1];
                    group.retry.sent.push((sent.message, sent.count, part.next as usize));
                    part.next += 1;
                } else {
                    group.parts[usize::from(partition)].next = before as u32;
                }
            }
        }
        group
    }
}

impl Page for Offsets {
    fn may(&self, history: &History) -> BTreeSet<Choice> {
        let Group { parts, members, changed, retry } = self.group(history);
        let mut may = BTreeSet::new();
        for (member, silent) in &members {
            if silent.is_some_and(|since| since + self.session <= history.ms()) {
                may.insert(Choice::Evict(*member));
            }
            let is_ahead = |part: &Part| part.owner == Some(*member) && part.next > part.done();
            if self.commits_by_itself && silent.is_none() && parts.iter().any(is_ahead) {
                may.insert(Choice::AutoCommit(*member));
            }
        }
        for (partition, part) in (0..).zip(&parts) {
            let anybody = !members.is_empty() || changed > 0;
            if anybody && part.given <= changed {
                may.extend(members.iter().map(|(member, _)| Choice::Move(PartitionId(partition), *member)));
            }
            let mut there = self.there(history, partition);
            if partition == self.many {
                let records = (0..).zip(&retry.records[..retry.ended]);
                there.extend(records.map(|(place, (message, ..))| (place, *message)));
            }
            may.extend(self.next(part, &there).map(|(message, owner)| Choice::Send(message, owner)));
        }
        // Each record holds up those behind it.
        may.extend(
            retry
                .records
                .get(retry.ended)
                .filter(|(.., due)| *due <= history.ms())
                .map(|(message, ..)| Choice::Expire(*message)),
        );
        may.extend(retry.over.iter().map(|message| Choice::GiveUp(*message)));
        may
    }
}

/// The pages, by name.
fn pages() -> Vec<(&'static str, Offsets)> {
    let plain = Offsets {
        partitions: Vec::new(),
        many: 1,
        window: u32::MAX,
        session: 45 * SECOND,
        commits_by_itself: false,
        goes_on: false,
        begins_at_the_end: true,
        retries: None,
        in_transactions: false,
    };
    vec![
        (
            "jetstream-ordered",
            Offsets { session: 5 * SECOND, commits_by_itself: true, begins_at_the_end: false, ..plain.clone() },
        ),
        ("kafka", plain.clone()),
        ("kafka-auto-commit", Offsets { commits_by_itself: true, ..plain.clone() }),
        ("kafka-cooperative", Offsets { goes_on: true, ..plain.clone() }),
        ("kafka-transactions", Offsets { in_transactions: true, ..plain.clone() }),
        ("kafka-retry-topics", Offsets { retries: Some((3, SECOND)), ..plain }),
    ]
}

/// Walks over a world under each profile, with these partitions of the messages, from the first message and from the
/// end.
fn each(about: &str, settings: &[(&str, &str)], partitions: &[u16], mut world: World) {
    for (entry, partition) in world.entries.iter_mut().zip(partitions) {
        entry.partition = PartitionId(*partition);
    }
    let many = partitions.iter().max().map_or(1, |last| last + 1);
    let window = if settings.is_empty() { u32::MAX } else { 1 };
    let partitioned = many.to_string();
    for ((name, page), start) in
        pages().into_iter().flat_map(|page| ["earliest", "new"].map(|start| (page.clone(), start)))
    {
        let (from, at_the_end) = (format!("\"{start}\""), start == "new");
        let own = [("partitions", partitioned.as_str()), ("session", "\"1s\""), ("start", from.as_str())];
        let profile = with(name, &[&own, settings].concat());
        let partitions = partitions.to_vec();
        let page = Offsets { partitions, many, window, session: SECOND, begins_at_the_end: at_the_end, ..page };
        // One more partition moves in more ways.
        let steps = if page.retries.is_some() { world.steps - 1 } else { world.steps };
        let walked = walk(&profile, &page, about, &World { steps, ..world.clone() });
        // At the end there may be nothing that comes.
        assert!(walked.all > if at_the_end { 0 } else { 3 }, "{name}, {about}, {start}: {walked:?}");
    }
}

/// The bare number of steps keeps a world small that goes on for long.
fn steps(steps: usize, world: World) -> World {
    World { steps: world.first.len() + steps, ..world }
}

#[test]
fn without_faults_a_partition_comes_in_order_to_whoever_has_it() {
    each("one member", &[], &[0, 0, 0, 0], steps(9, World { in_order: true, ..World::of(1, 4) }));
    each("two members", &[], &[0, 1, 0], steps(7, World { in_order: true, ..World::of(2, 3) }));
    each("a window of one", &[("window", "1")], &[0, 0, 0], steps(9, World { in_order: true, ..World::of(1, 3) }));
}

#[test]
fn after_a_change_of_members_a_partition_goes_on_where_the_page_says() {
    let joins = |messages| World { joins: 1, in_order: true, ..World::of(1, messages) };
    each("a second member joins", &[], &[0, 0], steps(8, joins(2)));
    each("a second member joins, two partitions", &[], &[0, 1], steps(7, joins(2)));
    for how in [How::Close, How::Cancel, How::Reconnect] {
        each(
            &format!("{how:?}"),
            &[],
            &[0, 0],
            steps(7, World { leaves: vec![(how, 1)], joins: 1, in_order: true, ..World::of(2, 2) }),
        );
    }
}

#[test]
fn one_that_crashed_is_a_member_until_its_session_ends() {
    each(
        "a crash",
        &[],
        &[0, 0],
        steps(8, World { leaves: vec![(How::Crash, 1)], seconds: 1, in_order: true, ..World::of(2, 2) }),
    );
    each(
        "a crash and back",
        &[],
        &[0, 0],
        steps(8, World { leaves: vec![(How::Crash, 1)], joins: 1, seconds: 1, in_order: true, ..World::of(1, 2) }),
    );
}

#[test]
fn a_commit_is_for_all_before_it_and_only_of_the_owner() {
    each("commits", &[], &[0, 0], steps(7, World { commits: 1, joins: 1, in_order: true, ..World::of(1, 2) }));
    each("commits of two", &[], &[0, 0], steps(6, World { commits: 2, ..World::of(2, 2) }));
    each("goes on elsewhere", &[], &[0, 0], steps(7, World { seeks: 1, in_order: true, ..World::of(1, 2) }));
}

#[test]
fn a_group_begins_where_the_page_and_the_first_member_say() {
    for start in [Start::New, Start::Earliest] {
        let first = vec![Told::Published(MessageId(0)), Told::Joined(A, start)];
        let world = World { first, joins: 1, in_order: true, ..World::of(1, 3) };
        each("the start", &[], &[0, 0, 0], steps(8, world));
    }
    let first = vec![Told::Published(MessageId(0)), Told::Joined(B, Start::Earliest), Told::Published(MessageId(1))];
    for (name, page) in pages() {
        let page = Offsets { partitions: vec![0, 0], begins_at_the_end: false, ..page };
        let profile = with(name, &[("start", "\"earliest\"")]);
        walk(&profile, &page, "from the first message", &steps(7, World { first: first.clone(), ..World::of(1, 2) }));
    }
}

#[test]
fn what_is_not_in_the_log_any_more_is_passed_over_and_an_offset_of_what_was_deleted_is_none() {
    let of_one_key = |mut world: World| {
        world.entries.iter_mut().for_each(|entry| entry.key = KeyId(0));
        World { in_order: true, ..world }
    };
    let compacted = |compactions, world| of_one_key(World { compactions, ..world });
    each("compacted", &[], &[0, 0, 0], steps(7, compacted(2, World::of(1, 3))));
    each("compacted, a window of one", &[("window", "1")], &[0, 0, 0], steps(7, compacted(1, World::of(1, 3))));
    each("compacted, two partitions", &[], &[0, 1, 0], steps(6, compacted(1, World::of(1, 3))));
    each("compacted and back", &[], &[0, 0, 0], steps(6, World { seeks: 1, ..compacted(1, World::of(1, 3)) }));
    each("compacted, another joins", &[], &[0, 0], steps(7, World { joins: 1, ..compacted(1, World::of(1, 2)) }));
    let expired = |expirations, world| of_one_key(World { expirations, ..world });
    each("deleted", &[], &[0, 0, 0], steps(7, expired(1, World::of(1, 3))));
    each("deleted twice", &[], &[0, 0, 0], steps(6, expired(2, World::of(1, 2).and_one_later())));
    each("deleted, a window of one", &[("window", "1")], &[0, 0, 0], steps(7, expired(1, World::of(1, 3))));
    each("deleted and back", &[], &[0, 0], steps(7, World { seeks: 1, ..expired(1, World::of(1, 2)) }));
    each("deleted and committed", &[], &[0, 0], steps(6, World { commits: 1, ..expired(1, World::of(1, 2)) }));
    each("deleted, another joins", &[], &[0, 0], steps(7, World { joins: 1, ..expired(1, World::of(1, 2)) }));
    for how in [How::Close, How::Reconnect] {
        let world = World { leaves: vec![(how, 1)], ..expired(1, World::of(2, 2)) };
        each(&format!("deleted, {how:?}"), &[], &[0, 0], steps(6, world));
    }
    let both = World { expirations: 1, ..compacted(1, World::of(1, 3)) };
    each("compacted and deleted", &[], &[0, 0, 0], steps(6, both));
}

/// Walks over a world in which members fail, with a retry topic, after which so many attempts are made in all.
fn retried(about: &str, attempts: u16, partitions: &[u16], mut world: World, settings: &[(&str, &str)]) {
    for (entry, partition) in world.entries.iter_mut().zip(partitions) {
        entry.partition = PartitionId(*partition);
    }
    let many = partitions.iter().max().map_or(1, |last| last + 1);
    for start in ["earliest", "new"] {
        let (from, at_the_end) = (format!("\"{start}\""), start == "new");
        let retries = format!("{{\"attempts\": {attempts}, \"delay\": \"1s\"}}");
        let many_in_words = many.to_string();
        let own =
            [("partitions", many_in_words.as_str()), ("session", "\"1s\""), ("start", &from), ("retries", &retries)];
        let profile = with("kafka-retry-topics", &[&own, settings].concat());
        let (_, page) = pages().pop().expect("the last one has a retry topic");
        let window = if settings.is_empty() { u32::MAX } else { 1 };
        let retries = Some((attempts, SECOND));
        let partitions = partitions.to_vec();
        let page =
            Offsets { partitions, many, window, session: SECOND, begins_at_the_end: at_the_end, retries, ..page };
        // The messages come in any case, and nobody has an offset in the retry topic.
        let offsets = (0..many).map(|partition| Told::Committed(A, PartitionId(partition), 0));
        let first: Vec<Told> = offsets.chain(world.first.iter().cloned()).collect();
        let steps = world.steps + usize::from(many);
        let walked = walk(&profile, &page, about, &World { first, steps, ..world.clone() });
        assert!(walked.all > 100, "{about}, {start}: {walked:?}");
    }
}

#[test]
fn what_fails_is_tried_again_from_the_retry_topic_while_its_partition_goes_on() {
    let failing = |naks, world| World { answers: vec![(Answer::Nak(None), naks)], in_order: true, ..world };
    let world = |naks, seconds, messages| World { seconds, ..failing(naks, World::of(1, messages)) };
    retried("one fails", 2, &[0, 0], steps(9, world(1, 1, 2)), &[]);
    retried("two fail", 2, &[0, 0], steps(8, world(2, 1, 2)), &[]);
    retried("one fails for good", 2, &[0], steps(12, world(2, 2, 1)), &[]);
    retried("one fails three times", 3, &[0], steps(13, world(3, 2, 1)), &[]);
    retried("one is not tried again", 1, &[0, 0], steps(8, world(2, 0, 2)), &[]);
    retried("one fails, a window of one", 2, &[0, 0], steps(9, world(2, 1, 2)), &[("window", "1")]);
    retried("one fails, two partitions", 2, &[0, 1], steps(8, world(1, 1, 2)), &[]);
}

#[test]
fn what_failed_is_in_the_retry_topic_whatever_becomes_of_its_member() {
    let failing = |world: World| World { answers: vec![(Answer::Nak(None), 1)], in_order: true, seconds: 1, ..world };
    for how in [How::Close, How::Crash, How::Reconnect] {
        let world = failing(World { leaves: vec![(how, 1)], joins: 1, ..World::of(1, 1) });
        let most = if how == How::Reconnect { 7 } else { 8 };
        retried(&format!("one fails, {how:?}"), 2, &[0], steps(most, world), &[]);
    }
    // The one that lost the partition fails as well, and its commit is refused.
    let world = World { joins: 1, answers: vec![(Answer::Nak(None), 2)], ..World::of(1, 1) };
    retried("two members fail", 2, &[0], steps(9, World { seconds: 1, ..world }), &[]);
}

#[test]
#[ignore = "takes a minute in a release build: .ci/run calls it"]
fn two_members_and_four_messages_of_one_or_two_partitions_get_what_the_page_says_after_any_one_fault() {
    for partitions in [[0, 0, 0, 0], [0, 1, 0, 1]] {
        for how in [How::Close, How::Crash, How::Cancel, How::Reconnect] {
            let world = World { leaves: vec![(how, 1)], joins: 1, seconds: 1, ..World::of(2, 4).large() };
            each(&format!("large, {how:?}"), &[], &partitions, steps(8, world));
        }
    }
}
