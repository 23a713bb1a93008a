//! The results of all shards of a sweep become the result of the sweep.

use std::ops::Range;

use super::part::Part;
use super::result_file::{Mismatch, ResultFile, Swept};

/// How many gaps an error lists.
const GAPS_MAX: usize = 10;
const ONE_SWEEP: &str = "merge the shards of one sweep at a time";

/// Joins results, each the result of some of the seeds, to the one of all.
///
/// It refuses results that are not of the same sweep, seeds that are in two of them, and seeds that
/// are in none: a sum is given only if it is the one that an undivided sweep would have come to.
#[derive(Clone, Debug, Default)]
pub struct Merging {
    /// What is run, in which seeds, and the name of the file that says so.
    whole: Option<(String, Swept, Range<u64>)>,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
struct Piece {
    name: String,
    /// The seeds it should cover.
    seeds: Range<u64>,
    part: Part,
}

impl Merging {
    /// Adds the result in the file `name`.
    ///
    /// # Errors
    /// If it is not of the same sweep as those before, or was written by another version.
    pub fn add(&mut self, name: &str, file: ResultFile) -> Result<(), Mismatch> {
        let tool = env!("CARGO_PKG_VERSION");
        if file.tool != tool {
            let message = format!("{name} was written by pellmell {}, this is {tool}", file.tool);
            return Err(Mismatch::new(message).help("merge results of one version, with that version"));
        }
        match &self.whole {
            None => self.whole = Some((name.to_owned(), file.swept.clone(), file.request.clone())),
            Some((first, swept, request)) => {
                swept.compare(first, &file.swept, name).map_err(|error| match error.is_of_code() {
                    true => error.help("sweep the shards again, with one and the same build"),
                    false => error.help(ONE_SWEEP),
                })?;
                if *request != file.request {
                    let message =
                        format!("{first} is of a sweep of seeds {request:?}, {name} of one of {:?}", file.request);
                    return Err(Mismatch::new(message).help(ONE_SWEEP));
                }
            }
        }
        self.pieces.push(Piece { name: name.to_owned(), seeds: file.seeds.clone(), part: file.into_part() });
        Ok(())
    }

    /// The result of the whole sweep.
    ///
    /// # Errors
    /// Which seeds are missing, not done yet, or there twice.
    pub fn finish(self) -> Result<ResultFile, Mismatch> {
        let Merging { whole, mut pieces } = self;
        let Some((_, swept, request)) = whole else {
            return Err(Mismatch::new("there are no results".to_owned()));
        };
        pieces.sort_by_key(|piece| (piece.seeds.start, piece.seeds.end));
        let (mut end, mut last, mut gaps) = (request.start, String::new(), Vec::new());
        for Piece { name, seeds, part } in &pieces {
            if seeds.start < end {
                let twice = seeds.start..end.min(seeds.end).max(seeds.start);
                let message = format!("seeds {twice:?} are in {last} and in {name}");
                return Err(Mismatch::new(message).help("give the result of each shard once"));
            }
            if seeds.start > end {
                gaps.push(format!("seeds {:?} are in no file", end..seeds.start));
            }
            if part.seeds.end < seeds.end {
                gaps.push(format!("seeds {:?} of {name} are not done yet", part.seeds.end..seeds.end));
            }
            (end, last) = (seeds.end, name.clone());
        }
        if end < request.end {
            gaps.push(format!("seeds {:?} are in no file", end..request.end));
        }
        if !gaps.is_empty() {
            return Err(incomplete(&gaps));
        }
        let mut joined = Part::none(request.start);
        pieces.into_iter().for_each(|piece| joined.append(piece.part));
        Ok(ResultFile::new(swept, request.clone(), request, joined))
    }
}

fn incomplete(gaps: &[String]) -> Mismatch {
    let more = match gaps.len().saturating_sub(GAPS_MAX) {
        0 => String::new(),
        more => format!("\nand {more} gaps more"),
    };
    let listed = gaps[..gaps.len().min(GAPS_MAX)].join("\n");
    Mismatch::new(format!("{listed}{more}"))
        .help("run the shards they belong to again: a shard goes on where it stopped")
}
