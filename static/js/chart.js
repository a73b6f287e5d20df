// The chart's tooltip, and a stretch of time selected with the pointer or the keyboard.
//   <figure class="chart" data-url data-query data-results data-start data-step data-count data-zone>
// data-url gives the figures of each bucket, fetched when first pointed at. A drag, or Shift with an arrow key and
// Enter, asks data-results for the same view narrowed to that stretch; the server puts it into the address bar.
// Without data-results it leads to data-page.

const cache = new WeakMap();

function parts(chart) {
  let known = cache.get(chart);
  if (known) return known;
  const { start, step, count, zone, url } = chart.dataset;
  known = {
    chart,
    box: chart.querySelector(".chart-box"),
    svg: chart.querySelector(".chart-plot"),
    tip: chart.querySelector(".chart-tip"),
    select: chart.querySelector(".chart-select"),
    cursor: chart.querySelector(".chart-cursor"),
    words: JSON.parse(chart.querySelector("script[type='application/json']").textContent),
    start: Number(start),
    step: Number(step) * 60,
    count: Number(count),
    // Sweden writes ISO 8601, as every page does.
    time: new Intl.DateTimeFormat("sv-SE", {
      timeZone: zone,
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
    }),
    number: new Intl.NumberFormat(document.documentElement.lang),
    buckets: null,
    at: null,
    from: null,
    load() {
      this.buckets ??= fetch(url, { headers: { Accept: "application/json" } })
        .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`${answer.status}`))))
        .then(({ buckets }) => new Map(buckets.map(([index, ...figures]) => [index, figures])))
        .catch(() => {
          this.buckets = null;
          return new Map();
        });
      return this.buckets;
    },
  };
  cache.set(chart, known);
  return known;
}

function indexAt(view, event) {
  const edge = view.svg.getBoundingClientRect();
  const share = (event.clientX - edge.left) / edge.width;
  return Math.min(Math.max(Math.floor(share * view.count), 0), view.count - 1);
}

function moment(view, index) {
  return new Date((view.start + index * view.step) * 1000);
}

async function describe(view, index) {
  const found = (await view.load()).get(index);
  const when = view.time.format(moment(view, index));
  if (!found) return { when, lines: [[view.words.none, ""]] };
  const [requests, errors, limited, tokens, rpm, rpmAt, tpm, tpmAt] = found;
  const n = (value) => view.number.format(value);
  const at = (seconds) => view.time.format(new Date(seconds * 1000));
  const lines = [
    [view.words.requests, n(requests)],
    [view.words.errors, n(errors)],
    [view.words.tokens, n(tokens)],
  ];
  if (limited) lines.splice(2, 0, [view.words.limited, n(limited)]);
  if (view.step > 60) {
    lines.push([view.words.peak_rpm, `${n(rpm)} (${at(rpmAt)})`], [view.words.peak_tpm, `${n(tpm)} (${at(tpmAt)})`]);
  }
  return { when, lines };
}

async function point(view, index) {
  view.at = index;
  const x = `${((index + 0.5) / view.count) * 100}%`;
  view.cursor.setAttribute("x1", x);
  view.cursor.setAttribute("x2", x);
  view.cursor.setAttribute("visibility", "visible");
  if (view.from !== null) {
    const [first, last] = stretch(view);
    view.select.setAttribute("x", `${(first / view.count) * 100}%`);
    view.select.setAttribute("width", `${((last + 1 - first) / view.count) * 100}%`);
  }
  const { when, lines } = await describe(view, index);
  if (view.at !== index) return;
  const title = document.createElement("b");
  title.textContent = when;
  const list = document.createElement("dl");
  for (const [name, value] of lines) {
    const term = document.createElement("dt");
    const figure = document.createElement("dd");
    term.textContent = name;
    figure.textContent = value;
    list.append(term, figure);
  }
  view.tip.replaceChildren(title, list);
  view.tip.hidden = false;
  const width = view.box.clientWidth;
  const left = ((index + 0.5) / view.count) * width;
  const beside = left + 12 + view.tip.offsetWidth > width ? left - 12 - view.tip.offsetWidth : left + 12;
  view.tip.style.left = `${Math.max(beside, 0)}px`;
  view.box.setAttribute("aria-valuenow", index);
  view.box.setAttribute("aria-valuetext", [when, ...lines.map((line) => line.join(" "))].join(", "));
}

