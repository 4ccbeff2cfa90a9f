// A video of the reader: the camera's picture, a recording of it, its review, and then to the page.
// Nothing is opened before a click, and the camera is given back as soon as there is a recording, or on leaving.

const KINDS = ["video/webm;codecs=vp8,opus", "video/webm;codecs=vp8", "video/webm", "video/mp4"];
const BITS = 2_500_000;  // per second
const REFUSED = "The camera was refused. Allow it for this page (the sign beside its address), then try again.";
const WHY = {
  NotAllowedError: REFUSED,
  SecurityError: REFUSED,
  NotFoundError: "There is no camera on this machine. A file can be uploaded instead.",
  OverconstrainedError: "There is no camera on this machine. A file can be uploaded instead.",
  NotReadableError: "The camera is there and gives no picture: perhaps another program is using it.",
  AbortError: "The camera is there and gives no picture: perhaps another program is using it.",
};

export default function webcam({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".webcam");
  root.lipkdSend = (video) => setTriggerValue("video", video);
  if (root.lipkdLeave) return root.lipkdLeave;  // Streamlit may call again while it is on the page
  const $ = (selector) => root.querySelector(selector);
  const video = $("video");
  let stream = null, recorder = null, recording = null, address = null, clock = null, gone = false;

  function state(name, message = "") {
    root.dataset.state = name;
    $(".message").textContent = message;
    $(".left").textContent = "";
  }

  function release() {
    clearInterval(clock);
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = recorder = null;
    video.srcObject = null;
  }

  function forget() {
    recording = null;
    video.removeAttribute("src");
    video.load();
    if (address) URL.revokeObjectURL(address);
    address = null;
  }

  async function opened() {
    const picture = { facingMode: "user", width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 25, max: 30 } };
    try {
      return await navigator.mediaDevices.getUserMedia({ video: picture, audio: true });
    } catch (error) {
      // Perhaps it is only the microphone. Whoever has just said no to both is not asked again.
      const camera = await navigator.permissions?.query({ name: "camera" }).then((found) => found.state, () => "prompt");
      if (error.name === "NotAllowedError" && camera !== "granted") throw error;
      return navigator.mediaDevices.getUserMedia({ video: picture });
    }
  }

  async function camera() {
    forget();
    state("waiting", "The browser asks whether this page may use the camera.");
    let found;
    try {
      found = await opened();
    } catch (error) {
      state("off", WHY[error.name] ?? `The camera cannot be used (${error.name}).`);
      return;
    }
    if (gone) {
      for (const track of found.getTracks()) track.stop();
      return;
    }
    stream = found;
    stream.getVideoTracks()[0].addEventListener("ended", unplugged);
    video.srcObject = stream;
    video.controls = false;
    video.muted = true;
    video.play().catch(() => {});
    state("live", stream.getAudioTracks().length ? "" : "Without sound: there is no microphone, or it was refused.");
  }

  function unplugged() {
    if (recorder) return stop();
    release();
    state("off", "The camera is gone.");
  }

  function record() {
    const chunks = [], type = KINDS.find((kind) => MediaRecorder.isTypeSupported(kind));
    try {
      recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: BITS });
      recorder.ondataavailable = (event) => chunks.push(event.data);
      recorder.onstop = () => review(new Blob(chunks, { type }));
      recorder.start();
    } catch (error) {
      release();
      state("off", `This browser cannot record its camera (${error.name}). A file can be uploaded instead.`);
      return;
    }
    state("recording");
    const began = performance.now();
    const count = () => {
      const left = data.seconds - (performance.now() - began) / 1000;
      $(".left").textContent = `${Math.max(0, Math.ceil(left))} s left`;
      if (left <= 0) stop();
    };
    count();
    clock = setInterval(count, 200);
  }

  function stop() {
    clearInterval(clock);
    if (recorder?.state === "recording") recorder.stop();  // and then `review`
  }

  function review(blob) {
    release();
    if (gone) return;
    if (!blob.size) return state("off", "Nothing was recorded: please try again.");
    recording = blob;
    address = URL.createObjectURL(blob);
    video.muted = false;
    video.controls = true;
    // Recordings do not say how long they are; a browser finds out at the end of one.
    video.onloadedmetadata = () => { if (!Number.isFinite(video.duration)) video.currentTime = 1e6; };
    video.ondurationchange = () => { if (Number.isFinite(video.duration)) video.currentTime = 0; };
    video.src = address;
    state("recorded");
  }

  function use() {
    const reader = new FileReader();
    reader.onload = () => {  // a data: address, with commas in its type, too
      forget();
      state("sent");
      root.lipkdSend(reader.result.slice(reader.result.lastIndexOf(",") + 1));
    };
    reader.onerror = () => state("recorded", "The recording cannot be read: please record it again.");
    reader.readAsDataURL(recording);
  }

  function off() {
    release();
    state("off");
  }

  const deeds = { camera, record, stop, use, again: camera, off };
  for (const button of root.querySelectorAll("[data-do]")) button.onclick = () => deeds[button.dataset.do]();
  if (!window.isSecureContext)
    state("waiting", `Browsers lend a camera only to pages that come over https or from the same machine, and this one comes from ${location.origin}. There a file can be uploaded.`);
  else if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder)
    state("waiting", "This browser cannot record its camera. A file can be uploaded instead.");

  root.lipkdLeave = () => {
    gone = true;
    delete root.lipkdLeave;
    stop();
    release();
    forget();
  };
  return root.lipkdLeave;
}
