// What is new, and how far a work is, is asked for only while the page is looked at. In live mode it is shown as it comes, unless a record
// stands open or a menu or the sheet is in use: then the bar waits to be pressed.

const BUSY = "tr.record-detail:not([hidden]), details.menu[open], :popover-open, dialog[open], .chart-box:focus";

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.elt.matches?.("#news, #work-notice") && document.hidden) event.preventDefault();
});

document.addEventListener("htmx:afterSettle", (event) => {
  const bar = event.detail.elt.querySelector?.("[data-live]") ?? null;
  if (bar && !document.querySelector(BUSY)) bar.click();
});
