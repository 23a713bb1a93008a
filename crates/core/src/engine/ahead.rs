//! What members see later: it says early which of the messages that a broker may send lead nowhere.

use std::collections::BTreeMap;

use super::admit::{Line, Seen, What};
use super::hosts::Front;
use super::link::Link;
use super::told::{MemberId, MessageId, Told};

/// What a line says of a member's inbox.
enum Later {
    /// The first message in it was this one, and so often sent if that is known.
    Sees(MessageId, Option<u16>),
    /// It may have been emptied.
    Leaves,
}

/// The lines about the inbox of a member, and which host wrote them.
struct Lane {
    host: usize,
    /// Each with how many lines the host wrote before it.
    later: Vec<(usize, Later)>,
}

/// What members see later, of those whose lines are all of one host.
pub(super) struct Ahead {
    lanes: BTreeMap<MemberId, Lane>,
}

impl Ahead {
    /// Of lines of which it is said who wrote each. It knows nothing where a line does not say who saw a message.
    pub(super) fn new(lines: &[Line], hosts: &[u16]) -> Ahead {
        let mut lanes: BTreeMap<MemberId, Lane> = BTreeMap::new();
        let (mut written, mut mixed) = (BTreeMap::new(), Vec::new());
        for (place, line) in lines.iter().enumerate() {
            let host = usize::from(hosts.get(place).copied().unwrap_or_default());
            let before: &mut usize = written.entry(host).or_default();
            let (member, later) = match &line.what {
                What::Seen(Seen::Got { member: None, .. } | Seen::GotSome { .. }) => {
                    return Ahead { lanes: BTreeMap::new() };
                }
                What::Seen(Seen::Got { message, member: Some(member), count, .. }) => {
                    (Some(*member), Later::Sees(*message, *count))
                }
                What::Told(Told::Left(member, _)) => (Some(*member), Later::Leaves),
                _ => (None, Later::Leaves),
            };
            if let Some(member) = member {
                let lane = lanes.entry(member).or_insert(Lane { host, later: Vec::new() });
                if lane.host != host {
                    mixed.push(member);
                }
                lane.later.push((*before, later));
            }
            *before += 1;
        }
        lanes.retain(|member, _| !mixed.contains(member));
        Ahead { lanes }
    }

    /// Whether a member has something before it that no line says it sees next.
    pub(super) fn rules_out(&self, front: &Front, state: &Link) -> bool {
        self.lanes.iter().any(|(member, lane)| {
            let taken = front.taken(lane.host);
            let first = lane.later.partition_point(|(before, _)| *before < taken);
            for (sent, (_, later)) in state.inbox(*member).zip(&lane.later[first..]) {
                match later {
                    Later::Leaves => return false,
                    Later::Sees(message, count) => {
                        let is_it = front.logged(*message) == Some(sent.message);
                        if !is_it || count.is_some_and(|count| count != sent.count) {
                            return true;
                        }
                    }
                }
            }
            false
        })
    }
}
