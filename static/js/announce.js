// Speaks to screen readers through #announce, and counts swapped-in results aloud.
//   document.dispatchEvent(new CustomEvent("announce", { detail: "128 records" }))
//   <p data-announce="128 records"> in swapped content: spoken after the swap (its text, if the value is empty).

const region = document.getElementById("announce");
let pending;

function say(text) {
  clearTimeout(pending);
  // Emptied first, so that the same words are spoken again; late, so that several swaps speak once.
  region.textContent = "";
  pending = setTimeout(() => {
    region.textContent = text;
  }, 150);
}

document.addEventListener("announce", (event) => say(event.detail));

document.addEventListener("htmx:afterSettle", (event) => {
  const place = event.detail.elt;
  const found = place.matches?.("[data-announce]") ? place : place.querySelector?.("[data-announce]");
  if (found) say(found.dataset.announce || found.textContent.trim());
});
