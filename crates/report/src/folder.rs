//! A report as the files of a folder: `index.html`, and a page for each counterexample.
//!
//! The files ask for nothing, not even for each other but by links, so whatever serves files serves them, and
//! they open from disk. The report has no script.

use std::fmt::Write;

use crate::html::{Home, begin, departures, html_at, list_of_departures, shape, with_links};
use crate::report::{Cell, Fact, Page, Part, Report, Row, Section, Story, Table, To, Tone};
use crate::style::{COMMON, DIAGRAM, variables};
use crate::svg::{drawing_css, drawn};
use crate::text::{FIELDS_MAX, shown_up_to, xml};

/// The page that leads to all others.
pub const INDEX: &str = "index.html";
/// How each page begins.
pub const BEGIN: &str = "<!doctype html>\n<html lang=\"en\" data-made-by=\"pellmell report\"";

/// The hash of the report's style, which its policy allows.
pub const STYLE_HASH: &str = "sha256-87vM1KJBimv1NMk2Ib/F/otW7PNq54v6zerwVgeVevU=";

/// The most steps of a run that is drawn in the report as well.
const STEPS_DRAWN: usize = 24;
/// Of how many stories the drawings are open.
const STORIES_OPEN: usize = 3;

/// The files of a report, by name, with their texts; `index.html` is the last one.
#[must_use]
pub fn files(report: &Report) -> Vec<(String, String)> {
    let title = title_of(report);
    let mut files = Vec::new();
    for Page { name, picture, scenario } in &report.pages {
        files.push((format!("{name}.html"), html_at(picture, Some(Home { file: INDEX, title: &title }))));
        files.extend(scenario.iter().map(|text| (format!("{name}.toml"), text.clone())));
    }
    files.push((INDEX.to_owned(), index(report)));
    files
}

fn title_of(report: &Report) -> String {
    shown_up_to(&format!("{} {}", report.verb, report.title), FIELDS_MAX)
}

fn style() -> String {
    [&variables(), DIAGRAM, drawing_css(), COMMON, include_str!("page/report.css")].concat()
}

/// A text as it stands in the page. Lists are longer than what a user gives a name.
fn text(text: &str) -> String {
    xml(&shown_up_to(text, FIELDS_MAX))
}

/// The same with links to steps and code.
fn rich(text: &str, page: &str) -> String {
    with_links(&shown_up_to(text, FIELDS_MAX), page)
}

/// The page of the report.
fn index(report: &Report) -> String {
    let class = match report.tone {
        Tone::Good => "held",
        Tone::Bad => "failed",
        Tone::Unsure => "unsure",
        Tone::Plain | Tone::Dim => "plain",
    };
    let title = format!("{}: {}", title_of(report), report.heading);
    let allowed = format!("style-src '{STYLE_HASH}'");
    let title = shown_up_to(&title, FIELDS_MAX);
    let mut page = begin(BEGIN, class, &allowed, &title, &style());
    page += "<a class=\"skip\" href=\"#main\">To what was found</a>\n";
    page += &top(report);
    page += "<main id=\"main\">\n";
    let mut stories = 0;
    for (place, section) in (1..).zip(&report.sections) {
        page += &self::section(report, place, section, &mut stories);
    }
    page + "</main>\n</body>\n</html>\n"
}

fn top(report: &Report) -> String {
    let glyph = match report.tone {
        Tone::Good => Some("held"),
        Tone::Bad => Some("verdict"),
        Tone::Unsure => Some("panic"),
        Tone::Plain | Tone::Dim => None,
    };
    let glyph =
        glyph.map(|glyph| format!("<svg viewBox=\"0 0 20 20\" aria-hidden=\"true\">{}</svg>", shape(glyph, "", 0)));
    let mut top = format!(
        "<header class=\"top\">\n<p class=\"where\">{} · {}</p>\n<h1>{}<span>{}</span></h1>\n",
        xml(&title_of(report)),
        text(&report.place),
        glyph.unwrap_or_default(),
        text(&report.heading)
    );
    for detail in &report.details {
        // Writing to a string cannot fail.
        let _ = writeln!(top, "<p class=\"detail\">{}</p>", text(detail));
    }
    top += &commands(&report.commands);
    if report.sections.len() > 1 {
        let link = |(place, section): (usize, &Section)| {
            format!("<li><a href=\"#section-{place}\">{}</a></li>\n", text(&section.title))
        };
        let links: String = (1..).zip(&report.sections).map(link).collect();
        top += &format!("<nav aria-label=\"Contents\"><ul>\n{links}</ul></nav>\n");
    }
    top + "</header>\n"
}

fn commands(commands: &[(String, String)]) -> String {
    let line = |(word, command): &(String, String)| {
        format!("<dt>{}</dt><dd><code>{}</code></dd>\n", text(word), text(command))
    };
    let lines: String = commands.iter().map(line).collect();
    if lines.is_empty() { lines } else { format!("<dl class=\"commands\">\n{lines}</dl>\n") }
}

fn section(report: &Report, place: usize, section: &Section, stories: &mut usize) -> String {
    let title = text(&section.title);
    let mut html = format!("<section aria-labelledby=\"section-{place}\">\n<h2 id=\"section-{place}\">{title}</h2>\n");
    for part in &section.parts {
        html += &match part {
            Part::Text(said) => format!("<p class=\"lead\">{}</p>\n", rich(said, "")),
            Part::Facts(facts) => self::facts(facts, ""),
            Part::Table(table) => self::table(report, table),
            Part::Story(story) => {
                *stories += 1;
                self::story(report, *stories - 1, story)
            }
        };
    }
    html + "</section>\n"
}

