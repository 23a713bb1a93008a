//! Contestants in turns, and the table of their medians.

use std::time::Instant;

/// What one contestant did in one round, and in what time.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    pub nanos: u64,
    /// Deliveries, or states.
    pub units: u64,
}

/// Measures the time of something that returns how many units it did.
pub fn timed(work: impl FnOnce() -> u64) -> Round {
    let begin = Instant::now();
    let units = work();
    Round { nanos: begin.elapsed().as_nanos() as u64, units }
}

pub struct Contestant<'a> {
    pub name: String,
    /// Plays the round of this number.
    pub play: Box<dyn FnMut(u64) -> Round + 'a>,
    /// Runs a round has; 1 for a search.
    pub runs: u64,
}

/// A contestant's nanoseconds per unit over all rounds, in order of size, and its units per run.
pub struct Row {
    pub name: String,
    pub nanos_per_unit: Vec<f64>,
    pub units_per_run: f64,
    /// Runs of all rounds together.
    pub runs: u64,
}

impl Row {
    pub fn median(&self) -> f64 {
        self.nanos_per_unit[self.nanos_per_unit.len() / 2]
    }

    fn least(&self) -> f64 {
        self.nanos_per_unit[0]
    }

    fn most(&self) -> f64 {
        self.nanos_per_unit[self.nanos_per_unit.len() - 1]
    }
}

/// Plays the contestants in turns: round 0 of each to warm up, then `rounds` that count.
pub fn compete(contestants: &mut [Contestant<'_>], rounds: u64) -> Vec<Row> {
    let new = |contestant: &Contestant<'_>| Row {
        name: contestant.name.clone(),
        nanos_per_unit: Vec::new(),
        units_per_run: 0.0,
        runs: rounds * contestant.runs,
    };
    let mut rows: Vec<Row> = contestants.iter().map(new).collect();
    for round in 0..=rounds {
        for (contestant, row) in contestants.iter_mut().zip(&mut rows) {
            let Round { nanos, units } = (contestant.play)(round);
            assert!(units > 0, "{} did nothing", contestant.name);
            if round > 0 {
                row.nanos_per_unit.push(nanos as f64 / units as f64);
                row.units_per_run += units as f64 / row.runs as f64;
            }
        }
        eprintln!("round {round} of {rounds}");
    }
    for row in &mut rows {
        row.nanos_per_unit.sort_by(f64::total_cmp);
    }
    rows
}

/// How many times the time of another row a row takes for a unit, in medians.
pub fn times(rows: &[Row], name: &str, other: &str) -> f64 {
    let median = |name| rows.iter().find(|row| row.name == name).expect("a row of that name").median();
    median(name) / median(other)
}

/// Nanoseconds per unit, with the ratio to the row `one`.
pub fn print_nanos(rows: &[Row], one: usize) {
    let one = rows[one].median();
    println!(
        "| {:<34} | {:>11} | {:>9} | {:>9} | {:>9} | {:>10} |",
        "", "ns/delivery", "min", "max", "ratio", "deliveries"
    );
    println!("|{:-<36}|{:->13}|{:->11}|{:->11}|{:->11}|{:->12}|", "", ":", ":", ":", ":", ":");
    for row in rows {
        let (median, least, most) = (row.median(), row.least(), row.most());
        let (name, ratio) = (&row.name, median / one);
        let count = row.units_per_run;
        println!("| {name:<34} | {median:>11.1} | {least:>9.1} | {most:>9.1} | {ratio:>9.2} | {count:>10.1} |");
    }
}

/// Units per second in millions, with the ratio to the row `one`.
pub fn print_rates(rows: &[Row], one: usize) {
    let one = rows[one].median();
    println!("| {:<34} | {:>11} | {:>9} | {:>9} | {:>9} | {:>10} |", "", "million/s", "min", "max", "ratio", "states");
    println!("|{:-<36}|{:->13}|{:->11}|{:->11}|{:->11}|{:->12}|", "", ":", ":", ":", ":", ":");
    for row in rows {
        let rate = |nanos: f64| 1_000.0 / nanos;
        let (median, least, most) = (rate(row.median()), rate(row.most()), rate(row.least()));
        let (name, ratio) = (&row.name, one / row.median());
        let count = row.units_per_run;
        println!("| {name:<34} | {median:>11.3} | {least:>9.3} | {most:>9.3} | {ratio:>9.2} | {count:>10.0} |");
    }
}

/// Milliseconds per search, beside what it went through.
pub fn print_times(rows: &[Row]) {
    println!("| {:<50} | {:>10} | {:>10} | {:>10} | {:>10} |", "", "number", "ms", "min", "max");
    println!("|{:-<52}|{:->12}|{:->12}|{:->12}|{:->12}|", "", ":", ":", ":", ":");
    for row in rows {
        let millis = |nanos: f64| nanos * row.units_per_run / 1e6;
        let (median, least, most) = (millis(row.median()), millis(row.least()), millis(row.most()));
        let (name, count) = (&row.name, row.units_per_run);
        println!("| {name:<50} | {count:>10.0} | {median:>10.3} | {least:>10.3} | {most:>10.3} |");
    }
}
