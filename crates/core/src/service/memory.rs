//! What a member of a service keeps in its memory: there until the member crashes.

use std::any::{Any, type_name};
use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::hash::Hash;
use std::sync::Arc;

use crate::hash;
use crate::ids::ServiceIndex;

/// A process of a service.
type Process = (ServiceIndex, u16);

/// The memory of all members that have used any.
#[derive(Debug, Default)]
pub(crate) struct Memories(BTreeMap<Process, Memory>);

impl Clone for Memories {
    fn clone(&self) -> Memories {
        Memories(self.0.clone())
    }

    /// Hardly any service has any.
    #[inline]
    fn clone_from(&mut self, source: &Memories) {
        if !(self.0.is_empty() && source.0.is_empty()) {
            self.0.clone_from(&source.0);
        }
    }
}

impl Memories {
    /// The memory of a member, to be changed. Other worlds may have the same: it is copied when it is
    /// changed.
    pub(crate) fn of_mut<T: Default + Clone + Hash + Debug + Send + Sync + 'static>(
        &mut self,
        member: (ServiceIndex, u16),
    ) -> &mut T {
        let memory = self.0.entry(member).or_insert_with(|| Memory(Arc::new(T::default())));
        if Arc::get_mut(&mut memory.0).is_none() {
            memory.0 = memory.0.copy();
        }
        let value = Arc::get_mut(&mut memory.0).map(Remembered::as_any_mut);
        value.and_then(<dyn Any>::downcast_mut).unwrap_or_else(|| another_type::<T>())
    }

    /// The memory of a member; `None` if it has none, or one of another type.
    pub(crate) fn of<T: 'static>(&self, member: (ServiceIndex, u16)) -> Option<&T> {
        (*self.0.get(&member)?.0).as_any().downcast_ref()
    }

    /// The member crashes.
    pub(crate) fn forget(&mut self, member: (ServiceIndex, u16)) {
        self.0.remove(&member);
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The hash of all of it: 0 where nobody remembers anything.
    #[inline]
    pub(crate) fn digest(&self) -> u64 {
        if self.0.is_empty() { 0 } else { sum(self.0.iter()) }
    }

    /// The hash of what the members of a service remember.
    #[inline]
    pub(crate) fn digest_of(&self, service: ServiceIndex) -> u64 {
        if self.0.is_empty() { 0 } else { sum(self.0.range((service, 0)..=(service, u16::MAX))) }
    }

    /// What it has taken of the heap, in bytes, but for what values hold.
    pub(crate) fn heap_bytes(&self) -> u64 {
        (self.0.len() * 2 * size_of::<(Process, Memory, usize)>()) as u64
    }
}

fn sum<'a>(memories: impl Iterator<Item = (&'a Process, &'a Memory)>) -> u64 {
    let digests = memories.map(|((service, member), memory)| match memory.0.digest() {
        // One that remembers nothing is as after a crash.
        None => 0,
        Some(digest) => hash::mix3(service.0.into(), (*member).into(), digest),
    });
    digests.fold(0, u64::wrapping_add)
}

#[cold]
fn another_type<T>() -> ! {
    panic!("a member has one memory, and that of this one is no `{}`: put both into one type", type_name::<T>())
}

/// A value of the user's.
#[derive(Clone)]
struct Memory(Arc<dyn Remembered>);

impl Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

trait Remembered: Debug + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn copy(&self) -> Arc<dyn Remembered>;
    /// Its hash; nothing if it is as a member begins with it.
    fn digest(&self) -> Option<u64>;
}

impl<T: Default + Clone + Hash + Debug + Send + Sync + 'static> Remembered for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn copy(&self) -> Arc<dyn Remembered> {
        Arc::new(self.clone())
    }

    fn digest(&self) -> Option<u64> {
        let digest = hash::of(self);
        (digest != hash::of(&T::default())).then_some(digest)
    }
}
