// Inside the framed page of one thing that a task made (templates/tasks/media.html), which has no origin of its own.
// Tells the page around it what the reader would otherwise miss, and saves what is framed where its host lets us read it.
//   up:   { dead: true }   { key: "Escape" }   { saving: true }   { saved: false }
//   down: { save: "name" }

(() => {
  const up = (said) => parent.postMessage(said, "*");
  const media = document.querySelector("[data-made]");
  if (!media) return;

  const isDead = () => (media.matches("img") ? media.complete && !media.naturalWidth : Boolean(media.error));
  const tell = () => {
    document.body.classList.add("is-dead");
    up({ dead: true });
  };
  media.addEventListener("error", tell);
  if (isDead()) tell();

  addEventListener("keydown", ({ key }) => {
    if (key === "Escape" || (media.matches("img") && key.startsWith("Arrow"))) up({ key });
  });

  addEventListener("message", async ({ data, source }) => {
    if (source !== parent || typeof data?.save !== "string") return;
    up({ saving: true });
    try {
      const answer = await fetch(media.src.split("#")[0], { credentials: "omit", referrerPolicy: "no-referrer" });
      if (!answer.ok) throw new Error(answer.statusText);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await answer.blob());
      link.download = data.save;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    } catch {
      up({ saved: false });
    }
  });
})();
