// What changes by itself, and when it must not. What is new, and how far a work is, is asked for only while the page is
// looked at; a part that would be replaced waits while something in it stands open or is selected. In live mode new
// records are put in where nobody reads: at the very top of the page, with nothing open, selected, focused or pointed
// at in the list. Else the bar says how many there are, and waits to be pressed.

const OPEN = "tr.record-detail:not([hidden]), details.menu[open], :popover-open, dialog[open], .chart-box:focus";
const SELF_MADE = "#news, #work-notice";
// How long a pointer that has moved over the list is about to press, in milliseconds.
const AIMING = 2000;

let aimed = -AIMING;
let pressed = false;

document.addEventListener("pointermove", ({ target }) => {
  if (target.closest?.(".listing")) aimed = performance.now();
});
for (const name of ["pointerdown", "pointerup", "pointercancel"]) {
  document.addEventListener(
    name,
    () => {
      pressed = name === "pointerdown";
    },
    true,
  );
}

function selects(box) {
  const chosen = getSelection();
  return !chosen.isCollapsed && box.contains(chosen.anchorNode);
}

function isRead() {
  const list = document.querySelector(".listing");
  return (
    scrollY > 0 ||
    pressed ||
    performance.now() - aimed < AIMING ||
    document.querySelector(OPEN) !== null ||
    selects(document.body) ||
    (list?.contains(document.activeElement) ?? false)
  );
}

document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt, target } = event.detail;
  if (!elt.matches?.("[hx-trigger^=every]")) return;
  const held = target.querySelector("details.menu[open], dialog[open]") || selects(target);
  if (held || (document.hidden && elt.matches(SELF_MADE))) event.preventDefault();
});

document.addEventListener("htmx:afterSettle", (event) => {
  const bar = event.detail.elt.querySelector?.("[data-live]") ?? null;
  if (bar && !isRead()) bar.click();
});
