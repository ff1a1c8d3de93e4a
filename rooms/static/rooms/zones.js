// One more button: the zone of this browser. Without script it can be typed.

const button = document.getElementById("browsers-zone");
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && ![...button.form.querySelectorAll("[name=zone]")].some((other) => other.value === zone)) {
  const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" }).format(new Date());
  button.value = zone;
  button.textContent = `${zone} (${button.dataset.words}): ${time}`;
  button.hidden = false;
}
