// The sandbox's call page: who is here, the own camera, the own microphone. It carries no sound between people.
import { DailyHost } from "./daily.js";
import { Microphone } from "./microphone.js";
import { WherebyHost } from "./whereby.js";

const $ = (id) => document.getElementById(id);
const ENDINGS = {
  ejected: "You were removed from the call.", ended: "The host ended the meeting.",
  vanished: "The connection was lost.", refused: "You were not let in.", left: "You left the call.",
};
const FATAL = { deleted: ["no-room", "This room was deleted."], ejected: ["ejected", "Meeting has ended"],
  refused: ["not-allowed", "You were not let in."], vanished: ["connection-error", "The connection was lost."] };

// A page that has record buttons of its own asks for ours to be hidden: Daily by the token, Whereby by the address.
const query = new URLSearchParams(location.search);
const RECORD_BUTTON = query.get("recording") !== "off" && claims(query.get("t")).enable_recording_ui !== false;

function claims(token) {
  try {
    return JSON.parse(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
  } catch {
    return {};
  }
}

// Recordings that the sandbox makes; one on a host's own computer is only shown.
const collected = ({ recordings }) => recordings.filter(({ type }) => type !== "local").map(({ id }) => id);

class Call {
  constructor() {
    this.query = new URLSearchParams(location.search);
    this.platform = document.body.dataset.platform;
    this.room = document.body.dataset.room;
    this.session = null;
    this.key = null;
    this.state = "new"; // new, joining, waiting, in, over
    this.muted = false;
    this.camera = true;
    this.stream = new MediaStream();
    this.video = $("camera"); // moves between tiles
    this.ahead = 0; // the sandbox's clock minus ours
    this.microphone = new Microphone((path, query) => this.address(path, query), () => Date.now() + this.ahead);
    this.host = new (this.platform === "daily" ? DailyHost : WherebyHost)(this);
  }

  address(path, query = {}) {
    return `/_call/${this.session}/${path}?${new URLSearchParams({ key: this.key, ...query })}`;
  }

  async post(url, data) {
    const sent = Date.now();
    const answer = await fetch(url, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data),
    });
    const said = await answer.json();
    if (said.now_ms) this.ahead = said.now_ms - (sent + Date.now()) / 2;
    return { ok: answer.ok, status: answer.status, said };
  }

  async join(wish) {
    if (!["new", "over"].includes(this.state)) return;
    this.state = "joining";
    const ask = Object.fromEntries(Object.entries(wish).filter(([, value]) => value !== null && value !== undefined));
    const answer = await this.post("/_call/join", { platform: this.platform, room: this.room, ...ask });
    if (!answer.ok) {
      this.over(answer.said.message);
      this.host.failed(answer.said.kind, answer.said.message);
      return;
    }
    this.session = answer.said.session;
    this.key = answer.said.key;
    this.muted = Boolean(answer.said.start_audio_off || wish.audioOff);
    this.camera = !(answer.said.start_video_off || wish.videoOff);
    this.pulse = new Worker("/static/pulse.js");
    this.pulse.onmessage = () => this.beat();
    addEventListener("pagehide", () => navigator.sendBeacon(this.address("leave")));
    this.see(answer.said);
  }

  async openDevices() {
    let problem = null;
    // Nothing comes out of this page's speaker, so there is no echo to cancel, and steady sounds are sounds too.
    const audio = { echoCancellation: false, noiseSuppression: false };
    for (const wish of [{ audio, video: this.camera }, { audio }]) {
      try {
        this.stream = await navigator.mediaDevices.getUserMedia(wish);
        problem = null;
        break;
      } catch (error) {
        const kind = { NotAllowedError: "permissions", NotFoundError: "not-found", NotReadableError: "mic-in-use" }[error.name];
        problem = { kind: navigator.mediaDevices ? kind ?? "unknown" : "undefined-mediadevices", message: error.message };
      }
    }
    if (problem) this.notice("No microphone: you are in the call, but nobody hears you.");
    if (this.state !== "in") return this.closeDevices();
    this.microphone.stream = this.stream;
    this.apply();
    this.host.devices(problem);
    if (this.last) this.microphone.follow(collected(this.last));
    this.show();
  }

  closeDevices() {
    for (const track of this.stream.getTracks()) track.stop();
  }

  apply() {
    for (const track of this.stream.getAudioTracks()) track.enabled = !this.muted;
    for (const track of this.stream.getVideoTracks()) track.enabled = this.camera;
  }

  setMuted(muted) {
    this.muted = Boolean(muted);
    this.apply();
    this.host.toggled?.("microphone", !this.muted);
    this.show();
    this.beat();
  }

  setCamera(on) {
    this.camera = Boolean(on);
    this.apply();
    this.host.toggled?.("camera", this.camera);
    this.show();
  }

  async act(what, more = {}) {
    if (this.state !== "in") return;
    const { ok, said } = await this.post(this.address("do"), { what, ...more });
    if (ok) this.see(said);
    else this.notice("Only a host can do this.");
  }

  async beat() {
    if (!["in", "waiting"].includes(this.state) || this.beating) return;
    this.beating = true;
    try {
      const { ok, status, said } = await this.post(this.address("beat"), { muted: this.muted });
      if (ok) this.see(said);
      else if (status === 404) this.see({ state: "left", why: "vanished" });
    } catch { /* the sandbox may be starting anew: go on asking */ } finally {
      this.beating = false;
    }
  }

  see(said) {
    if (this.state === "over") return;
    const before = this.state;
    if (said.state === "waiting") {
      this.state = "waiting";
      this.status("Waiting for a host to let you in…");
      if (before !== "waiting") this.host.knocking();
      return this.show();
    }
    if (said.state !== "in") return this.gone(said);
    this.state = "in";
    this.last = said;
    this.show();
    if (before !== "in") {
      this.status(`You are in the call as ${said.me.name}.`);
      this.host.joined(said);
      if (said.me.owner && document.body.dataset.prompt === "true" && !said.recordings.length) $("prompt").hidden = false;
      this.openDevices();
    } else this.host.update(said);
    this.microphone.follow(collected(said));
  }

  // Put out, refused, or the room is gone.
  async gone(said) {
    this.over(ENDINGS[said.why] ?? ENDINGS.left);
    await this.microphone.finish();
    const fatal = FATAL[said.deleted ? "deleted" : said.why];
    if (fatal) this.host.failed(...fatal);
    this.host.left(said.why);
  }

  async leave() {
    if (!["in", "waiting"].includes(this.state)) return this.host.left("left");
    this.over(ENDINGS.left);
    await this.microphone.finish();
    await this.post(this.address("leave"), {});
    this.host.left("left");
  }

  over(words) {
    this.state = "over";
    this.pulse?.terminate();
    this.status(words);
    this.show();
    // The last chunk must be in the recorder before its source goes.
    this.microphone.finish().finally(() => this.closeDevices());
  }

  status(words) { if ($("status").textContent !== words) $("status").textContent = words; }

  notice(words) { $("notice").textContent = words; $("notice").hidden = false; }

  show() {
    const inside = this.state === "in";
    const { me, people = [], recordings = [], waiting = [] } = inside && this.last ? this.last : {};
    $("call").hidden = !inside;
    $("buttons").hidden = !["in", "waiting"].includes(this.state);
    $("recording").hidden = recordings.length === 0;
    if (recordings.length || !inside) $("prompt").hidden = true;
    $("mute").textContent = this.muted ? "Unmute" : "Mute";
    $("mute").setAttribute("aria-pressed", this.muted);
    $("video").textContent = this.camera ? "Camera off" : "Camera on";
    $("video").setAttribute("aria-pressed", !this.camera);
    for (const button of document.querySelectorAll(".host")) button.hidden = !me?.owner;
    if (!RECORD_BUTTON) $("record").hidden = true;
    $("record").textContent = recordings.length ? "Stop recording" : "Start recording";
    $("count").textContent = people.length;
    this.list($("people"), people, (person) => this.tile(person));
    this.list($("knock-list"), waiting, (person) => this.knock(person));
    $("knocks").hidden = waiting.length === 0;
  }

  // Keeps the items that have not changed, so that focus and video survive.
  list(parent, people, make) {
    const wanted = new Map(people.map((person) => [person.id, person]));
    for (const item of [...parent.children]) if (!wanted.has(item.dataset.id)) item.remove();
    for (const [id, person] of wanted) {
      const text = JSON.stringify([person, id === this.session && this.camera, this.stream.getVideoTracks().length]);
      let item = [...parent.children].find((child) => child.dataset.id === id);
      if (item?.dataset.text === text) continue;
      const fresh = make(person);
      Object.assign(fresh.dataset, { id, text });
      if (item) item.replaceWith(fresh);
      else parent.append(fresh);
    }
  }

  tile(person) {
    const item = document.createElement("li");
    const mine = person.id === this.session;
    const add = (tag, name, text) => {
      const element = document.createElement(tag);
      element.className = name;
      element.textContent = text;
      item.append(element);
      return element;
    };
    add("span", "face", person.name.trim().charAt(0).toUpperCase() || "?").setAttribute("aria-hidden", "true");
    if (mine) {
      const { video } = this;
      video.hidden = !(this.camera && this.stream.getVideoTracks().length);
      if (video.srcObject !== this.stream) video.srcObject = this.stream;
      item.append(video);
      video.play().catch(() => {});
    }
    const marks = [mine && "you", person.owner && "host", person.muted && "muted"].filter(Boolean).join(", ");
    add("span", "name", person.name + (marks ? ` (${marks})` : ""));
    return item;
  }

  knock(person) {
    const item = document.createElement("li");
    const name = document.createElement("span");
    name.textContent = person.name;
    item.append(name);
    for (const [what, label] of [["admit", "Let in"], ["refuse", "Refuse"]]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = label;
      button.setAttribute("aria-label", `${label}: ${person.name}`);
      button.onclick = () => this.act(what, { who: person.id });
      item.append(button);
    }
    return item;
  }
}

const call = new Call();
$("mute").onclick = () => call.setMuted(!call.muted);
$("video").onclick = () => call.setCamera(!call.camera);
$("leave").onclick = () => call.leave();
$("end").onclick = () => call.act("end_meeting");
$("record").onclick = () => call.act(call.last?.recordings.length ? "stop_recording" : "start_recording");
$("prompt").querySelector("[data-do]").onclick = () => { $("prompt").hidden = true; call.act("start_recording"); };
$("no-prompt").onclick = () => { $("prompt").hidden = true; };
if (document.body.dataset.open === "true") call.host.begin();
else if (call.platform === "daily" && call.host.embedded) call.host.begin(); // the SDK hears of it at join
else call.over("This room does not exist or is closed.");
