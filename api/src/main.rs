//! Lists the public items of a crate, one a line: `list-public-api FILE`, where FILE is what
//! `rustdoc --output-format json` wrote.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{self, Write};
use std::path::Path;

use public_api::Builder;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::args_os().nth(1).ok_or("give a file of rustdoc's JSON")?;
    let file = Path::new(&file);
    let own = format!("{}::", file.file_stem().unwrap_or_default().display());

    let mut out = io::stdout().lock();
    let written = lines(file, true)?.into_iter().collect::<BTreeSet<String>>();
    let mut seen = BTreeSet::new();
    for line in lines(file, false)? {
        // Of what `derive` makes, which trait it is; not the methods of the trait, which everybody knows.
        let is_telling = line.starts_with("impl") && !line.contains("::StructuralPartialEq") || written.contains(&line);
        // What is found under two paths has the same methods under both.
        if is_telling && seen.insert(line.clone()) {
            writeln!(out, "{}", without(&line, &own))?;
        }
    }
    Ok(())
}

/// The public items as lines, those of a kind together, in an order that depends on their names alone.
fn lines(file: &Path, without_derived: bool) -> Result<Vec<String>, public_api::Error> {
    let builder = Builder::from_rustdoc_json(file).omit_blanket_impls(true).omit_auto_trait_impls(true);
    let api = builder.omit_auto_derived_impls(without_derived).build()?;
    Ok(api.items().map(ToString::to_string).collect())
}

/// A line in which paths do not begin with the crate's own name.
fn without(line: &str, own: &str) -> String {
    let is_path = |before: &str| before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
    let mut shown = String::new();
    for (place, part) in line.split(own).enumerate() {
        if place > 0 && is_path(&shown) {
            shown.push_str(own);
        }
        shown.push_str(part);
    }
    shown
}
