//! The exports of a small system: a shop owns items, search keeps copies and refuses what it has already.

mod report;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use expect_test::{Expect, expect};
use pellmell_core::doc_example::{Change, Changed, Item, Shop};
use pellmell_core::explain::Explain;
use pellmell_core::ids::Version;
use pellmell_core::property::NoPoison;
use pellmell_core::schedule::Departure;
use pellmell_core::scheduler::Departing;
use pellmell_core::testing::service;
use pellmell_core::trace::{Edges, Header, Recorder, Trace};
use pellmell_core::{Judges, Limits, Outcome, Profile, RecordId, Simulation, Subject, VersionPolicy, run};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::picture::{Picture, Source};
use crate::step::Mark;
use crate::{chrome, github, html, jsonl, junit, mermaid, otlp, svg};

fn simulation() -> Simulation<Shop> {
    let shop = service::<Shop>("shop").on_command(|change, ctx| {
        ctx.publish(Changed { item: change.item, version: Version(0), price: change.price });
        Ok(())
    });
    let listens = const { &[Subject::new("item:changed")] };
    let search = service::<Shop>("search").keeps::<Item>(VersionPolicy::EVERY_SAVE);
    let search =
        search.on_event(listens, |event, ctx| match ctx.store.insert(event.item, Item { price: event.price }) {
            Ok(_) => Outcome::Ack,
            Err(_) => Outcome::Silent("duplicate key"),
        });
    let commands = vec![Change { item: RecordId::new('i', 1), price: 5 }];
    let simulation = Simulation::on(Profile::adversarial()).service(shop).service(search);
    simulation.client("seller", commands).build().expect("the parts fit")
}

fn recorded(schedule: &[Departure]) -> (Trace, Edges) {
    let simulation = simulation();
    let services = simulation.service_names().map(str::to_owned).collect();
    let header = Header {
        tool: "0.0.0".to_owned(),
        design: "usual".to_owned(),
        scheduler: "departures".to_owned(),
        seed: 7,
        ..Header::of("one-item", services)
    };
    let mut recorder = Recorder::default();
    let mut world = simulation.world();
    let before = Edges::before(&world);
    let mut scheduler = Departing::new(schedule.to_vec());
    let judges = Judges::new(vec![Box::new(NoPoison)]);
    let report = run(&mut world, &mut scheduler, &judges, Limits::default(), &mut recorder);
    (recorder.finish(header, &world, &report), before.after(&world))
}

/// The picture of the run in which the ack of the only message is lost, after `spoil` changed its trace.
fn picture_of(spoil: impl FnOnce(&mut Trace)) -> Picture {
    let schedule: Vec<Departure> = vec!["lose ack of item:changed i1@0 -> search".parse().expect("a departure")];
    let (mut trace, edges) = recorded(&schedule);
    let (calm, calm_edges) = recorded(&[]);
    let (simulation, judges) = (simulation(), Judges::new(vec![Box::new(NoPoison) as Box<_>]));
    let explanation = Explain::new(&simulation, &judges).departures(schedule).expect("it fails");
    spoil(&mut trace);
    Picture::of(&Source {
        trace: &trace,
        scenario: &trace.header.scenario.clone(),
        seed: 7,
        about: "An ack is lost.",
        profile: "adversarial",
        edges: &edges,
        explanation: Some(&explanation),
        calm: Some((&calm, &calm_edges)),
        commands: &[("Reproduce", "pellmell run one-item.toml --seed 7".to_owned())],
        notes: &[],
    })
}

fn picture() -> Picture {
    picture_of(|_| {})
}

#[test]
fn a_record_that_was_removed_has_no_fields_any_more() {
    let removes = |trace: &mut Trace| {
        let saved = trace.records.iter_mut().flat_map(|record| &mut record.saved);
        saved.for_each(|row| row.removed = true);
    };
    let steps = [picture(), picture_of(removes)].map(|picture| {
        let changed = picture.run.steps.iter().filter(|step| !step.changes.is_empty());
        changed.map(|step| (step.outcome.clone(), step.changes[0].fields.clone())).collect::<Vec<_>>()
    });
    let price = json!({ "price": 5 });
    assert_eq!(steps[0], [("✓ saves i1@0".to_owned(), price)]);
    assert_eq!(steps[1], [("✓ removes i1@0".to_owned(), serde_json::Value::Null)]);
}

/// Names and payloads that would like to be something else.
const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "two\nlines\r\u{0}\u{1b}[2J",
    "\u{202e}desrever\u{2066}",
    "]]>--><!--</style></svg>",
    "`end` ``` %% ; \\ {{x}}",
];

