// Page script of the platform of the tests: a frame, and the page's callbacks in the hands of the test.
export function sdkLoaded() {
  return window.fakeSdk !== undefined;
}

export async function startCall({ container, page, title, on }) {
  const frame = document.createElement("iframe");
  frame.title = title;
  frame.srcdoc = "<!doctype html><html lang=en><title>call</title><main><h1>Call</h1><button>Mute</button></main></html>";
  container.append(frame);
  window.told = { page, on, orders: [] };
  window.frameAt = performance.now();
  on.joined({ sessionId: "s", name: "" });
  const order = (name) => async () => window.told.orders.push(name);
  return {
    leave: order("leave"),
    startRecording: order("start"),
    stopRecording: order("stop"),
    endMeeting: order("end"),
  };
}
