// The call page: starts the platform's frame once and never touches it again; everything around it follows the state
// that the platform's script and our server tell. Works on any platform: see docs/adding-a-platform.md.

const data = JSON.parse(document.getElementById("call-data").textContent);
const byId = (id) => document.getElementById(id);
const container = byId("frame");

const POLL_MS = data.pageRecords ? 3000 : 5000;
//: what the platform's script said itself is newer than what our server has heard, for this long
const OWN_WORD_MS = 20000;
//: whoever knocks for this long is told that nobody has answered, and may go on waiting
const NO_ANSWER_MS = 120000;

let controls = null;
let leaving = false;
//: our server has ended the meeting: however the platform then calls this leaving, that is why
let over = false;
let asked = !byId("ask")?.hasAttribute("data-unanswered");

function go(url) {
  if (leaving) return;
  leaving = true;
  location.assign(url);
}

function say(text, box = byId("said")) {
  if (!box || box.textContent === text) return;
  box.hidden = !text;
  box.textContent = text;
}

// -- what is shown ---------------------------------------------------------------------------------------------------

const own = { recording: null, people: null, waiting: null };
const heard = (name, told, forMs = OWN_WORD_MS) =>
  own[name] && Date.now() - own[name].at < forMs ? own[name].value : told;
let recording = !byId("recording-sign").hidden;

function showRecording(on) {
  if (on === recording) return;
  recording = on;
  byId("recording-sign").hidden = !on;
  byId("not-recording-sign").hidden = on || !data.canRecord;
  // the one place that speaks: once per change
  byId("recording-status").textContent = on ? "Recording has started." : "Recording has stopped.";
  if (on) ask();
}

function showHostTools(state) {
  const [start, stop] = [byId("record-start"), byId("record-stop")];
  if (!start) return;
  const hadFocus = [start, stop].includes(document.activeElement);
  start.hidden = !state.can_start;
  stop.hidden = !state.can_stop;
  if (hadFocus) [start, stop].find((one) => !one.hidden)?.focus();
  byId("prompt").hidden = !state.prompt;
  say(state.capture_problem, byId("capture-problem"));
}

function showPeople(count) {
  byId("people").textContent = String(Math.max(1, count));
}

let waiting = Number(byId("waiting")?.textContent ?? 0);

function showWaiting(count) {
  const fact = byId("waiting-fact");
  if (!fact) return;
  fact.hidden = count === 0;
  byId("waiting").textContent = String(count);
  if (count > waiting) say(`${count === 1 ? "One person is" : `${count} people are`} waiting to be let in.`, byId("waiting-said"));
  if (count === 0) say("", byId("waiting-said"));
  waiting = count;
}

function showKnockers(people) {
  const box = byId("knockers");
  if (!box) return;
  own.waiting = { value: people.length, at: Date.now() };
  showWaiting(people.length);
  box.hidden = people.length === 0;
  box.querySelector("ul").replaceChildren(
    ...people.map((person) => {
      const item = document.createElement("li");
      const name = document.createElement("span");
      name.textContent = person.name || "Somebody without a name";
      item.append(name);
      if (person.admit) item.append(button("Let in", name, person.admit));
      if (person.refuse) item.append(button("Refuse", name, person.refuse));
      return item;
    }),
  );
}

function button(label, name, press) {
  const element = document.createElement("button");
  element.type = "button";
  element.className = "button plain small";
  element.append(label);
  const whom = document.createElement("span");
  whom.className = "visually-hidden";
  whom.textContent = ` ${name.textContent}`;
  element.append(whom);
  element.addEventListener("click", () => press());
  return element;
}

// -- the question during the call -------------------------------------------------------------------------------------

const dialog = byId("ask");

function ask() {
  if (asked || !dialog || dialog.open) return;
  asked = true;
  dialog.showModal();
  byId("ask-title").focus();
}

// however it closes, the keyboard goes back to the call; closing without a button is no answer
dialog?.addEventListener("close", () => {
  (container.querySelector("iframe, [tabindex]") ?? container.firstElementChild)?.focus();
  container.querySelector("iframe")?.focus();
});
byId("not-now")?.addEventListener("click", () => dialog.close());

// -- forms that keep the frame where it is -----------------------------------------------------------------------------

for (const form of document.querySelectorAll("form[data-quiet]")) {
  // getAttribute: a button called "action" hides form.action
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = new FormData(form, event.submitter);
    let answer = {};
    let saved = false;
    try {
      const response = await fetch(form.getAttribute("action"), { method: "POST", body, headers: { Accept: "application/json" } });
      answer = await response.json();
      saved = response.ok;
    } catch {
      answer = { message: "That did not work. Please try again." };
    }
    if (saved && (form.id === "answer-form" || form.id === "ask-form")) {
      asked = true;
      for (const radio of document.querySelectorAll("#answer-form input[name=answer]")) {
        radio.checked = radio.value === body.get("answer");
        if (radio.checked) byId("my-answer").textContent = radio.labels[0].textContent;
      }
    }
    if (form.id === "ask-form") dialog.close();
    say(answer.message ?? "");
    if (answer.url) {
      await end();
      go(answer.url);
    }
    poll();
  });
}

async function end() {
  try {
    await (controls?.endMeeting ?? controls?.leave)?.call(controls);
  } catch {
    // the server has ended it anyway
  }
}

byId("leave").addEventListener("click", async (event) => {
  if (!controls) return;
  event.preventDefault();
  const patience = setTimeout(() => go(data.urls.after), 1500);
  try {
    await controls.leave();
  } finally {
    clearTimeout(patience);
    go(data.urls.after);
  }
});

