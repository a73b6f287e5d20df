// The chart's tooltip, and a stretch of time selected with the pointer or the keyboard.
//   <figure class="chart" data-url data-results data-start data-from data-to data-step data-count data-zone>
// data-url gives the figures of each bar, fetched when first pointed at. A drag, or Shift with an arrow key and
// Enter, asks data-results for the same view narrowed to that stretch; the server puts it into the address bar.
// Without data-results it leads to data-page. The first and the last bar may reach beyond the range, from data-from
// to data-to: a stretch never does.

const cache = new WeakMap();

function parts(chart) {
  let known = cache.get(chart);
  if (known) return known;
  const { start, from: begins, to: ends, step, count, zone, url } = chart.dataset;
  known = {
    chart,
    box: chart.querySelector(".chart-box"),
    svg: chart.querySelector(".chart-plot"),
    tip: chart.querySelector(".chart-tip"),
    select: chart.querySelector(".chart-select"),
    cursor: chart.querySelector(".chart-cursor"),
    words: JSON.parse(chart.querySelector("script[type='application/json']").textContent),
    start: Number(start),
    begins: Number(begins),
    ends: Number(ends),
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
    figures: null,
    at: null,
    from: null,
    load() {
      this.figures ??= fetch(url, { headers: { Accept: "application/json" } })
        .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`${answer.status}`))))
        .then(({ unit, layers, buckets }) => ({
          unit,
          layers,
          bars: new Map(buckets.map(([index, ...figures]) => [index, figures])),
        }))
        .catch(() => {
          this.figures = null;
          return { unit: "count", layers: [], bars: new Map() };
        });
      return this.figures;
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

// Where a bar begins, in seconds; of the first and the last the part in the range.
function edge(view, index) {
  return Math.min(Math.max(view.start + index * view.step, view.begins), view.ends);
}

function moment(view, index) {
  return new Date(edge(view, index) * 1000);
}

// Money down to eight decimals where it is less than a cent, as the pages write it.
function written(value, unit) {
  const lang = document.documentElement.lang;
  if (unit === "money") {
    const digits = { minimumFractionDigits: 2, maximumFractionDigits: Math.abs(value) < 0.01 ? 8 : 4 };
    return `${value < 0 ? "-" : ""}$${new Intl.NumberFormat(lang, digits).format(Math.abs(value))}`;
  }
  if (unit === "duration") {
    return value < 1000
      ? `${Math.round(value)} ms`
      : `${new Intl.NumberFormat(lang, { maximumFractionDigits: 2 }).format(value / 1000)} s`;
  }
  return new Intl.NumberFormat(lang, { maximumFractionDigits: 1 }).format(value);
}

function length(view, seconds) {
  const [days, hours, minutes] = view.words.units;
  const parts = [
    [Math.floor(seconds / 86400), days],
    [Math.floor((seconds % 86400) / 3600), hours],
    [Math.round((seconds % 3600) / 60), minutes],
  ];
  return parts.filter(([number]) => number).map(([number, unit]) => `${number} ${unit}`).join(" ");
}

function sum(found) {
  const bars = found.filter(Boolean);
  return {
    total: bars.reduce((all, [total]) => all + total, 0),
    layers: bars.reduce((all, [, layers]) => layers.map((value, place) => (all[place] ?? 0) + value), []),
  };
}

// What is said of a bar, or of those that are selected.
async function describe(view, index) {
  const { unit, layers, bars } = await view.load();
  const selects = view.from !== null && view.from !== index;
  const [first, last] = selects ? stretch(view) : [index, index];
  const n = (value) => written(value, unit);
  let when = view.time.format(moment(view, first));
  const indices = Array.from({ length: last - first + 1 }, (_, place) => first + place);
  const found = indices.map((place) => bars.get(place));
  if (selects) {
    when += ` – ${view.time.format(moment(view, last + 1))}`;
    const seconds = edge(view, last + 1) - edge(view, first);
    const told = [[view.words.selected, length(view, seconds)]];
    if (!view.words.adds) return { when, lines: told };
    const { total, layers: parts } = sum(found);
    return { when, lines: [...told, [view.words.total, n(total)], ...divided(layers, parts, n)] };
  }
  if (!found[0]) return { when, lines: [[view.words.none, ""]] };
  const [total, parts, before, further] = found[0];
  const lines = view.words.is_lines
    ? [...layers.map((name, place) => [name, n(parts[place])]), [view.words.calls, written(total, "count")]]
    : [[view.words.total, n(total)], ...divided(layers, parts, n)];
  if (before !== null) lines.push([view.words.before, n(before)]);
  if (further) {
    const [tokens, rpm, rpmAt, tpm, tpmAt] = further;
    const at = (seconds) => view.time.format(new Date(seconds * 1000));
    lines.push([view.words.tokens, written(tokens, "count")]);
    if (view.step > 60) {
      lines.push(
        [view.words.peak_rpm, `${written(rpm, "count")} (${at(rpmAt)})`],
        [view.words.peak_tpm, `${written(tpm, "count")} (${at(tpmAt)})`],
      );
    }
  }
  return { when, lines };
}

// The parts of a whole that has more than one, those that hold something, the uppermost first.
function divided(layers, parts, n) {
  if (layers.length < 2) return [];
  return layers.map((name, place) => [name, n(parts[place] ?? 0), parts[place]]).filter(([, , value]) => value).reverse();
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
  const hint = document.createElement("small");
  hint.textContent = view.chart.querySelector(".chart-hint").textContent;
  view.tip.replaceChildren(title, list, hint);
  view.tip.hidden = false;
  place(view, index);
  view.box.setAttribute("aria-valuenow", index);
  view.box.setAttribute("aria-valuetext", [when, ...lines.map((line) => line.join(" "))].join(", "));
}

// Beside the bar, or the stretch that is selected; under the chart where neither side has room.
function place(view, index) {
  const [first, last] = view.from === null ? [index, index] : stretch(view);
  const plot = view.svg.getBoundingClientRect();
  const box = view.box.getBoundingClientRect();
  const at = (share) => plot.left - box.left + (share / view.count) * plot.width;
  const width = view.tip.offsetWidth;
  const right = at(last + 1) + 8;
  const left = at(first) - 8 - width;
  const fits = right + width <= box.width || left >= 0;
  view.tip.style.left = `${right + width <= box.width ? right : Math.max(left, 0)}px`;
  view.tip.style.top = fits ? "0" : "100%";
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
  const { url, results, page } = view.chart.dataset;
  const asked = new URLSearchParams(url.split("?")[1]);
  asked.delete("range");
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
    // A finger leaves as it is lifted: what it asked for stays until it is put elsewhere.
    if (event.pointerType === "touch") return;
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
    hint.id = "chart-hint";
    box.setAttribute("aria-describedby", hint.id);
  }
}

upgrade(document);
document.addEventListener("htmx:load", (event) => upgrade(event.detail.elt.parentElement ?? document));
