// <button class="copy" data-copy="req_8f3a…whole id" aria-label="Copy request ID">
// Copies the value; the button shows a tick and the word, the live region speaks it.
// data-copy-from="#id" copies another element's text or value instead; without either, the title around the button.

const words = document.getElementById("announce").dataset;

async function write(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  // Over plain http, where browsers withhold the clipboard API.
  const area = document.createElement("textarea");
  area.value = text;
  area.readOnly = true;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("copy refused");
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-from], .id[title] > .copy");
  if (!button) return;
  const source = button.dataset.copyFrom && document.querySelector(button.dataset.copyFrom);
  const text = source ? (source.value ?? source.textContent) : (button.dataset.copy ?? button.parentElement.title);
  let state = "copied";
  try {
    await write(text);
  } catch {
    state = "failed";
  }
  button.focus({ preventScroll: true });
  button.dataset.said = state === "copied" ? words.copied : words.copyFailed;
  button.dataset.state = state;
  document.dispatchEvent(new CustomEvent("announce", { detail: button.dataset.said }));
  setTimeout(() => delete button.dataset.state, 1600);
});

// <template id="copy-id"> holds the button that stands beside each ID of a list.
function equip(root) {
  const button = document.getElementById("copy-id")?.content.firstElementChild;
  if (!button) return;
  for (const id of root.querySelectorAll(".record td.id[title]:not(:has(.copy))")) id.append(" ", button.cloneNode());
}

equip(document);
document.addEventListener("htmx:load", (event) => equip(event.detail.elt));
