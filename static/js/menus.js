// details.menu: one open at a time, closed by Escape or a click elsewhere, kept inside the window.
// .menu-search in a menu filters its .option lines as one types; arrow keys walk the lines.

const OPEN = "details.menu[open]";

function close(menu, refocus) {
  menu.open = false;
  if (refocus) menu.querySelector("summary").focus();
}

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll(OPEN)) if (!menu.contains(event.target)) close(menu);
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
    if (panel.getBoundingClientRect().right > document.documentElement.clientWidth) menu.classList.add("menu-end");
    const search = menu.querySelector(".menu-search");
    if (search && matchMedia("(pointer: fine)").matches) search.focus();
  },
  true,
);

document.addEventListener("focusout", (event) => {
  const menu = event.target.closest?.(OPEN);
  // Only where focus went to another element: a click on plain text inside the panel leaves it open.
  if (menu && event.relatedTarget && !menu.contains(event.relatedTarget)) close(menu);
});

document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.(OPEN);
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
