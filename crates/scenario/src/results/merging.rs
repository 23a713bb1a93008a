//! The results of all shards of a sweep become the result of the sweep.

use std::ops::Range;

use super::file::{Mismatch, ResultFile};
use pellmell_core::search::{HoldPart, Part, Piece};

/// How many gaps an error lists.
const GAPS_MAX: usize = 10;
const ONE_SWEEP: &str = "merge the shards of one sweep at a time";

/// Joins results, each the result of some of the seeds, to the one of all.
///
/// It refuses results that are not of the same sweep, seeds that are in two of them, and seeds that
/// are in none: a sum is given only if it is the one that an undivided sweep would have come to.
#[derive(Clone, Debug, Default)]
pub struct Merging {
    shards: Vec<Shard>,
}

#[derive(Clone, Debug)]
struct Shard {
    name: String,
    file: ResultFile,
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
        if let Some(Shard { name: first, file: known }) = self.shards.first() {
            let departed = || match (&known.departed, &file.departed) {
                (Some(one), Some(other)) => one.is_of_one_with(first, &other.result, name),
                // Which of both it is follows from what was run.
                _ => Ok(()),
            };
            known.swept.compare(first, &file.swept, name).and_then(|()| departed()).map_err(|error| {
                match error.is_of_code() {
                    true => error.help("sweep the shards again, with one and the same build"),
                    false => error.help(ONE_SWEEP),
                }
            })?;
            if known.request != file.request {
                let (one, other) = (&known.request, &file.request);
                let message = format!("{first} is of a sweep of seeds {one:?}, {name} of one of {other:?}");
                return Err(Mismatch::new(message).help(ONE_SWEEP));
            }
        }
        self.shards.push(Shard { name: name.to_owned(), file });
        Ok(())
    }

    /// The result of the whole sweep.
    ///
    /// # Errors
    /// Which seeds, or schedules of the hold sweep, are missing, not done yet, or there twice.
    pub fn finish(self) -> Result<ResultFile, Mismatch> {
        let Some(Shard { file, .. }) = self.shards.first() else {
            return Err(Mismatch::new("there are no results".to_owned()));
        };
        let (swept, request) = (file.swept.clone(), file.request.clone());
        let schedules = file.departed.as_ref().map(|departed| departed.result.schedules);
        let seeds = self.shards.iter().map(|Shard { name, file }| (&name[..], file.seeds.clone(), file.done_through));
        let mut gaps = gaps("seeds", &request, seeds.collect())?;
        if let Some(schedules) = schedules {
            let departed = self.shards.iter().filter_map(|Shard { name, file }| {
                file.departed.as_ref().map(|departed| (&name[..], departed.places.clone(), departed.done_through))
            });
            gaps.extend(self::gaps("schedules", &(0..schedules), departed.collect())?);
        }
        if !gaps.is_empty() {
            return Err(incomplete(&gaps));
        }
        let (mut parts, mut departed): (Vec<Part>, Vec<HoldPart>) = (Vec::new(), Vec::new());
        for Shard { file, .. } in self.shards {
            let (part, hold) = file.into_parts();
            parts.push(part);
            departed.extend(hold);
        }
        let file = ResultFile::new(
            swept,
            request.clone(),
            request.clone(),
            joined(parts).unwrap_or(Part::none(request.start)),
        );
        Ok(match joined(departed) {
            Some(departed) => file.with_departed(departed.places.clone(), departed),
            None => file,
        })
    }
}

/// What is missing of `whole`; an error if something is there twice.
fn gaps(what: &str, whole: &Range<u64>, mut pieces: Vec<(&str, Range<u64>, u64)>) -> Result<Vec<String>, Mismatch> {
    pieces.sort_by_key(|(_, range, _)| (range.start, range.end));
    let (mut end, mut last, mut gaps) = (whole.start, "", Vec::new());
    for (name, range, done) in pieces {
        if range.start < end {
            let twice = range.start..end.min(range.end).max(range.start);
            let message = format!("{what} {twice:?} are in {last} and in {name}");
            return Err(Mismatch::new(message).help("give the result of each shard once"));
        }
        if range.start > end {
            gaps.push(format!("{what} {:?} are in no file", end..range.start));
        }
        if done < range.end {
            gaps.push(format!("{what} {:?} of {name} are not done yet", done..range.end));
        }
        (end, last) = (range.end, name);
    }
    if end < whole.end {
        gaps.push(format!("{what} {:?} are in no file", end..whole.end));
    }
    Ok(gaps)
}

/// All pieces, which leave no gap, as one.
fn joined<P: Piece>(mut pieces: Vec<P>) -> Option<P> {
    pieces.sort_by_key(|piece| (piece.range().start, piece.range().end));
    pieces.into_iter().reduce(|mut joined, piece| {
        joined.append(piece);
        joined
    })
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
