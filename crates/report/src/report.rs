//! What came of many runs: a verdict, tables, stories, and the pictures of their counterexamples.

use crate::picture::Picture;

/// How something is to be taken, which its words say too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// It is as it should be.
    Good,
    /// It is not.
    Bad,
    /// It says nothing for sure.
    Unsure,
    /// It matters less.
    Dim,
}

impl Tone {
    /// Its class in a page.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Tone::Plain => "plain",
            Tone::Good => "good",
            Tone::Bad => "bad",
            Tone::Unsure => "unsure",
            Tone::Dim => "dim",
        }
    }
}

/// A word and what is said under it, as `Coverage` and how much was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// How it is to be taken.
    pub tone: Tone,
    /// The word.
    pub word: String,
    /// What is said; steps in it lead to the story's picture, and what is in backticks is code.
    pub text: String,
}

impl Fact {
    /// What is said under a word.
    #[must_use]
    pub fn new(tone: Tone, word: impl Into<String>, text: impl ToString) -> Fact {
        Fact { tone, word: word.into(), text: text.to_string() }
    }
}

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// The page of a counterexample, by its place in [`Report::pages`].
    Page(usize),
    /// A story of the report, by its place among all of them.
    Story(usize),
    /// An address elsewhere; it is a link only if it begins with `https://`.
    Elsewhere(String),
}

/// A cell of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// What stands in it.
    pub text: String,
    /// What a screen reader says instead, if the text is a sign.
    pub spoken: Option<String>,
    /// How it is to be taken.
    pub tone: Tone,
    /// Where it leads.
    pub to: Option<To>,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Cell {
        Cell { text: text.into(), ..Cell::default() }
    }
}

/// A row of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// What it is about.
    pub heading: Cell,
    /// Its cells, one for each column but the first.
    pub cells: Vec<Cell>,
}

/// A table; each row has a heading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// What it shows.
    pub caption: String,
    /// The headings of its columns, that of the row headings first.
    pub columns: Vec<String>,
    /// Its rows.
    pub rows: Vec<Row>,
    /// Whether it is a matrix: cells are signs, and headings stand upright.
    pub is_matrix: bool,
}

/// A way to fail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story {
    /// What fails: `VIOLATED UniqueLocks at orders`.
    pub heading: String,
    /// How it is to be taken.
    pub tone: Tone,
    /// How often, and where it was met first.
    pub often: String,
    /// What is wrong.
    pub detail: String,
    /// How it departs from the calm run, for a story without a picture.
    pub departures: Vec<String>,
    /// What else is known.
    pub facts: Vec<Fact>,
    /// Commands to type, each with the word before it.
    pub commands: Vec<(String, String)>,
    /// Where else it is told, each with its words.
    pub links: Vec<(String, To)>,
    /// The page of its counterexample, by its place in [`Report::pages`]; its departures and its why stand in
    /// the story as well.
    pub page: Option<usize>,
}

/// A part of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A paragraph.
    Text(String),
    /// Facts, one below the other.
    Facts(Vec<Fact>),
    /// A table.
    Table(Table),
    /// A way to fail.
    Story(Box<Story>),
}

impl Part {
    /// Facts, if there are any.
    #[must_use]
    pub fn facts(facts: Vec<Fact>) -> Option<Part> {
        Some(facts).filter(|facts| !facts.is_empty()).map(Part::Facts)
    }

    /// A table, if it has rows.
    #[must_use]
    pub fn table(caption: &str, columns: &[&str], rows: Vec<Row>) -> Option<Part> {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        let table = Table { caption: caption.to_owned(), columns, rows, is_matrix: false };
        Some(table).filter(|table| !table.rows.is_empty()).map(Part::Table)
    }

    /// A story.
    #[must_use]
    pub fn story(story: Story) -> Part {
        Part::Story(Box::new(story))
    }
}

/// A part of a report under a heading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// The heading.
    pub title: String,
    /// What stands there.
    pub parts: Vec<Part>,
}

/// A counterexample with a page of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The name of its file, without the ending.
    pub name: String,
    /// What is drawn.
    pub picture: Picture,
    /// The text of a scenario file that has it, which stands beside the page.
    pub scenario: Option<String>,
}

/// What came of many runs.
///
/// Texts are what verbs have; [`files`](crate::folder::files) makes them harmless and escapes them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What made it, such as `sweep`; the names of its pages begin with it.
    pub verb: &'static str,
    /// What was run: `price-5-10-15 × 100 seeds, 0..100`.
    pub title: String,
    /// By which rules: `design stage1, profile stan`.
    pub place: String,
    /// How its verdict is to be taken.
    pub tone: Tone,
    /// The verdict in a word or two: `FAILED`.
    pub heading: String,
    /// The verdict in figures, a sentence in each.
    pub details: Vec<String>,
    /// Commands to type, each with the word before it.
    pub commands: Vec<(String, String)>,
    /// What is told, in order.
    pub sections: Vec<Section>,
    /// The counterexamples that have pages.
    pub pages: Vec<Page>,
}

impl Report {
    /// Adds a page, which is called after words such as the name of a property, and says its place.
    pub fn add_page(&mut self, words: &str, picture: Picture, scenario: Option<String>) -> usize {
        let name = self.next_page(words);
        self.pages.push(Page { name, picture, scenario });
        self.pages.len() - 1
    }

    /// The name of the page that [`Report::add_page`] adds next for these words, without the ending:
    /// `sweep-1-unique-locks`.
    #[must_use]
    pub fn next_page(&self, words: &str) -> String {
        let name = format!("{}-{}-{}", self.verb, self.pages.len() + 1, slug(words));
        name.trim_end_matches('-').to_owned()
    }

    /// Adds a section, unless there is nothing in it.
    pub fn add_section(&mut self, title: &str, parts: impl IntoIterator<Item = Part>) {
        let parts = Vec::from_iter(parts);
        if !parts.is_empty() {
            self.sections.push(Section { title: title.to_owned(), parts });
        }
    }

    /// The stories, in order.
    pub fn stories(&self) -> impl Iterator<Item = &Story> {
        self.sections.iter().flat_map(|section| &section.parts).filter_map(|part| match part {
            Part::Story(story) => Some(&**story),
            _ => None,
        })
    }
}

/// The most characters of words in the name of a file.
const SLUG_MAX: usize = 40;

/// Words as they may stand in the name of a file everywhere: small letters, digits, and dashes between them.
fn slug(words: &str) -> String {
    let mut slug = String::new();
    let mut is_small_before = false;
    for c in words.chars() {
        let begins = c.is_ascii_uppercase() && is_small_before;
        is_small_before = c.is_ascii_lowercase() || c.is_ascii_digit();
        if (begins || !c.is_ascii_alphanumeric()) && !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        }
        if slug.len() >= SLUG_MAX {
            break;
        }
    }
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_file_has_small_letters_digits_and_dashes_whatever_the_words() {
        assert_eq!(slug("UniqueLocks"), "unique-locks");
        assert_eq!(slug("at orders, t1: ../../etc"), "at-orders-t1-etc");
        assert_eq!(slug("<script>\u{202e}日本"), "script");
        assert_eq!(slug(""), "");
        assert_eq!(slug(&"Ab".repeat(100)).len(), SLUG_MAX);
        assert_eq!(Report { verb: "sweep", ..Report::default() }.next_page("日本"), "sweep-1");
    }
}
