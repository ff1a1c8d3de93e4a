// The form before a call: focus on what is wrong, one press is one join, a word after a second.
const form = document.getElementById("join");
const busy = document.getElementById("busy");

document.getElementById("errors")?.focus();

let sent = false;
let timer = 0;
form.addEventListener("submit", (event) => {
  if (sent) {
    event.preventDefault();
    return;
  }
  sent = true;
  timer = setTimeout(() => {
    busy.textContent = "Opening the meeting…";
  }, 700);
});
// back from the call by the browser's own button: the form works again
addEventListener("pageshow", () => {
  sent = false;
  clearTimeout(timer);
  busy.textContent = "";
});
