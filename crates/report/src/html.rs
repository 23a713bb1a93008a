//! `--to html`: a page of one file that opens from disk and asks for nothing else.
//!
//! What matters most is plain HTML: the verdict, why, the departures, the command. The steps are drawn by the
//! script from data in the page, and without script a drawing stands in their place. The page's policy allows
//! its own style and its own script, each by its hash, and nothing else.

use std::fmt::Write;

use crate::data::data;
use crate::picture::Picture;
use crate::style::{DIAGRAM, GLYPHS, WAITING, legend, legend_of_arrows, variables};
use crate::svg::{drawing_css, drawn};
use crate::text::{json_in_html, xml};

/// How a page begins.
pub const BEGIN: &str = "<!doctype html>\n<html lang=\"en\" data-made-by=\"pellmell export\"";

/// The hash of the page's style, which its policy allows.
pub const STYLE_HASH: &str = "sha256-KvEsju2hRPxionCo54slqO+Rnx6dQsr8R47p0tarY4w=";
/// The hash of the page's script, likewise.
pub const SCRIPT_HASH: &str = "sha256-8ZqfpRNDpPNpXzFT91ZOVfiuXxw/A1aBq+FN+EyXkH8=";

const SCRIPT: &str =
    concat!(include_str!("page/page.js"), include_str!("page/telling.js"), include_str!("page/using.js"));

/// The most steps of a run of which a drawing stands in the page for those without script.
const STEPS_WITHOUT_SCRIPT: usize = 200;

fn style() -> String {
    [&variables(), DIAGRAM, drawing_css(), include_str!("page/page.css")].concat()
}

/// The picture as a page.
#[must_use]
pub fn html(picture: &Picture) -> String {
    let verdict = &picture.verdict;
    let class = if verdict.is_held() { "held" } else { "failed" };
    let title = xml(&format!("{}: {}", picture.scenario, verdict.heading()));
    let policy = format!(
        "default-src 'none'; style-src '{STYLE_HASH}'; script-src '{SCRIPT_HASH}'; base-uri 'none'; form-action 'none'"
    );
    let mut page = format!(
        "{BEGIN} class=\"{class}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>{}</style>\n</head>\n<body>\n<svg class=\"defs\" aria-hidden=\"true\"><defs>\n{GLYPHS}</defs></svg>\n\
         <a class=\"skip\" href=\"#rows\">To the steps</a>\n",
        style()
    );
    page += &top(picture);
    page += TOOLS;
    page += MAIN;
    page += &legend_of(picture);
    if let Ok(drawing) = drawn(picture, None, STEPS_WITHOUT_SCRIPT) {
        page += &format!("<noscript>{drawing}</noscript>\n");
    } else {
        page += "<noscript><p>The steps are drawn by a script, which this browser does not run.</p></noscript>\n";
    }
    let data = json_in_html(&data(picture).to_string());
    page += &format!("<script type=\"application/json\" id=\"data\">{data}</script>\n");
    page += &format!("<script>{SCRIPT}</script>\n</body>\n</html>\n");
    page
}

