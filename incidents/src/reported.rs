//! Incidents as pages: a table of how each is found, and each with the picture of its counterexample.

use pellmell::Limits;
use pellmell::explain::{Explain, Explanation};
use pellmell::run::run;
use pellmell::trace::{Edges, Header, Recorder, Trace};
use pellmell::{Departing, Simulation};
use pellmell_report::report::{Cell, Fact, Part, Report, Row, Story, To, Tone};
use pellmell_report::{Picture, Source};

use crate::played::SEEDS_MAX;
use crate::{Facts, Incident};

/// The incidents as pages.
///
/// # Panics
/// If the departures of one do not show it, or its fix does not mend it.
#[must_use]
pub fn report(incidents: &[Incident]) -> Report {
    let many = pellmell::trace::count(incidents.len() as u64, "incident");
    let mut report = Report {
        verb: "incidents",
        title: match incidents {
            [one] => one.name.to_owned(),
            _ => many.clone(),
        },
        place: "each a small system with the fault that was told of it in public".to_owned(),
        ..Report::default()
    };
    let (mut rows, mut stories, mut all_found) = (Vec::new(), Vec::new(), 0);
    for (place, incident) in incidents.iter().enumerate() {
        let found = incident.find().map(|found| found.schedules);
        all_found += usize::from(found.is_some());
        let broker = (incident.system)(false).profile().name;
        let name = Cell { to: Some(To::Story(place)), ..Cell::from(incident.name) };
        let schedules = found.map_or_else(|| "none".to_owned(), |schedules| schedules.to_string());
        let cells = vec![broker.into(), incident.about.into(), schedules.into()];
        rows.push(Row { heading: name, cells });
        stories.push(Part::story(story(&mut report, incident, found)));
    }
    report.heading = format!("{many}: {all_found} found and mended").to_uppercase();
    let details =
        format!("A search that knows nothing of the departures finds {all_found} of {many}; each holds with its fix.");
    report.details = vec![details];
    let columns = ["incident", "broker", "what went wrong", "schedules until found"];
    report.add_section("How each is found", Part::table("All incidents", &columns, rows));
    report.add_section("What happened", stories);
    report
}

fn story(report: &mut Report, incident: &Incident, found: Option<u64>) -> Story {
    let (simulation, judges) = ((incident.system)(false), incident.judges());
    let explained = Explain::new(&simulation, &judges).departures(incident.schedule());
    let explanation = explained.unwrap_or_else(|error| panic!("{}: {error}", incident.name));
    let program = env!("CARGO_PKG_NAME");
    let commands = [("Tell", format!("cargo run -p {program} -- {}", incident.name))];
    let picture = picture(incident, &simulation, &explanation, &commands);
    let found = found.map_or_else(|| "no schedule".to_owned(), |schedules| format!("schedule {schedules}"));
    let runs = incident.check_fixed(SEEDS_MAX).runs;
    Story {
        heading: format!("{}: {}", incident.name, incident.about),
        tone: Tone::Bad,
        often: format!("on {}, found by {found} of a search", simulation.profile().name),
        detail: picture.verdict.detail.clone().unwrap_or_default(),
        facts: vec![Fact::new(Tone::Good, "The fix", format_args!("{}; {runs} runs held", incident.fix))],
        commands: commands.iter().map(|(word, command)| ((*word).to_owned(), command.clone())).collect(),
        links: vec![("where it is told".to_owned(), To::Elsewhere(incident.source.to_owned()))],
        page: Some(report.add_page(incident.name, picture, None)),
        ..Story::default()
    }
}

fn picture(
    incident: &Incident,
    simulation: &Simulation<Facts>,
    explanation: &Explanation,
    commands: &[(&str, String)],
) -> Picture {
    let (trace, edges) = recorded(incident, simulation, Departing::new(incident.schedule()));
    let (calm, calm_edges) = recorded(incident, simulation, Departing::new(Vec::new()));
    Picture::of(&Source {
        trace: &trace,
        scenario: incident.name,
        seed: 0,
        about: incident.about,
        profile: simulation.profile().name,
        edges: &edges,
        explanation: Some(explanation),
        calm: Some((&calm, &calm_edges)).filter(|(calm, _)| calm.records != trace.records),
        commands,
        notes: &[],
    })
}

fn recorded(incident: &Incident, simulation: &Simulation<Facts>, mut departing: Departing) -> (Trace, Edges) {
    let services = simulation.service_names().map(str::to_owned).collect();
    let header = Header {
        design: "as told".to_owned(),
        scheduler: "departures".to_owned(),
        limits: Limits::OF_A_TEST,
        ..Header::of(incident.name, services)
    };
    let (mut recorder, mut world) = (Recorder::default(), simulation.world());
    let before = Edges::before(&world);
    let report = run(&mut world, &mut departing, &incident.judges(), Limits::OF_A_TEST, &mut recorder);
    (recorder.finish(header, &world, &report), before.after(&world))
}
