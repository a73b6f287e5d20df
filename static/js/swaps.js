// What htmx does not say by itself: a request that failed says so where its answer would have been, with Retry;
// the box being filled is marked busy.

const template = document.getElementById("swap-error");
const SELECTOR = ".swap-error";

function remove(target) {
  for (const box of target.parentElement?.querySelectorAll(`${SELECTOR}[data-for]`) ?? []) {
    if (box.failedTarget === target) (box.closest("tr[data-swap-error]") ?? box).remove();
  }
}

function reason(xhr, type) {
  const words = template.dataset;
  if (type === "htmx:timeout") return words.timeout;
  if (type === "htmx:sendError") return navigator.onLine ? words.unreachable : words.offline;
  if (xhr.status === 429) return words.limited;
  if (xhr.status === 403) return words.forbidden;
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
    target.prepend(box);
  } else {
    target.before(box);
  }
}

for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) document.addEventListener(name, show);

document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  remove(detail.target);
  detail.target.setAttribute("aria-busy", "true");
});

document.addEventListener("htmx:afterRequest", ({ detail }) => {
  detail.target?.removeAttribute("aria-busy");
});
