// <whereby-embed> in the page, defined by @whereby.com/browser-sdk's v3-embed.js (loaded before as a plain script).
// What startCall takes and answers is told in docs/adding-a-platform.md.

export function sdkLoaded() {
  return globalThis.customElements?.get("whereby-embed") !== undefined;
}

export async function startCall({ container, page, title, on }) {
  const embed = document.createElement("whereby-embed");
  embed.setAttribute("title", title);
  for (const [name, value] of Object.entries(page.attributes ?? {})) embed.setAttribute(name, value);
  embed.style.height = "100%";

  let inside = false;
  let knocked = false;
  let over = false;
  let recording = false;

  const finish = (reason) => {
    if (over) return;
    over = true;
    inside = false;
    on.left?.(reason);
    setTimeout(() => embed.remove(), 0);
  };
  const listen = (name, handler) => embed.addEventListener(name, (event) => handler(event.detail ?? {}));

  listen("knock", () => {
    knocked = true;
    on.waiting?.();
  });
  listen("cancel_knock", () => {
    knocked = false;
  });
  listen("join", () => {
    inside = true;
    on.joined?.({ sessionId: "", name: page.attributes?.displayName ?? "" });
  });
  listen("leave", ({ removed }) => {
    if (removed) finish("removed");
    else if (!inside && knocked) finish("declined");
    else finish("left");
  });
  listen("meeting_end", () => finish("ended"));
  listen("participantupdate", ({ count }) => {
    if (Number.isInteger(count)) on.count?.(count);
  });
  listen("recording_status_change", ({ status }) => {
    // an error answers an order to start: no webhook tells of it, and what runs already goes on
    if (status === "error" && !recording) on.problem?.("recording", "The recording could not be started.");
    else if (status === "error") return;
    if (["started", "recording", "stopped", "error"].includes(status)) {
      recording = status === "started" || status === "recording";
      on.recording?.(recording);
    }
  });
  listen("deny_device_permission", ({ denied }) => {
    if (denied !== false) on.problem?.("camera", "The browser does not let this page use your camera or microphone.");
  });
  listen("connection_status_change", ({ status }) => {
    if (status === "unstable") on.problem?.("connection", "Your connection is unstable.");
  });

  // last, and before it is in the page: the element draws its frame as soon as it knows its room
  embed.setAttribute("room", page.room);
  container.append(embed);

  const controls = {
    async leave() {
      embed.leaveRoom();
      finish("left");
    },
  };
  if (page.isHost) {
    controls.startRecording = async () => embed.startRecording();
    controls.stopRecording = async () => embed.stopRecording();
    controls.endMeeting = async () => embed.endMeeting();
  }
  return controls;
}
