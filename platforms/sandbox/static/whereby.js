// What the embedded page says to the unmodified <whereby-embed> in the window above.
export class WherebyHost {
  constructor(call) {
    this.call = call;
    this.embedded = window.parent !== window && call.query.get("jsApi") === "true";
    this.count = null;
    this.recording = null;
    this.known = new Map();
    addEventListener("message", (event) => {
      if (event.source === window.parent && typeof event.data?.command === "string") this.hear(event.data);
    });
  }

  begin() {
    const { query } = this.call;
    this.say("ready");
    this.call.join({
      name: query.get("displayName"), external_id: query.get("externalId"), metadata: query.get("metadata"),
      room_key: query.get("roomKey"), video: query.get("video"), audio: query.get("audio"),
    });
  }

  say(type, payload) {
    if (this.embedded) window.parent.postMessage({ type, payload }, "*");
  }

  hear({ command, args = [] }) {
    const { call } = this;
    switch (command) {
      case "start_recording": call.act("start_recording"); break;
      case "stop_recording": call.act("stop_recording"); break;
      case "end_meeting": call.act("end_meeting"); break;
      case "leave_room": call.leave(); break;
      case "toggle_microphone": call.setMuted(args[0] === undefined ? !call.muted : !args[0]); break;
      case "toggle_camera": call.setCamera(args[0] === undefined ? !call.camera : args[0]); break;
    }
  }

  knocking() { this.say("knock"); }

  joined(state) {
    for (const person of state.people) this.known.set(person.id, person);
    this.say("join");
    this.update(state);
  }

  update(state) {
    const here = new Map(state.people.map((person) => [person.id, person]));
    const shape = (person) => ({ participant: { metadata: null, externalId: person.user_id || null } });
    for (const [id, person] of here) if (!this.known.has(id)) this.say("participant_join", shape(person));
    for (const [id, person] of this.known) if (!here.has(id)) this.say("participant_leave", shape(person));
    this.known = here;
    if (here.size !== this.count) {
      this.count = here.size;
      this.say("participantupdate", { count: here.size });
    }
    const running = state.recordings.length > 0;
    if (this.recording !== null || running) {
      if (running && !this.recording) {
        this.say("recording_status_change", { status: "starting" });
        this.say("recording_status_change", { status: "started" });
      } else if (!running && this.recording) this.say("recording_status_change", { status: "stopped" });
    }
    this.recording = running;
  }

  toggled(what, enabled) { this.say(`${what}_toggle`, { enabled }); }

  devices(problem) {
    this.say(problem ? "deny_device_permission" : "grant_device_permission", problem ? { denied: true } : { granted: true });
  }

  left(why) {
    if (why === "ended") this.say("meeting_end");
    this.say("leave", { removed: why === "ejected" });
  }

  failed() { this.say("leave", { removed: false }); }
}
