// Counts down to the expiry of a result's links, in the words the server wrote: only the duration changes.
//   <time datetime="2026-01-31T09:30:00+00:00" data-countdown="what it says in the end">Links expire in 5 m 12 s</time>

const LENGTH = /\d+ [dhm] \d+ [hms]|\d+(\.\d+)? (s|ms)/;

function written(seconds) {
  if (seconds >= 86400) return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
  if (seconds >= 3600) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} m`;
  if (seconds >= 60) return `${Math.floor(seconds / 60)} m ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(seconds)} s`;
}

setInterval(() => {
  for (const place of document.querySelectorAll("time[data-countdown]")) {
    const seconds = (Date.parse(place.dateTime) - Date.now()) / 1000;
    if (seconds > 0) {
      place.textContent = place.textContent.replace(LENGTH, written(seconds));
    } else {
      place.textContent = place.dataset.countdown;
      delete place.dataset.countdown;
    }
  }
}, 1000);
