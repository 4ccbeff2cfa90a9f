// Replay of one clip: the video, the mouth in step with it, subtitles, and what each trial saw in every frame.
// All text of a corpus or a network is drawn on a canvas or set as textContent: it never becomes markup.

const SPEEDS = [0.25, 0.5, 0.75, 1];
const GUTTER = 74;   // pixels for the names of the rows
const ROW = { ruler: 17, words: 22, spikes: 18, cell: 12, title: 22 };
const kept = { speed: 1, muted: false, playing: false };  // from clip to clip

export default function player({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".player");
  root.lipkdLeave?.();  // Streamlit calls this function for each change of the data, and what it returned only at the end
  const $ = (selector) => root.querySelector(selector);
  const video = $("video"), mouth = $(".mouth"), map = $(".map"), cursor = $(".cursor");
  const playable = data.video !== null;
  const same = root.dataset.clip === data.clip && root.dataset.video === (data.video?.key ?? "");
  const off = new AbortController();
  const on = (target, kind, handler) => target.addEventListener(kind, handler, { signal: off.signal });
  const frameAt = (time) => Math.min(data.frames - 1, Math.max(0, Math.floor(time * data.fps + 0.01)));
  let alive = true, sheet = null, lines = [];

  if (!same) {
    root.dataset.clip = data.clip;
    root.dataset.video = data.video?.key ?? "";
    if (root.lipkdUrl) URL.revokeObjectURL(root.lipkdUrl);
    video.removeAttribute("src");
    if (playable) {
      root.lipkdUrl = URL.createObjectURL(new Blob([bytes(data.video.content)], { type: data.video.type }));
      video.src = root.lipkdUrl;
      video.setAttribute("aria-label", data.video.label);
    }
  }
  for (const part of [".stage", ".controls", ".cursor"]) $(part).hidden = !playable;
  video.muted = kept.muted;
  video.playbackRate = kept.speed;
  video.preservesPitch = true;
  $('[data-do="sound"]').hidden = !data.video?.sound;
  $(".note").hidden = !data.note;
  $(".note").textContent = data.note;
  root.classList.toggle("alone", data.alone);
  mouth.parentElement.hidden = !data.mouth;
  if (data.mouth) {
    mouth.width = 3 * data.mouth.width;
    mouth.height = 3 * data.mouth.height;
    const picture = new Image();
    picture.onload = () => { sheet = picture; show(video.currentTime); };
    picture.src = "data:image/jpeg;base64," + data.mouth.sheet;
  }
  lines = subtitles($(".subtitles"), data.lines);
  const rows = layout(data);
  const draw = () => { drawMap(map, rows, data, root); show(video.currentTime); };
  const watcher = new ResizeObserver(draw);
  watcher.observe(map.parentElement);
  buttons();
  if (kept.playing && !same && playable) play();

  // The picture that is on the screen decides, not the clock: the mouth is never a frame ahead of the face.
  const exact = "requestVideoFrameCallback" in video;
  function presented(_, frame) {
    if (!alive) return;
    paintMouth(frameAt(frame.mediaTime));
    video.requestVideoFrameCallback(presented);
  }
  if (exact) video.requestVideoFrameCallback(presented);
  function tick() {
    if (!alive) return;
    if (!video.paused) show(video.currentTime);
    requestAnimationFrame(tick);
  }
  requestAnimationFrame(tick);

  function show(time) {
    const frame = frameAt(time), shown = Math.min(time, data.seconds);
    cursor.style.left = `${GUTTER + (map.clientWidth - GUTTER) * (shown / data.seconds)}px`;
    root.dataset.frame = frame;
    root.dataset.time = shown.toFixed(3);
    $(".clock").textContent =
      `${shown.toFixed(2)} / ${data.seconds.toFixed(2)} s · frame ${frame + 1} / ${data.frames}`;
    for (const [element, word] of lines) element.classList.toggle("now", word.start <= time && time < word.end);
    if (!exact || video.paused) paintMouth(frame);
  }

  function paintMouth(frame) {
    root.dataset.mouth = frame;
    if (!sheet) return;
    const { width, height, columns } = data.mouth;
    const pen = mouth.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(sheet, (frame % columns) * width, Math.floor(frame / columns) * height, width, height,
      0, 0, mouth.width, mouth.height);
  }

  function play() {
    kept.playing = true;
    // Without a gesture on the page a browser plays silent videos only.
    video.play().catch(() => { video.muted = true; return video.play(); }).catch(() => { kept.playing = false; });
  }
  function pause() { kept.playing = false; video.pause(); }
  function toggle() { if (video.paused) play(); else pause(); }
  function seek(time) { video.currentTime = Math.max(0, Math.min(time, data.seconds - 0.001)); show(video.currentTime); }
  function step(by) {
    pause();
    seek((Math.max(0, Math.min(data.frames - 1, frameAt(video.currentTime) + by)) + 0.5) / data.fps);
  }
  function speed(value) { kept.speed = value; video.playbackRate = value; buttons(); }
  function faster(by) {
    const at = SPEEDS.indexOf(kept.speed) + by;
    if (SPEEDS[at]) speed(SPEEDS[at]);
  }
  function sound() { kept.muted = !video.muted; video.muted = kept.muted; buttons(); }
  function large() { if (document.fullscreenElement) document.exitFullscreen(); else root.requestFullscreen(); }
  function buttons() {
    const button = $('[data-do="play"]');
    button.setAttribute("aria-pressed", String(!video.paused));
    button.setAttribute("aria-label", video.paused ? "play" : "pause");
    $('[data-do="sound"]').setAttribute("aria-pressed", String(video.muted));
    for (const other of root.querySelectorAll("[data-speed]"))
      other.setAttribute("aria-pressed", String(Number(other.dataset.speed) === kept.speed));
  }

  const deeds = {
    play: toggle, back: () => step(-1), ahead: () => step(1), sound, large,
    next: () => setTriggerValue("go", "next"), previous: () => setTriggerValue("go", "previous"),
  };
  const keys = {
    " ": toggle, ArrowLeft: deeds.back, ArrowRight: deeds.ahead, ArrowUp: () => faster(1), ArrowDown: () => faster(-1),
    n: deeds.next, p: deeds.previous, m: sound, f: large,
  };
  if (data.alone) { delete keys.n; delete keys.p; }
  for (const button of root.querySelectorAll("[data-do]")) on(button, "click", () => deeds[button.dataset.do]());
  for (const button of root.querySelectorAll("[data-speed]"))
    on(button, "click", () => speed(Number(button.dataset.speed)));
  for (const kind of ["play", "pause", "volumechange"]) on(video, kind, buttons);
  for (const kind of ["seeked", "loadeddata", "timeupdate"]) on(video, kind, () => show(video.currentTime));
  on(video, "click", toggle);
  on(document, "keydown", (event) => {
    if (!keys[event.key] || (!playable && !"np".includes(event.key)) || event.ctrlKey || event.altKey || event.metaKey || !root.isConnected) return;
    const target = event.composedPath()[0];
    const inside = event.composedPath().includes(root);
    // Menus, text fields and tables keep their keys; a focused button of the page keeps its space bar.
    if (!inside && target.closest?.('input, textarea, select, [contenteditable], [role="grid"], [role="combobox"], canvas')) return;
    if (event.key === " " && target.closest?.("button, a, summary") && !target.closest('[data-do="play"]')) return;
    event.preventDefault();
    keys[event.key]();
  });

  const place = (event) => (event.clientX - map.getBoundingClientRect().left - GUTTER) / (map.clientWidth - GUTTER);
  on(map, "pointerdown", (event) => {
    if (place(event) < 0 || !playable) return;
    map.setPointerCapture(event.pointerId);
    seek(place(event) * data.seconds);
  });
  on(map, "pointermove", (event) => {
    if (event.buttons === 1 && map.hasPointerCapture(event.pointerId)) seek(place(event) * data.seconds);
    $(".hover output").textContent = described(event, place(event));
  });
  on(map, "pointerleave", () => { $(".hover output").textContent = ""; });

  function described(event, at) {
    if (at < 0 || at > 1) return "";
    const y = event.clientY - map.getBoundingClientRect().top, time = at * data.seconds;
    const row = rows.find((each) => each.top <= y && y < each.top + each.height);
    const moment = `${time.toFixed(2)} s`;
    if (row?.kind === "cell") {
      const frame = Math.min(row.values.length - 1, Math.floor(at * row.values.length));
      return `${moment} · ${row.name} · posterior ${(row.values[frame] / 255).toFixed(2)}`;
    }
    const word = row?.words?.find((each) => each.start <= time && time < each.end);
    return word ? `${moment} · ${word.text} · ${word.start.toFixed(2)} to ${word.end.toFixed(2)} s` : moment;
  }

  root.lipkdLeave = () => {
    alive = false;
    off.abort();
    watcher.disconnect();
  };
  return () => {
    root.lipkdLeave();
    setTimeout(() => { if (!root.isConnected) { video.pause(); URL.revokeObjectURL(root.lipkdUrl); } });
  };
}

