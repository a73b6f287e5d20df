// details.menu: one open at a time, kept inside the window. It is closed by Escape, by Tab out of it, by a press
// elsewhere, and by its own choice as soon as that is on its way to the server.
// .menu-search in a menu filters its .option lines as one types; arrow keys walk the lines.
//
// No menu closes because of a press before its release. A press on words moves focus to what around them takes it, out
// of the menu even: closed at that moment it would be gone before the release could choose. And Chromium (seen in 156)
// crashes where a press begins to select text that a <details>, closed by an event of that press, has just locked.

const OPEN = "details.menu[open]";
const SHEET = "#filters-sheet:popover-open";
// The least distance of a panel from the window's sides, in pixels.
const EDGE = 8;
// The height that a panel is given at least, in pixels, where the window has as much.
const LEAST = 320;

// --- Presses ---

let down = false;
// Where the last press began, until its click has been seen.
let began = null;

function press(event) {
  down = true;
  began = event.target;
}

function release() {
  down = false;
}

// A tap's own pointer is up again before its mouse events come, and it is those that move focus.
for (const name of ["pointerdown", "mousedown"]) document.addEventListener(name, press, true);
for (const name of ["pointerup", "pointercancel", "mouseup", "dragend"]) document.addEventListener(name, release, true);

// A release may go unseen: outside the window, or in the browser's own menu.
document.addEventListener(
  "pointermove",
  (event) => {
    if (!event.buttons) release();
  },
  true,
);

// --- Opening and closing ---

function close(menu, refocus) {
  // A task later the browser has done what a press does.
  if (down) setTimeout(shut, 0, menu, refocus);
  else shut(menu, refocus);
}

function shut(menu, refocus) {
  menu.open = false;
  if (refocus) menu.querySelector("summary").focus();
}

document.addEventListener("click", (event) => {
  const path = event.composedPath();
  // A press that began in a menu is no press elsewhere: it selected text, or a swap replaced the menu under it.
  if (began && !began.isConnected) return;
  for (const menu of document.querySelectorAll(OPEN)) {
    if (!path.includes(menu) && !menu.contains(began)) close(menu);
  }
  began = null;
});

document.addEventListener(
  "toggle",
  (event) => {
    const menu = event.target;
    if (!menu.matches?.(OPEN)) return;
    for (const other of document.querySelectorAll(OPEN)) {
      if (other !== menu && !other.contains(menu)) close(other);
    }
    const panel = menu.querySelector(".menu-panel");
    // A press on its words then keeps focus in the menu.
    panel.tabIndex = -1;
    fit(panel);
    const search = menu.querySelector(".menu-search");
    const inside = panel.contains(document.activeElement);
    if (search && !inside && matchMedia("(pointer: fine)").matches) search.focus({ preventScroll: true });
  },
  true,
);

function fit(panel) {
  const menu = panel.parentElement;
  // The body ends where the scroll bar's place begins; clientWidth goes on where that place is kept free.
  const room = document.body.getBoundingClientRect().right - EDGE;
  // Where it stands by its own, wherever it has been moved to before.
  const left = menu.getBoundingClientRect().left + panel.offsetLeft;
  const over = getComputedStyle(panel).position === "static" ? 0 : left + panel.offsetWidth - room;
  // To the left by what is too much on the right, but never over the left edge.
  const by = Math.max(Math.min(0, -over), EDGE - left);
  panel.style.translate = over > 0 || left < EDGE ? `${by}px` : "";
  limit(panel);
  // Down to its foot, but never so far that its button is gone.
  panel.scrollIntoView({ block: "nearest" });
  menu.querySelector("summary").scrollIntoView({ block: "nearest" });
}

// As high as the room under its button, so that nothing needs to move; where that is too little, as the window.
function limit(panel) {
  panel.style.maxHeight = "";
  if (getComputedStyle(panel).position === "static") return;
  const { top } = panel.getBoundingClientRect();
  const button = top - panel.parentElement.getBoundingClientRect().top;
  const most = innerHeight - 2 * EDGE - button;
  panel.style.maxHeight = `${Math.max(innerHeight - EDGE - top, Math.min(LEAST, most))}px`;
}

addEventListener("resize", () => {
  for (const panel of document.querySelectorAll(`${OPEN} > .menu-panel`)) fit(panel);
});

document.addEventListener("focusout", (event) => {
  const to = event.relatedTarget;
  if (down || !to) return;
  for (const menu of document.querySelectorAll(OPEN)) {
    if (menu.contains(event.target) && !menu.contains(to) && !to.contains(menu)) close(menu);
  }
});

// What was chosen is on its way: the menu it was chosen in, or the sheet, has done its part.
document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (detail.target.id !== "panel") return;
  for (const menu of detail.target.querySelectorAll(OPEN)) close(menu, menu.contains(document.activeElement));
  const sheet = document.querySelector(SHEET);
  if (!sheet) return;
  sheet.hidePopover();
  document.querySelector("[popovertarget=filters-sheet]").focus();
});

// --- Keys ---

document.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  began = null;
  const menu = [...document.querySelectorAll(OPEN)].findLast(
    (open) => event.key === "Escape" || open.contains(event.target),
  );
  if (!menu) return;
  if (event.key === "Escape") {
    event.preventDefault();
    close(menu, true);
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (event.target.matches("input[type=number], input[type=date], input[type=datetime-local], select")) return;
    const lines = [...menu.querySelectorAll(".option:not([hidden])")].map(
      (line) => line.querySelector("input, button, a") ?? line,
    );
    if (!lines.length) return;
    event.preventDefault();
    const at = lines.indexOf(event.target);
    const next = event.key === "ArrowDown" ? at + 1 : at < 0 ? lines.length - 1 : at - 1;
    if (next < 0) (menu.querySelector(".menu-search") ?? menu.querySelector("summary")).focus();
    else lines[Math.min(next, lines.length - 1)].focus();
  } else if (event.key === "Enter" && event.target.matches(".menu-search")) {
    // Enter takes the first line that is left, rather than sending the form.
    const first = menu.querySelector(".option:not([hidden])");
    event.preventDefault();
    (first?.querySelector("input") ?? first)?.click();
  }
});

document.addEventListener("input", (event) => {
  if (!event.target.matches(".menu-search")) return;
  event.stopPropagation();
  const panel = event.target.closest(".menu-panel");
  const wanted = event.target.value.trim().toLocaleLowerCase();
  let left = 0;
  for (const line of panel.querySelectorAll(".option")) {
    line.hidden = !line.textContent.toLocaleLowerCase().includes(wanted);
    if (!line.hidden) left += 1;
  }
  const none = panel.querySelector(".menu-none");
  if (none) none.hidden = left > 0;
});
