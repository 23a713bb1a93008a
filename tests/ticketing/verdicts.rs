//! On which brokers the reference and the saga hold: what docs/brokers/README.md says of it.

use super::support::verdicts;

/// Of a broker, what the page says of the runs of each design.
fn told(page: &str, broker: &str) -> [String; 2] {
    let (_, table) = page.split_once("## What holds where").expect("the section");
    let row = table.lines().find(|line| line.starts_with(&format!("| `{broker}` |"))).expect("a row");
    let cells: Vec<&str> = row.split(" | ").collect();
    [cells[1].to_owned(), cells[2].trim_end_matches(" |").to_owned()]
}

#[test]
fn the_reference_and_the_saga_hold_on_each_broker_of_which_the_page_says_so_and_fail_as_it_says() {
    let page = std::fs::read_to_string("docs/brokers/README.md").expect("the page");
    for broker in verdicts::brokers() {
        for ((design, file), told) in verdicts::DESIGNS.into_iter().zip(told(&page, broker)) {
            let text = std::fs::read_to_string(format!("scenarios/{file}.toml")).expect("the scenario");
            let failures = verdicts::failures(&verdicts::on(broker, design, &text), 400);
            let untold = failures.iter().find(|(property, _)| !told.contains(&format!("`{property}`")));
            assert_eq!(untold, None, "{design} on {broker}: {told}");
        }
    }
}
