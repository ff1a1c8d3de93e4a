// The meeting page works without this. With it: a click on a time plays from there without loading the page again,
// the row that is being played is marked, and a page that waits for a recording looks again by itself.

const players = new Map([...document.querySelectorAll("video[data-recording]")].map((v) => [v.dataset.recording, v]));
const links = [...document.querySelectorAll("a[data-seek]")];

for (const link of links) {
  link.addEventListener("click", (event) => {
    const player = players.get(link.dataset.recording);
    if (!player || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    player.currentTime = Number(link.dataset.seek);
    player.play().catch(() => {});
  });
}

for (const [recording, player] of players) {
  const rows = links
    .filter((link) => link.dataset.recording === recording)
    .map((link) => ({ at: Number(link.dataset.seek), row: link.closest("li") }));
  player.addEventListener("timeupdate", () => {
    let current = null;
    for (const candidate of rows) if (candidate.at <= player.currentTime + 0.05) current = candidate.row;
    for (const { row } of rows) row.toggleAttribute("aria-current", false);
    if (current && player.currentTime > 0) current.setAttribute("aria-current", "true");
  });
}

if (document.querySelector('script[data-pending="yes"]')) {
  setTimeout(() => {
    if ([...players.values()].every((player) => player.paused)) location.reload();
  }, 15000);
}
