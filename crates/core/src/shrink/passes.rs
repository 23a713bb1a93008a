//! The passes: what is left out, in which order.

use super::case::Case;
use super::shrinker::Shrinker;
use crate::event::System;
use crate::hash;
use crate::schedule::{Departure, Target};

/// Of more commands than this, no two are left out at once, nor are two handlers tried first.
const PAIRED_MAX: usize = 12;

impl<S: System> Shrinker<'_, '_, S> {
    /// Leaves out departures and commands until nothing more can go.
    pub(super) fn leave_out(&mut self) {
        if self.case.commands.len() <= PAIRED_MAX {
            self.two_overlap();
        }
        loop {
            let before = hash::of(&self.case);
            self.departures();
            self.clients();
            self.commands();
            self.simplify();
            self.single();
            if hash::of(&self.case) == before {
                self.take_find();
            }
            // Of many departures there are many pairs, so they had better be few first.
            let passes = match self.case.departures.len() {
                0..3 => [Self::pairs, Self::replace_departures],
                _ => [Self::replace_departures, Self::pairs],
            };
            for pass in passes {
                if hash::of(&self.case) == before {
                    pass(self);
                }
            }
            if hash::of(&self.case) == before {
                break;
            }
        }
    }

    /// Departures: all, then in halves, quarters, … from the end, then one by one.
    fn departures(&mut self) {
        let mut size = self.case.departures.len();
        while size > 0 && !self.is_spent() {
            let (mut end, before) = (self.case.departures.len(), self.case.departures.len());
            while end > 0 && !self.is_spent() {
                let begin = end.saturating_sub(size);
                self.take(self.case.without_departures(begin..end));
                end = begin.min(self.case.departures.len());
            }
            let left = self.case.departures.len();
            if size == 1 && left == before {
                break;
            }
            size = if size == 1 { 1 } else { (size / 2).min(left).max(usize::from(left > 0)) };
        }
    }

    /// Whole clients, the last first; several at once where there are many.
    pub(super) fn clients(&mut self) {
        let clients = self.simulation.clients();
        let mut size = (clients / 2).max(1);
        while size > 0 && !self.is_spent() {
            let mut end = clients;
            while end > 0 && !self.is_spent() {
                let begin = end.saturating_sub(size);
                let mut case = self.case.clone();
                case.commands.retain(|index| !(begin..end).contains(&index.client));
                if case.commands != self.case.commands && !self.take(case.clone()) {
                    self.take(case.forgetting(&self.simulation));
                }
                end = begin;
            }
            size /= 2;
        }
    }

    /// Commands one by one, the last first; in larger pieces where there are many.
    pub(super) fn commands(&mut self) {
        let mut size = (self.case.commands.len() / 4).max(1);
        while size > 0 && !self.is_spent() {
            let mut end = self.case.commands.len();
            while end > 0 && !self.is_spent() {
                let begin = end.saturating_sub(size);
                let left_out = self.case.commands[begin..end].to_vec();
                let case = self.case.without_commands(&left_out);
                if !self.take(case.clone()) {
                    self.take(case.forgetting(&self.simulation));
                }
                end = begin;
            }
            size /= 2;
        }
    }

    /// Of several departures, one alone that lasts until quiescence, which may also be about the first
    /// attempt of what was redelivered.
    fn single(&mut self) {
        if self.case.departures.len() < 2 || self.is_spent() {
            return;
        }
        for place in 0..self.case.departures.len() {
            let departure = self.case.departures[place].clone().ended_by(None);
            let mut alone = vec![departure.clone()];
            for target in [Some(departure.what()), self.case.departures[place].until().cloned()].into_iter().flatten() {
                if let Target::Delivery(mut delivery) = target {
                    delivery.attempt = 1;
                    alone.push(Departure::Hold { what: Target::Delivery(delivery), until: None });
                }
            }
            for departure in alone {
                let case = Case { departures: vec![departure], ..self.case.clone() };
                if self.take(case) {
                    return;
                }
            }
        }
    }

    /// Two commands at once: one may undo what the other does. And a command with a departure, and a
    /// departure with what another one waits for.
    fn pairs(&mut self) {
        let commands = self.case.commands.clone();
        if commands.len() > PAIRED_MAX || self.is_spent() {
            return;
        }
        let pairs = (0..commands.len()).rev().flat_map(|one| (0..one).map(move |other| (other, one)));
        let pairs: Vec<_> = pairs.map(|(other, one)| [commands[other], commands[one]]).collect();
        let _went = pairs.iter().any(|pair| self.take(self.case.without_commands(pair)))
            || commands.iter().any(|command| {
                let case = self.case.without_commands(&[*command]);
                (0..case.departures.len()).any(|place| self.take(case.without_departures(place..place + 1)))
            })
            || (0..self.case.departures.len()).any(|place| {
                let case = self.case.without_departures(place..place + 1);
                (0..case.departures.len()).any(|other| {
                    let mut case = case.clone();
                    case.departures[other] = case.departures[other].clone().ended_by(None);
                    self.take(case)
                })
            });
    }

    /// What lasts until something happened is simpler to read if quiescence will do.
    fn simplify(&mut self) {
        for place in (0..self.case.departures.len()).rev() {
            let Some(departure) = self.case.departures.get(place).filter(|departure| departure.until().is_some())
            else {
                continue;
            };
            if self.is_spent() {
                return;
            }
            let mut case = self.case.clone();
            case.departures[place] = departure.clone().ended_by(None);
            self.take(case);
        }
    }
}
