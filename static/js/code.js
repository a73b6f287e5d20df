// <div class="code-field" data-code><pre class="code-lines"><textarea><p class="code-hint" hidden>
// Tab indents by two spaces, Shift+Tab takes them back; after Escape the next Tab goes on to the next field, and
// does so until something is typed. Lines are numbered beside the text.
//
// <button formaction="…" data-try="#try-result">: sends its form there and shows what comes back under that id,
// beside the field. Without a script the answer opens in a tab of its own.

const INDENT = "  ";

function number(lines, area) {
  const count = area.value.split("\n").length;
  if (Number(lines.dataset.count) !== count) {
    lines.dataset.count = count;
    lines.textContent = Array.from({ length: count }, (_, index) => index + 1).join("\n");
  }
  lines.scrollTop = area.scrollTop;
}

function put(area, start, end, text) {
  area.setSelectionRange(start, end);
  // What is written so can be undone by the keyboard; setRangeText cannot.
  if (!document.execCommand("insertText", false, text)) area.setRangeText(text, start, end, "end");
}

function indent(area, back) {
  const { selectionStart, selectionEnd, value } = area;
  if (!back && selectionStart === selectionEnd) return put(area, selectionStart, selectionEnd, INDENT);
  const first = value.lastIndexOf("\n", selectionStart - 1) + 1;
  const block = value.slice(first, selectionEnd);
  const moved = block
    .split("\n")
    .map((line) => (back ? line.replace(/^ {1,2}/, "") : INDENT + line))
    .join("\n");
  if (moved === block) return;
  put(area, first, selectionEnd, moved);
  if (selectionStart !== selectionEnd) area.setSelectionRange(first, first + moved.length);
}

for (const field of document.querySelectorAll("[data-code]")) {
  const area = field.querySelector("textarea");
  const lines = field.querySelector(".code-lines");
  const hint = field.querySelector(".code-hint");
  let leaves = false;
  hint.id = `${area.id}_hint`;
  hint.hidden = false;
  area.setAttribute("aria-describedby", [area.getAttribute("aria-describedby"), hint.id].filter(Boolean).join(" "));
  field.classList.add("is-numbered");
  number(lines, area);
  area.addEventListener("input", () => {
    leaves = false;
    number(lines, area);
  });
  area.addEventListener("scroll", () => number(lines, area));
  area.addEventListener("keydown", (event) => {
    if (event.key === "Escape") leaves = true;
    if (event.key !== "Tab" || leaves || area.readOnly || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    indent(area, event.shiftKey);
    leaves = false;
  });
  area.addEventListener("blur", () => (leaves = false));
}

for (const button of document.querySelectorAll("[data-try]")) {
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    const shown = document.querySelector(button.dataset.try);
    shown.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(button.formAction, { method: "POST", body: new FormData(button.form) });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const found = page.querySelector(button.dataset.try);
      shown.replaceChildren(...(found ? found.childNodes : [button.dataset.failed]));
    } catch {
      shown.replaceChildren(button.dataset.failed);
    }
    shown.removeAttribute("aria-busy");
  });
}