/// A picture in which each text that users write is hostile, and one is a megabyte.
fn hostile() -> Picture {
    picture_of(|trace| {
        let all = HOSTILE.join(" ");
        trace.header.scenario = all.clone();
        trace.header.design = all.clone();
        trace.end.detail = Some(format!("at search, i1: {all} {}", "z".repeat(1 << 20)));
        for record in &mut trace.records {
            record.answer = Some(format!("nak: {all}"));
            record.published = vec![all.clone()];
            record.outside = vec![all.clone(), "x".repeat(1 << 20)];
            record.instead_of = Some(all.clone());
            record.faults = vec![all.clone()];
            for row in &mut record.saved {
                row.fields = json!({ all.clone(): all, "large": "y".repeat(1 << 20) });
            }
        }
        trace.records[1].action = format!("deliver {all} -> search #1");
    })
}

/// All exports of a picture, each with its name.
fn exports(picture: &Picture) -> Vec<(&'static str, String)> {
    vec![
        ("html", html::html(picture)),
        ("svg", svg::svg(picture).expect("it is short")),
        ("mermaid", mermaid::mermaid(picture).expect("it is short")),
        ("junit", junit::junit(picture)),
        ("chrome", chrome::chrome(picture)),
        ("jsonl", jsonl::jsonl(picture)),
        ("otlp", otlp::otlp(picture)),
        ("annotation", github::annotation(picture)),
        ("summary", github::summary(picture)),
    ]
}

fn check(found: &str, expected: &Expect) {
    expected.assert_eq(found);
}

