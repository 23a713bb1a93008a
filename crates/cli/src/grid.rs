//! Tables with a column for each service: timelines and stores.
//!
//! Where all columns fit beside each other, they stand so. Where they do not, those fold that are empty; then
//! the widest become narrower and what stands in them takes several lines; and where even that is too wide, there
//! is one column for all services, and each line names its own. Nothing is cut but what the calm run would have
//! done, which says of itself that it is.

use std::borrow::Cow;

use anstyle::Style;

use super::layout::{CELL_MAX, columns_of, cut, fit, shown_up_to, width, wrapped, wrapped_behind};
use super::{DIM, Failure, Out, PLAIN};

/// How narrow a service's column may become before there is one for all of them.
const COLUMN_MIN: usize = 20;
/// How wide a column in front may become.
const FRONT_MAX: usize = 24;
/// What stands between columns.
const BAR: &str = " │ ";

/// A table that is still to be laid out.
pub(super) struct Grid<'a> {
    /// The headings of the columns in front and how wide they are at least; what stands in them is right-aligned.
    pub(super) front: Vec<(&'a str, usize)>,
    pub(super) services: &'a [String],
    /// What the one column for all services has as its heading.
    pub(super) what: &'a str,
    /// The heading of a last column, and how wide it is.
    pub(super) last: Option<(&'a str, usize)>,
    pub(super) rows: Vec<Row>,
}

/// A row of it.
#[derive(Default)]
pub(super) struct Row {
    pub(super) front: Vec<String>,
    pub(super) cells: Cells,
    pub(super) last: String,
    /// What departs from what should be: it stands behind the row if there is room, else below it.
    pub(super) marks: Vec<(Style, String)>,
    /// What the calm run would have done instead: a mark that may be cut.
    pub(super) instead: Option<String>,
    /// Whether it stands for rows that are left out.
    pub(super) is_gap: bool,
    /// Lines below it.
    pub(super) below: Vec<String>,
}

/// What stands in the columns of the services.
pub(super) enum Cells {
    /// Some services' cells, by their places.
    At(Vec<(usize, String)>),
    /// What no service did goes across.
    Across(String),
}

impl Default for Cells {
    fn default() -> Cells {
        Cells::At(Vec::new())
    }
}

/// The columns of the services as they are laid out.
enum Columns {
    /// One for each of these services, and how wide it is.
    Each(Vec<(usize, usize)>),
    /// One for the names, and one for all that happens.
    One { names: usize, what: usize },
}

impl Grid<'_> {
    /// Prints it, with the services below it that have no column because nothing stands in it.
    pub(super) fn show(mut self, out: &mut Out) -> Result<(), Failure> {
        for (place, (_, width)) in self.front.iter_mut().enumerate() {
            let widest = self.rows.iter().filter_map(|row| row.front.get(place)).map(|text| columns_of(&shown(text)));
            *width = widest.max().unwrap_or_default().min(FRONT_MAX).max(*width);
        }
        let columns = self.columns();
        let heading = match &columns {
            Columns::Each(each) => {
                let names = each.iter().map(|(place, width)| fit(&self.services[*place], *width));
                names.collect::<Vec<_>>().join(BAR)
            }
            Columns::One { names, what } => format!("{}{BAR}{}", fit("service", *names), fit(self.what, *what)),
        };
        let front: Vec<String> = self.front.iter().map(|(heading, width)| format!("{heading:>width$}")).collect();
        let last = self.last.map_or_else(|| self.closing(&columns).to_owned(), |(last, _)| format!("{BAR}{last}"));
        out.parts(&[(PLAIN, format!("{}{BAR}{heading}{last}", front.join(" ")).trim_end())])?;
        let mut instead_before = None;
        for row in &self.rows {
            let is_same = row.instead.is_some() && row.instead.as_ref() == instead_before;
            self.show_row(out, &columns, row, is_same)?;
            if !row.is_gap {
                instead_before = row.instead.as_ref();
            }
        }
        let Columns::Each(each) = &columns else { return Ok(()) };
        let folded = (0..self.services.len()).filter(|service| each.iter().all(|(place, _)| place != service));
        let folded: Vec<&str> = folded.map(|service| self.services[service].as_str()).collect();
        match folded.is_empty() {
            true => Ok(()),
            false => out.status(DIM, "Folded", format_args!("{}: nothing to show of them here", folded.join(", "))),
        }
    }

    /// What closes a row of the services' columns if none comes behind them.
    fn closing(&self, columns: &Columns) -> &'static str {
        match columns {
            Columns::Each(_) if self.last.is_none() => " │",
            _ => "",
        }
    }

    fn columns(&self) -> Columns {
        let mut natural: Vec<usize> = self.services.iter().map(|name| columns_of(name)).collect();
        let mut used = vec![false; self.services.len()];
        for row in &self.rows {
            let Cells::At(cells) = &row.cells else { continue };
            for (place, cell) in cells {
                used[*place] = true;
                natural[*place] = natural[*place].max(columns_of(&shown(cell)));
            }
        }
        let last = self.last.map_or(2, |(_, width)| BAR.chars().count() + width);
        let room = width().saturating_sub(self.front_width() + last);
        let all: Vec<(usize, usize)> = natural.iter().copied().enumerate().collect();
        if across(&all) <= room {
            return Columns::Each(all);
        }
        let mut some: Vec<(usize, usize)> = all.iter().copied().filter(|(place, _)| used[*place]).collect();
        narrow(&mut some, room);
        if across(&some) <= room && !some.is_empty() {
            return Columns::Each(some);
        }
        let names = some.iter().map(|(place, _)| columns_of(&self.services[*place]));
        let names = names.chain(["service".len()]).max().unwrap_or_default().min(COLUMN_MIN);
        // Nothing closes a row here but the last column, if there is one.
        let room = if self.last.is_some() { room } else { room + last };
        Columns::One { names, what: room.saturating_sub(names + 3).max(10) }
    }

    /// How wide what stands in front is, with the bar.
    fn front_width(&self) -> usize {
        self.front.iter().map(|(_, width)| width + 1).sum::<usize>() + 2
    }

    /// The columns in front of a row, or of its further lines.
    fn front(&self, row: Option<&Row>) -> String {
        let front = self.front.iter().enumerate().map(|(place, (_, width))| {
            let text = row.and_then(|row| row.front.get(place)).map_or("", String::as_str);
            format!("{:>width$}", cut(&shown(text), *width))
        });
        front.collect::<Vec<_>>().join(" ") + BAR
    }

    fn show_row(&self, out: &mut Out, columns: &Columns, row: &Row, is_same: bool) -> Result<(), Failure> {
        let (style, lines) = self.lines(columns, &row.cells);
        let blank = self.front(None);
        let first_width = lines.first().map_or(0, |line| columns_of(line));
        let behind = if self.last.is_some() { BAR.chars().count() + columns_of(&row.last) } else { 0 };
        let used = columns_of(&blank) + first_width + behind;
        let mut marks: Vec<(Style, Cow<'_, str>)> =
            row.marks.iter().map(|(style, mark)| (*style, shown(mark))).collect();
        let length =
            |marks: &[(Style, Cow<'_, str>)]| marks.iter().map(|(_, mark)| 1 + columns_of(mark)).sum::<usize>();
        if let Some(instead) = &row.instead {
            let instead =
                if is_same { "≠ calm: as above".to_owned() } else { format!("≠ calm: {}", shown(instead)) };
            let room = width().saturating_sub(used + length(&marks) + 1);
            // Below the row it takes one line at most, because it is no news of this run.
            let room = if columns_of(&instead) <= room { room } else { width() - columns_of(&blank) };
            marks.push((DIM, cut(&instead, room).into_owned().into()));
        }
        let fits = used + length(&marks) <= width();
        for (place, line) in lines.iter().enumerate() {
            let front = if place == 0 { self.front(Some(row)) } else { blank.clone() };
            let last = match (self.last, place) {
                (Some(_), 0) => format!("{BAR}{}", row.last),
                (Some(_), _) => BAR.trim_end().to_owned(),
                (None, _) => String::new(),
            };
            let mut parts = vec![(Style::new(), front.as_str()), (style, line), (Style::new(), &last)];
            if place == 0 && fits {
                parts.extend(marks.iter().flat_map(|(style, mark)| [(Style::new(), " "), (*style, mark.as_ref())]));
            }
            while parts.last().is_some_and(|(_, text)| text.trim().is_empty()) {
                parts.pop();
            }
            if let Some((_, text)) = parts.last_mut() {
                *text = text.trim_end();
            }
            out.parts(&parts)?;
        }
        let marks = marks.into_iter().filter(|_| !fits);
        for (style, text) in marks.chain(row.below.iter().map(|line| (DIM, shown(line)))) {
            for line in wrapped_behind(&text, "", "  ", width() - columns_of(&blank)) {
                out.parts(&[(Style::new(), &blank), (style, &line)])?;
            }
        }
        Ok(())
    }

    /// The lines of a row's cells, as wide as the columns are, and their style.
    fn lines(&self, columns: &Columns, cells: &Cells) -> (Style, Vec<String>) {
        match (cells, columns) {
            (Cells::Across(text), columns) => {
                let across = match columns {
                    Columns::Each(each) => across(each),
                    Columns::One { names, what } => names + 3 + what,
                };
                // With nothing behind it the whole line is there.
                let most = if self.last.is_some() { across } else { width() - self.front_width() };
                let lines = wrapped(&shown(text), most);
                (DIM, if self.last.is_some() { lines.iter().map(|line| fit(line, across)).collect() } else { lines })
            }
            (Cells::At(cells), Columns::Each(each)) => {
                let cells: Vec<Vec<String>> = each
                    .iter()
                    .map(|(place, width)| {
                        let cell = cells.iter().find(|(at, _)| at == place).map_or("", |(_, cell)| cell);
                        wrapped(&shown(cell), *width)
                    })
                    .collect();
                let height = cells.iter().map(Vec::len).max().unwrap_or(1);
                let line = |at: usize| {
                    let line = cells
                        .iter()
                        .zip(each)
                        .map(|(lines, (_, width))| fit(lines.get(at).map_or("", String::as_str), *width));
                    line.collect::<Vec<_>>().join(BAR) + self.closing(columns)
                };
                (Style::new(), (0..height).map(line).collect())
            }
            (Cells::At(cells), Columns::One { names, what }) => {
                let lines = cells.iter().flat_map(|(place, cell)| {
                    let lines = wrapped(&shown(cell), *what);
                    lines.into_iter().enumerate().map(move |(at, line)| {
                        let name = if at == 0 { self.services[*place].as_str() } else { "" };
                        format!("{}{BAR}{}", fit(name, *names), fit(&line, *what))
                    })
                });
                (Style::new(), lines.collect())
            }
        }
    }
}

/// What stands in a cell, as a terminal can show it.
fn shown(text: &str) -> Cow<'_, str> {
    shown_up_to(text, CELL_MAX)
}

/// How wide columns are with the bars between them.
fn across(columns: &[(usize, usize)]) -> usize {
    columns.iter().map(|(_, width)| width + 3).sum::<usize>().saturating_sub(3)
}

/// Takes width from the widest columns until all of them fit, or none may become narrower.
fn narrow(columns: &mut [(usize, usize)], room: usize) {
    while across(columns) > room {
        match columns.iter_mut().max_by_key(|(_, width)| *width) {
            Some((_, widest)) if *widest > COLUMN_MIN => *widest -= 1,
            _ => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_is_taken_from_the_widest_columns() {
        let narrowed = |widths: &[usize], room| {
            let mut columns: Vec<(usize, usize)> = widths.iter().copied().enumerate().collect();
            narrow(&mut columns, room);
            columns.into_iter().map(|(_, width)| width).collect::<Vec<_>>()
        };
        assert_eq!(narrowed(&[40, 20, 30], 76), [25, 20, 25]);
        assert_eq!(narrowed(&[20, 20], 60), [20, 20]);
        assert_eq!(narrowed(&[40, 8], 10), [COLUMN_MIN, 8]);
        // A text that goes on and on takes no longer.
        assert_eq!(narrowed(&[1_000_000, 8], 51), [40, 8]);
    }
}
