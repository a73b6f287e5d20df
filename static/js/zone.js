// Profile: offers the browser's time zone where it is not the saved one.
//   <p data-zone-offer data-zone-field="id_time_zone" hidden>Your browser is in <b data-zone-name></b>
//     <button type="button" data-zone-use>

for (const offer of document.querySelectorAll("[data-zone-offer]")) {
  const field = document.getElementById(offer.dataset.zoneField);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone || !field || field.value === zone) continue;
  offer.querySelector("[data-zone-name]").textContent = zone;
  offer.hidden = false;
  offer.querySelector("[data-zone-use]").addEventListener("click", () => {
    field.value = zone;
    field.form.requestSubmit();
  });
}
