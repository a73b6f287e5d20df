// Says why a passkey was not used: django-allauth's own script leaves that to the "allauth.error" event.
//   <div data-passkey-failure data-refused="…" data-unsupported="…" data-failed="…" hidden>

const place = document.querySelector("[data-passkey-failure]");

function show(words) {
  place.textContent = words;
  place.hidden = false;
}

document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  const { exception } = event.detail;
  if (exception instanceof DOMException && exception.name !== "SecurityError") show(place.dataset.refused);
  else if (!window.PublicKeyCredential || exception instanceof DOMException) show(place.dataset.unsupported);
  else show(place.dataset.failed);
});
