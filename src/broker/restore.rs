//! How a broker becomes what another one is, where it is known what both have in common.

use super::Broker;
use super::queue::Route;
use crate::event::Event;

impl<E: Event> Broker<E> {
    /// Becomes a copy of the broker of another world of the same simulation, whose log begins with
    /// the same `shared` messages; returns how many messages stayed where they were. What became
    /// ready since it was last asked is not copied.
    pub(crate) fn restore(&mut self, source: &Broker<E>, shared: usize) -> usize {
        let Broker { profile: _, has_shared: _, at_once: _, fresh: _, routes, groups, log, entries, .. } = source;
        let Broker { deliveries, ready, waiting, dead, futile_for, open, .. } = source;
        // Only subjects nobody listens to come in a run, one behind the other.
        if !routes_of(&self.routes).eq(routes_of(routes)) {
            self.routes.clone_from(routes);
        }
        self.groups.iter_mut().zip(groups).for_each(|(group, source)| group.restore(source));
        let kept = self.log.restore(log, shared);
        self.entries.clone_from(entries);
        self.deliveries.clone_from(deliveries);
        self.ready.clone_from(ready);
        self.fresh.clear();
        self.waiting.clone_from(waiting);
        self.dead.clone_from(dead);
        if self.futile_for != *futile_for {
            self.futile_for.clone_from(futile_for);
        }
        self.open = *open;
        kept
    }
}

fn routes_of(routes: &[Route]) -> impl Iterator<Item = u64> + '_ {
    routes.iter().map(|route| route.subject.hash())
}
