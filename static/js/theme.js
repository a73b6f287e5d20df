// <form data-theme-switch> with <button name="theme" value="system|light|dark" aria-pressed>: changes at once and
// tells the server, which renders the next page in it. Without script the form does the same by a page load.

document.addEventListener("submit", (event) => {
  const form = event.target.closest("[data-theme-switch]");
  const theme = event.submitter?.value;
  if (!form || !theme) return;
  event.preventDefault();
  const body = new FormData(form, event.submitter);
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  // The admin's pages say it here, beside Django's own element.
  document.querySelector('meta[name="theme"]')?.setAttribute("content", theme);
  for (const button of document.querySelectorAll("[data-theme-switch] button[name=theme]")) {
    button.setAttribute("aria-pressed", String(button.value === theme));
  }
  fetch(form.action, { method: "POST", body, redirect: "manual", keepalive: true });
});
