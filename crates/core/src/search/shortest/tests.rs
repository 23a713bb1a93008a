//! What the search relies on: nodes with one key go on in one way and are judged in one way.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::erratic::{Erratic, NAMES, Row, Temper, drawn};
use crate::ids::RecordId;
use crate::prng::{Prng, Stream};
use crate::property::{View, Watch};

/// How many nodes of each setting are looked at.
const LOOKS: u32 = 1_000;

/// Of which kind a claim about rows is, and of which rows it says something.
enum Claim {
    /// No row of this value is saved.
    NeverSaved(u32),
    /// What keeps copies saves none that differs from the owner's.
    SavedAsOwned,
    /// At rest a service's copies are the owner's rows.
    Converged,
    /// At rest no row has this value.
    NeverAtRest(u32),
}

/// A claim, by name.
struct Named(&'static str, Claim);

impl Property<Erratic> for Named {
    fn name(&self) -> &str {
        self.0
    }

    fn watches(&self) -> Watch {
        match self.1 {
            Claim::NeverSaved(_) | Claim::SavedAsOwned => Watch::SAVES,
            Claim::Converged | Claim::NeverAtRest(_) => Watch::NOTHING,
        }
    }

    fn on_step(&self, view: &View<'_, Erratic>) -> Result<(), Violation> {
        let owned = |id: RecordId| view.store_of(NAMES[0]).find::<Row>(id).map(|row| row.value.0);
        let is_wrong = |id: RecordId, value: u32| match self.1 {
            Claim::NeverSaved(never) => value == never,
            Claim::SavedAsOwned => owned(id) != Some(value),
            Claim::Converged | Claim::NeverAtRest(_) => false,
        };
        let wrong = view.changes::<Row>().find(|change| change.after.is_some_and(|row| is_wrong(change.id, row.0)));
        wrong.map_or(Ok(()), |change| Err(Violation::at(view.service()).of(change.id)))
    }

    fn at_quiescence(&self, moment: &Moment<'_, Erratic>) -> Result<(), Violation> {
        let value = |name: &str, id: RecordId| moment.store_of(name).find::<Row>(id).map(|row| row.value.0);
        for (name, number) in NAMES.into_iter().flat_map(|name| (1..=3).map(move |number| (name, number))) {
            let id = RecordId::new('r', number);
            let is_wrong = match self.1 {
                Claim::Converged => value(name, id) != value(NAMES[0], id),
                Claim::NeverAtRest(never) => value(name, id) == Some(never),
                Claim::NeverSaved(_) | Claim::SavedAsOwned => false,
            };
            if is_wrong {
                return Err(Violation::at(name).of(id));
            }
        }
        Ok(())
    }
}

/// Those that some rows break, and then those that none can: rows have values below 4.
fn properties() -> Vec<Box<dyn Property<Erratic>>> {
    let claims = [
        Named("NoThreeIsSaved", Claim::NeverSaved(3)),
        Named("SavedAsOwned", Claim::SavedAsOwned),
        Named("Converged", Claim::Converged),
        Named("NoTwoAtRest", Claim::NeverAtRest(2)),
        Named("NoFourIsSaved", Claim::NeverSaved(4)),
        Named("NoFourAtRest", Claim::NeverAtRest(4)),
    ];
    let claims = claims.map(|claim| -> Box<dyn Property<Erratic>> { Box::new(claim) });
    [Box::new(NoPoison) as Box<dyn Property<Erratic>>].into_iter().chain(claims).collect()
}

/// Where a node leads and what is broken there: keys, properties and costs.
#[derive(Debug, PartialEq, Eq)]
struct Outlook {
    leads_to: BTreeSet<(Cost, u64)>,
    breaks: Vec<Option<Cost>>,
}

/// Looks at a node alone. Returns the outlook and the nodes it leads to.
fn outlook(shortest: &Shortest<'_, Erratic>, node: &mut Node<Erratic>) -> (Outlook, Vec<Node<Erratic>>) {
    let mut search = Search::new(shortest);
    search.expand(node);
    let breaks = search.best.iter().map(|best| match best {
        Best::Candidate(cost, ..) => Some(*cost),
        Best::None | Best::Final => None,
    });
    let breaks = breaks.collect();
    let next: Vec<Node<Erratic>> = search.frontier.into_values().flatten().collect();
    (Outlook { leads_to: next.iter().map(|node| (node.cost, node.key)).collect(), breaks }, next)
}

/// What was met by another way.
#[derive(Debug, Default)]
struct Met {
    /// How many nodes.
    again: u32,
    /// For each property, how many nodes that break it.
    breaks: [u32; 7],
}

/// Looks at so many nodes, in random order, each by up to three ways to it, and counts those that were known
/// by another way.
fn meet_again(shortest: &Shortest<'_, Erratic>, looks: u32, about: &str, met: &mut Met) {
    let mut known: BTreeMap<u64, (Outlook, Vec<u64>)> = BTreeMap::new();
    let mut prng = Prng::new(7, Stream::Workload);
    let mut open = vec![Search::new(shortest).first()];
    for _ in 0..looks {
        if open.is_empty() {
            break;
        }
        let mut node = open.swap_remove(prng.below(open.len() as u32) as usize);
        node.cost = Cost::NOTHING;
        let way = node.world.fingerprint();
        let ways = known.get(&node.key).map_or(&[] as &[u64], |(_, ways)| ways);
        if ways.len() == 3 || ways.contains(&way) {
            continue;
        }
        let (found, next) = outlook(shortest, &mut node);
        open.extend(next);
        match known.get_mut(&node.key) {
            Some((before, ways)) => {
                assert_eq!(*before, found, "{about}: {:?}", node.world);
                ways.push(way);
                met.again += 1;
                for (place, cost) in found.breaks.iter().enumerate() {
                    met.breaks[place] += u32::from(cost.is_some());
                }
            }
            None => {
                known.insert(node.key, (found, vec![way]));
            }
        }
    }
}

#[test]
fn nodes_with_one_key_lead_to_the_same_nodes_at_the_same_costs_and_break_the_same_properties() {
    let judges = Judges::new(properties());
    let mut met = Met::default();
    for order in [DeliveryOrder::Lockstep, DeliveryOrder::PerSubject, DeliveryOrder::Any] {
        for seed in 0..12 {
            let simulation = drawn(Temper::STEADY, order.profile(), seed).build().expect("the parts fit");
            let bounds = ShortestBounds { lost_acks: 1, crashes: 1, pauses: 2, ..ShortestBounds::of(order) };
            let shortest = Shortest::new(&simulation, &judges).with_bounds(bounds).with_states_max(0);
            meet_again(&shortest, LOOKS, &format!("{order:?}, seed {seed}"), &mut met);
        }
    }
    let (broken, held) = met.breaks.split_at(5);
    assert!(met.again > 2_000, "few nodes were met again by another way: {met:?}");
    assert!(broken.iter().all(|times| *times > 10) && *held == [0, 0], "too little is broken, or too much: {met:?}");
}
