//! Whether something may have changed.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// Something that a search copies back after a step if the step touched it: if anybody had it to
/// change it.
pub(super) struct Touch<T> {
    value: T,
    is_touched: bool,
}

impl<T> Touch<T> {
    pub(super) fn new(value: T) -> Touch<T> {
        Touch { value, is_touched: false }
    }

    /// Whether it may have changed since this was last asked.
    #[inline]
    pub(super) fn take(&mut self) -> bool {
        std::mem::replace(&mut self.is_touched, false)
    }

    /// After both changed places, one of which came from the other by a step: each may differ from the
    /// other one in what that step touched, and this one from a third besides as the other one did.
    pub(super) fn exchange_noted(&mut self, other: &mut Touch<T>) {
        (self.is_touched, other.is_touched) = (self.is_touched | other.is_touched, self.is_touched);
    }
}

impl<T> Deref for Touch<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Touch<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        self.is_touched = true;
        &mut self.value
    }
}

impl<T: Clone> Clone for Touch<T> {
    fn clone(&self) -> Touch<T> {
        Touch { value: self.value.clone(), ..*self }
    }

    fn clone_from(&mut self, source: &Touch<T>) {
        self.value.clone_from(&source.value);
        self.is_touched = source.is_touched;
    }
}

impl<T: fmt::Debug> fmt::Debug for Touch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
