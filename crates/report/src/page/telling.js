  // ---- rows

  function line(row) {
    const made = element("li");
    made.setAttribute("role", "option");
    made.style.top = `${row * ROW}px`;
    if (row >= view.places.length) {
      if (row === view.places.length) endLine(made);
      else made.setAttribute("role", "presentation");
    } else {
      stepLine(made, row);
    }
    if (state.calm) calmLine(made, row);
    return made;
  }

  function stepLine(made, row) {
    const place = view.places[row];
    made.id = `step-${place + 1}`;
    made.dataset.place = place;
    const necessary = is(run, place, "necessary");
    made.className = [
      necessary ? "necessary" : "",
      place === state.chosen ? "chosen" : "",
      state.isMatch && state.isMatch[place] ? "match" : "",
      verdict.parents.includes(place) ? "blamed" : "",
    ].join(" ");
    made.setAttribute("aria-selected", place === state.chosen);
    made.setAttribute("aria-posinset", row + 1);
    made.setAttribute("aria-setsize", view.places.length + 1);
    made.setAttribute("aria-label", spoken(place));
    made.append(element("span", "number", place + 1), element("span", "time", time(run.time[place])), element("span", "diagram"));
    const words = element("span", "words");
    words.append(element("span", "what", what(run, place)));
    const second = element("span", "outcome");
    second.append(element("span", is(run, place, "refused") || is(run, place, "panic") ? "wrong" : "", text(run.outcome[place])));
    if (necessary) second.append(element("strong", "needed", `◀ needed: ${text(run.necessary[place])}`));
    else for (const fault of all(run.faults[place])) second.append(element("strong", "fault", `◀ ${fault}`));
    for (const mark of ["redelivery", "duplicate", "overtaken", "dead-letter"]) {
      if (is(run, place, mark)) second.append(element("span", "tag", data.words[mark]));
    }
    words.append(second);
    made.append(words);
    const rate = element("span", "rate", text(run.rate[place]));
    if (is(run, place, "turn")) rate.append(element("strong", "", " ▲"));
    made.append(rate);
  }

  function endLine(made) {
    const held = verdict.word === "held";
    made.id = "verdict";
    made.dataset.place = END;
    made.className = `end ${held ? "held" : "failed"} ${state.chosen === END ? "chosen" : ""}`;
    made.setAttribute("aria-selected", state.chosen === END);
    made.setAttribute("aria-posinset", view.places.length + 1);
    made.setAttribute("aria-setsize", view.places.length + 1);
    made.append(element("span", "number", held ? "✓" : "✗"), element("span", "time", time(verdict.time)));
    const words = element("span", "words");
    words.append(element("strong", "what", verdict.heading), element("span", "outcome", verdict.detail));
    made.append(words);
  }

  function calmLine(made, row) {
    const words = element("span", "words calm");
    made.append(element("span", "diagram"), words);
    if (!calmView || row >= calmView.places.length) return;
    const place = calmView.places[row];
    const second = element("span", "outcome");
    if (place === data.differs) second.append(element("strong", "differs", "≠ first difference"));
    second.append(text(calm.outcome[place]));
    words.append(element("span", "what", what(calm, place)), second);
    if (place === calmOf(state.chosen)) words.classList.add("same");
  }

  const where = (of, place) => columns[of.column[place]].name;

  // A step in words, for those who hear the page.
  function spoken(place) {
    const marks = data.marks.filter((name) => name !== "past" && is(run, place, name)).map((name) => data.words[name]);
    const parts = [`Step ${place + 1}, ${time(run.time[place])}, at ${where(run, place)}: ${what(run, place)}`];
    parts.push(text(run.outcome[place]), marks.join(", "));
    if (run.necessary[place] >= 0) parts.push(`needed: ${text(run.necessary[place])}`);
    if (run.rate[place] >= 0) parts.push(`failure rate ${text(run.rate[place])}`);
    return parts.filter((part) => part).join("; ");
  }

  // ---- the calm run beside it

  const calmPlaces = new Map();
  for (let place = 0; calm && place < calm.steps; place++) calmPlaces.set(`${calm.kind[place]} ${what(calm, place)}`, place);

  // The place in the calm run of what happens in a step.
  function calmOf(place) {
    if (!calm || place < 0 || place >= steps) return -1;
    const found = calmPlaces.get(`${run.kind[place]} ${what(run, place)}`);
    return found === undefined ? -1 : found;
  }

  // ---- what the broker has to deliver

  const depthOf = new Map();

  // How many messages each column waits for after each step.
  function depth(column) {
    if (depthOf.has(column)) return depthOf.get(column);
    const counts = new Int32Array(steps + 1);
    const { flights } = run;
    for (let flight = 0; flight < flights.from.length; flight++) {
      if (flights.column[flight] !== column) continue;
      counts[Math.max(0, flights.from[flight])]++;
      if (flights.done[flight] >= 0) counts[flights.done[flight]]--;
    }
    for (let place = 1; place <= steps; place++) counts[place] += counts[place - 1];
    depthOf.set(column, counts);
    return counts;
  }

  function depths(view, first, last) {
    const made = [];
    columns.forEach((column, place) => {
      if (column.of !== "service") return;
      const counts = depth(place);
      const most = counts.reduce((one, other) => Math.max(one, other), 1);
      for (let row = first; row <= Math.min(last, view.places.length - 1); row++) {
        const here = counts[view.places[row]];
        if (here <= 0) continue;
        const width = Math.max(4, Math.round((here / most) * (columnWidth / 2 - 12)));
        made.push(shape("rect", { class: "depth", x: x(place) - 8 - width, y: row * ROW + 2, width, height: ROW - 4 }));
        if (row === first || counts[view.places[row - 1]] !== here) {
          const number = shape("text", { class: "label end", x: x(place) - 11 - width, y: y(row) + 4 });
          number.textContent = here;
          made.push(number);
        }
      }
    });
    return made;
  }

  function waiting(place) {
    const { flights } = run;
    const groups = new Map();
    for (let flight = 0; flight < flights.from.length; flight++) {
      const isThere = flights.from[flight] <= place && (flights.done[flight] < 0 || flights.done[flight] > place);
      if (!isThere) continue;
      const group = text(flights.group[flight]);
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push(flight);
    }
    return groups;
  }

  // How it stands with a message after a step.
  function standing(flight, place) {
    const before = stepsOf(run, flight).filter((step) => step <= place);
    if (before.length === 0) return "waits";
    const last = before[before.length - 1];
    const words = [["refused", "refused"], ["ack-lost", "its ack was lost"], ["ack-late", "its ack is under way"], ["paused", "is being handled"], ["crash", "its handler crashed"]];
    const found = words.find(([mark]) => is(run, last, mark));
    return `${found ? found[1] : "comes again"} (step ${last + 1})`;
  }

  // ---- details of the chosen step

  const details = byId("details");

  function field(list, name, ...content) {
    if (content.length === 0 || content[0] === "") return;
    list.append(element("dt", "", name));
    const value = element("dd");
    value.append(...content);
    list.append(value);
  }

  const links = (places) => places.flatMap((place, index) => (index ? [", ", link(place)] : [link(place)]));

  function show() {
    const place = state.chosen;
    details.replaceChildren();
    if (place < 0) {
      details.append(element("p", "hint", "Choose a step: click it, or press j for the first, n for the first departure, v for the verdict."));
      return;
    }
    if (place === END) {
      showVerdict();
    } else {
      showStep(place);
    }
    if (state.queue) showQueue(Math.min(place, steps - 1));
  }

  function showVerdict() {
    details.append(element("h2", verdict.word === "held" ? "good" : "wrong", verdict.heading));
    details.append(element("p", "", verdict.detail));
    const list = element("dl");
    if (verdict.parents.length) field(list, "Follows from", ...links(verdict.parents));
    details.append(list);
  }

  function showStep(place) {
    details.append(element("h2", "", `Step ${place + 1}`));
    details.append(element("p", "what", what(run, place)));
    const list = element("dl");
    const member = run.member[place] > 0 ? `, member ${run.member[place]}` : "";
    field(list, "When", time(run.time[place]));
    field(list, "Where", where(run, place) + member);
    field(list, "Kind", data.kinds[run.kind[place]]);
    field(list, "Answer", text(run.answer[place]));
    if (run.faults[place]) field(list, "Goes wrong", all(run.faults[place]).join(", "));
    if (run.necessary[place] >= 0) field(list, "Needed", element("strong", "needed", text(run.necessary[place])));
    if (run.instead[place] >= 0) field(list, "Calm run", `would do ${text(run.instead[place])}`);
    if (run.outside[place]) field(list, "Outside", all(run.outside[place]).join(", "));
    if (run.rate[place] >= 0) field(list, "Failure rate", `${text(run.rate[place])} after this step`);
    const flight = run.flight[place];
    if (flight >= 0) {
      if (run.flights.from[flight] >= 0) field(list, "Published", link(run.flights.from[flight]));
      const others = stepsOf(run, flight).filter((other) => other !== place);
      if (others.length) field(list, "Same message", ...links(others.slice(0, LISTED)));
    }
    if (run.published[place]) field(list, "Publishes", ...published(place));
    if (run.parents[place] && run.parents[place].length) field(list, "Follows from", ...links(run.parents[place]));
    details.append(list, records(place));
  }

  // What a step published, each with the steps that handle it.
  function published(place) {
    const made = [];
    for (const name of run.published[place]) {
      const line = element("div", "", text(name));
      const to = flightsOf().get(name) || [];
      for (const flight of to) {
        const first = stepsOf(run, flight)[0];
        line.append(" ", first === undefined ? element("span", "dim", `never reaches ${text(run.flights.group[flight])}`) : link(first));
      }
      made.push(line);
    }
    return made;
  }

  let flightsByMessage;
  function flightsOf() {
    if (!flightsByMessage) {
      flightsByMessage = new Map();
      run.flights.message.forEach((message, flight) => {
        if (!flightsByMessage.has(message)) flightsByMessage.set(message, []);
        flightsByMessage.get(message).push(flight);
      });
    }
    return flightsByMessage;
  }

  // A value as people read it: without quotes and braces.
  function plain(value) {
    if (typeof value === "string") return value;
    if (value && typeof value === "object" && !Array.isArray(value)) {
      return Object.entries(value).map(([name, inner]) => `${name} ${plain(inner)}`).join(" ");
    }
    return JSON.stringify(value);
  }

  const asFields = (value) => (value === null || (typeof value === "object" && !Array.isArray(value)) ? value : { "": value });

  // The records that a step saved or removed, before and after, and of them what changed.
  function records(place) {
    const { changes } = run;
    const table = element("table", "records");
    let first = lowest(changes.step, place);
    if (changes.step[first] !== place) return element("p", "dim", "It saves nothing.");
    const head = element("tr");
    for (const name of ["record", "field", "before", "after"]) head.append(element("th", "", name));
    table.append(head);
    for (; changes.step[first] === place; first++) {
      const before = changes.before[first];
      // Null is what a removal leaves.
      const held = (at) => (at < 0 ? null : asFields(JSON.parse(text(changes.fields[at]))));
      const [old, now] = [held(before), held(first)];
      const of = (at, fields) => (fields && changes.version[at]);
      const lines = [["version", of(before, old), of(first, now)]];
      const value = (fields, name) => (fields && name in fields ? plain(fields[name]) : null);
      for (const name of new Set([...Object.keys(old || {}), ...Object.keys(now || {})])) {
        lines.push([name, value(old, name), value(now, name)]);
      }
      const changed = lines.filter(([, one, other]) => one !== other);
      if (changed.length === 0) changed.push(["nothing changed", null, null]);
      changed.forEach(([name, one, other], index) => {
        const row = element("tr");
        const record = element("th", "", index ? "" : text(changes.id[first]));
        if (!index) record.title = text(changes.collection[first]);
        const unknown = before === -2 ? "unknown" : "–";
        row.append(record, element("td", "field", name), element("td", "before", one === null ? unknown : one), element("td", "after", other === null ? "–" : other));
        table.append(row);
      });
    }
    const figure = element("figure");
    figure.append(element("figcaption", "", `Records at ${where(run, place)}, what changed`), table);
    return figure;
  }

  // The first place of a value in numbers that rise.
  function lowest(numbers, value) {
    let [low, high] = [0, numbers.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (numbers[middle] < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function showQueue(place) {
    details.append(element("h2", "", `To be delivered after step ${place + 1}`));
    const groups = waiting(place);
    if (groups.size === 0) details.append(element("p", "dim", "Nothing."));
    for (const [group, flights] of groups) {
      details.append(element("h3", "", `${group}: ${flights.length}`));
      const list = element("ol", "queue");
      for (const flight of flights.slice(0, LISTED)) {
        list.append(element("li", "", `${text(run.flights.message[flight])} – ${standing(flight, place)}`));
      }
      if (flights.length > LISTED) list.append(element("li", "dim", `and ${flights.length - LISTED} more`));
      details.append(list);
    }
  }