/// The verdict, the departures, why, and what to type.
fn top(picture: &Picture) -> String {
    let verdict = &picture.verdict;
    let mut top = format!(
        "<header class=\"top\">\n<p class=\"where\">{} · design {} · broker {} · seed {} · {} scheduler</p>\n\
         <h1><svg viewBox=\"0 0 20 20\" aria-hidden=\"true\">{}</svg><span>{}</span></h1>\n",
        xml(&picture.scenario),
        xml(&picture.design),
        xml(&picture.profile),
        picture.seed,
        xml(&picture.scheduler),
        shape(if verdict.is_held() { "held" } else { "verdict" }, "", 0),
        xml(&verdict.heading())
    );
    let mut put = |class: &str, text: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(top, "<p class=\"{class}\">{}</p>", with_links(text));
    };
    put("detail", verdict.detail.as_deref().unwrap_or("Every property holds."));
    if !picture.about.is_empty() {
        put("dim", &picture.about);
    }
    for note in &picture.notes {
        put("note", note);
    }
    if !picture.departures.is_empty() {
        top += "<ul class=\"departures\" aria-label=\"Departures from the calm run\">\n";
        for departs in &picture.departures {
            let needed = if picture.why.is_empty() { "◀ departs" } else { "◀ needed" };
            let steps: Vec<String> = departs.steps.iter().map(u64::to_string).map(|step| link(&step)).collect();
            let shows = if steps.is_empty() { String::new() } else { format!(" shows in {}", steps.join(", ")) };
            let _ = writeln!(top, "<li><strong>{needed}</strong> <code>{}</code>{shows}</li>", xml(&departs.text));
        }
        top += "</ul>\n";
    }
    if !picture.why.is_empty() {
        top += "<section class=\"why\"><h2>Why</h2>\n";
        for sentence in &picture.why {
            let _ = writeln!(top, "<p>{}</p>", with_links(sentence));
        }
        top += "</section>\n";
    }
    top += "<dl class=\"commands\">\n";
    for (word, command) in &picture.commands {
        let (word, command) = (xml(word), xml(command));
        let _ = writeln!(
            top,
            "<dt>{word}</dt><dd><code>{command}</code> <button type=\"button\" data-copy>copy</button></dd>"
        );
    }
    top += "</dl>\n";
    if !picture.remarks.is_empty() {
        top += "<details><summary>What else was found out</summary><dl class=\"remarks\">\n";
        for (word, text) in &picture.remarks {
            let _ = writeln!(top, "<dt>{}</dt><dd>{}</dd>", xml(word), with_links(text));
        }
        top += "</dl></details>\n";
    }
    top + "</header>\n"
}

fn link(step: &str) -> String {
    format!("<a href=\"#step-{step}\">step {step}</a>")
}

/// A text in which each step that is named leads to it, and what stands in backticks is code.
fn with_links(text: &str) -> String {
    // What is in backticks is every other part; the last one is no code if it is not closed.
    let parts: Vec<&str> = text.split('`').collect();
    let is_closed = parts.len() % 2 == 1;
    let part = |(place, part): (usize, &&str)| match place % 2 {
        1 if is_closed || place + 1 < parts.len() => format!("<code>{}</code>", linked(part)),
        1 => format!("`{}", linked(part)),
        _ => linked(part),
    };
    parts.iter().enumerate().map(part).collect()
}

fn linked(text: &str) -> String {
    let mut linked = String::new();
    for (place, part) in text.split("step ").enumerate() {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        match place {
            0 => linked += &xml(part),
            _ if digits == 0 => linked += &xml(&format!("step {part}")),
            _ => linked += &(link(&part[..digits]) + &xml(&part[digits..])),
        }
    }
    linked
}

const TOOLS: &str = include_str!("page/tools.html");

/// What the script draws into.
const MAIN: &str = include_str!("page/main.html");

/// A shape in an image of the page.
fn shape(name: &str, classes: &str, x: u32) -> String {
    format!("<use class=\"{classes}\" href=\"#g-{name}\" x=\"{x}\" width=\"20\" height=\"20\"/>")
}

fn legend_of(picture: &Picture) -> String {
    let mut entries = String::new();
    let mut put = |class: &str, width: u32, image: &str, words: &str| {
        // Writing to a string cannot fail.
        let _ = write!(
            entries,
            "<span><svg class=\"{class}\" viewBox=\"0 0 {width} 20\">{image}</svg>{}</span>",
            xml(words)
        );
    };
    for (name, colour, words) in legend(picture) {
        put("", 20, &shape(name, &format!("glyph {colour}"), 0), words);
    }
    for (class, words) in legend_of_arrows(picture) {
        let inner = if class == "duplicate" { "<path class=\"arrow inner\" d=\"M0 10H34\"/>" } else { "" };
        let line = format!("<path class=\"arrow {class}\" d=\"M0 10H34\"/>{inner}");
        put("wide", 44, &(line + &shape("handled", "glyph", 24)), words);
    }
    if !picture.waiting().is_empty() {
        put("wide", 44, "<path class=\"arrow waiting\" d=\"M0 10H34\"/>", WAITING);
    }
    let crossing = "<span>arrows that cross: one message overtakes another</span>";
    format!("<footer class=\"legend\" aria-label=\"Legend\">{entries}{crossing}</footer>\n")
}
