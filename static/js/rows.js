// Rows that open in place, and keys to walk them.
//   <table data-results="/records/tasks/results/"><tr class="record"><td class="c-toggle"><a class="toggle" href="/records/usage/ID/">
// The first press fetches <tr class="record-detail" id="detail-ID"> from the link's own details/, or what its table's
// data-details says. From then on a press hides and shows what was fetched. A click anywhere on the row is a press, unless it lands
// on a control or selects text.
// What is opened comes into view, and stands in the address as #open=ID: a link to it opens it again.
//   /  goes to the search box     ?  shows the keys     j k  next and previous row     Enter  opens     Escape  leaves the box

function detailOf(toggle) {
  const next = toggle.closest("tr.record")?.nextElementSibling;
  return next?.matches(".record-detail:not([data-swap-error])") ? next : null;
}

const ID = /([0-9a-f-]{36})\/(?:\?|$)/;
const OPEN = "#open=";

function note(toggle, open) {
  const id = ID.exec(toggle.getAttribute("href"))?.[1];
  if (!id) return;
  const here = location.hash === OPEN + id;
  if (open ? here : !here) return;
  history.replaceState(history.state, "", open ? OPEN + id : location.pathname + location.search);
}

// The whole of the details where they fit, else from their row on.
function bringIntoView(toggle) {
  const row = toggle.closest("tr");
  const detail = detailOf(toggle);
  if (!detail) return;
  const { bottom } = detail.getBoundingClientRect();
  const { top } = row.getBoundingClientRect();
  const head = row.closest("table").tHead?.offsetHeight ?? 0;
  const room = Math.min(bottom - innerHeight, top - head);
  if (room > 0) scrollBy({ top: room, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

function reflect(toggle, open) {
  toggle.setAttribute("aria-expanded", String(open));
  toggle.closest("tr")?.classList.toggle("is-open", open);
}

// Without this script the toggle is a link that leads to the record's own page.
function upgrade(root) {
  for (const toggle of root.querySelectorAll("tr.record .toggle:not([aria-expanded])")) reflect(toggle, false);
}

upgrade(document);
document.addEventListener("htmx:load", (event) => upgrade(event.detail.elt));

if (location.hash.startsWith(OPEN)) {
  const id = location.hash.slice(OPEN.length);
  const toggle = [...document.querySelectorAll("tr.record .toggle")].find((one) => ID.exec(one.getAttribute("href"))?.[1] === id);
  if (toggle && !detailOf(toggle)) document.addEventListener("DOMContentLoaded", () => toggle.click());
}

document.addEventListener(
  "click",
  (event) => {
    const toggle = event.target.closest("tr.record .toggle");
    if (!toggle || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const detail = detailOf(toggle);
    // Caught on the way down, before htmx would fetch it again.
    event.preventDefault();
    event.stopImmediatePropagation();
    const row = toggle.closest("tr");
    if (detail) {
      detail.hidden = !detail.hidden;
      reflect(toggle, !detail.hidden);
      note(toggle, !detail.hidden);
      if (!detail.hidden) bringIntoView(toggle);
    } else if (row.getAttribute("aria-busy") !== "true") {
      const { details = "details/" } = row.closest("table").dataset;
      const [path, query] = toggle.getAttribute("href").split("?");
      htmx.ajax("GET", path + details + (query ? `?${query}` : ""), { source: toggle, target: row, swap: "afterend" });
    }
  },
  true,
);

// A value narrows the list to it: without this script its link loads the page.
document.addEventListener("click", (event) => {
  const by = event.target.closest(".listing[data-results] a.by");
  if (!by || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  htmx.ajax("GET", by.closest("table").dataset.results + by.search, { source: by, target: "#panel", swap: "outerHTML" });
});

document.addEventListener("click", (event) => {
  const row = event.target.closest("tr.record");
  if (!row || event.target.closest("a, button, input, label, select, summary")) return;
  if (!getSelection().isCollapsed) return;
  row.querySelector(".toggle")?.click();
});

document.addEventListener("htmx:afterSwap", (event) => {
  const toggle = event.detail.requestConfig?.elt;
  const detail = toggle?.matches?.("tr.record .toggle") && detailOf(toggle);
  if (!detail) return;
  toggle.setAttribute("aria-controls", detail.id);
  reflect(toggle, true);
  note(toggle, true);
  bringIntoView(toggle);
});

function walk(step) {
  const toggles = [...document.querySelectorAll("tr.record .toggle")];
  if (!toggles.length) return;
  const here = document.activeElement?.closest("tr.record, tr.record-detail");
  const row = here?.matches(".record-detail") ? here.previousElementSibling : here;
  const at = toggles.indexOf(row?.querySelector(".toggle"));
  const next = toggles[at < 0 ? 0 : Math.min(Math.max(at + step, 0), toggles.length - 1)];
  next.focus({ focusVisible: true });
  next.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key === "Escape" && typing?.closest(".search-id")) typing.blur();
  if (typing || document.querySelector("details.menu[open], :popover-open, dialog[open]")) return;
  if (event.key === "/") {
    const box = document.querySelector(".search-id input");
    if (!box) return;
    event.preventDefault();
    box.focus();
    box.select();
  } else if (event.key === "?") {
    const keys = document.getElementById("keys");
    if (!keys) return;
    event.preventDefault();
    keys.showPopover();
  } else if (event.key === "j" || event.key === "k") {
    walk(event.key === "j" ? 1 : -1);
  }
});
