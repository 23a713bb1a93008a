//! Reports: what the page says, and that hostile texts are shown and do nothing.

use expect_test::expect;

use super::{HOSTILE, check, hash_of, hostile, picture};
use crate::folder::{self, files};
use crate::report::{Cell, Fact, Part, Report, Row, Story, Table, To, Tone};

/// A report with everything in it, whose texts a function makes of what they would be.
fn report_of(text: impl Fn(&str) -> String) -> Report {
    let mut report = Report {
        verb: "sweep",
        title: text("one-item × 4 seeds"),
        place: text("design usual"),
        tone: Tone::Bad,
        heading: text("FAILED"),
        details: vec![text("4 runs: 3 held, 1 violated")],
        commands: vec![(text("Again"), text("pellmell sweep one-item.toml"))],
        ..Report::default()
    };
    let is_plain = text("").is_empty();
    let of_run = if is_plain { picture() } else { hostile() };
    let scenario = Some("version = 1\nabout = \"Shrunk from one-item.\"\n".to_owned());
    let page = report.add_page(&text("NoPoison"), of_run, scenario);
    let facts = vec![
        Fact::new(Tone::Good, text("Coverage"), text("1 of 2 situations")),
        Fact::new(Tone::Bad, text("MISS"), text("late ack: `item:changed` -> search")),
    ];
    report.add_section(&text("Coverage"), [Part::Text(text("What was met.")), Part::Facts(facts)]);
    let bad = Cell { tone: Tone::Bad, to: Some(To::Page(page)), ..Cell::from(text("3")) };
    let holds = Cell { tone: Tone::Good, spoken: Some(text("holds")), ..Cell::from("✓") };
    let nowhere = Cell { to: Some(To::Elsewhere("javascript:alert(1)".to_owned())), ..Cell::from(text("plain")) };
    let rows = vec![
        Row { heading: text("usual").into(), cells: vec![bad, holds] },
        Row { heading: text("other").into(), cells: vec![nowhere, Cell { to: Some(To::Story(1)), ..Cell::from("s") }] },
    ];
    let columns = ["design", "kafka", "stan"].map(&text).to_vec();
    let table = Table { caption: text("Which design holds where"), columns, rows, is_matrix: true };
    let told = Story {
        heading: text("VIOLATED NoPoison"),
        tone: Tone::Bad,
        often: text("1 run, first seed 3"),
        detail: text("at search, i1: still unacked"),
        facts: vec![Fact::new(Tone::Plain, text("Shrunk"), text("to 3 steps"))],
        commands: vec![(text("Reproduce"), text("pellmell run one-item.toml --seed 3"))],
        page: Some(page),
        ..Story::default()
    };
    let without_page = Story {
        heading: text("STUCK"),
        departures: vec![text("hold item:changed i1@0 -> search")],
        links: vec![(text("told at length"), To::Elsewhere("https://example.org/?a=1&b=\"".to_owned()))],
        ..Story::default()
    };
    report.add_section(&text("Failures"), [Part::Table(table), Part::story(told), Part::story(without_page)]);
    report
}

fn report() -> Report {
    report_of(str::to_owned)
}

fn index(report: &Report) -> String {
    let (name, text) = files(report).pop().expect("there is always one");
    assert_eq!(name, folder::INDEX, "it is written last");
    text
}

/// The elements of a page from one on to the end of another.
fn part<'a>(page: &'a str, begin: &str, end: &str) -> &'a str {
    let from = page.find(begin).unwrap_or_else(|| panic!("no {begin}"));
    let to = page[from..].find(end).unwrap_or_else(|| panic!("no {end}")) + end.len();
    &page[from..from + to]
}

