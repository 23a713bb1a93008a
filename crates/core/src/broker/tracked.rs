//! A dirty flag: whether something may have changed.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// A value with a dirty flag, which any mutable access sets: a search copies the value back after a step
/// only if it is dirty.
pub(super) struct Tracked<T> {
    value: T,
    is_dirty: bool,
}

impl<T> Tracked<T> {
    pub(super) fn new(value: T) -> Tracked<T> {
        Tracked { value, is_dirty: false }
    }

    /// Whether it may have changed since this was last asked.
    #[inline]
    pub(super) fn take(&mut self) -> bool {
        std::mem::replace(&mut self.is_dirty, false)
    }

    /// After both changed places, one of which came from the other by a step: each may differ from the
    /// other one in what that step touched, and this one from a third besides as the other one did.
    pub(super) fn swap_noted(&mut self, other: &mut Tracked<T>) {
        (self.is_dirty, other.is_dirty) = (self.is_dirty | other.is_dirty, self.is_dirty);
    }
}

impl<T> Deref for Tracked<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Tracked<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        self.is_dirty = true;
        &mut self.value
    }
}

impl<T: Clone> Clone for Tracked<T> {
    fn clone(&self) -> Tracked<T> {
        Tracked { value: self.value.clone(), ..*self }
    }

    fn clone_from(&mut self, source: &Tracked<T>) {
        self.value.clone_from(&source.value);
        self.is_dirty = source.is_dirty;
    }
}

impl<T: fmt::Debug> fmt::Debug for Tracked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
