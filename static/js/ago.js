// How long ago a time was, on hover and in details, kept true while the page stands open: what the server wrote was
// true when it wrote.
//   <td class="c-time"> in a row whose toggle leads to ID: an ID begins with its milliseconds. The server writes none
//   there: fifty would be a kilobyte.
//   <time datetime="..." title="[... · ]3 min ago">     <time datetime="..."> <span class="ago">3 min ago</span>

const ID = /([0-9a-f]{8})-([0-9a-f]{4})-[0-9a-f-]{22}\//;
const UNITS = [
  ["day", 86_400_000, 2],
  ["hour", 3_600_000, 1],
  ["minute", 60_000, 1],
];
const words = new Intl.RelativeTimeFormat(document.documentElement.lang, { style: "short" });

function ago(at) {
  const passed = Date.now() - at;
  const [unit, length] = UNITS.find(([, length, least]) => passed >= least * length) ?? [];
  return unit ? words.format(-Math.floor(passed / length), unit).replace(". ", " ") : "";
}

function begun(cell) {
  const id = ID.exec(cell.closest("tr").querySelector(".toggle")?.getAttribute("href") ?? "");
  return id ? Number.parseInt(id[1] + id[2], 16) : Number.NaN;
}

document.addEventListener("mouseover", (event) => {
  const at = event.target.closest?.("time[datetime][title]:not([data-countdown]), tr.record > td.c-time");
  if (!at) return;
  const said = ago(at.dateTime ? Date.parse(at.dateTime) : begun(at));
  if (said) at.title = [...at.title.split(" · ").slice(0, -1), said].join(" · ");
});

setInterval(() => {
  for (const span of document.querySelectorAll("time[datetime] + .ago")) {
    const said = ago(Date.parse(span.previousElementSibling.dateTime));
    if (said) span.textContent = said;
  }
}, 30_000);
