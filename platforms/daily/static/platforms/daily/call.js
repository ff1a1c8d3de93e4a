// Daily Prebuilt in the page, through @daily-co/daily-js (loaded before as a plain script).
// What startCall takes and answers is told in docs/adding-a-platform.md.

const FATAL = {
  ejected: "removed",
  "exp-room": "ended",
  "exp-token": "ended",
  "no-room": "ended",
  "end-of-life": "ended",
  "meeting-full": "full",
  "not-allowed": "declined",
  "nbf-room": "connection",
  "nbf-token": "connection",
  "connection-error": "connection",
};

const CAMERA = {
  permissions: "The browser does not let this page use your camera or microphone.",
  "not-found": "No camera or microphone was found.",
  "cam-in-use": "Another program is using your camera.",
  "mic-in-use": "Another program is using your microphone.",
  "cam-mic-in-use": "Another program is using your camera and microphone.",
  "undefined-mediadevices": "This browser cannot use a camera or microphone here.",
};

const sdk = () => globalThis.Daily ?? globalThis.DailyIframe;

export function sdkLoaded() {
  return typeof sdk()?.createFrame === "function";
}

export async function startCall({ container, page, title, on }) {
  const call = sdk().createFrame(container, {
    iframeStyle: { width: "100%", height: "100%", border: "0" },
    showLeaveButton: true,
    showFullscreenButton: true,
  });
  const frame = call.iframe();
  if (frame) frame.title = title;

  let inside = false;
  let over = false;

  const finish = (reason) => {
    if (over) return;
    over = true;
    inside = false;
    on.left?.(reason);
    setTimeout(() => call.destroy().catch(() => {}), 0);
  };
  const fail = (kind, message) => {
    if (over) return;
    if (inside) finish(kind);
    else on.problem?.(kind, message);
  };
  const counted = () => {
    if (inside) on.count?.(Object.keys(call.participants() ?? {}).length);
  };
  // Prebuilt keeps who may be let in to itself (waitingParticipants() and updateWaitingParticipant() are for custom
  // calls): hosts admit people inside the frame, and this list only says who knocks.
  const waiting = new Map();
  const knocking = ({ participant }, knocks) => {
    if (!page.isHost || !participant?.id) return;
    if (knocks) waiting.set(participant.id, { id: participant.id, name: participant.name ?? "" });
    else waiting.delete(participant.id);
    on.knocking?.([...waiting.values()]);
  };

  call.on("joined-meeting", (event) => {
    inside = true;
    const local = event?.participants?.local ?? {};
    on.joined?.({ sessionId: local.session_id ?? "", name: local.user_name ?? "" });
    counted();
  });
  call.on("left-meeting", () => finish("left"));
  call.on("participant-joined", counted);
  call.on("participant-left", counted);
  call.on("participant-counts-updated", (event) => {
    const present = event?.participantCounts?.present;
    if (Number.isInteger(present)) on.count?.(present);
  });
  call.on("waiting-participant-added", (event) => knocking(event, true));
  call.on("waiting-participant-updated", (event) => knocking(event, true));
  call.on("waiting-participant-removed", (event) => knocking(event, false));
  call.on("access-state-updated", (event) => {
    if (!inside && event?.access?.level === "lobby") on.waiting?.();
  });
  // whoever started it and wherever its file goes: what runs is shown
  call.on("recording-started", () => on.recording?.(true));
  call.on("recording-stopped", () => on.recording?.(false));
  call.on("recording-error", () => on.problem?.("recording", "The recording stopped because of an error."));
  call.on("camera-error", (event) => {
    const kind = event?.error?.type;
    on.problem?.("camera", CAMERA[kind] ?? "Your camera or microphone cannot be used.");
  });
  call.on("load-attempt-failed", () => fail("connection", "The call could not be loaded."));
  call.on("error", (event) => fail(FATAL[event?.error?.type] ?? "connection", event?.errorMsg ?? ""));

  const options = { url: page.url, token: page.token, userName: page.userName };
  if (page.lang) options.lang = page.lang;
  // not awaited: who has to knock is let in much later, and the page needs leave() before that
  call.join(options).catch(() => fail("connection", "The call could not be joined."));

  return {
    async leave() {
      await call.leave();
      finish("left");
    },
  };
}
