// An order of moves in progress: asks every second how far it is, and says so at most every four, so that whoever
// listens is not talked over. Without scripts the page loads itself anew.
const shown = document.querySelector("[data-progress]");
const bar = shown.querySelector("progress");
const status = shown.querySelector("[role=status]");
let toldAt = 0;

async function look() {
  try {
    const response = await fetch(shown.dataset.progress, { redirect: "error" });
    if (response.ok) {
      const far = await response.json();
      bar.max = far.most;
      bar.value = far.value;
      if (Date.now() - toldAt > 4000 && status.textContent !== far.words) {
        status.textContent = far.words;
        toldAt = Date.now();
      }
      if (!far.is_moving) {
        location.reload();
        return;
      }
    }
  } catch {
    // the network is away for a moment
  }
  setTimeout(look, 1000);
}

if ("moving" in shown.dataset) {
  setTimeout(look, 1000);
}
