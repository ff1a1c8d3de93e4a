// Tells our server, once each, when the call's frame was there, when the call was joined, and that it failed or was left
// before that; and that the page is gone, as often as it goes. Follows what room.js shows (the body's data-call and data-problem); the call does not wait for it.

const { beacon } = JSON.parse(document.getElementById("call-data").textContent);
const container = document.getElementById("frame");
const body = document.body;

//: problems after which nobody gets in by themselves
const FAILURES = ["connection", "full"];

// performance.now() counts from when the browser sent the form, its redirects included; a page that was loaded again
// counts from then
const ms = () => Math.round(performance.now());
let framed = null;
const told = new Set();

function tell(what, more = {}) {
  if (told.has(what)) return;
  if (what !== "gone") told.add(what);
  const facts = { token: beacon.token, what, framed_ms: framed, ...more };
  try {
    navigator.sendBeacon?.(beacon.url, new Blob([JSON.stringify(facts)], { type: "application/json" }));
  } catch {
    // the provider's own events tell too
  }
}

new MutationObserver((_, observer) => {
  const frame = container.querySelector("iframe");
  if (!frame && !container.firstElementChild?.shadowRoot) return;
  framed = ms();
  observer.disconnect();
}).observe(container, { childList: true, subtree: true });

function follow() {
  const { call, problem } = body.dataset;
  if (call === "joined") tell("joined", { joined_ms: ms() });
  else if (call === "plain") tell("failed", { why: "sdk" });
  else if (FAILURES.includes(problem) && !told.has("joined")) tell("failed", { why: problem });
}
new MutationObserver(follow).observe(body, { attributes: true, attributeFilter: ["data-call", "data-problem"] });
follow();

addEventListener("pagehide", () => {
  if (!told.has("joined") && !told.has("failed")) tell("left");
  tell("gone");
});
