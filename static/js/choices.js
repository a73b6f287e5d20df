// What a menu of values has beside each: how many records it would list under the other filters, asked for as the menu
// opens, and a button that chooses it alone, or all again where it is the only one.
//   <form data-counts="/records/usage/counts/"> + <template id="only"> > details.menu > .menu-list > label.option
// Both come beside the values and never in place of them: what is ticked meanwhile stays.

const only = () => document.getElementById("only");
const boxesOf = (list) => [...list.querySelectorAll(":scope > .option > input[type=checkbox]")];

function equip(list) {
  const template = only();
  for (const box of boxesOf(list)) {
    const line = box.parentElement;
    if (line.nextElementSibling?.matches(".only")) continue;
    line.after(template.content.firstElementChild.cloneNode(true));
  }
  name(list);
}

// The only one that is ticked offers all.
function name(list) {
  const { all, allOf, onlyOf } = only().dataset;
  const word = only().content.firstElementChild.textContent;
  const boxes = boxesOf(list);
  const ticked = boxes.filter((box) => box.checked);
  for (const box of boxes) {
    const button = box.parentElement.nextElementSibling;
    const alone = box.checked && ticked.length === 1;
    button.textContent = alone ? all : word;
    button.setAttribute("aria-label", alone ? allOf : onlyOf.replace("%s", box.parentElement.textContent.trim()));
  }
}

async function count(list, url) {
  const boxes = boxesOf(list);
  for (const box of boxes) box.parentElement.dataset.count ??= "";
  const asked = new URLSearchParams(location.search);
  asked.set("menu", boxes[0].name);
  const answer = await fetch(`${url}?${asked}`, { headers: { Accept: "application/json" } }).catch(() => null);
  // Counts are beside the point: a menu without them is the menu it was.
  if (!answer?.ok) return;
  const { known, counts } = await answer.json();
  if (!known) return;
  for (const box of boxes) box.parentElement.dataset.count = counts[box.value] ?? "0";
}

document.addEventListener(
  "toggle",
  ({ target: menu }) => {
    const form = menu.matches?.("details.menu[open]") && menu.closest("form#filters");
    if (!form || !only()) return;
    for (const list of menu.querySelectorAll(".menu-list")) {
      if (!boxesOf(list).length) continue;
      equip(list);
      if (form.dataset.counts && !list.dataset.counted) {
        list.dataset.counted = "";
        count(list, form.dataset.counts);
      }
    }
  },
  true,
);

document.addEventListener("change", ({ target }) => {
  const list = target.closest(".menu-list:has(> .only)");
  if (list) name(list);
});

document.addEventListener("click", ({ target }) => {
  const button = target.closest(".menu-list > .only");
  if (!button) return;
  const list = button.parentElement;
  const chosen = button.previousElementSibling.querySelector("input");
  const ticked = boxesOf(list).filter((box) => box.checked);
  const all = ticked.length === 1 && ticked[0] === chosen;
  for (const box of boxesOf(list)) box.checked = !all && box === chosen;
  chosen.form.requestSubmit();
});
