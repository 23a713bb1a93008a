//! The names of a command's later attempts: its label with a number behind it.
//!
//! The number is part of the label, so that a label which happens to end in one stays what it was.

use super::CommandSpec;

impl CommandSpec {
    /// The same at its first attempt, if the label ends as that of a later one does. A label may end so
    /// by itself, too: `order #12`.
    #[must_use]
    pub fn at_first_attempt(&self) -> Option<CommandSpec> {
        let (label, _) = split_attempt(&self.label)?;
        Some(CommandSpec { label: label.to_owned(), ..self.clone() })
    }

    /// Whether it names this command, whichever of its attempts.
    pub(crate) fn is_attempt_of(&self, command: &CommandSpec) -> bool {
        self == command || self.at_first_attempt().as_ref() == Some(command)
    }
}

/// Between a command's label and the number of a later attempt.
const ATTEMPT: &str = " #";

/// The label of an attempt of a command, from 1.
pub(crate) fn attempt_label(label: String, attempt: u16) -> String {
    if attempt <= 1 { label } else { format!("{label}{ATTEMPT}{attempt}") }
}

/// Splits the number of a later attempt off the end of a label.
pub(crate) fn split_attempt(label: &str) -> Option<(&str, u16)> {
    let (rest, number) = label.rsplit_once(ATTEMPT)?;
    let attempt: u16 = number.parse().ok()?;
    (attempt > 1 && attempt.to_string() == number && !rest.is_empty()).then_some((rest, attempt))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> CommandSpec {
        text.parse().expect("a command")
    }

    #[test]
    fn a_later_attempt_is_named_by_its_label_and_reads_back() {
        let (first, second) = (named("ann: order t1 as o1/2"), named("ann: order t1 as o1 #2/2"));
        assert_eq!(second.label, attempt_label("order t1 as o1".to_owned(), 2));
        assert_eq!((second.nth, second.to_string()), (2, "ann: order t1 as o1 #2/2".to_owned()));
        assert_eq!(second.at_first_attempt(), Some(first.clone()));
        assert!(second.is_attempt_of(&first) && first.is_attempt_of(&first) && !first.is_attempt_of(&second));
        assert_ne!(second.key(), first.key());
    }

    #[test]
    fn what_is_no_number_of_a_later_attempt_belongs_to_the_label() {
        for label in ["order", "order #1", "order #02", "order #x", "order#2", " #2", "order #99999"] {
            let command = CommandSpec { client: "ann".to_owned(), label: label.to_owned(), nth: 1 };
            assert_eq!(command.at_first_attempt(), None, "{label}");
        }
    }
}
