// Names for what the admin's own scripts make without one: the boxes of Select2, and the hints of its two-column
// choosers. After their handlers, which run as the page loads.

function nameSelect2(select) {
  const label = select.labels[0];
  const box = select.nextElementSibling;
  if (!label || !box?.matches(".select2-container")) return;
  label.id ||= `${select.id}_label`;
  for (const named of box.querySelectorAll(".select2-selection, .select2-selection__rendered")) {
    const value = named.matches("span.select2-selection__rendered") ? named.id : named.getAttribute("aria-labelledby");
    named.setAttribute("aria-labelledby", value ? `${label.id} ${value}` : label.id);
  }
  box.querySelector(".select2-search__field")?.setAttribute("aria-label", label.textContent);
}

// jQuery's own moment comes after that of the handler which makes the boxes, and perhaps after the page's load.
window.django?.jQuery?.(() => {
  for (const select of document.querySelectorAll("select.admin-autocomplete")) nameSelect2(select);
});
window.addEventListener("load", () => {
  for (const hint of document.querySelectorAll(".help-tooltip[aria-label]")) hint.setAttribute("role", "img");
});
