// Records the microphone while recordings run, and hands it in a second at a time.
const MIME = "audio/webm;codecs=opus";

export class Microphone {
  constructor(address, clock) {
    this.address = address; // (path, query) => URL
    this.clock = clock; // () => the sandbox's time in ms
    this.stream = null;
    this.run = null;
    this.count = 0;
    this.pending = Promise.resolve();
  }

  // `ids` are the running recordings; another set means another file.
  follow(ids) {
    const wanted = [...ids].sort().join(",");
    if ((this.run?.ids ?? "") === wanted) return;
    this.finish();
    if (wanted && this.stream?.getAudioTracks().length) this.begin(wanted);
  }

  begin(ids) {
    const recorder = new MediaRecorder(new MediaStream(this.stream.getAudioTracks()), {
      mimeType: MIME, audioBitsPerSecond: 48000,
    });
    const run = { ids, recorder, take: `${Math.round(this.clock())}-${this.count++}`, seq: 0, start: 0,
      sent: Promise.resolve() };
    this.run = run;
    const hand = (data, final) => {
      const query = { take: run.take, seq: run.seq++, start: run.start, recordings: ids };
      if (final) query.final = 1;
      run.sent = run.sent.then(() => this.send(query, data));
    };
    run.done = new Promise((resolve) => {
      recorder.onstart = () => { run.start = Math.round(this.clock()); hand(new Blob(), false); };
      recorder.ondataavailable = (event) => {
        run.start ||= Math.round(this.clock());
        hand(event.data, recorder.state === "inactive");
      };
      recorder.onstop = () => { resolve(run.sent); };
      recorder.onerror = () => { resolve(run.sent); };
    });
    recorder.start(1000);
  }

  // The last chunk comes with the stop; resolves when it is handed in.
  finish() {
    const run = this.run;
    this.run = null;
    if (run) {
      if (run.recorder.state !== "inactive") run.recorder.stop();
      this.pending = run.done.then(() => run.sent);
    }
    return this.pending;
  }

  async send(query, data) {
    for (let attempt = 0; attempt < 4; attempt++) {
      try {
        const answer = await fetch(this.address("chunk", query), { method: "POST", body: data });
        if (answer.ok || answer.status === 404) return;
      } catch { /* the sandbox may be starting anew */ }
      await new Promise((resolve) => setTimeout(resolve, 300 * 2 ** attempt));
    }
  }
}
