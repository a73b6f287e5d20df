// The browser's time zone, where its clock is not that of the saved one.
//   Every page, until it is answered: <form data-zone-ask="UTC" hidden> <b data-zone-name> <button data-zone-use>
//   Profile: <p data-zone-offer data-zone-field="id_time_zone" hidden> <b data-zone-name> <button data-zone-use>

const here = Intl.DateTimeFormat().resolvedOptions().timeZone;

// Two names of one clock are no matter: compared in winter and in summer.
function clocks(zone) {
  try {
    const clock = new Intl.DateTimeFormat("en", { timeZone: zone, dateStyle: "short", timeStyle: "short" });
    const year = new Date().getFullYear();
    return [0, 3, 6, 9].map((month) => clock.format(Date.UTC(year, month, 1))).join();
  } catch {
    return zone;
  }
}

function name(place) {
  for (const box of place.querySelectorAll("[data-zone-name]")) box.textContent = here;
  place.hidden = false;
}

for (const ask of document.querySelectorAll("[data-zone-ask]")) {
  if (!here || clocks(here) === clocks(ask.dataset.zoneAsk)) continue;
  ask.querySelector("[data-zone-use]").value = here;
  name(ask);
}

for (const offer of document.querySelectorAll("[data-zone-offer]")) {
  const field = document.getElementById(offer.dataset.zoneField);
  if (!here || !field || clocks(field.value) === clocks(here)) continue;
  name(offer);
  offer.querySelector("[data-zone-use]").addEventListener("click", () => {
    field.value = here;
    field.form.requestSubmit();
  });
}
