//! Plain tables: rows of cells under headings, each column as wide as its widest cell.
//!
//! Where they are too wide for the terminal, columns go that matter less, and it is said which.

use anstyle::Style;

use super::layout::{CELL_MAX, columns_of, fit, shown_up_to, width, wrapped_behind};
use super::{DIM, Failure, Out, PLAIN};

/// What stands between columns.
const GAP: &str = "  ";

/// A column of a table.
pub(super) struct Column<'a> {
    pub(super) heading: &'a str,
    /// What matters least goes first; 0 stays.
    pub(super) goes: u8,
}

/// Prints rows under headings, without the columns that have no room.
pub(super) fn show(out: &mut Out, columns: &[Column<'_>], rows: &[Vec<String>]) -> Result<(), Failure> {
    let (lines, left_out) = laid_out(columns, rows, width());
    for (place, line) in lines.iter().enumerate() {
        let style = if place == 0 { PLAIN } else { Style::new() };
        // What stays has to go on below if it has no room.
        let lines = wrapped_behind(line, "", "    ", width());
        lines.iter().try_for_each(|line| out.parts(&[(style, line)]))?;
    }
    if left_out.is_empty() {
        return Ok(());
    }
    out.status(DIM, "Left out", format_args!("{}: a wider terminal has room for them", left_out.join(", ")))
}

/// The heading and the rows as lines, and the headings of the columns that have no room.
fn laid_out<'a>(columns: &[Column<'a>], rows: &[Vec<String>], room: usize) -> (Vec<String>, Vec<&'a str>) {
    let widest = |column: usize| {
        let cells = rows.iter().map(|row| columns_of(&shown_up_to(&row[column], CELL_MAX)));
        cells.chain([columns_of(columns[column].heading)]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(widest).collect();
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    let across = |kept: &[usize]| kept.iter().map(|place| widths[*place] + GAP.len()).sum::<usize>() - GAP.len();
    while across(&kept) > room {
        let least = kept.iter().copied().filter(|place| columns[*place].goes > 0);
        let Some(least) = least.max_by_key(|place| columns[*place].goes) else { break };
        kept.retain(|place| *place != least);
    }
    let line = |cell: &dyn Fn(usize) -> String| -> String {
        let cells = kept.iter().map(|place| fit(&shown_up_to(&cell(*place), CELL_MAX), widths[*place]));
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    };
    let heading = line(&|place| columns[place].heading.to_owned());
    let lines = std::iter::once(heading).chain(rows.iter().map(|row| line(&|place| row[place].clone())));
    let left_out = (0..columns.len()).filter(|place| !kept.contains(place)).map(|place| columns[place].heading);
    (lines.collect(), left_out.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_go_that_matter_less_until_the_others_fit() {
        let columns = [("name", 0), ("where", 9), ("cost", 1)].map(|(heading, goes)| Column { heading, goes });
        let rows = [["one", "far away from here", "12"], ["another", "here", "-"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        let laid_out = |room| {
            let (lines, left_out) = laid_out(&columns, &rows, room);
            (lines.join("\n"), left_out.join(", "))
        };
        let all = "name     where               cost\none      far away from here  12\nanother  here                -";
        assert_eq!(laid_out(33), (all.to_owned(), String::new()));
        let some = "name     cost\none      12\nanother  -";
        assert_eq!(laid_out(32), (some.to_owned(), "where".to_owned()));
        assert_eq!(laid_out(3), ("name\none\nanother".to_owned(), "where, cost".to_owned()));
    }
}
