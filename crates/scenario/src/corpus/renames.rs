//! Names that were given up: what keeps entries alive over a renaming.

use std::collections::BTreeMap;

use serde::Deserialize;

use pellmell_core::file_error::FileError;

/// Names that were given up, and those that took their place: of subjects, services, designs,
/// defects, properties, clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Renames(BTreeMap<String, String>);

impl Renames {
    /// Reads lines such as `"ticket:changed" = "ticket:updated"`. `file` is the name that errors show.
    ///
    /// # Errors
    /// If the text is something else.
    pub fn parse(file: &str, text: &str) -> Result<Renames, FileError> {
        toml::from_str(text).map_err(|error| {
            let place = FileError::new(file, text, error.span().unwrap_or(0..0), error.message());
            place.help("write a line such as `\"item:changed\" = \"item:updated\"` for each name")
        })
    }

    /// The text with every old name replaced that stands in it as a whole word.
    #[must_use]
    pub fn apply(&self, text: &str) -> String {
        let is_inside = |c: char| c.is_alphanumeric() || matches!(c, ':' | '_' | '-');
        let mut renamed = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(begin) = rest.find(is_inside) {
            let end = rest[begin..].find(|c| !is_inside(c)).map_or(rest.len(), |length| begin + length);
            renamed += &rest[..begin];
            renamed += self.0.get(&rest[begin..end]).map_or(&rest[begin..end], String::as_str);
            rest = &rest[end..];
        }
        renamed + rest
    }
}
