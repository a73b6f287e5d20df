// What is opened, ticked or typed while an answer is on its way is still there when the answer replaces the panel:
// the open menu, the phone's sheet, choices not sent yet, the place in a list, focus, and even a press that is down.
// What had been sent comes back from the server.

const MENU = "details.menu";
const SHEET = "filters-sheet";

const touched = new Set();
let kept = null;

// Fields of the panel that were touched since it was last asked for.
for (const name of ["input", "change"]) {
  document.addEventListener(
    name,
    ({ target }) => {
      if (target.closest("#panel")) touched.add(target);
    },
    true,
  );
}

document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  // New records come without anything having been sent.
  if (detail.target.id === "panel" && !detail.elt.closest("#news")) touched.clear();
});

// --- A thing, and the same thing in the next copy of the panel ---

function nameOf(node) {
  if (node.id) return { selector: `#${CSS.escape(node.id)}` };
  const menu = node.closest(`${MENU}[id]`);
  let selector = `${menu ? `#${CSS.escape(menu.id)} ` : ""}${node.localName}`;
  for (const part of ["menu-panel", "menu-search", "menu-list"]) if (node.matches(`.${part}`)) selector += `.${part}`;
  if (node.name) selector += `[name="${CSS.escape(node.name)}"]`;
  if (node.matches("[type=checkbox], [type=radio]")) selector += `[value="${CSS.escape(node.value)}"]`;
  return { selector, text: node.matches("a, button, label") ? node.textContent.trim() : undefined };
}

function find({ selector, text }) {
  return [...document.querySelectorAll(selector)].find((node) => !text || node.textContent.trim() === text);
}

function stateOf(field) {
  return field.matches("[type=checkbox], [type=radio]") ? { checked: field.checked } : { value: field.value };
}

// --- Kept before a swap, given back after it ---

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  kept = null;
  if (!detail.shouldSwap || detail.target.id !== "panel") return;
  const panel = detail.target;
  const menus = [...panel.querySelectorAll(`${MENU}[open]`)];
  const sheet = document.getElementById(SHEET);
  const active = document.activeElement;
  const used = [...menus, sheet?.matches(":popover-open") ? sheet : null, ...touched].some((box) => box?.contains(active));
  kept = {
    menus: menus.map((menu) => menu.id),
    sheet: sheet?.matches(":popover-open") ? sheet.scrollTop : null,
    fields: [...touched].filter((field) => panel.contains(field)).map((field) => [nameOf(field), stateOf(field)]),
    lists: menus.flatMap((menu) => [...menu.querySelectorAll(".menu-list")].map((list) => [nameOf(list), list.scrollTop])),
    focus: used ? { ...nameOf(active), start: active.selectionStart, end: active.selectionEnd } : null,
    pressed: pressed && panel.contains(pressed) ? nameOf(pressed) : null,
  };
  touched.clear();
});

document.addEventListener("htmx:afterSwap", () => {
  if (!kept) return;
  const { menus, sheet, fields, lists, focus, pressed: was } = kept;
  kept = null;
  if (sheet !== null) {
    const box = document.getElementById(SHEET);
    box?.showPopover();
    if (box) box.scrollTop = sheet;
  }
  for (const id of menus) {
    const menu = document.getElementById(id);
    if (menu) menu.open = true;
  }
  for (const [name, state] of fields) {
    const field = find(name);
    if (!field) continue;
    Object.assign(field, state);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
  for (const [name, top] of lists) {
    const list = find(name);
    if (list) list.scrollTop = top;
  }
  const place = focus && find(focus);
  place?.focus({ preventScroll: true });
  if (place && focus.start !== null && focus.start !== undefined) place.setSelectionRange?.(focus.start, focus.end);
  heir = was && find(was);
});

// --- A press that is down while its place is replaced ---

let pressed = null;
let heir = null;

document.addEventListener(
  "pointerdown",
  ({ target }) => {
    pressed = target.closest(`:is(${MENU}) :is(label, a, button, summary)`);
    heir = null;
  },
  true,
);

// The browser makes no click of a mouse's press and release on two things. A tap's click goes where it ends.
document.addEventListener(
  "pointerup",
  ({ target, pointerType }) => {
    pressed = null;
    if (pointerType !== "touch" && heir?.contains(target)) heir.click();
    heir = null;
  },
  true,
);