#[test]
fn a_report_begins_with_its_verdict_and_what_to_type() {
    check(
        part(&index(&report()), "<header", "</header>"),
        &expect![[r##"
        <header class="top">
        <p class="where">sweep one-item × 4 seeds · design usual</p>
        <h1><svg viewBox="0 0 20 20" aria-hidden="true"><use class="" href="#g-verdict" x="0" width="20" height="20"/></svg><span>FAILED</span></h1>
        <p class="detail">4 runs: 3 held, 1 violated</p>
        <dl class="commands">
        <dt>Again</dt><dd><code>pellmell sweep one-item.toml</code></dd>
        </dl>
        <nav aria-label="Contents"><ul>
        <li><a href="#section-1">Coverage</a></li>
        <li><a href="#section-2">Failures</a></li>
        </ul></nav>
        </header>"##]],
    );
}

#[test]
fn a_matrix_has_a_heading_for_each_row_and_column_and_leads_to_what_fails() {
    check(
        part(&index(&report()), "<div class=\"scroll\"", "</table></div>"),
        &expect![[r##"
        <div class="scroll" role="region" tabindex="0" aria-label="Which design holds where"><table class="matrix">
        <caption>Which design holds where</caption>
        <thead><tr><th scope="col"><span>design</span></th><th scope="col"><span>kafka</span></th><th scope="col"><span>stan</span></th></tr></thead>
        <tbody>
        <tr><th scope="row">usual</th><td class="bad"><a href="sweep-1-no-poison.html">3</a></td><td class="good"><span aria-hidden="true">✓</span><span class="spoken">holds</span></td></tr>
        <tr><th scope="row">other</th><td class="plain">plain</td><td class="plain"><a href="#story-2">s</a></td></tr>
        </tbody>
        </table></div>"##]],
    );
}

#[test]
fn a_story_has_the_departures_why_and_the_way_to_its_page() {
    let page = index(&report());
    let story = part(&page, "<article", "</article>");
    check(
        story.split("<details").next().unwrap_or_default(),
        &expect![[r#"
        <article class="story bad" aria-labelledby="story-1">
        <h3 id="story-1">VIOLATED NoPoison</h3>
        <p class="often">1 run, first seed 3</p>
        <p class="detail">at search, i1: still unacked</p>
        <ul class="departures" aria-label="Departures from the calm run">
        <li><strong>◀ needed</strong> <code>lose ack of item:changed i1@0 -&gt; search</code> shows in <a href="sweep-1-no-poison.html#step-2">step 2</a></li>
        </ul>
        <div class="why"><h4>Why</h4>
        <p>The ack of <code>item:changed i1@0 -&gt; search</code> is lost (<a href="sweep-1-no-poison.html#step-2">step 2</a>), so the broker delivers it again (<a href="sweep-1-no-poison.html#step-3">step 3</a>).</p>
        <p>At <a href="sweep-1-no-poison.html#step-3">step 3</a> search, which holds i1@0, handles <code>item:changed i1@0 #2</code> and gives no answer (duplicate key).</p>
        <p>So NoPoison is violated for i1 at search: still unacked: item:changed i1@0 -&gt; search #3 after 2 attempts, redelivery changes nothing. It says that every message is acked in the end, if each is redelivered as often as it takes.</p>
        </div>
        <dl class="facts">
        <dt class="plain">Shrunk</dt><dd>to 3 steps</dd>
        </dl>
        <dl class="commands">
        <dt>Reproduce</dt><dd><code>pellmell run one-item.toml --seed 3</code></dd>
        </dl>
        <p class="links"><a href="sweep-1-no-poison.html">▶ Its page: 3 steps to go through</a> · <a href="sweep-1-no-poison.toml">its scenario file, sweep-1-no-poison.toml</a></p>
    "#]],
    );
    assert!(story.contains("<svg class=\"drawing\""), "a short run is drawn in the report");
    let other = part(&page, "<article class=\"story plain", "</article>");
    check(
        other,
        &expect![[r#"
        <article class="story plain" aria-labelledby="story-2">
        <h3 id="story-2">STUCK</h3>
        <ul class="departures" aria-label="Departures from the calm run">
        <li><strong>◀ departs</strong> <code>hold item:changed i1@0 -&gt; search</code></li>
        </ul>
        <p class="links"><a href="https://example.org/?a=1&amp;b=&quot;" rel="noreferrer">told at length</a></p>
        </article>"#]],
    );
}

#[test]
fn the_page_of_a_counterexample_leads_back_and_its_scenario_stands_beside_it() {
    let files = files(&report());
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["sweep-1-no-poison.html", "sweep-1-no-poison.toml", "index.html"]);
    for (name, text) in files.iter().filter(|(name, _)| name.ends_with(".html")) {
        assert!(text.starts_with(folder::BEGIN), "{name}");
    }
    let home = "<p class=\"home\"><a href=\"index.html\">◀ sweep one-item × 4 seeds</a></p>";
    assert!(files[0].1.contains(home), "{}", part(&files[0].1, "<header", "</header>"));
}

#[test]
fn the_same_report_gives_the_same_bytes() {
    assert_eq!(files(&report()), files(&report()));
}

#[test]
fn the_policy_of_the_report_allows_its_own_style_and_no_script() {
    let page = index(&report());
    assert_eq!(hash_of(&page, "style"), folder::STYLE_HASH, "crates/report/src/folder.rs: the hash of the style");
    assert!(page.contains("content=\"default-src 'none'; style-src 'sha256-"), "{page}");
    for absent in [" style=", "<script", " onclick=", "http-equiv=\"refresh\"", " src=", "javascript:"] {
        assert!(!page.contains(absent), "the page has {absent}");
    }
}

#[test]
fn what_users_write_is_shown_in_a_report_and_is_nothing_else() {
    let all = HOSTILE.join(" ");
    let report = report_of(|text| format!("{all} {text}"));
    let long = report_of(|text| text.to_owned() + &"z".repeat(1 << 20));
    for (name, text) in files(&report).into_iter().chain(files(&long)) {
        assert!(text.len() < 600_000, "{name}: {} bytes", text.len());
        for obeyed in ['\u{0}', '\u{1b}', '\r', '\u{202e}', '\u{2066}'] {
            assert!(!text.contains(obeyed), "{name} has {obeyed:?}");
        }
        for element in ["<script>alert", "<img", "</style></svg>", "]]>", "javascript:"] {
            assert!(!text.contains(element), "{name} has {element}");
        }
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c)), "{name}");
        assert!(name.len() < 64 && !name.starts_with('.'), "{name}");
    }
    let page = index(&report);
    assert!(page.contains("\\u{202e}desrever") && page.contains("&lt;script&gt;alert(1)"), "it does not show the text");
    assert!(index(&long).contains("(1,048,582 characters)"), "it says what it cut");
}
