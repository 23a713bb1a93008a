  // ---- choosing, stepping, searching

  const status = byId("status");
  const narrow = matchMedia("(max-width: 900px)");

  function rowOf(place) {
    return place === END ? view.places.length : view.rowOf[place];
  }

  function choose(place, keepAddress) {
    if (place < 0 || place > END) return;
    if (place !== END && view.rowOf[place] < 0) setPast(false);
    state.chosen = place;
    const hash = place === END ? "#verdict" : `#step-${place + 1}`;
    if (!keepAddress && location.hash !== hash) history.replaceState(null, "", hash);
    intoView(rowOf(place));
    draw(true);
    rows.setAttribute("aria-activedescendant", place === END ? "verdict" : `step-${place + 1}`);
    show();
    status.textContent = place === END ? verdict.heading : `step ${place + 1} of ${steps}`;
  }

  function intoView(row) {
    const top = space.getBoundingClientRect().top + row * ROW;
    const isNarrow = narrow.matches;
    const covered = byId("tools").offsetHeight + (isNarrow ? 0 : heads.offsetHeight);
    const below = isNarrow ? details.offsetHeight : 0;
    if (top < covered || top > window.innerHeight - below - 2 * ROW) {
      window.scrollBy(0, top - covered - (window.innerHeight - covered - below) / 3);
    }
  }

  function step(by) {
    if (state.chosen < 0) return choose(by > 0 ? view.places[0] ?? END : END);
    const row = Math.max(0, Math.min(view.places.length, rowOf(state.chosen) + by));
    choose(row === view.places.length ? END : view.places[row]);
  }

  // The next of these places after the chosen one, or the first.
  function jump(places, by) {
    if (places.length === 0) return;
    const next = by > 0 ? places.find((place) => place > state.chosen) : places.findLast((place) => place < state.chosen);
    choose(next === undefined ? places[by > 0 ? 0 : places.length - 1] : next);
  }

  const departing = [];
  for (let place = 0; place < steps; place++) {
    if (is(run, place, "necessary") || run.faults[place]) departing.push(place);
  }

  const search = byId("search");
  let searched;

  function find(query) {
    state.query = query.trim().toLowerCase();
    state.matches = [];
    state.isMatch = null;
    if (state.query) {
      const lower = texts.map((found) => found.toLowerCase().includes(state.query));
      const isIn = (index) => index >= 0 && lower[index];
      state.isMatch = new Uint8Array(steps);
      for (let place = 0; place < steps; place++) {
        const flight = run.flight[place];
        const named = flight < 0 ? isIn(run.what[place]) : isIn(run.flights.message[flight]) || isIn(run.flights.group[flight]);
        const fits = named || isIn(run.outcome[place]) || isIn(run.necessary[place])
          || (run.faults[place] || []).some(isIn) || (run.published[place] || []).some(isIn)
          || String(place + 1) === state.query;
        if (fits) {
          state.isMatch[place] = 1;
          state.matches.push(place);
        }
      }
    }
    const found = state.matches.length;
    byId("found").textContent = state.query ? `${found} ${found === 1 ? "step" : "steps"}` : "";
    draw(true);
  }

  search.addEventListener("input", () => {
    clearTimeout(searched);
    searched = setTimeout(() => find(search.value), steps > 5000 ? 120 : 0);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      clearTimeout(searched);
      if (state.query !== search.value.trim().toLowerCase()) find(search.value);
      jump(state.matches, event.shiftKey ? -1 : 1);
      event.preventDefault();
    } else if (event.key === "Escape") {
      search.value = "";
      find("");
      rows.focus({ preventScroll: true });
    }
  });

  // ---- switches

  function setPast(on) {
    state.past = on;
    byId("past").checked = on;
    view = new View(run, on ? (place) => is(run, place, "past") : null);
    relayout();
  }

  function setCalm(on) {
    state.calm = on && calm !== null;
    byId("calm").checked = state.calm;
    relayout();
  }

  function setQueue(on) {
    state.queue = on;
    byId("queue").checked = on;
    draw(true);
    show();
  }

  function relayout() {
    measure();
    if (state.chosen >= 0 && rowOf(state.chosen) >= 0) intoView(rowOf(state.chosen));
    draw(true);
  }

  const switches = { past: setPast, calm: setCalm, queue: setQueue };
  for (const name in switches) byId(name).addEventListener("change", (event) => switches[name](event.target.checked));
  const toggle = (name) => byId(name).disabled || switches[name](!state[name]);

  const actions = {
    next: () => step(1),
    previous: () => step(-1),
    departure: () => jump(departing, 1),
    back: () => jump(departing, -1),
    verdict: () => choose(END),
  };
  for (const name in actions) byId(`to-${name}`).addEventListener("click", actions[name]);

  const keys = {
    j: actions.next,
    ArrowDown: actions.next,
    k: actions.previous,
    ArrowUp: actions.previous,
    n: actions.departure,
    N: actions.back,
    v: actions.verdict,
    g: () => step(-Infinity),
    Home: () => step(-Infinity),
    G: () => choose(END),
    End: () => choose(END),
    c: () => toggle("past"),
    b: () => toggle("calm"),
    q: () => toggle("queue"),
    "/": () => search.focus(),
    "?": () => byId("keys").toggleAttribute("open"),
  };
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target === search;
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });

  document.querySelector(".steps").addEventListener("click", (event) => {
    const found = event.target.closest("[data-place]");
    if (!found || event.target.closest("a")) return;
    const inCalm = drawings.calm.contains(found);
    choose(inCalm ? run.kind.findIndex((_, place) => calmOf(place) === Number(found.dataset.place)) : Number(found.dataset.place));
  });

  function follow() {
    const found = /^#step-([0-9]+)$/.exec(location.hash);
    if (found) choose(Math.min(Number(found[1]), steps) - 1, true);
    else if (location.hash === "#verdict") choose(END, true);
  }

  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.addEventListener("click", () => {
      const range = document.createRange();
      range.selectNodeContents(button.previousElementSibling);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = document.execCommand("copy") ? "copied" : "selected";
    });
  }

  // ---- begin

  let pending = false;
  window.addEventListener("scroll", () => {
    if (pending) return;
    pending = true;
    requestAnimationFrame(() => {
      pending = false;
      draw(false);
    });
  }, { passive: true });
  const fold = () => document.documentElement.classList.toggle("narrow", narrow.matches);
  narrow.addEventListener("change", fold);
  window.addEventListener("resize", () => {
    measure();
    draw(true);
  });
  window.addEventListener("hashchange", follow);

  fold();
  document.documentElement.classList.add("ready");
  byId("tools").hidden = false;
  byId("main").hidden = false;
  byId("calm").disabled = calm === null;
  byId("past").disabled = verdict.word === "held";
  if (run.rate.every((rate) => rate < 0)) heads.querySelector(".rate").textContent = "";
  measure();
  draw(true);
  show();
  follow();
  document.documentElement.dataset.ready = Math.round(performance.now());
})();