// a link into something folded opens it
function unfold() {
  const target = location.hash && document.querySelector(`[id="${CSS.escape(location.hash.slice(1))}"]`);
  const folded = target && target.closest("details");
  if (folded) {
    folded.open = true;
    target.focus();
  }
}
addEventListener("hashchange", unfold);
for (const link of document.querySelectorAll(".skip a")) link.addEventListener("click", () => setTimeout(unfold));

// -- polling: reads the state, changes words, never the frame ----------------------------------------------------------

let polling = false;

async function poll() {
  if (polling || leaving) return;
  polling = true;
  try {
    const response = await fetch(data.urls.state, { headers: { Accept: "application/json" } });
    if (response.status === 404) {
      over = true;
      await end();
      go(data.urls.out.ended);
    }
    if (!response.ok) return;
    const state = await response.json();
    // where our server does not record, the call itself knows best, however long ago it said so
    showRecording(heard("recording", state.recording, data.serverRecords ? OWN_WORD_MS : Infinity));
    showPeople(heard("people", state.people));
    showWaiting(heard("waiting", state.waiting));
    if (state.recording && state.answer === "none") ask();
    if (state.ends_at) {
      const minutes = Math.max(0, Math.round((new Date(state.ends_at) - Date.now()) / 60000));
      const left = minutes > 1 ? `${minutes} minutes` : minutes === 1 ? "one minute" : "less than a minute";
      say(`This meeting ends in ${left}, at its time limit.`, byId("minutes"));
    }
    if (data.isHost) showHostTools(state);
    await follow(state.instruction);
  } catch {
    // the network is away; the call itself may go on
  } finally {
    polling = false;
  }
}

async function follow(instruction) {
  try {
    if (instruction === "start") await controls?.startRecording?.();
    if (instruction === "stop") await controls?.stopRecording?.();
  } catch {
    // told again at the next poll
  }
}

async function report(on, failed) {
  await fetch(data.urls.report, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "X-CSRFToken": document.querySelector("input[name=csrfmiddlewaretoken]").value,
    },
    body: JSON.stringify({ recording: on, failed: failed && !on }),
    keepalive: true,
  });
}

// -- the call ------------------------------------------------------------------------------------------------------

//: the platform's script has just said so: the recording that does not run, as it says next, could not be started
let recordingFailed = false;
let unanswered = null;

function showKnocking(knocks) {
  byId("knocking").hidden = !knocks;
  if (knocks) unanswered ??= setTimeout(() => { byId("unanswered").hidden = false; }, NO_ANSWER_MS);
  else {
    clearTimeout(unanswered);
    unanswered = null;
    byId("unanswered").hidden = true;
  }
}

const on = {
  joined() {
    showKnocking(false);
    document.body.dataset.call = "joined";
    poll();
  },
  waiting() {
    showKnocking(true);
    document.body.dataset.call = "waiting";
  },
  left(reason) {
    go(over ? data.urls.out.ended : (data.urls.out[reason] ?? data.urls.after));
  },
  recording(running) {
    own.recording = { value: running, at: Date.now() };
    if (data.pageRecords) report(running, recordingFailed && !recording).catch(() => {});
    recordingFailed = false;
    showRecording(running);
  },
  count(people) {
    own.people = { value: people, at: Date.now() };
    showPeople(people);
  },
  knocking: showKnockers,
  problem(kind, message) {
    document.body.dataset.problem = kind;
    recordingFailed = kind === "recording";
    if (kind === "camera" || kind === "connection") {
      if (message) byId(kind).querySelector(".what").textContent = message;
      byId(kind).hidden = false;
      return;
    }
    if (kind in data.urls.out) go(data.urls.out[kind]);
    else say(message || "Something went wrong in the call.");
  },
};

function plainFrame() {
  const frame = document.createElement("iframe");
  frame.src = data.frameUrl;
  frame.allow = data.allow;
  frame.title = data.title;
  container.replaceChildren(frame);
  document.body.dataset.call = "plain";
}

async function start() {
  container.hidden = false;
  byId("elsewhere").hidden = true;
  try {
    const platform = await import(data.script);
    if (!platform.sdkLoaded()) throw new Error("the SDK is not there");
    container.replaceChildren();
    controls = await platform.startCall({ container, page: data.page, title: data.title, on });
  } catch (error) {
    console.warn("The call goes on in a plain frame:", error?.message);
    controls = null;
    plainFrame();
  }
}

async function stepAside() {
  container.hidden = true;
  const section = byId("elsewhere");
  section.hidden = false;
  section.querySelector("h2").focus();
  leaving = true; // what the platform says of this leaving is not followed
  try {
    await controls?.leave();
  } catch {
    // gone already
  }
  controls = null;
  container.replaceChildren();
}

byId("use-here").addEventListener("click", () => {
  leaving = false;
  takePart({ steal: true });
});

// one tab per person: a lock that the browser frees when the tab goes away
function takePart(options) {
  if (!navigator.locks) {
    start();
    return;
  }
  navigator.locks
    .request(data.lock, options, async (lock) => {
      if (lock === null) {
        stepAside();
        return;
      }
      start();
      await new Promise(() => {});
    })
    .catch(stepAside); // another tab took over
}

if (!navigator.mediaDevices?.getUserMedia && isSecureContext) go(data.urls.out.browser);
else {
  takePart({ ifAvailable: true });
  setInterval(poll, POLL_MS);
}
