// Waiting: looks whether it is over, at first often (most meetings open at once), then every second; speaks only when
// the words change. Without scripts the page reloads itself.
const section = document.getElementById("progress");
const url = section.dataset.url;
let pause = 250;

async function look() {
  try {
    const response = await fetch(url, { redirect: "manual" });
    const next =
      response.ok && new DOMParser().parseFromString(await response.text(), "text/html").getElementById("progress");
    if (!next) {
      location.replace(url);
      return;
    }
    const [shown, told] = [section, next].map((each) => each.querySelector("[role=status]"));
    if (shown.textContent !== told.textContent) {
      shown.replaceChildren(...told.childNodes);
      document.title = `${shown.querySelector("h1").textContent} – Reflector rooms`;
    }
  } catch {
    // the network is away for a moment
  }
  pause = Math.min(2 * pause, 1000);
  setTimeout(look, pause);
}

setTimeout(look, pause);