function bytes(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

// One line per subtitle: a name, and words that are highlighted at their time. Returns [element, word] pairs.
function subtitles(place, lines) {
  const pairs = [];
  place.replaceChildren();
  for (const line of lines) {
    const who = document.createElement("span"), text = document.createElement("span");
    who.className = "who";
    who.textContent = line.label;
    text.className = "text";
    text.dataset.label = line.label;
    if (!line.words.length) text.textContent = line.text || "–";
    for (const word of line.words) {
      const element = document.createElement("span");
      element.textContent = word.text;
      text.append(element, " ");
      pairs.push([element, word]);
    }
    place.append(who, text);
  }
  return pairs;
}

// The rows of the panel from top to bottom, each with its top and height in pixels.
function layout(data) {
  const rows = [{ kind: "ruler", name: "seconds", height: ROW.ruler }];
  for (const [index, line] of data.lines.entries())
    if (index === 0) rows.push({ kind: "words", name: line.label, words: line.words, height: ROW.words });
  for (const trial of data.trials) {
    rows.push({ kind: "title", name: trial.title, height: ROW.title });
    if (!trial.map) continue;
    if (!data.alone) rows.push({ kind: "words", name: "hypothesis", words: trial.words, height: ROW.words });
    for (const peer of trial.spikes) rows.push({ kind: "spikes", name: peer.name, spikes: peer.spikes, height: ROW.spikes });
    const values = bytes(trial.map.values), length = trial.map.frames;
    trial.map.symbols.forEach((name, index) => rows.push({
      kind: "cell", name, values: values.subarray(index * length, (index + 1) * length), height: ROW.cell,
    }));
  }
  let top = 0;
  for (const row of rows) { row.top = top; top += row.height; }
  return rows;
}

function drawMap(canvas, rows, data, root) {
  const style = getComputedStyle(root);
  const ink = style.color, ground = style.getPropertyValue("--st-background-color").trim() || "#fff";
  const blue = style.getPropertyValue("--st-primary-color").trim() || "#2667b5";
  const dark = luminance(ground) < 0.5;
  const width = canvas.clientWidth, height = rows.at(-1).top + rows.at(-1).height, density = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d"), inner = width - GUTTER;
  const x = (time) => GUTTER + inner * time / data.seconds;
  const font = (size, weight = 400) => { pen.font = `${weight} ${size}px ${style.fontFamily}`; };
  pen.scale(density, density);
  pen.textBaseline = "middle";
  for (const row of rows) {
    const middle = row.top + row.height / 2;
    pen.fillStyle = ink;
    pen.globalAlpha = 0.8;
    font(row.kind === "cell" ? 10.5 : 11);
    pen.textAlign = "right";
    if (row.kind === "title") {
      pen.textAlign = "left";
      font(12, 600);
      pen.globalAlpha = 1;
      pen.fillText(row.name, 0, middle + 2, width);
    } else pen.fillText(row.name, GUTTER - 7, middle, GUTTER - 8);
    pen.globalAlpha = 1;
    if (row.kind === "ruler") ruler(row);
    if (row.kind === "words") for (const word of row.words) bar(row, word);
    if (row.kind === "spikes") spikes(row);
    if (row.kind === "cell") cells(row);
  }

  function ruler(row) {
    const every = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60].find((each) => each * inner / data.seconds > 44) ?? 60;
    pen.textAlign = "center";
    for (let time = 0; time <= data.seconds + 1e-6; time += every) {
      pen.globalAlpha = 0.7;
      if (x(time) < width - 12) pen.fillText(String(Number(time.toFixed(2))), x(time), row.top + 7);
      pen.globalAlpha = 0.35;
      pen.fillRect(x(time), row.top + 13, 1, 4);
    }
  }
  function bar(row, word) {
    const left = x(word.start), long = Math.max(x(word.end) - left, 2);
    pen.globalAlpha = 0.2;
    pen.fillStyle = blue;
    pen.fillRect(left, row.top + 2, long, row.height - 4);
    pen.globalAlpha = 0.75;
    pen.strokeStyle = blue;
    pen.strokeRect(left + 0.5, row.top + 2.5, long - 1, row.height - 5);
    pen.globalAlpha = 1;
    pen.fillStyle = ink;
    pen.textAlign = "center";
    font(11.5);
    pen.save();
    pen.beginPath();
    pen.rect(left - 14, row.top, long + 28, row.height);
    pen.clip();
    pen.fillText(word.text, left + long / 2, row.top + row.height / 2 + 0.5, long + 26);
    pen.restore();
  }
  function spikes(row) {
    pen.globalAlpha = 0.25;
    pen.fillRect(GUTTER, row.top + row.height - 1, inner, 1);
    for (const [time, letter, posterior] of row.spikes) {
      pen.globalAlpha = 0.8;
      pen.fillStyle = blue;
      pen.fillRect(x(time) - 0.75, row.top + row.height - 1 - 6 * posterior, 1.5, 6 * posterior);
      pen.globalAlpha = 1;
      pen.fillStyle = ink;
      pen.textAlign = "center";
      font(10.5);
      pen.fillText(letter, x(time), row.top + 6);
    }
  }
  function cells(row) {
    const wide = inner / row.values.length;
    row.values.forEach((value, frame) => {
      if (value < 3) return;
      pen.fillStyle = row.name === "blank" ? (dark ? "#8b929c" : "#6f7782") : shade(value / 255, dark);
      pen.globalAlpha = row.name === "blank" ? 0.5 * value / 255 : Math.min(1, value / 60);
      pen.fillRect(GUTTER + frame * wide, row.top + 0.5, Math.max(wide, 1) + 0.3, row.height - 1);
    });
    pen.globalAlpha = 0.12;
    pen.fillStyle = ink;
    pen.fillRect(GUTTER, row.top + row.height - 0.5, inner, 0.5);
  }
}

// Darker where likelier; brighter in the dark.
function shade(value, dark) {
  const ramp = dark ? [[33, 60, 96], [88, 150, 214], [182, 222, 255]] : [[197, 219, 244], [91, 149, 214], [16, 52, 105]];
  const at = value * 2, low = Math.min(1, Math.floor(at)), share = at - low;
  return `rgb(${ramp[low].map((from, i) => Math.round(from + share * (ramp[low + 1][i] - from)))})`;
}

function luminance(colour) {
  const pen = new OffscreenCanvas(1, 1).getContext("2d");
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
  return (0.299 * red + 0.587 * green + 0.114 * blue) / 255;
}
