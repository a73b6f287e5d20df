// The filters of the admin's lists. From and To show only while they are chosen; Select2's boxes get the
// names that it leaves out.

const form = document.getElementById("keyset-filters");
const range = form.elements.range;
const fields = [...form.querySelectorAll("[data-custom-range]")];

function follow() {
  const custom = range.value === "custom";
  for (const field of fields) {
    field.hidden = !custom;
    field.querySelector("input").disabled = !custom;
  }
}

range.addEventListener("change", () => {
  follow();
  if (range.value === "custom") form.elements.start.focus();
});
follow();

// After the admin's own handler, which makes the boxes.
window.django.jQuery(() => {
  for (const select of form.querySelectorAll("select.admin-autocomplete")) {
    const label = select.labels[0];
    const box = select.nextElementSibling;
    label.id = `${select.id}_label`;
    for (const named of box.querySelectorAll(".select2-selection, .select2-selection__rendered")) {
      const value = named.matches("span.select2-selection__rendered") ? named.id : named.getAttribute("aria-labelledby");
      named.setAttribute("aria-labelledby", value ? `${label.id} ${value}` : label.id);
    }
    box.querySelector(".select2-search__field")?.setAttribute("aria-label", label.textContent);
  }
});
