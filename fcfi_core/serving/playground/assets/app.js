// Wires the page: photo in, clicks to the server, mask back, files out. The mask on the screen is always the
// server's answer to the whole prompt shown; a request that a newer one supersedes is aborted.

import { Photo, address, model } from "./api.js";
import { History } from "./history.js";
import { Stage } from "./stage.js";

const SAMPLES = [
  { name: "cat.jpg", title: "A cat" },
  { name: "coffee.jpg", title: "A cup of coffee" },
  { name: "rocket.jpg", title: "A rocket" },
];

const NEAR = 0.0075; // of the longer side: the server takes a click so near to the first one for a choice

const part = (id) => document.getElementById(id);
const stage = new Stage(part("stage"));
let photo = null;
let history = new History();
let shown = null; // the server's answer that is on the screen
let running = new AbortController();
let address_of_picture = null;

// ---- photo

async function open(file, name) {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  busy(true);
  try {
    const candidate = await new Photo(file, name).upload(signal);
    const picture = await pictureOf(candidate);
    if (signal.aborted) return;
    photo = candidate;
    history = new History();
    shown = null;
    part("welcome").hidden = true;
    part("photo-panel").hidden = false;
    stage.show(picture, photo.width, photo.height);
    stage.drawMask(null);
    part("stage").setAttribute("aria-label", `${name}, ${photo.width} by ${photo.height} pixels`);
    const facts = [`${name} · ${photo.width} × ${photo.height}`, ...photo.notes];
    part("photo-facts").textContent = facts.join(" · ");
    part("photo-facts").hidden = false;
    dismiss();
    say(`${name} is open. Click on the object.`);
    part("stage").focus({ preventScroll: true });
  } catch (error) {
    report(error, () => open(file, name));
  } finally {
    if (!signal.aborted) busy(false);
  }
  render();
}

// The browser's own rendering, or the server's where the browser cannot show the file upright in the same size.
async function pictureOf(candidate) {
  if (address_of_picture) URL.revokeObjectURL(address_of_picture);
  address_of_picture = URL.createObjectURL(candidate.file);
  const picture = new Image();
  picture.src = address_of_picture;
  const same = await picture.decode().then(
    () => picture.naturalWidth === candidate.width && picture.naturalHeight === candidate.height,
    () => false,
  );
  return same ? address_of_picture : address(`images/${candidate.image}`);
}

async function openSample({ name }) {
  try {
    const answer = await fetch(address(`assets/samples/${name}`));
    if (!answer.ok) throw new Error(`The sample photo ${name} is missing on the server.`);
    await open(await answer.blob(), name);
  } catch (error) {
    report(error, () => openSample({ name }));
  }
}

// ---- clicks and mask

async function refresh() {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  render();
  if (history.isEmpty) {
    shown = null;
    busy(false);
    part("choice-panel").hidden = true;
    stage.drawMask(null);
    render();
    say("Nothing is selected.");
    return;
  }
  busy(true);
  part("choice-panel").hidden = true;
  try {
    const answer = await photo.mask(history.prompt, signal);
    await stage.drawMask(answer);
    if (signal.aborted) return;
    shown = answer;
    dismiss();
    answer.notes.forEach(note);
    render();
    offer(signal);
    const share = (100 * answer.area) / (photo.width * photo.height);
    say(`${count(history.prompt)}. Confidence ${percent(answer.confidence)}. The mask covers ${share.toFixed(1)} % of the photo.`);
  } catch (error) {
    if (error.status === 400) history.withdraw();
    report(error, refresh);
    render();
  } finally {
    if (!signal.aborted) busy(false);
  }
}

// Several answers to a first click are asked for once the usual one is on the screen, and shown beside it.
async function offer(signal) {
  const { clicks, box } = history.prompt;
  const first = clicks.find(({ positive }) => positive);
  if (box || !first || clicks.some(({ x, y }) => Math.hypot(x - first.x, y - first.y) > NEAR * Math.max(photo.width, photo.height))) return;
  const choices = await photo.candidates(history.prompt, signal).catch(() => []); // a choice is never worth an error
  if (signal.aborted || choices.length === 0) return;
  part("choices").replaceChildren(...choices.map(thumbnail));
  part("choice-panel").hidden = false;
}

function thumbnail(choice, index) {
  const button = Object.assign(document.createElement("button"), { type: "button", title: `Key ${index + 1}` });
  const share = (100 * choice.area) / (photo.width * photo.height);
  button.setAttribute("aria-label", `Answer ${index + 1}: ${share.toFixed(1)} % of the photo`);
  button.setAttribute("aria-pressed", String(choice.given));
  const picture = Object.assign(new Image(), { src: part("photo").src, alt: "" });
  const mask = document.createElement("i");
  mask.style.maskImage = `url("${choice.mask}")`;
  button.append(picture, mask);
  button.onclick = () => !choice.given && change(() => history.choose(choice.clicks));
  return button;
}

function change(action) {
  if (!photo) return;
  action();
  dismiss();
  refresh();
}

// ---- what the page shows

function render() {
  const { prompt } = history;
  if (photo) stage.drawPrompt(prompt, shown?.implied_click);
  part("undo").disabled = !history.canUndo;
  part("redo").disabled = !history.canRedo;
  part("reset").disabled = history.isEmpty;
  part("click-count").textContent = String(prompt.clicks.length);
  part("confidence").textContent = shown ? percent(shown.confidence) : "–";
  part("confidence-bar").style.setProperty("--share", shown?.confidence ?? 0);
  part("milliseconds").textContent = shown ? milliseconds(shown.milliseconds) : "–";
  part("milliseconds").title = shown
    ? `of which encoder ${milliseconds(shown.timings.encode)}, rest of the network ${milliseconds(shown.timings.network)}`
    : "";
  document.querySelectorAll("[data-download]").forEach((button) => (button.disabled = shown === null));
}