#[test]
fn a_step_has_its_marks_its_arrow_and_what_it_follows_from() {
    let picture = picture();
    let lines = picture.run.steps.iter().map(|step| {
        let marks: Vec<&str> = step.marks.iter().map(|mark| mark.words()).collect();
        let (column, from) = (&picture.columns[step.column].name, step.from.map(|from| from + 1));
        let parents: Vec<usize> = step.parents.iter().map(|parent| parent + 1).collect();
        let rate = step.rate.as_deref().unwrap_or("-");
        format!(
            "{} {column}: {} | {} | {} | from {from:?}, after {parents:?}, {rate}\n",
            step.number,
            step.what,
            step.outcome,
            marks.join(", ")
        )
    });
    check(
        &lines.collect::<String>(),
        &expect![[r#"
        1 shop: seller: change i1 to 5 | ✓ | handled and acked, causal past | from None, after [], 12%
        2 search: item:changed i1@0 -> search | ✓ saves i1@0 | ack lost, necessary, departs, turning point, causal past | from Some(1), after [1], 100%
        3 search: item:changed i1@0 -> search #2 | ✗ duplicate key | refused, redelivery, causal past | from Some(1), after [1, 2], 100%
    "#]],
    );
    assert!(picture.verdict.parents.contains(&(picture.run.steps.len() - 1)), "{:?}", picture.verdict);
}

#[test]
fn the_drawing_has_a_column_for_each_service_and_an_arrow_for_each_delivery() {
    let drawing = svg::svg(&picture()).expect("it is short");
    let body = drawing.split("</defs>").nth(1).expect("a drawing has shapes");
    check(
        body,
        &expect![[r##"

        <rect class="ground" width="852" height="388"/>
        <text class="word" x="20" y="36">✗ VIOLATED NoPoison</text>
        <text class="quiet" x="20" y="58">one-item   design usual, seed 7, broker adversarial</text>
        <text class="needed" x="20" y="76">◀ lose ack of item:changed i1@0 -&gt; search</text>
        <text class="name" x="186" y="110">clients</text>
        <text class="name" x="302" y="110">shop</text>
        <text class="name" x="418" y="110">search</text>
        <text class="quiet" x="488" y="110">what happens</text>
        <text class="quiet end" x="832" y="110">P(violated)</text>
        <rect class="band" y="162" width="852" height="40"><title>step 2: a departure that the failure needs shows here</title></rect>
        <rect class="edge" y="162" width="6" height="40"/>
        <path class="life" d="M186 122V242"/>
        <path class="life" d="M302 122V242"/>
        <path class="life" d="M418 122V242"/>
        <path class="arrow ask" d="M186 142H302"/>
        <path class="arrow departing" d="M302 142L418 182"/>
        <path class="arrow redelivery" d="M302 142L418 222"/>
        <text class="end" x="44" y="146">1</text>
        <text class="quiet end" x="118" y="146">+0.001s</text>
        <use class="glyph" href="#g-client" x="176" y="132" width="20" height="20"/>
        <use class="glyph" href="#g-accepted" x="292" y="132" width="20" height="20"/>
        <text class="what" x="488" y="139">seller: change i1 to 5</text>
        <text class="quiet" x="488" y="155"><tspan>✓</tspan></text>
        <text class="end" x="832" y="146">12%</text>
        <text class="end" x="44" y="186">2</text>
        <text class="quiet end" x="118" y="186">+0.001s</text>
        <use class="glyph need" href="#g-ack-lost" x="408" y="172" width="20" height="20"/>
        <text class="label need" x="430" y="186">i1@0</text>
        <text class="what" x="488" y="179">item:changed i1@0 -&gt; search</text>
        <text class="quiet" x="488" y="195"><tspan>✓ saves i1@0</tspan><tspan>  </tspan><tspan class="needed">◀ ack lost</tspan></text>
        <text class="wrong end" x="832" y="186">100% ▲</text>
        <text class="end" x="44" y="226">3</text>
        <text class="quiet end" x="118" y="226">+0.001s</text>
        <use class="glyph need" href="#g-refused" x="408" y="212" width="20" height="20"/>
        <text class="label" x="430" y="226">i1@0 #2</text>
        <text class="what" x="488" y="219">item:changed i1@0 -&gt; search #2</text>
        <text class="quiet" x="488" y="235"><tspan class="wrong">✗ duplicate key</tspan><tspan>  </tspan><tspan>redelivery</tspan></text>
        <text class="end" x="832" y="226">100%</text>
        <rect class="band bad" y="242" width="852" height="70"/>
        <rect class="edge bad" y="242" width="6" height="70"/>
        <use class="glyph bad" href="#g-verdict" x="26" y="254" width="20" height="20"/>
        <text class="word" x="62" y="268">✗ VIOLATED NoPoison</text>
        <text class="" x="62" y="288">at search, i1, item:changed i1@0: still unacked: item:changed i1@0 -&gt; search #3 after 2 attempts,</text>
        <text class="" x="62" y="306">redelivery changes nothing</text>
        <use class="glyph" href="#g-accepted" x="18" y="328" width="20" height="20"/>
        <text class="quiet" x="42" y="342">command accepted</text>
        <use class="glyph need" href="#g-refused" x="168" y="328" width="20" height="20"/>
        <text class="quiet" x="192" y="342">refused or no answer</text>
        <use class="glyph need" href="#g-ack-lost" x="348" y="328" width="20" height="20"/>
        <text class="quiet" x="372" y="342">ack lost</text>
        <path class="arrow redelivery" d="M450 338H484"/>
        <use class="glyph" href="#g-handled" x="474" y="328" width="20" height="20"/>
        <text class="quiet" x="496" y="342">redelivery</text>
        <path class="arrow departing" d="M589 338H623"/>
        <use class="glyph" href="#g-handled" x="613" y="328" width="20" height="20"/>
        <text class="quiet" x="635" y="342">departs from the calm run</text>
        <text class="" x="20" y="368">Reproduce  pellmell run one-item.toml --seed 7</text>
        </svg>
    "##]],
    );
}

#[test]
fn the_page_says_the_verdict_why_and_what_to_type_without_a_script() {
    let page = html::html(&picture());
    let top = page.split("<header").nth(1).and_then(|rest| rest.split("</header>").next()).expect("a page has a top");
    check(
        top,
        &expect![[r##"
             class="top">
            <p class="where">one-item · design usual · broker adversarial · seed 7 · departures scheduler</p>
            <h1><svg viewBox="0 0 20 20" aria-hidden="true"><use class="" href="#g-verdict" x="0" width="20" height="20"/></svg><span>VIOLATED NoPoison</span></h1>
            <p class="detail">at search, i1, item:changed i1@0: still unacked: item:changed i1@0 -&gt; search #3 after 2 attempts, redelivery changes nothing</p>
            <p class="dim">An ack is lost.</p>
            <ul class="departures" aria-label="Departures from the calm run">
            <li><strong>◀ needed</strong> <code>lose ack of item:changed i1@0 -&gt; search</code> shows in <a href="#step-2">step 2</a></li>
            </ul>
            <section class="why"><h2>Why</h2>
            <p>The ack of <code>item:changed i1@0 -&gt; search</code> is lost (<a href="#step-2">step 2</a>), so the broker delivers it again (<a href="#step-3">step 3</a>).</p>
            <p>At <a href="#step-3">step 3</a> search, which holds i1@0, handles <code>item:changed i1@0 #2</code> and gives no answer (duplicate key).</p>
            <p>So NoPoison is violated for i1 at search: still unacked: item:changed i1@0 -&gt; search #3 after 2 attempts, redelivery changes nothing. It says that every message is acked in the end, if each is redelivered as often as it takes.</p>
            </section>
            <dl class="commands">
            <dt>Reproduce</dt><dd><code>pellmell run one-item.toml --seed 7</code> <button type="button" data-copy>copy</button></dd>
            </dl>
            <details><summary>What else was found out</summary><dl class="remarks">
            <dt>Rates</dt><dd>P(violated): how many of 200 continuations fail as this run does if all after the step is drawn anew, faults like this run&#39;s with 1/10 each</dd>
            <dt>Turns</dt><dd>at <a href="#step-2">step 2</a> ▲, from 12% to 100%</dd>
            <dt>Calm run</dt><dd>differs first at <a href="#step-2">step 2</a>, where the same happens and nothing goes wrong; in it every property holds</dd>
            <dt>Changes</dt><dd>without <code>lose ack of item:changed i1@0 -&gt; search</code>: every property holds</dd>
            <dt>Changes</dt><dd>without <code>seller: change i1 to 5</code>: every property holds</dd>
            <dt>Changes</dt><dd>it fails as well if the calm run serves the groups in other orders</dd>
            </dl></details>
        "##]],
    );
}

#[test]
fn a_sequence_diagram_says_what_arrows_cannot() {
    check(
        &mermaid::mermaid(&picture()).expect("it is short"),
        &expect![[r#"
        %% Made by pellmell export.
        sequenceDiagram
            accTitle: one-item VIOLATED NoPoison
            participant c0 as clients
            participant c1 as shop
            participant c2 as search
            c0->>c1: 1 seller: change i1 to 5 ✓ #43;0.001s
            c1->>c2: 2 item:changed i1@0 -#62; search ✓ saves i1@0 ◀ ack lost #43;0.001s
            Note right of c2: ◀ needed: ack lost
            c1--xc2: 3 item:changed i1@0 -#62; search #35;2 ✗ duplicate key (published in step 1), redelivery #43;0.001s
            Note over c0,c2: ✗ VIOLATED NoPoison: at search, i1, item:changed i1@0: still unacked: item:changed i1@0 -#62; search #35;3 after 2 attempts, redelivery changes nothing
    "#]],
    );
}

#[test]
fn a_report_of_a_test_case_says_why_it_failed() {
    check(
        &junit::junit(&picture()),
        &expect![[r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="pellmell export" tests="1" failures="1" errors="0" skipped="0">
        <testsuite name="one-item" tests="1" failures="1" errors="0" skipped="0">
        <testcase classname="one-item" name="seed 7, design usual">
        <properties>
        <property name="design" value="usual"/>
        <property name="broker" value="adversarial"/>
        <property name="scheduler" value="departures"/>
        <property name="seed" value="7"/>
        <property name="fingerprint" value="20eebd0e42bcb0c7"/>
        </properties>
        <failure type="VIOLATED NoPoison" message="at search, i1, item:changed i1@0: still unacked: item:changed i1@0 -&gt; search #3 after 2 attempts, redelivery changes nothing">at search, i1, item:changed i1@0: still unacked: item:changed i1@0 -&gt; search #3 after 2 attempts, redelivery changes nothing
        Departs: lose ack of item:changed i1@0 -&gt; search
        The ack of `item:changed i1@0 -&gt; search` is lost (step 2), so the broker delivers it again (step 3).
        At step 3 search, which holds i1@0, handles `item:changed i1@0 #2` and gives no answer (duplicate key).
        So NoPoison is violated for i1 at search: still unacked: item:changed i1@0 -&gt; search #3 after 2 attempts, redelivery changes nothing. It says that every message is acked in the end, if each is redelivered as often as it takes.
        Reproduce: pellmell run one-item.toml --seed 7</failure>
        <system-out>1 +0.001s shop: seller: change i1 to 5  ✓
        2 +0.001s search: item:changed i1@0 -&gt; search  ✓ saves i1@0  ◀ ack lost  ◀ needed: ack lost
        3 +0.001s search: item:changed i1@0 -&gt; search #2  ✗ duplicate key</system-out>
        </testcase>
        </testsuite>
        </testsuites>
    "#]],
    );
}

#[test]
fn trace_events_have_a_process_for_each_service_and_a_flow_for_each_delivery() {
    check(
        &chrome::chrome(&picture()),
        &expect![[r#"
        {"displayTimeUnit":"ms","madeBy":"pellmell export","otherData":{"design":"usual","fingerprint":"20eebd0e42bcb0c7","scenario":"one-item","seed":7,"verdict":"VIOLATED NoPoison"},"traceEvents":[
        {"args":{"name":"clients"},"name":"process_name","ph":"M","pid":1},
        {"args":{"sort_index":0},"name":"process_sort_index","ph":"M","pid":1},
        {"args":{"name":"shop"},"name":"process_name","ph":"M","pid":2},
        {"args":{"sort_index":1},"name":"process_sort_index","ph":"M","pid":2},
        {"args":{"name":"search"},"name":"process_name","ph":"M","pid":3},
        {"args":{"sort_index":2},"name":"process_sort_index","ph":"M","pid":3},
        {"args":{"calm_run":null,"marks":"handled and acked","needed":null,"outcome":"✓","simulated_us":1000,"step":1},"cat":"command","dur":8,"name":"seller: change i1 to 5","ph":"X","pid":2,"tid":0,"ts":1000},
        {"cat":"client","name":"seller: change i1 to 5","ph":"i","pid":1,"s":"t","tid":0,"ts":1000},
        {"args":{"calm_run":null,"marks":"ack lost, necessary, departs, turning point","needed":"ack lost","outcome":"✓ saves i1@0","simulated_us":1000,"step":2},"cat":"delivery","dur":8,"name":"item:changed i1@0 -> search","ph":"X","pid":3,"tid":0,"ts":1010},
        {"cat":"message","id":2,"name":"message","ph":"s","pid":2,"tid":0,"ts":1007},
        {"bp":"e","cat":"message","id":2,"name":"message","ph":"f","pid":3,"tid":0,"ts":1010},
        {"args":{"calm_run":null,"marks":"refused, redelivery","needed":null,"outcome":"✗ duplicate key","simulated_us":1000,"step":3},"cat":"delivery","dur":8,"name":"item:changed i1@0 -> search #2","ph":"X","pid":3,"tid":0,"ts":1020},
        {"cat":"message","id":3,"name":"message","ph":"s","pid":2,"tid":0,"ts":1007},
        {"bp":"e","cat":"message","id":3,"name":"message","ph":"f","pid":3,"tid":0,"ts":1020},
        {"args":{"detail":"at search, i1, item:changed i1@0: still unacked: item:changed i1@0 -> search #3 after 2 attempts, redelivery changes nothing","why":["The ack of `item:changed i1@0 -> search` is lost (step 2), so the broker delivers it again (step 3).","At step 3 search, which holds i1@0, handles `item:changed i1@0 #2` and gives no answer (duplicate key).","So NoPoison is violated for i1 at search: still unacked: item:changed i1@0 -> search #3 after 2 attempts, redelivery changes nothing. It says that every message is acked in the end, if each is redelivered as often as it takes."]},"cat":"verdict","name":"VIOLATED NoPoison","ph":"i","pid":3,"s":"g","tid":0,"ts":1030}
        ]}
    "#]],
    );
}

#[test]
fn lines_say_what_they_are_and_what_follows_from_what() {
    check(
        &jsonl::jsonl(&picture()),
        &expect![[r#"
        {"line":"picture","version":1,"about":"An ack is lost.","columns":[{"name":"clients","of":"clients"},{"name":"shop","of":"service"},{"name":"search","of":"service"}],"commands":[["Reproduce","pellmell run one-item.toml --seed 7"]],"departures":[{"steps":[2],"text":"lose ack of item:changed i1@0 -> search"}],"design":"usual","fingerprint":"20eebd0e42bcb0c7","notes":[],"profile":"adversarial","remarks":[["Rates","P(violated): how many of 200 continuations fail as this run does if all after the step is drawn anew, faults like this run's with 1/10 each"],["Turns","at step 2 ▲, from 12% to 100%"],["Calm run","differs first at step 2, where the same happens and nothing goes wrong; in it every property holds"],["Changes","without `lose ack of item:changed i1@0 -> search`: every property holds"],["Changes","without `seller: change i1 to 5`: every property holds"],["Changes","it fails as well if the calm run serves the groups in other orders"]],"scenario":"one-item","scheduler":"departures","seed":7,"tool":"0.0.0","why":["The ack of `item:changed i1@0 -> search` is lost (step 2), so the broker delivers it again (step 3).","At step 3 search, which holds i1@0, handles `item:changed i1@0 #2` and gives no answer (duplicate key).","So NoPoison is violated for i1 at search: still unacked: item:changed i1@0 -> search #3 after 2 attempts, redelivery changes nothing. It says that every message is acked in the end, if each is redelivered as often as it takes."]}
        {"line":"step","answer":"accepted","attempt":null,"changes":[],"column":1,"faults":[],"flight":null,"from":null,"instead_of":null,"kind":"command","marks":["handled","past"],"member":0,"necessary":null,"number":1,"outcome":"✓","outside":[],"parents":[],"published":["item:changed i1@0"],"rate":"12%","time_us":1000,"what":"seller: change i1 to 5"}
        {"line":"step","answer":"ack","attempt":1,"changes":[{"collection":"items","column":2,"fields":{"price":5},"id":"i1","version":0}],"column":2,"faults":["ack lost"],"flight":0,"from":0,"instead_of":null,"kind":"delivery","marks":["ack-lost","necessary","departing","turn","past"],"member":0,"necessary":"ack lost","number":2,"outcome":"✓ saves i1@0","outside":[],"parents":[0],"published":[],"rate":"100%","time_us":1000,"what":"item:changed i1@0 -> search"}
        {"line":"step","answer":"silent: duplicate key","attempt":2,"changes":[],"column":2,"faults":[],"flight":0,"from":0,"instead_of":null,"kind":"delivery","marks":["refused","redelivery","past"],"member":0,"necessary":null,"number":3,"outcome":"✗ duplicate key","outside":[],"parents":[0,1],"published":[],"rate":"100%","time_us":1000,"what":"item:changed i1@0 -> search #2"}
        {"line":"flight","column":2,"done":null,"from":0,"given_up":false,"group":"search","message":"item:changed i1@0","steps":[1,2]}
        {"line":"calm","answer":"accepted","attempt":null,"changes":[],"column":1,"faults":[],"flight":null,"from":null,"instead_of":null,"kind":"command","marks":["handled"],"member":0,"necessary":null,"number":1,"outcome":"✓","outside":[],"parents":[],"published":["item:changed i1@0"],"rate":null,"time_us":1000,"what":"seller: change i1 to 5"}
        {"line":"calm","answer":"ack","attempt":1,"changes":[{"collection":"items","column":2,"fields":{"price":5},"id":"i1","version":0}],"column":2,"faults":[],"flight":0,"from":0,"instead_of":null,"kind":"delivery","marks":["handled"],"member":0,"necessary":null,"number":2,"outcome":"✓ saves i1@0","outside":[],"parents":[],"published":[],"rate":null,"time_us":1000,"what":"item:changed i1@0 -> search"}
        {"line":"verdict","column":2,"detail":"at search, i1, item:changed i1@0: still unacked: item:changed i1@0 -> search #3 after 2 attempts, redelivery changes nothing","parents":[1,2],"property":"NoPoison","time_us":1000,"word":"violated"}
    "#]],
    );
}

#[test]
fn spans_follow_the_messaging_conventions() {
    check(
        &otlp::otlp(&picture()),
        &expect![[r#"
            {"resourceSpans":[
            {"resource":{"attributes":[{"key":"telemetry.sdk.name","value":{"stringValue":"pellmell"}},{"key":"service.name","value":{"stringValue":"shop"}},{"key":"pellmell.scenario","value":{"stringValue":"one-item"}},{"key":"pellmell.verdict","value":{"stringValue":"VIOLATED NoPoison"}}]},"scopeSpans":[{"scope":{"name":"pellmell"},"spans":[
            {"attributes":[{"key":"pellmell.step","value":{"intValue":"1"}},{"key":"pellmell.outcome","value":{"stringValue":"✓"}},{"key":"pellmell.marks","value":{"stringValue":"handled and acked"}},{"key":"messaging.client.id","value":{"stringValue":"shop-0"}}],"endTimeUnixNano":"946684800001008000","kind":2,"name":"seller: change i1 to 5","spanId":"0000000000010000","startTimeUnixNano":"946684800001000000","status":{"code":0},"traceId":"20eebd0e42bcb0c70000000000000001"},
            {"attributes":[{"key":"messaging.system","value":{"stringValue":"pellmell"}},{"key":"messaging.operation.type","value":{"stringValue":"send"}},{"key":"messaging.operation.name","value":{"stringValue":"send"}},{"key":"messaging.destination.name","value":{"stringValue":"item:changed"}},{"key":"messaging.message.id","value":{"stringValue":"item:changed i1@0"}}],"endTimeUnixNano":"946684800001004000","kind":4,"name":"send item:changed i1@0","parentSpanId":"0000000000010000","spanId":"0000000000010001","startTimeUnixNano":"946684800001004000","status":{"code":0},"traceId":"20eebd0e42bcb0c70000000000000001"}
            ]}]},
            {"resource":{"attributes":[{"key":"telemetry.sdk.name","value":{"stringValue":"pellmell"}},{"key":"service.name","value":{"stringValue":"search"}},{"key":"pellmell.scenario","value":{"stringValue":"one-item"}},{"key":"pellmell.verdict","value":{"stringValue":"VIOLATED NoPoison"}}]},"scopeSpans":[{"scope":{"name":"pellmell"},"spans":[
            {"attributes":[{"key":"pellmell.step","value":{"intValue":"2"}},{"key":"pellmell.outcome","value":{"stringValue":"✓ saves i1@0"}},{"key":"pellmell.marks","value":{"stringValue":"ack lost, necessary, departs, turning point"}},{"key":"pellmell.necessary","value":{"stringValue":"ack lost"}},{"key":"messaging.system","value":{"stringValue":"pellmell"}},{"key":"messaging.operation.type","value":{"stringValue":"process"}},{"key":"messaging.operation.name","value":{"stringValue":"process"}},{"key":"messaging.destination.name","value":{"stringValue":"item:changed"}},{"key":"messaging.message.id","value":{"stringValue":"item:changed i1@0"}},{"key":"messaging.consumer.group.name","value":{"stringValue":"search"}},{"key":"messaging.message.delivery_attempt","value":{"intValue":"1"}},{"key":"messaging.client.id","value":{"stringValue":"search-0"}}],"endTimeUnixNano":"946684800001018000","kind":5,"name":"item:changed i1@0 -> search","parentSpanId":"0000000000010001","spanId":"0000000000020000","startTimeUnixNano":"946684800001010000","status":{"code":0},"traceId":"20eebd0e42bcb0c70000000000000001"},
            {"attributes":[{"key":"pellmell.step","value":{"intValue":"3"}},{"key":"pellmell.outcome","value":{"stringValue":"✗ duplicate key"}},{"key":"pellmell.marks","value":{"stringValue":"refused, redelivery"}},{"key":"messaging.system","value":{"stringValue":"pellmell"}},{"key":"messaging.operation.type","value":{"stringValue":"process"}},{"key":"messaging.operation.name","value":{"stringValue":"process"}},{"key":"messaging.destination.name","value":{"stringValue":"item:changed"}},{"key":"messaging.message.id","value":{"stringValue":"item:changed i1@0"}},{"key":"messaging.consumer.group.name","value":{"stringValue":"search"}},{"key":"messaging.message.delivery_attempt","value":{"intValue":"2"}},{"key":"messaging.client.id","value":{"stringValue":"search-0"}},{"key":"error.type","value":{"stringValue":"refused"}}],"endTimeUnixNano":"946684800001028000","kind":5,"name":"item:changed i1@0 -> search #2","parentSpanId":"0000000000010001","spanId":"0000000000030000","startTimeUnixNano":"946684800001020000","status":{"code":2,"message":"silent: duplicate key"},"traceId":"20eebd0e42bcb0c70000000000000001"}
            ]}]}
            ]}
        "#]],
    );
}

#[test]
fn a_job_says_in_one_line_what_is_wrong_and_shows_it_on_its_page() {
    check(
        &github::annotation(&picture()),
        &expect![[r#"
        ::error title=pellmell%3A one-item::VIOLATED NoPoison%0Aat search, i1, item:changed i1@0: still unacked: item:changed i1@0 -> search #3 after 2 attempts, redelivery changes nothing%0ADeparts: lose ack of item:changed i1@0 -> search%0AThe ack of `item:changed i1@0 -> search` is lost (step 2), so the broker delivers it again (step 3).%0AAt step 3 search, which holds i1@0, handles `item:changed i1@0 #2` and gives no answer (duplicate key).%0ASo NoPoison is violated for i1 at search: still unacked: item:changed i1@0 -> search #3 after 2 attempts, redelivery changes nothing. It says that every message is acked in the end, if each is redelivered as often as it takes.%0AReproduce: pellmell run one-item.toml --seed 7
    "#]],
    );
    check(
        &github::summary(&picture()),
        &expect![[r#"
            <!-- Made by pellmell export. -->
            ## ✗ VIOLATED NoPoison: one\-item

            at search\, i1\, item\:changed i1\@0\: still unacked\: item\:changed i1\@0 \-&gt; search \#3 after 2 attempts\, redelivery changes nothing

            - ◀ lose ack of item\:changed i1\@0 \-&gt; search

            The ack of \`item\:changed i1\@0 \-&gt; search\` is lost \(step 2\)\, so the broker delivers it again \(step 3\)\.

            At step 3 search\, which holds i1\@0\, handles \`item\:changed i1\@0 \#2\` and gives no answer \(duplicate key\)\.

            So NoPoison is violated for i1 at search\: still unacked\: item\:changed i1\@0 \-&gt; search \#3 after 2 attempts\, redelivery changes nothing\. It says that every message is acked in the end\, if each is redelivered as often as it takes\.

            ```mermaid
            %% Made by pellmell export.
            sequenceDiagram
                accTitle: one-item VIOLATED NoPoison
                participant c0 as clients
                participant c1 as shop
                participant c2 as search
                c0->>c1: 1 seller: change i1 to 5 ✓ #43;0.001s
                c1->>c2: 2 item:changed i1@0 -#62; search ✓ saves i1@0 ◀ ack lost #43;0.001s
                Note right of c2: ◀ needed: ack lost
                c1--xc2: 3 item:changed i1@0 -#62; search #35;2 ✗ duplicate key (published in step 1), redelivery #43;0.001s
                Note over c0,c2: ✗ VIOLATED NoPoison: at search, i1, item:changed i1@0: still unacked: item:changed i1@0 -#62; search #35;3 after 2 attempts, redelivery changes nothing
            ```

            Reproduce: pellmell run one\-item\.toml \-\-seed 7

        "#]],
    );
    assert_eq!(github::annotation(&hostile()).lines().count(), 1, "whatever users write is one annotation");
}

#[test]
fn each_export_begins_as_files_that_may_be_written_over_do() {
    let begins = [html::BEGIN, svg::BEGIN, mermaid::BEGIN, junit::BEGIN, chrome::BEGIN, jsonl::BEGIN, otlp::BEGIN];
    let begins = begins.into_iter().chain([github::ANNOTATION_BEGINS[0], github::SUMMARY_BEGIN]);
    let begins: Vec<&str> = begins.collect();
    for picture in [picture(), hostile()] {
        for ((name, text), begin) in exports(&picture).into_iter().zip(&begins) {
            assert!(text.starts_with(*begin), "{name}: {}", text.chars().take(200).collect::<String>());
        }
    }
}

#[test]
fn what_is_json_can_be_read_whatever_users_write() {
    let picture = hostile();
    let read = |name: &str, text: &str| -> serde_json::Value {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let events = read("chrome", &chrome::chrome(&picture));
    assert!(events["traceEvents"].as_array().is_some_and(|events| events.len() > 5), "{events}");
    let spans = read("otlp", &otlp::otlp(&picture));
    assert!(spans["resourceSpans"].as_array().is_some_and(|resources| resources.len() > 1), "{spans}");
    let lines = jsonl::jsonl(&picture);
    let steps = lines.lines().filter(|line| read("jsonl", line)["line"] == "step").count();
    assert_eq!(steps, picture.run.steps.len());
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    for ((name, one), (_, other)) in exports(&picture()).into_iter().zip(exports(&picture())) {
        assert_eq!(one, other, "{name}");
    }
}

/// The hash of what stands in an element of a page, as a policy names it.
fn hash_of(page: &str, element: &str) -> String {
    let begin = format!("<{element}>");
    let rest = page.split(&begin).nth(1).unwrap_or_else(|| panic!("the page has no {begin}"));
    let inside = rest.split(&format!("</{element}>")).next().expect("it ends");
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(inside)))
}

#[test]
fn the_policy_of_the_page_allows_its_own_style_and_script_alone() {
    let page = html::html(&picture());
    for (name, expected) in [("style", html::STYLE_HASH), ("script", html::SCRIPT_HASH)] {
        assert_eq!(hash_of(&page, name), expected, "crates/report/src/html.rs: the hash of the page's {name}");
    }
    assert!(page.contains("default-src 'none'"), "nothing else is allowed");
    for attribute in [" style=", " onclick=", "http-equiv=\"refresh\"", " src="] {
        assert!(!page.contains(attribute), "the page has {attribute}");
    }
}

#[test]
fn what_users_write_is_shown_and_is_nothing_else() {
    let picture = hostile();
    for (name, text) in exports(&picture) {
        assert!(text.len() < 400_000, "{name}: {} bytes", text.len());
        for obeyed in ['\u{0}', '\u{1b}', '\r', '\u{202e}', '\u{2066}'] {
            assert!(!text.contains(obeyed), "{name} has {obeyed:?}");
        }
        // What JSON has in it is no element; a page that has JSON in it must have none.
        let elements = ["<script>alert", "<img", "</style></svg>", "]]>"];
        if ["html", "svg", "mermaid", "junit", "summary"].contains(&name) {
            let found = elements.iter().find(|element| text.contains(**element));
            assert_eq!(found, None, "{name}");
        }
        assert!(text.contains('…'), "{name} does not show that it cut something");
        let names_the_size = text.contains("(1,048,576 characters)");
        assert!(names_the_size || !["html", "jsonl"].contains(&name), "{name} does not say what it cut");
        let is_shown = text.contains("u{202e}desrever")
            || text.contains("u#123;202e#125;desrever")
            || text.contains("u\\{202e\\}desrever");
        assert!(is_shown, "{name} does not show the text");
    }
}

#[test]
fn each_colour_has_a_value_in_both_themes_and_no_other_is_used() {
    for (name, light, dark) in crate::style::PALETTE {
        for colour in [light, dark] {
            let digits = colour.strip_prefix('#').unwrap_or_default();
            assert!(digits.len() == 6 && u32::from_str_radix(digits, 16).is_ok(), "{name}: {colour}");
        }
    }
    let pages = [include_str!("../page/page.css"), include_str!("../page/report.css")];
    let shared = [crate::style::DIAGRAM, crate::style::COMMON, include_str!("../page/drawing.css")];
    for css in pages.into_iter().chain(shared) {
        for used in css.split("var(--").skip(1) {
            let name = used.split([')', ',']).next().unwrap_or_default();
            let is_known =
                ["diagram", "bar"].contains(&name) || crate::style::PALETTE.iter().any(|(known, ..)| *known == name);
            assert!(is_known, "no colour is called {name}");
        }
    }
}

#[test]
fn a_run_that_is_too_long_is_not_drawn() {
    let mut picture = picture();
    let step = picture.run.steps[0].clone();
    picture.run.steps.resize(svg::STEPS_MAX + 1, step);
    let error = svg::svg(&picture).expect_err("it is too long");
    assert_eq!(error.to_string(), "a run of 401 steps is too long to be drawn: expected at most 400");
    let error = mermaid::mermaid(&picture).expect_err("it is too long");
    assert_eq!(error.to_string(), "a sequence diagram of 401 messages is too long: expected at most 200");
    let page = html::html(&picture);
    assert!(page.contains("The steps are drawn by a script"), "the page says so to those without script");
}

#[test]
fn what_the_verdict_does_not_follow_from_is_not_in_its_past() {
    let picture = picture_of(|trace| {
        let mut other = trace.records[0].clone();
        other.action = "buyer: look at nothing".to_owned();
        other.published.clear();
        other.saved.clear();
        trace.records.insert(0, other);
        trace.records.iter_mut().zip(1..).for_each(|(record, number)| record.step = number);
    });
    let past: Vec<bool> = picture.run.steps.iter().map(|step| step.is(Mark::Past)).collect();
    assert_eq!((past[0], past[1]), (false, true), "{past:?}");
}
