// What the embedded page says to the unmodified daily-js in the window above.
const WHAT = "iframe-call-message";

export class DailyHost {
  constructor(call) {
    this.call = call;
    this.id = call.query.get("emb") ?? undefined;
    this.embedded = Boolean(this.id) && window.parent !== window;
    this.known = new Map();
    this.waiting = new Map();
    this.recordings = new Map();
    this.errors = null;
    this.counts = 0;
    addEventListener("message", (event) => {
      const said = event.data;
      if (event.source === window.parent && said?.what === WHAT && said.from === "module") this.hear(said);
    });
  }

  // With the SDK the page joins when told to; without it, at once.
  begin() {
    if (this.embedded) this.say({ action: "loaded" });
    else this.call.join({ token: this.call.query.get("t"), name: this.call.query.get("userName") });
  }

  say(message) {
    if (this.embedded) window.parent.postMessage({ what: WHAT, callClientId: this.id, from: "embedded", ...message }, "*");
  }

  answer(said, message) {
    if (said.callbackStamp) this.say({ action: said.action, callbackStamp: said.callbackStamp, ...message });
  }

  async hear(said) {
    const { call } = this;
    switch (said.action) {
      case "join-meeting": {
        const wish = said.properties ?? {};
        const token = wish.token ?? call.query.get("t");
        call.join({ token, name: wish.userName, videoOff: wish.startVideoOff, audioOff: wish.startAudioOff });
        break;
      }
      case "leave-meeting": call.leave(); break;
      case "local-audio": call.setMuted(!said.state); break;
      case "local-video": call.setCamera(said.state); break;
      case "local-recording-start": call.act("start_recording"); break;
      case "local-recording-stop": call.act("stop_recording", { instance: said.instanceId }); break;
      case "update-participant":
        if (said.properties?.eject) call.act("eject", { who: said.id });
        if (said.id === "local" && "setAudio" in (said.properties ?? {})) call.setMuted(!said.properties.setAudio);
        break;
      case "daily-method-update-waiting-participant":
        await call.act(said.updates?.grantRequestedAccess ? "admit" : "refuse", { who: said.id });
        this.answer(said, { id: said.id });
        break;
      default: this.answer(said, {});
    }
  }

  shape(person) {
    const local = person.id === this.call.session;
    const track = (off) => ({ subscribed: true, state: off ? "off" : "playable", ...(off ? { off: { byUser: true } } : {}) });
    return {
      session_id: person.id, user_id: person.user_id, user_name: person.name, local, owner: person.owner,
      joined_at: new Date(person.joined_at).toISOString(), will_eject_at: null, record: this.recordings.size > 0,
      audio: !person.muted, video: false, screen: false,
      tracks: { audio: track(person.muted), video: track(true), screenAudio: track(true), screenVideo: track(true) },
    };
  }

  knocking() {
    this.say({ action: "access-state-updated", access: { level: "lobby" }, awaitingAccess: { level: "full" } });
  }

  joined(state) {
    const participants = {};
    for (const person of state.people) {
      participants[person.id === this.call.session ? "local" : person.id] = this.shape(person);
      this.known.set(person.id, JSON.stringify(person));
    }
    this.say({ action: "joined-meeting", participants });
    this.say({ action: "access-state-updated", access: { level: "full" } });
    this.update(state);
  }

  update(state) {
    const here = new Map(state.people.map((person) => [person.id, person]));
    for (const [id, person] of here) {
      const text = JSON.stringify(person);
      if (this.known.get(id) === text) continue;
      const action = this.known.has(id) ? "participant-updated" : "participant-joined";
      this.known.set(id, text);
      this.say({ action, participant: this.shape(person) });
    }
    for (const id of [...this.known.keys()]) {
      if (here.has(id)) continue;
      const participant = this.shape(JSON.parse(this.known.get(id)));
      this.known.delete(id);
      this.say({ action: "participant-left", participant });
    }
    if (here.size !== this.counts) {
      this.counts = here.size;
      this.say({ action: "participant-counts-updated", participantCounts: { present: here.size, hidden: 0 } });
    }
    this.updateWaiting(state.waiting ?? []);
    this.updateRecordings(state);
  }

  updateWaiting(list) {
    const waiting = new Map(list.map((person) => [person.id, {
      id: person.id, name: person.name, awaitingAccess: { level: "full" },
    }]));
    const all = Object.fromEntries(waiting);
    for (const [id, participant] of waiting) {
      if (!this.waiting.has(id)) this.say({ action: "waiting-participant-added", participant, allWaitingParticipants: all });
    }
    for (const [id, participant] of this.waiting) {
      if (!waiting.has(id)) this.say({ action: "waiting-participant-removed", participant, allWaitingParticipants: all });
    }
    this.waiting = waiting;
  }

  updateRecordings(state) {
    const running = new Map(state.recordings.map((recording) => [recording.id, recording]));
    for (const [id, recording] of running) {
      if (this.recordings.has(id)) continue;
      this.say({
        action: "recording-started", recordingId: id, startedBy: recording.started_by, type: recording.type,
        layout: recording.layout, instanceId: recording.instance_id, local: recording.started_by === this.call.session,
      });
    }
    for (const [id, recording] of this.recordings) {
      if (!running.has(id)) this.say({ action: "recording-stopped", instanceId: recording.instance_id });
    }
    this.recordings = running;
    for (const failed of state.errors) {
      // What failed before this page came is not its news.
      if (this.errors && !this.errors.has(failed.id)) {
        this.say({ action: "recording-error", errorMsg: failed.why, instanceId: failed.instance_id });
      }
    }
    this.errors = new Set(state.errors.map((failed) => failed.id));
  }

  devices(problem) {
    if (problem) {
      this.say({ action: "camera-error", errorMsg: { errorMsg: problem.message }, error: { type: problem.kind, msg: problem.message } });
    }
  }

  left() {
    this.say({ action: "left-meeting" });
  }

  // kind: ejected, exp-room, exp-token, no-room, meeting-full, not-allowed, …
  failed(kind, message) {
    this.say({ action: "error", errorMsg: message, error: { type: kind, msg: message } });
  }
}
