//! `--to html`: a page of one file that opens from disk and asks for nothing else.
//!
//! What matters most is plain HTML: the verdict, why, the departures, the command. The steps are drawn by the
//! script from data in the page, and without script a drawing stands in their place. The page's policy allows
//! its own style and its own script, each by its hash, and nothing else.

use std::fmt::Write;

use crate::data::data;
use crate::folder;
use crate::picture::Picture;
use crate::style::{COMMON, DIAGRAM, GLYPHS, WAITING, legend, legend_of_arrows, variables};
use crate::svg::{drawing_css, drawn};
use crate::text::{json_in_html, xml};

/// How a page begins.
pub const BEGIN: &str = "<!doctype html>\n<html lang=\"en\" data-made-by=\"pellmell export\"";

/// The hash of the page's style, which its policy allows.
pub const STYLE_HASH: &str = "sha256-H5oh25m6DqqXZ9ngMDTMd89amiyoxzfSStlmYqc3h9A=";
/// The hash of the page's script, likewise.
pub const SCRIPT_HASH: &str = "sha256-cbXrq5LcCQtYDpAdqRgfiJZwqYt/3QiQGRfEUGn6Y/s=";

const SCRIPT: &str =
    concat!(include_str!("page/page.js"), include_str!("page/telling.js"), include_str!("page/using.js"));

/// The most steps of a run of which a drawing stands in the page for those without script.
const STEPS_WITHOUT_SCRIPT: usize = 200;

fn style() -> String {
    [&variables(), DIAGRAM, drawing_css(), COMMON, include_str!("page/page.css")].concat()
}

/// A page that this one belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Home<'a> {
    /// Where it is, from this page.
    pub file: &'a str,
    /// Its title.
    pub title: &'a str,
}

/// The picture as a page.
#[must_use]
pub fn html(picture: &Picture) -> String {
    html_at(picture, None)
}

/// The picture as a page of a report, which leads back to it.
#[must_use]
pub fn html_at(picture: &Picture, home: Option<Home<'_>>) -> String {
    let verdict = &picture.verdict;
    let class = if verdict.is_held() { "held" } else { "failed" };
    let title = format!("{}: {}", picture.scenario, verdict.heading());
    let allowed = format!("style-src '{STYLE_HASH}'; script-src '{SCRIPT_HASH}'");
    let marked = if home.is_some() { folder::BEGIN } else { BEGIN };
    let mut page = begin(marked, class, &allowed, &title, &style());
    page += "<a class=\"skip\" href=\"#rows\">To the steps</a>\n";
    page += &top(picture, home);
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

/// A page up to what stands in its body: a policy that allows nothing but what it names, a style, shapes.
pub(crate) fn begin(marked: &str, class: &str, allowed: &str, title: &str, style: &str) -> String {
    let policy = format!("default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'");
    let title = xml(title);
    format!(
        "{marked} class=\"{class}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>{style}</style>\n</head>\n<body>\n\
         <svg class=\"defs\" aria-hidden=\"true\"><defs>\n{GLYPHS}</defs></svg>\n"
    )
}

/// The verdict, the departures, why, and what to type.
fn top(picture: &Picture, home: Option<Home<'_>>) -> String {
    let verdict = &picture.verdict;
    let home = home.map_or_else(String::new, |Home { file, title }| {
        format!("<p class=\"home\"><a href=\"{}\">◀ {}</a></p>\n", xml(file), xml(title))
    });
    let mut top = format!(
        "<header class=\"top\">\n{home}<p class=\"where\">{} · design {} · broker {} · seed {} · {} scheduler</p>\n\
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
        let _ = writeln!(top, "<p class=\"{class}\">{}</p>", with_links(text, ""));
    };
    put("detail", verdict.detail.as_deref().unwrap_or("Every property holds."));
    if !picture.about.is_empty() {
        put("dim", &picture.about);
    }
    for note in &picture.notes {
        put("note", note);
    }
    top += &departures(picture, "");
    if !picture.why.is_empty() {
        top += "<section class=\"why\"><h2>Why</h2>\n";
        for sentence in &picture.why {
            let _ = writeln!(top, "<p>{}</p>", with_links(sentence, ""));
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
            let _ = writeln!(top, "<dt>{}</dt><dd>{}</dd>", xml(word), with_links(text, ""));
        }
        top += "</dl></details>\n";
    }
    top + "</header>\n"
}

/// How a run departs from the calm one, as a list; steps are links to those of its page, which is this one if
/// there is no name.
pub(crate) fn departures(picture: &Picture, page: &str) -> String {
    let needed = if picture.why.is_empty() { "◀ departs" } else { "◀ needed" };
    let departs = picture.departures.iter().map(|departs| {
        let steps: Vec<String> = departs.steps.iter().map(|step| link(&step.to_string(), page)).collect();
        let shows = if steps.is_empty() { String::new() } else { format!(" shows in {}", steps.join(", ")) };
        (departs.text.as_str(), shows)
    });
    list_of_departures(needed, departs)
}

/// Departures as a list, each with what stands behind it.
pub(crate) fn list_of_departures<'a>(word: &str, departs: impl Iterator<Item = (&'a str, String)>) -> String {
    let lines: String = departs
        .map(|(text, shows)| format!("<li><strong>{word}</strong> <code>{}</code>{shows}</li>\n", xml(text)))
        .collect();
    if lines.is_empty() {
        return lines;
    }
    format!("<ul class=\"departures\" aria-label=\"Departures from the calm run\">\n{lines}</ul>\n")
}

fn link(step: &str, page: &str) -> String {
    format!("<a href=\"{}#step-{step}\">step {step}</a>", xml(page))
}

/// A text in which each step that is named leads to it, on this page or the one of that name, and what stands in
/// backticks is code.
pub(crate) fn with_links(text: &str, page: &str) -> String {
    // What is in backticks is every other part; the last one is no code if it is not closed.
    let parts: Vec<&str> = text.split('`').collect();
    let is_closed = parts.len() % 2 == 1;
    let part = |(place, part): (usize, &&str)| match place % 2 {
        1 if is_closed || place + 1 < parts.len() => format!("<code>{}</code>", linked(part, page)),
        1 => format!("`{}", linked(part, page)),
        _ => linked(part, page),
    };
    parts.iter().enumerate().map(part).collect()
}

fn linked(text: &str, page: &str) -> String {
    let mut linked = String::new();
    for (place, part) in text.split("step ").enumerate() {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        match place {
            0 => linked += &xml(part),
            _ if digits == 0 => linked += &xml(&format!("step {part}")),
            _ => linked += &(link(&part[..digits], page) + &xml(&part[digits..])),
        }
    }
    linked
}

const TOOLS: &str = include_str!("page/tools.html");

/// What the script draws into.
const MAIN: &str = include_str!("page/main.html");

/// A shape in an image of the page.
pub(crate) fn shape(name: &str, classes: &str, x: u32) -> String {
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
