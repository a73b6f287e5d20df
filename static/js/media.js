// What a task made, around its frames: full screen in a dialog, saving, and saying so where a link is dead.
//   .gallery > figure.made > iframe.media-frame + figcaption > a[data-whole] + a[data-save]      dialog.viewer beside it
// The frames run only media-frame.js, which says what happens in them. Without this script the links lead to the media.

const FIGURE = "figure.made";

function frameOf(source) {
  return [...document.querySelectorAll("iframe.media-frame")].find((frame) => frame.contentWindow === source);
}

function viewerOf(figure) {
  return figure.closest(".panel").querySelector("dialog.viewer");
}

// A frame of its own for each: one that is led elsewhere would leave a step in the browser's history.
function show(viewer, figure) {
  const figures = [...figure.parentElement.querySelectorAll(`:scope > ${FIGURE}`)];
  const at = figures.indexOf(figure);
  const frame = figure.querySelector("iframe").cloneNode();
  frame.loading = "eager";
  viewer.querySelector(".viewer-frame").replaceChildren(frame);
  viewer.querySelector("h2").textContent = frame.title;
  viewer.querySelector("[data-save]").href = figure.querySelector("[data-save]").href;
  for (const step of viewer.querySelectorAll("[data-step]")) {
    const to = figures[at + Number(step.dataset.step)];
    const focused = document.activeElement === step;
    step.hidden = figures.length < 2;
    step.disabled = !to;
    step.onclick = () => show(viewer, to);
    if (focused && !to) viewer.querySelector("[data-close]").focus();
  }
  if (viewer.open) return;
  viewer.showModal();
  viewer.querySelector("[data-close]").focus();
}

function step(viewer, by) {
  viewer.querySelector(`[data-step="${by}"]:not([disabled], [hidden])`)?.click();
}

document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  const whole = event.target.closest?.("a[data-whole]");
  if (whole) {
    event.preventDefault();
    show(viewerOf(whole), whole.closest(FIGURE));
    return;
  }
  const save = event.target.closest?.("a[data-save]");
  if (save) {
    const frame = save.closest(`${FIGURE}, dialog.viewer`).querySelector("iframe");
    event.preventDefault();
    saving = save;
    frame.contentWindow.postMessage({ save: save.pathname.split("/").pop() || "result" }, "*");
    // A frame that has not been loaded yet does not hear it.
    clearTimeout(unheard);
    unheard = setTimeout(openInstead, 500);
    return;
  }
  // A press on the dialog itself is one beside what is in it.
  const viewer = event.target.closest?.("[data-close]")?.closest("dialog.viewer") ?? event.target;
  if (viewer.matches?.("dialog.viewer")) viewer.close();
});

let saving = null;
let unheard;

// Its host lets no page read it: the browser opens it, where it can be saved.
function openInstead() {
  if (saving) open(saving.href, "_blank", "noreferrer");
  saving = null;
}

document.addEventListener("keydown", (event) => {
  const viewer = document.querySelector("dialog.viewer[open]");
  if (viewer && event.key === "ArrowLeft") step(viewer, -1);
  if (viewer && event.key === "ArrowRight") step(viewer, 1);
});

// What is closed stops playing.
document.addEventListener(
  "close",
  (event) => {
    if (event.target.matches("dialog.viewer")) event.target.querySelector(".viewer-frame").replaceChildren();
  },
  true,
);

addEventListener("message", ({ data, source }) => {
  const frame = data && frameOf(source);
  if (!frame) return;
  const viewer = frame.closest("dialog.viewer");
  if (data.dead === true) frame.closest(FIGURE)?.classList.add("is-dead");
  if (viewer && data.key === "Escape") viewer.close();
  if (viewer && data.key === "ArrowLeft") step(viewer, -1);
  if (viewer && data.key === "ArrowRight") step(viewer, 1);
  if (data.saving === true) clearTimeout(unheard);
  if (data.saved === false) openInstead();
});