const percent = (fraction) => `${Math.round(100 * fraction)} %`;
const milliseconds = (time) => `${Math.round(time)} ms`;
const count = ({ clicks }) => (clicks.length === 1 ? "1 click" : `${clicks.length} clicks`);

function say(sentence) {
  part("status").textContent = sentence;
}

let busyTimer = 0;
function busy(on) {
  clearTimeout(busyTimer);
  part("stage").setAttribute("aria-busy", String(on));
  if (on) busyTimer = setTimeout(() => (part("busy").hidden = false), 150); // no flicker for quick answers
  else part("busy").hidden = true;
}

function note(sentence) {
  report({ message: sentence });
  part("message").classList.add("note");
}

function report(error, again = null) {
  if (error.name === "AbortError") return;
  part("message").classList.remove("note");
  part("message").querySelector("span").textContent = error.message.replace(/^./, (letter) => letter.toUpperCase());
  part("retry").hidden = again === null || (error.status >= 400 && error.status < 500);
  part("retry").onclick = again;
  part("message").hidden = false;
}

function dismiss() {
  part("message").hidden = true;
}

// ---- files out

async function download(format) {
  const suffix = { png: "mask.png", polygon: "polygons.json", coco: "coco.json" }[format];
  try {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await photo.download(history.prompt, format));
    link.download = `${photo.name.replace(/\.[^.]*$/, "")}-${suffix}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    say(`${link.download} is downloaded.`);
  } catch (error) {
    report(error, () => download(format));
  }
}

// ---- wiring

stage.addEventListener("click", ({ detail: { x, y, positive } }) => change(() => history.click(x, y, positive)));
stage.addEventListener("box", ({ detail: { box } }) => change(() => history.box(...box)));

let moveTimer = 0;
stage.addEventListener("move", ({ detail: { x, y } }) => {
  clearTimeout(moveTimer);
  moveTimer = setTimeout(() => say(`Crosshair at ${x}, ${y}.`), 400); // not one announcement per key press
});

const undo = () => history.canUndo && change(() => history.undo());
const redo = () => history.canRedo && change(() => history.redo());
const reset = () => !history.isEmpty && change(() => history.reset());
part("undo").onclick = undo;
part("redo").onclick = redo;
part("reset").onclick = reset;
part("dismiss").onclick = dismiss;
document.querySelectorAll("[data-download]").forEach((button) => (button.onclick = () => download(button.dataset.download)));
document.querySelectorAll("[name=tool]").forEach((radio) => (radio.onchange = () => (stage.tool = radio.value)));

function choose(index) {
  if (!part("choice-panel").hidden) part("choices").children[index]?.click();
}

function toggleMask() {
  part("sheet").classList.toggle("bare");
}

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.target.matches("input[type=text]")) return;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") (event.shiftKey ? redo : undo)();
    else if (key === "y") redo();
    else return;
    event.preventDefault();
    return;
  }
  const action = {
    z: event.shiftKey ? redo : undo,
    y: redo,
    r: reset,
    m: toggleMask,
    escape: dismiss,
    "+": () => stage.zoom(1.25),
    "=": () => stage.zoom(1.25),
    "-": () => stage.zoom(0.8),
    0: () => stage.fit(),
    1: () => choose(0),
    2: () => choose(1),
    3: () => choose(2),
  }[key];
  action?.();
});

function setOpacity() {
  part("sheet").style.setProperty("--opacity", part("opacity").value / 100);
  part("opacity-value").textContent = `${part("opacity").value} %`;
}
part("opacity").oninput = setOpacity;
setOpacity();
part("contour-shown").onchange = ({ target }) => part("sheet").classList.toggle("without-contour", !target.checked);
part("dots-shown").onchange = ({ target }) => part("sheet").classList.toggle("without-dots", !target.checked);

for (const list of document.querySelectorAll("[data-samples]")) {
  for (const sample of SAMPLES) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.sample = sample.name;
    button.setAttribute("aria-label", `Sample photo: ${sample.title}`);
    const picture = Object.assign(new Image(), { src: address(`assets/samples/${sample.name}`), alt: "" });
    button.append(picture);
    button.onclick = () => openSample(sample);
    list.append(button);
  }
}

const chooser = part("file");
document.querySelectorAll("[data-open]").forEach((button) => (button.onclick = () => chooser.click()));
chooser.onchange = () => {
  const [file] = chooser.files;
  if (file) open(file, file.name);
  chooser.value = "";
};

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
});
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) document.body.classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  const [file] = event.dataTransfer.files;
  if (file) open(file, file.name);
});
document.addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files;
  if (file) open(file, file.name || "pasted.png");
});

const remembered = localStorage.getItem("fcfi-theme");
if (remembered) document.documentElement.dataset.theme = remembered;
part("theme").onclick = () => {
  const dark = getComputedStyle(document.documentElement).colorScheme.includes("light dark")
    ? matchMedia("(prefers-color-scheme: dark)").matches
    : document.documentElement.dataset.theme === "dark";
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("fcfi-theme", document.documentElement.dataset.theme);
};

model().then(
  ({ name, variant, device }) => (part("model").textContent = `${name} · ${variant} · ${device}`),
  (error) => report(error, () => window.location.reload()),
);
