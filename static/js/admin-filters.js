// The filters of the admin's lists: From and To show only while they are chosen.

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
