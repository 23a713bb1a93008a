// The page of a run: draws what is in view, and follows clicks, keys and the address.
//
// It is one function in three files: this one draws, telling.js says in words what was drawn, using.js follows
// those who use it.
//
// All texts are set as text and never read as HTML. What is drawn is what the window shows and a little more,
// so that 100,000 steps are no slower than a hundred.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { texts, columns, run, calm, verdict } = data;
  // A column of which all values are the same came as that value.
  for (const of of [run, calm]) {
    for (const name in of) {
      if (typeof of[name] === "number" && name !== "steps") of[name] = new Array(of.steps).fill(of[name]);
    }
  }
  const steps = run.steps;
  // The place of the verdict, which stands behind the last step.
  const END = steps;
  const ROW = 36;
  // Runs up to this long are drawn at once, so that they print and can be found by the browser.
  const WHOLE = 400;
  // How many rows beyond the window are drawn, and how many arrows that only pass through it.
  const AROUND = 16;
  const PASSING = 120;
  const LISTED = 12;

  const MARK = Object.fromEntries(data.marks.map((name, bit) => [name, 1 << bit]));
  const is = (of, place, mark) => (of.marks[place] & MARK[mark]) !== 0;
  const text = (index) => (index < 0 ? "" : texts[index]);

  // What happens in a step; what is about a delivery is named by its message, its group and its attempt.
  function what(of, place) {
    const flight = of.flight[place];
    if (flight < 0) return text(of.what[place]);
    const attempt = of.attempt[place] > 1 ? ` #${of.attempt[place]}` : "";
    return `${text(of.flights.message[flight])} -> ${text(of.flights.group[flight])}${attempt}`;
  }

  // The steps that are about each message on its way to each group.
  function stepsOf(of, flight) {
    if (!of.stepsOf) {
      of.stepsOf = of.flights.message.map(() => []);
      of.flight.forEach((found, place) => found >= 0 && of.stepsOf[found].push(place));
    }
    return of.stepsOf[flight];
  }
  const all = (indices) => (indices || []).map(text);
  const byId = (id) => document.getElementById(id);

  const state = { chosen: -1, past: false, calm: false, queue: false, query: "", matches: [], isMatch: null };

  // ---- elements

  function element(name, className, content) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (content !== undefined) made.textContent = content;
    return made;
  }

  function shape(name, attributes) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    return made;
  }

  function link(place, content) {
    const made = element("a", "", content || `step ${place + 1}`);
    made.href = place === END ? "#verdict" : `#step-${place + 1}`;
    return made;
  }

  function time(us) {
    const seconds = Math.floor(us / 1e6);
    const millis = String(Math.floor(us / 1e3) % 1000).padStart(3, "0");
    if (seconds < 60) return `+${seconds}.${millis}s`;
    return `+${Math.floor(seconds / 60)}m${String(seconds % 60).padStart(2, "0")}.${millis}s`;
  }

  // ---- which steps are shown, and which arrows cross a window

  // Of numbers by place: finds those at or behind `start` that are at most `limit`, in order, without looking
  // at the others.
  class Smallest {
    constructor(values) {
      this.size = 1;
      while (this.size < values.length) this.size *= 2;
      this.tree = new Int32Array(2 * this.size).fill(0x7fffffff);
      this.tree.set(values, this.size);
      for (let node = this.size - 1; node > 0; node--) {
        this.tree[node] = Math.min(this.tree[2 * node], this.tree[2 * node + 1]);
      }
    }

    find(start, limit, most) {
      const found = [];
      const visit = (node, first, length) => {
        if (found.length >= most || this.tree[node] > limit || first + length <= start) return;
        if (length === 1) {
          found.push(first);
          return;
        }
        visit(2 * node, first, length / 2);
        visit(2 * node + 1, first + length / 2, length / 2);
      };
      visit(1, 0, this.size);
      return found;
    }
  }

  // A run with some of its steps left out.
  class View {
    constructor(of, isShown) {
      const total = of.steps;
      this.of = of;
      this.places = [];
      this.rowOf = new Int32Array(total).fill(-1);
      for (let place = 0; place < total; place++) {
        if (isShown && !isShown(place)) continue;
        this.rowOf[place] = this.places.length;
        this.places.push(place);
      }
      const from = this.places.map((place) => (of.from[place] < 0 ? 0x7fffffff : this.rowOf[of.from[place]]));
      this.begins = new Smallest(from.map((row) => (row < 0 ? 0x7fffffff : row)));
      this.from = from;
    }

    // The rows whose arrows are in the window: those that end there, and those that begin there or before.
    arrows(first, last) {
      const rows = [];
      for (let row = first; row <= Math.min(last, this.places.length - 1); row++) rows.push(row);
      return rows.concat(this.begins.find(last + 1, last, PASSING));
    }
  }

  let view = new View(run);
  const calmView = calm ? new View(calm) : null;

  // ---- geometry

  const space = byId("space");
  const rows = byId("rows");
  const heads = byId("heads");
  const drawings = { run: byId("drawing"), calm: byId("drawing-calm") };
  let columnWidth = 120;

  const x = (column) => column * columnWidth + columnWidth / 2;
  const y = (row) => row * ROW + ROW / 2;
  const total = () => Math.max(view.places.length + 1, state.calm && calmView ? calmView.places.length : 0);

  function measure() {
    const width = document.querySelector(".steps").clientWidth;
    const share = state.calm ? 0.24 : 0.44;
    columnWidth = Math.max(34, Math.min(132, Math.floor((width * share) / columns.length)));
    const root = document.documentElement;
    root.style.setProperty("--diagram", `${columnWidth * columns.length}px`);
    root.style.setProperty("--bar", `${byId("tools").offsetHeight}px`);
    root.classList.toggle("with-calm", state.calm);
    root.classList.toggle("tight", columnWidth < 52);
    space.style.height = `${total() * ROW}px`;
    for (const side of ["run", "calm"]) {
      const head = heads.querySelector(`.diagram.${side}`);
      head.replaceChildren(...columns.map((column) => {
        const name = element("span", "name", column.name);
        name.title = column.name;
        name.style.width = `${columnWidth}px`;
        return name;
      }));
      const drawing = drawings[side];
      drawing.style.left = `${head.offsetLeft}px`;
      drawing.setAttribute("width", columnWidth * columns.length);
    }
  }

  // ---- drawing

  const drawn = { first: 0, last: -1 };

  function inView() {
    const rowsInAll = total();
    if (rowsInAll <= WHOLE) return [0, rowsInAll - 1, 0];
    const top = -space.getBoundingClientRect().top;
    const first = Math.floor(top / ROW);
    const last = Math.ceil((top + window.innerHeight) / ROW);
    const within = (row) => Math.max(0, Math.min(rowsInAll - 1, row));
    return [within(first), within(last), AROUND];
  }

  function draw(again) {
    const [first, last, around] = inView();
    if (!again && first >= drawn.first && last <= drawn.last) return;
    drawn.first = Math.max(0, first - around);
    drawn.last = Math.min(total() - 1, last + around);
    const lines = [];
    for (let row = drawn.first; row <= drawn.last; row++) lines.push(line(row));
    rows.replaceChildren(...lines);
    diagram("run", view);
    if (state.calm) diagram("calm", calmView);
  }

  function diagram(side, of) {
    const drawing = drawings[side];
    const { first, last } = drawn;
    const height = (last - first + 1) * ROW;
    drawing.style.top = `${first * ROW}px`;
    drawing.setAttribute("height", height);
    drawing.setAttribute("viewBox", `0 ${first * ROW} ${columnWidth * columns.length} ${height}`);
    const parts = [];
    const end = Math.min(last + 1, of.places.length) * ROW;
    if (end > first * ROW) {
      columns.forEach((_, column) => {
        parts.push(shape("path", { class: "life", d: `M${x(column)} ${first * ROW}V${end}` }));
      });
    }
    if (state.queue && side === "run") parts.push(...depths(of, first, last));
    const chosen = side === "run" ? state.chosen : calmOf(state.chosen);
    const front = [];
    for (const row of of.arrows(first, last)) {
      (of.places[row] === chosen || isKin(of.of, of.places[row], chosen) ? front : parts).push(...arrow(of, row, chosen));
    }
    if (side === "run") parts.push(...undelivered(of));
    parts.push(...front);
    for (let row = first; row <= Math.min(last, of.places.length - 1); row++) parts.push(...glyph(of, row, chosen));
    drawing.replaceChildren(...parts);
  }

  // Whether two steps are about the same message on its way to the same group.
  const isKin = (of, place, chosen) =>
    chosen >= 0 && chosen < of.steps && of.flight[chosen] >= 0 && of.flight[place] === of.flight[chosen];

  function arrow(view, row, chosen) {
    const { of, places, from } = view;
    const place = places[row];
    const end = [x(of.column[place]), y(row)];
    let path;
    let classes = "arrow";
    if (from[row] !== 0x7fffffff && from[row] >= 0) {
      const begin = [x(of.column[of.from[place]]), y(from[row])];
      path = between(begin, end);
      if (is(of, place, "redelivery")) classes += " redelivery";
      if (is(of, place, "duplicate")) classes += " duplicate";
      if (is(of, place, "departing")) classes += " departing";
      if (place === chosen || isKin(of, place, chosen)) classes += " chosen";
      // What begins or ends far away stands back.
      else if (from[row] < drawn.first || row > drawn.last) classes += " far";
    } else if (data.kinds[of.kind[place]] === "command" && columns[0].of === "clients") {
      path = `M${x(0)} ${end[1]}H${end[0]}`;
      classes += place === chosen ? " ask chosen" : " ask";
    } else {
      return [];
    }
    const made = [shape("path", { class: classes, d: path, "data-place": place })];
    if (is(of, place, "duplicate")) made.push(shape("path", { class: "arrow inner", d: path }));
    return made;
  }

  // The messages that nobody was handed by the end, where the whole run is drawn.
  function undelivered(view) {
    const { of, places, rowOf } = view;
    const made = [];
    if (places.length > WHOLE) return made;
    for (const [flight, isHeld] of data.waiting) {
      const row = rowOf[of.flights.from[flight]];
      if (row < 0) continue;
      const begin = [x(of.column[of.flights.from[flight]]), y(row)];
      const end = [x(of.flights.column[flight]), places.length * ROW];
      made.push(shape("path", { class: `arrow waiting${isHeld ? " departing" : ""}`, d: between(begin, end) }));
      if (columnWidth >= 84) {
        const message = text(of.flights.message[flight]);
        const name = message.slice(message.indexOf(" ") + 1);
        const label = shape("text", { class: `label end${isHeld ? " need" : ""}`, x: end[0] - 26, y: end[1] - 4 });
        label.textContent = name.length > 8 ? `${name.slice(0, 7)}…` : name;
        made.push(label);
      }
    }
    return made;
  }

  // A line from one place to another, without what is far outside of what is drawn: a dashed line of a million
  // pixels takes seconds. One to its own column goes around the others.
  function between(begin, end) {
    const [top, bottom] = [(drawn.first - 4) * ROW, (drawn.last + 5) * ROW];
    const isWithin = begin[1] >= top && end[1] <= bottom;
    if (begin[0] === end[0] && isWithin) {
      const aside = begin[0] + columnWidth * 0.4;
      return `M${begin}C${aside} ${begin[1]} ${aside} ${end[1]} ${end}`;
    }
    const at = (height) => [begin[0] + ((end[0] - begin[0]) * (height - begin[1])) / (end[1] - begin[1] || 1), height];
    return `M${begin[1] < top ? at(top) : begin}L${end[1] > bottom ? at(bottom) : end}`;
  }

  function use(name, classes, centre, middle, place) {
    const at = { x: centre - 10, y: middle - 10, width: 20, height: 20 };
    return shape("use", { class: `glyph ${classes}`, href: `#g-${name}`, "data-place": place, ...at });
  }

  function glyph(view, row, chosen) {
    const { of, places } = view;
    const place = places[row];
    const [centre, middle] = [x(of.column[place]), y(row)];
    const [name, colour] = data.glyphs[of.glyph[place]];
    const made = [];
    if (place === chosen) made.push(shape("circle", { class: "ring", cx: centre, cy: middle, r: 13 }));
    if (data.kinds[of.kind[place]] === "command" && columns[0].of === "clients") {
      made.push(use("client", "", x(0), middle, place));
    }
    made.push(use(name, colour, centre, middle, place));
    let beside = centre + 17;
    data.badges.forEach((badge, bit) => {
      if ((of.badges[place] >> bit) & 1) {
        made.push(use(badge, "need", beside, middle, place));
        beside += 18;
      }
    });
    const flight = of.flight[place];
    if (columnWidth >= 84 && flight >= 0 && ["delivery", "resume"].includes(data.kinds[of.kind[place]])) {
      const attempt = of.attempt[place] > 1 ? ` #${of.attempt[place]}` : "";
      const room = Math.max(3, Math.floor((columnWidth / 2 - 14) / 6.7) - attempt.length);
      const message = text(of.flights.message[flight]);
      const name = message.slice(message.indexOf(" ") + 1);
      // Beside the arrow, not on it.
      const onTheLeft = beside === centre + 17 && of.from[place] >= 0 && x(of.column[of.from[place]]) > centre;
      const classes = `label${is(of, place, "departing") ? " need" : ""}${onTheLeft ? " end" : ""}`;
      const label = shape("text", { class: classes, x: onTheLeft ? centre - 12 : beside - 5, y: middle + 4 });
      label.textContent = (name.length > room ? `${name.slice(0, room - 1)}…` : name) + attempt;
      made.push(label);
    }
    return made;
  }