function stretch(view) {
  return [Math.min(view.from, view.at), Math.max(view.from, view.at)];
}

function clear(view) {
  view.at = null;
  view.from = null;
  view.tip.hidden = true;
  view.select.setAttribute("width", "0");
  view.cursor.setAttribute("visibility", "hidden");
}

function narrow(view) {
  const [first, last] = view.from === null ? [view.at, view.at] : stretch(view);
  const { query, results, page } = view.chart.dataset;
  const asked = new URLSearchParams(query);
  const stamp = (index) => `${moment(view, index).toISOString().slice(0, 16)}Z`;
  asked.set("start", stamp(first));
  asked.set("end", stamp(last + 1));
  if (!results) {
    location.assign(`${page}?${asked}`);
    return;
  }
  htmx.ajax("GET", `${results}?${asked}`, { source: view.box, target: "#panel", swap: "outerHTML" });
}

function viewOf(event) {
  const box = event.target.closest?.(".chart-box");
  return box && parts(box.closest(".chart"));
}

let dragging = null;

document.addEventListener("pointermove", (event) => {
  if (dragging) {
    point(dragging, indexAt(dragging, event));
    return;
  }
  const view = viewOf(event);
  if (view && event.pointerType !== "touch") point(view, indexAt(view, event));
});

document.addEventListener("pointerdown", (event) => {
  const view = viewOf(event);
  if (!view || event.button !== 0) return;
  if (event.pointerType === "touch") {
    // A tap shows the figures; a drag scrolls the page. Narrowing by touch is in the table below.
    point(view, indexAt(view, event));
    return;
  }
  event.preventDefault();
  view.box.focus({ preventScroll: true });
  dragging = view;
  view.from = indexAt(view, event);
  point(view, view.from);
});

document.addEventListener("pointerup", () => {
  if (!dragging) return;
  const view = dragging;
  dragging = null;
  // A click without a drag selects nothing.
  if (view.from !== view.at) narrow(view);
  else clear(view);
});

document.addEventListener(
  "pointerout",
  (event) => {
    const view = viewOf(event);
    if (view && !dragging && !view.box.contains(event.relatedTarget) && document.activeElement !== view.box) clear(view);
  },
  true,
);

document.addEventListener("keydown", (event) => {
  if (!event.target.matches?.(".chart-box")) return;
  const view = parts(event.target.closest(".chart"));
  const page = Math.max(1, Math.round(view.count / 10));
  const steps = { ArrowLeft: -1, ArrowRight: 1, PageDown: -page, PageUp: page, Home: -view.count, End: view.count };
  if (event.key in steps) {
    event.preventDefault();
    const here = view.at ?? (steps[event.key] < 0 ? view.count : -1);
    if (event.shiftKey) view.from ??= Math.min(Math.max(here, 0), view.count - 1);
    else {
      view.from = null;
      view.select.setAttribute("width", "0");
    }
    point(view, Math.min(Math.max(here + steps[event.key], 0), view.count - 1));
  } else if (event.key === "Enter" && view.at !== null) {
    event.preventDefault();
    narrow(view);
  } else if (event.key === "Escape" && view.at !== null) {
    event.preventDefault();
    clear(view);
  }
});

document.addEventListener("focusout", (event) => {
  if (event.target.matches?.(".chart-box") && !dragging) clear(parts(event.target.closest(".chart")));
});

// With this script the picture becomes a control: a cursor that arrow keys move through time.
function upgrade(root) {
  for (const box of root.querySelectorAll?.(".chart-box:not([role])") ?? []) {
    const view = parts(box.closest(".chart"));
    box.tabIndex = 0;
    box.setAttribute("role", "slider");
    box.setAttribute("aria-label", view.words.cursor);
    box.setAttribute("aria-valuemin", "0");
    box.setAttribute("aria-valuemax", String(view.count - 1));
    box.setAttribute("aria-valuenow", "0");
    box.setAttribute("aria-valuetext", view.time.format(moment(view, 0)));
    const hint = view.chart.querySelector(".chart-hint");
    if (hint) {
      hint.id = "chart-hint";
      box.setAttribute("aria-describedby", hint.id);
      hint.hidden = false;
    }
  }
}

upgrade(document);
document.addEventListener("htmx:load", (event) => upgrade(event.detail.elt.parentElement ?? document));
