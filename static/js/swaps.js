// What htmx does not say by itself: a request that failed says so where its answer would have been, with Retry;
// the box being filled is marked busy; focus that went away with what was replaced lands on its successor.

// A link of a panel whose hx-get says no address asks for the results of what it leads to: many links, each of them long.
document.addEventListener("htmx:configRequest", (event) => {
  const link = event.detail.elt;
  if (!link.matches('a[hx-get=""]')) return;
  event.detail.path = link.closest("[data-results]").dataset.results + link.search;
});

const template = document.getElementById("swap-error");
const SELECTOR = ".swap-error";

function remove(target) {
  for (const box of target.parentElement?.querySelectorAll(`${SELECTOR}[data-for]`) ?? []) {
    if (box.failedTarget === target) (box.closest("tr[data-swap-error]") ?? box).remove();
  }
}

// What the server says of itself while its database is away, busy or too slow.
function unavailable(xhr) {
  if (xhr.status !== 503 || !xhr.getResponseHeader("Content-Type")?.startsWith("application/problem+json")) return null;
  return JSON.parse(xhr.responseText);
}

function reason(xhr, type) {
  const words = template.dataset;
  if (type === "htmx:timeout") return words.timeout;
  if (type === "htmx:sendError") return navigator.onLine ? words.unreachable : words.offline;
  if (xhr.status === 429) return words.limited;
  if (xhr.status === 403) return words.forbidden;
  if (unavailable(xhr)) return unavailable(xhr).detail;
  return words.failed.replace("%s", xhr.status);
}

function show(event) {
  const { elt, target, xhr, requestConfig } = event.detail;
  if (!target || !template) return;
  remove(target);
  const box = template.content.firstElementChild.cloneNode(true);
  box.dataset.for = target.id;
  box.failedTarget = target;
  box.querySelector("p").textContent = reason(xhr, event.type);
  box.querySelector("button").addEventListener("click", () => {
    remove(target);
    const known = elt.isConnected;
    htmx.ajax(requestConfig.verb, requestConfig.path, {
      source: known ? elt : document.body,
      target,
      values: known ? undefined : Object.fromEntries(requestConfig.formData),
    });
  });
  const shorter = unavailable(xhr)?.shorter;
  if (shorter) {
    const link = document.createElement("a");
    link.className = "btn";
    link.href = shorter.url;
    link.textContent = shorter.label;
    box.append(link);
  }
  place(box, target);
}

// A table takes rows only.
function place(box, target) {
  if (target.matches("tr, tbody")) {
    const row = document.createElement("tr");
    const cell = row.insertCell();
    row.dataset.swapError = "";
    row.className = "record-detail";
    cell.colSpan = 99;
    cell.append(box);
    if (target.matches("tr")) target.after(row);
    else target.prepend(row);
  } else if (target.matches(".results")) {
    const line = target.querySelector(":scope > .progress-line");
    if (line) line.after(box);
    else target.prepend(box);
  } else {
    target.before(box);
  }
}

for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) document.addEventListener(name, show);

let asked = null;

document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  remove(detail.target);
  if (detail.target.id === "panel") {
    // The last one asked wins: an earlier answer would take away the panel that the later one is for.
    asked?.abort();
    asked = detail.xhr;
  }
  detail.target.setAttribute("aria-busy", "true");
});

document.addEventListener("htmx:afterRequest", ({ detail }) => {
  detail.target?.removeAttribute("aria-busy");
});

// What was said about the page before (a view saved, say) goes with what it was about. Not sooner: what was pressed may
// be in it, and htmx finds the places of an answer's further parts by what was pressed.
document.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (detail.target?.id !== "panel") return;
  for (const said of document.querySelectorAll("#main > .notice[role=status]")) said.remove();
});

// --- Focus: htmx keeps it on an element whose id comes back. Otherwise it would be lost to the page's top. ---

let heirs = [];

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const active = document.activeElement;
  if (!detail.target.contains(active) || active === document.body) return;
  // A choice in a menu leads back to the menu, anything else to the box that was filled.
  const menu = active.closest("details.menu[id]");
  heirs = [active.id, menu?.id, detail.target.id].filter(Boolean);
});

document.addEventListener("htmx:afterSettle", () => {
  const wanted = heirs;
  heirs = [];
  if (document.activeElement !== document.body) return;
  for (const id of wanted) {
    const found = document.getElementById(id);
    if (!found) continue;
    const place = found.matches("details") ? found.querySelector("summary") : found;
    if (place === found && found.tabIndex < 0) found.tabIndex = -1;
    place.focus({ preventScroll: true });
    // What is not shown, in the phone's closed sheet say, takes no focus.
    if (document.activeElement === place) return;
  }
});
