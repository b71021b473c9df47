// Puts the sections that the server sends in their place. Without this the
// page shows all the same, as it was when it was loaded.
"use strict";
(() => {
  const live = document.getElementById("live");
  const page = document.body.dataset.page;
  let source = null;
  let updates = 0;

  function open() {
    source = new EventSource("events?page=" + encodeURIComponent(page));
    source.onmessage = (message) => {
      const update = JSON.parse(message.data);
      for (const [id, html] of Object.entries(update.sections)) {
        const section = document.getElementById(id);
        // What somebody selects or scrolls is left alone for a while.
        if (section && !(getSelection().toString() && section.contains(getSelection().anchorNode))) {
          section.innerHTML = html;
        }
      }
      updates += 1;
      live.textContent = update.status === "running" ? "live" : "cluster closed";
      live.className = update.status === "running" ? "on" : "off";
      live.dataset.updates = updates;
    };
    source.onerror = () => {
      live.textContent = "connection lost, trying again";
      live.className = "off";
    };
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source.close();
    } else {
      open();
    }
  });
  addEventListener("pagehide", () => source.close());
  open();
})();