fn facts(facts: &[Fact], page: &str) -> String {
    let line = |Fact { tone, word, text: said }: &Fact| {
        let class = tone.class();
        format!("<dt class=\"{class}\">{}</dt><dd>{}</dd>\n", text(word), rich(said, page))
    };
    let lines: String = facts.iter().map(line).collect();
    if lines.is_empty() { lines } else { format!("<dl class=\"facts\">\n{lines}</dl>\n") }
}

/// The address of what a link leads to; none if it leads nowhere.
fn address(report: &Report, to: &To) -> Option<String> {
    match to {
        To::Page(place) => report.pages.get(*place).map(|page| format!("{}.html", page.name)),
        To::Story(place) => report.stories().nth(*place).map(|_| format!("#story-{}", place + 1)),
        To::Elsewhere(address) => address.starts_with("https://").then(|| address.clone()),
    }
}

fn link(report: &Report, to: Option<&To>, words: &str) -> String {
    let Some(address) = to.and_then(|to| address(report, to)) else { return words.to_owned() };
    let rel = if matches!(to, Some(To::Elsewhere(_))) { " rel=\"noreferrer\"" } else { "" };
    format!("<a href=\"{}\"{rel}>{words}</a>", xml(&address))
}

fn table(report: &Report, table: &Table) -> String {
    let class = if table.is_matrix { " class=\"matrix\"" } else { "" };
    let caption = text(&table.caption);
    let mut html = format!(
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{caption}\"><table{class}>\n\
         <caption>{caption}</caption>\n<thead><tr>"
    );
    for heading in &table.columns {
        // Writing to a string cannot fail.
        let _ = write!(html, "<th scope=\"col\"><span>{}</span></th>", text(heading));
    }
    html += "</tr></thead>\n<tbody>\n";
    for Row { heading, cells } in &table.rows {
        let _ = write!(html, "<tr><th scope=\"row\">{}</th>", inside(report, heading));
        for cell in cells {
            let _ = write!(html, "<td class=\"{}\">{}</td>", cell.tone.class(), inside(report, cell));
        }
        html += "</tr>\n";
    }
    html + "</tbody>\n</table></div>\n"
}

/// What stands in a cell.
fn inside(report: &Report, cell: &Cell) -> String {
    let said = text(&cell.text);
    let words = match &cell.spoken {
        None => said,
        Some(spoken) => {
            format!("<span aria-hidden=\"true\">{said}</span><span class=\"spoken\">{}</span>", text(spoken))
        }
    };
    link(report, cell.to.as_ref(), &words)
}

fn story(report: &Report, place: usize, story: &Story) -> String {
    let page = story.page.and_then(|page| report.pages.get(page));
    let file = page.map(|page| format!("{}.html", page.name)).unwrap_or_default();
    let (number, class) = (place + 1, story.tone.class());
    let mut html = format!(
        "<article class=\"story {class}\" aria-labelledby=\"story-{number}\">\n<h3 id=\"story-{number}\">{}</h3>\n",
        text(&story.heading)
    );
    let mut put = |class: &str, said: &str| {
        if !said.is_empty() {
            // Writing to a string cannot fail.
            let _ = writeln!(html, "<p class=\"{class}\">{}</p>", rich(said, &file));
        }
    };
    put("often", &story.often);
    put("detail", &story.detail);
    html += &match page {
        Some(page) => departures(&page.picture, &file),
        None => {
            let texts: Vec<String> = story.departures.iter().map(|text| shown_up_to(text, FIELDS_MAX)).collect();
            list_of_departures("◀ departs", texts.iter().map(|text| (text.as_str(), String::new())))
        }
    };
    if let Some(page) = page.filter(|page| !page.picture.why.is_empty()) {
        html += "<div class=\"why\"><h4>Why</h4>\n";
        for sentence in &page.picture.why {
            let _ = writeln!(html, "<p>{}</p>", with_links(sentence, &file));
        }
        html += "</div>\n";
    }
    html += &facts(&story.facts, &file);
    html += &commands(&story.commands);
    html += &links(report, story, page);
    if let Some(page) = page
        && let Ok(drawing) = drawn(&page.picture, None, STEPS_DRAWN)
    {
        let open = if report.stories().count() <= STORIES_OPEN { " open" } else { "" };
        let _ = writeln!(
            html,
            "<details{open}><summary>The run as a drawing</summary>\
             <div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Drawing of story {number}\">\
             {drawing}</div>\
             </details>"
        );
    }
    html + "</article>\n"
}

/// Where a story is told in full.
fn links(report: &Report, story: &Story, page: Option<&Page>) -> String {
    let mut links = Vec::new();
    if let (Some(place), Some(page)) = (story.page, page) {
        let steps = pellmell_core::trace::count(page.picture.run.steps.len() as u64, "step");
        links.push(link(report, Some(&To::Page(place)), &format!("▶ Its page: {steps} to go through")));
        if page.scenario.is_some() {
            links.push(format!("<a href=\"{0}.toml\">its scenario file, {0}.toml</a>", xml(&page.name)));
        }
    }
    links.extend(story.links.iter().map(|(words, to)| link(report, Some(to), &text(words))));
    if links.is_empty() { String::new() } else { format!("<p class=\"links\">{}</p>\n", links.join(" · ")) }
}
