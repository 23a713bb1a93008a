//! A list with an undo log.

use std::fmt;
use std::mem;
use std::ops::{Deref, Index, IndexMut};

use crate::store::heap_bytes_of;

/// A list with an undo log: once it is marked, an element is kept before it is overwritten.
///
/// It only grows, but for what is undone.
pub(super) struct Undoable<T> {
    list: Vec<T>,
    /// Whether elements are kept. No run needs that.
    is_marked: bool,
    /// Elements as they were, each with its place; those behind `used` are there for their memory.
    kept: Vec<(usize, T)>,
    used: usize,
    /// The last mark.
    last: ListMark,
}

/// A moment of a list to go back to: how long it and its log were.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ListMark {
    len: usize,
    used: usize,
}

impl<T> Default for Undoable<T> {
    fn default() -> Undoable<T> {
        Undoable::from(Vec::new())
    }
}

impl<T> From<Vec<T>> for Undoable<T> {
    fn from(list: Vec<T>) -> Undoable<T> {
        Undoable { list, is_marked: false, kept: Vec::new(), used: 0, last: ListMark::default() }
    }
}

impl<T: Clone> Undoable<T> {
    /// Marks this moment.
    pub(super) fn mark(&mut self) -> ListMark {
        self.is_marked = true;
        self.last = ListMark { len: self.list.len(), used: self.used };
        self.last
    }

    /// Goes back to the moment of a mark.
    #[inline]
    pub(super) fn rewind(&mut self, mark: ListMark) {
        while self.used > mark.used {
            self.used -= 1;
            let (place, before) = &mut self.kept[self.used];
            mem::swap(&mut self.list[*place], before);
        }
        self.list.truncate(mark.len);
        self.last = mark;
    }

    /// Forgets all marks.
    pub(super) fn unmark(&mut self) {
        (self.is_marked, self.used, self.last) = (false, 0, ListMark::default());
    }

    /// Appends an element.
    #[inline(always)]
    pub(super) fn push(&mut self, element: T) {
        self.list.push(element);
    }

    /// Empties it, and forgets all marks.
    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.unmark();
    }

    /// An element, to be changed in a way that going back need not undo, or that was kept.
    #[inline(always)]
    pub(super) fn unkept(&mut self, place: usize) -> &mut T {
        &mut self.list[place]
    }

    /// Keeps an element that is going to be changed, if the list is marked.
    #[inline]
    pub(super) fn keep_if_marked(&mut self, place: usize) {
        if self.is_marked {
            self.keep(place);
        }
    }

    pub(super) fn iter_mut_unmarked(&mut self) -> impl Iterator<Item = &mut T> {
        debug_assert!(!self.is_marked, "what was marked is overwritten element by element");
        self.list.iter_mut()
    }

    /// What the list and its log have taken of the heap, in bytes.
    pub(super) fn heap_bytes(&self) -> u64 {
        heap_bytes_of(&self.list) + heap_bytes_of(&self.kept)
    }

    #[cold]
    fn keep(&mut self, place: usize) {
        // A step changes few, each of them several times in a row. What is kept twice goes back twice.
        let kept = &self.kept[self.last.used..self.used];
        if place >= self.last.len || kept.iter().rev().take(4).any(|(known, _)| *known == place) {
            return;
        }
        match self.kept.get_mut(self.used) {
            None => self.kept.push((place, self.list[place].clone())),
            Some((at, before)) => {
                *at = place;
                before.clone_from(&self.list[place]);
            }
        }
        self.used += 1;
    }
}

impl<T> Deref for Undoable<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        &self.list
    }
}

impl<T> Index<usize> for Undoable<T> {
    type Output = T;

    #[inline(always)]
    fn index(&self, place: usize) -> &T {
        &self.list[place]
    }
}

impl<T: Clone> IndexMut<usize> for Undoable<T> {
    #[inline(always)]
    fn index_mut(&mut self, place: usize) -> &mut T {
        self.keep_if_marked(place);
        &mut self.list[place]
    }
}

/// The copy has no marks.
impl<T: Clone> Clone for Undoable<T> {
    fn clone(&self) -> Undoable<T> {
        Undoable::from(self.list.clone())
    }

    fn clone_from(&mut self, source: &Undoable<T>) {
        self.list.clone_from(&source.list);
        self.unmark();
    }
}

/// Its log says nothing about the run.
impl<T: fmt::Debug> fmt::Debug for Undoable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.list.fmt(f)
    }
}
