// Wires the page: photo in, clicks to the server, masks back, files out. The masks on the screen are always the
// server's answers to the scene shown; a request that a newer one supersedes is aborted.

import { Photo, address, model } from "./api.js";
import { colourOf } from "./drawing.js";
import { takePhotos } from "./intake.js";
import { maskOfFile } from "./masks.js";
import { ObjectList } from "./objects.js";
import { Scene, asks, promptOf } from "./scene.js";
import { Stage } from "./stage.js";
import * as store from "./store.js";
import { choiceButton, pictureButton, smallCopy } from "./thumbnails.js";

const SAMPLES = [
  { name: "cat.jpg", title: "A cat" },
  { name: "coffee.jpg", title: "A cup of coffee" },
  { name: "rocket.jpg", title: "A rocket" },
];

const REST = 120; // milliseconds that the pointer rests before a preview is asked for
const NEAR = 0.015; // of the longer side: the server takes a click so near to the first one for a choice

const part = (id) => document.getElementById(id);
const stage = new Stage(part("stage"));
const list = new ObjectList(part("objects"), part("labels"));
let photo = null;
let scene = new Scene();
let shown = null; // the server's answer for the active object
let shapes = new Map(); // by object: the mask on the screen, apart from the others
let running = new AbortController();
let addressOfPicture = null;

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
    scene = new Scene(store.sceneOf(photo.image));
    shown = null;
    shapes = new Map();
    part("welcome").hidden = part("choice-panel").hidden = true;
    part("photo-panel").hidden = false;
    stage.show(picture, photo.width, photo.height);
    part("stage").setAttribute("aria-label", `${name}, ${photo.width} by ${photo.height} pixels`);
    part("photo-facts").textContent = [`${name} · ${photo.width} × ${photo.height}`, ...photo.notes].join(" · ");
    part("photo-facts").hidden = false;
    dismiss();
    say(`${name} is open. Click on the object.`);
    part("stage").focus({ preventScroll: true });
    keep(candidate);
    if (scene.asked.length) return refresh();
  } catch (error) {
    report(named(error, name), () => open(file, name));
  } finally {
    if (!signal.aborted) busy(false);
  }
  render();
}

// Sentences of the server speak of "the image"; people have opened several.
const named = (error, name) => (error.message.includes(name) ? error : Object.assign(error, { message: `${name}: ${error.message}` }));

// The browser's own rendering, or the server's where the browser cannot show the file upright in the same size.
async function pictureOf(candidate) {
  if (addressOfPicture) URL.revokeObjectURL(addressOfPicture);
  addressOfPicture = URL.createObjectURL(candidate.file);
  const picture = new Image();
  picture.src = addressOfPicture;
  const same = await picture.decode().then(
    () => picture.naturalWidth === candidate.width && picture.naturalHeight === candidate.height,
    () => false,
  );
  return same ? addressOfPicture : address(`images/${candidate.image}`);
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

// What was open before this page was loaded (again).
async function reopen() {
  const last = store.lastPhoto();
  if (!last) return;
  const kept = await store.photoOf(last.digest);
  if (photo) return; // somebody was quicker
  if (kept) await open(kept.file, kept.name);
  else if (store.sceneOf(last.digest)) note(`Open ${last.name} again to go on: its clicks are kept, the photo itself is not.`);
}

async function keep({ image, name, file }) {
  const small = await smallCopy(part("photo"));
  await store.keepPhoto(image, name, file, image === photo.image ? small : null); // another may be shown by now
  showRecent();
}

async function showRecent() {
  const samples = SAMPLES.map(({ name }) => name);
  const kept = (await store.photosKept()).filter(({ name }) => !samples.includes(name));
  part("recent").replaceChildren(
    ...kept.slice(0, 3).map(({ file, name, small }) => pictureButton(URL.createObjectURL(small ?? file), `Photo: ${name}`, () => open(file, name))),
  );
}

// ---- prompts and masks

async function refresh() {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  dismiss();
  const kept = store.keepScene(photo.image, scene.toJSON());
  const wanted = new Set(scene.asked.map(({ id }) => id));
  for (const id of shapes.keys()) if (!wanted.has(id)) shapes.delete(id);
  part("choice-panel").hidden = true;
  stage.drawing.drawSuggestion(null);
  lookAway();
  shown = scene.isEmpty ? null : shown;
  render();
  busy(wanted.size > 0);
  try {
    if (!scene.isEmpty) {
      const answer = await photo.mask({ ...scene.prompt, suggestion: part("suggestions-shown").checked }, signal);
      if (signal.aborted) return;
      shown = answer;
      shapes.set(scene.active.id, answer);
    }
    await drawMasks();
    if (signal.aborted) return;
    if (!kept) note("This browser cannot keep these clicks: they are lost when the page is closed.");
    shown?.notes.forEach(note);
    render();
    tell();
    if (wanted.size > 1 || (wanted.size && scene.isEmpty)) await keepApart(signal);
    offer(signal);
  } catch (error) {
    if (error.status === 400) scene.withdraw();
    report(error, refresh);
    render();
  } finally {
    if (!signal.aborted) busy(false);
  }
}

// With several objects, a pixel belongs to the likeliest of them.
async function keepApart(signal) {
  const asked = scene.asked;
  const apart = await photo.scene(asked.map(promptOf), signal);
  if (signal.aborted) return;
  shapes = new Map(asked.map(({ id }, index) => [id, apart[index]]));
  await drawMasks();
  render();
}

function drawMasks() {
  const drawn = scene.objects.filter(({ id }) => shapes.has(id));
  return stage.drawing.drawMasks(drawn.map(({ id }) => ({ ...shapes.get(id), id, active: id === scene.active.id })));
}

// Several answers to a first click are asked for once the usual one is on the screen, and shown beside it.
async function offer(signal) {
  const { clicks, box, mask } = scene.prompt;
  const first = clicks.find(({ positive }) => positive);
  if (box || mask || !first || clicks.some(({ x, y }) => Math.hypot(x - first.x, y - first.y) > NEAR * Math.max(photo.width, photo.height))) return;
  const choices = await photo.candidates(scene.prompt, signal).catch(() => []); // a choice is never worth an error
  if (signal.aborted || choices.length === 0) return;
  part("choices").replaceChildren(
    ...choices.map((choice, index) => {
      const share = choice.area / (photo.width * photo.height);
      const take = () => !choice.given && change(() => scene.choose(choice.clicks));
      return choiceButton(choice, index + 1, part("photo").src, share, colourOf(scene.active.id), take);
    }),
  );
  part("choice-panel").hidden = false;
}

// What a click would select where the pointer rests. It is never worth an error, and never delays a click.
let glancing = new AbortController();

function glance(x, y, positive) {
  lookAway();
  if (!part("preview-shown").checked || (!positive && scene.isEmpty)) return;
  const { signal } = glancing;
  const ask = async () => {
    if (signal.aborted) return;
    const answered = part("stage").getAttribute("aria-busy") === "false";
    const clicks = [...scene.prompt.clicks, { x, y, positive }];
    const { busy, glimpse } = answered ? await photo.hover({ ...scene.prompt, clicks }, signal) : { busy: true };
    if (signal.aborted) return;
    if (busy) setTimeout(quietly, 2 * REST);
    else stage.drawing.drawGlimpse(glimpse, colourOf(scene.active.id));
  };
  const quietly = () => ask().catch(() => {});
  setTimeout(quietly, REST);
}

function lookAway() {
  glancing.abort();
  glancing = new AbortController();
  stage.drawing.drawGlimpse(null);
}

function change(action) {
  if (!photo) return;
  action();
  refresh();
}

// ---- what the page shows

function render() {
  if (photo) stage.drawPrompt(scene.prompt, shown?.implied_click);
  if (photo) stage.drawing.drawSuggestion(part("suggestions-shown").checked ? (shown?.suggestion ?? null) : null);
  list.show(scene, (id) => (shapes.has(id) ? shapes.get(id).area / (photo.width * photo.height) : null));
  part("undo").disabled = !scene.canUndo;
  part("redo").disabled = !scene.canRedo;
  part("reset").disabled = scene.isEmpty;
  part("add").disabled = scene.isEmpty;
  part("from-file").disabled = photo === null;
  part("click-count").textContent = String(scene.prompt.clicks.length);
  part("confidence").textContent = shown ? percent(shown.confidence) : "–";
  part("confidence-bar").style.setProperty("--share", shown?.confidence ?? 0);
  part("milliseconds").textContent = shown ? milliseconds(shown.milliseconds) : "–";
  part("milliseconds").title = shown
    ? `of which encoder ${milliseconds(shown.timings.encode)}, rest of the network ${milliseconds(shown.timings.network)}`
    : "";
  document.querySelectorAll("[data-download]").forEach((button) => {
    button.disabled = button.dataset.download === "cutout" ? shown === null : shapes.size === 0;
  });
}

const percent = (fraction) => `${Math.round(100 * fraction)} %`;
const milliseconds = (time) => `${Math.round(time)} ms`;
const count = ({ clicks }) => (clicks.length === 1 ? "1 click" : `${clicks.length} clicks`);

function tell() {
  if (!shown) return say(scene.asked.length ? "A new object: click on it." : "Nothing is selected.");
  const share = (100 * shown.area) / (photo.width * photo.height);
  say(`${count(scene.prompt)}. Confidence ${percent(shown.confidence)}. The mask covers ${share.toFixed(1)} % of the photo.`);
}

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
  part("message").querySelector("span").textContent = error.message.replace(/^[a-z](?=[a-z]* )/, (letter) => letter.toUpperCase());
  part("retry").hidden = again === null || (error.status >= 400 && error.status < 500);
  part("retry").onclick = again;
  part("message").hidden = false;
}

function dismiss() {
  part("message").hidden = true;
}

// ---- files out

async function download(format) {
  const suffix = { png: "mask.png", cutout: "cutout.png", polygon: "polygons.json", coco: "coco.json" }[format];
  const objects = format === "cutout" ? [scene.active] : scene.asked;
  try {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await photo.download(objects.map((one) => ({ ...promptOf(one), label: one.label })), format));
    link.download = `${photo.name.replace(/\.[^.]*$/, "")}-${suffix}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    say(`${link.download} is downloaded.`);
  } catch (error) {
    report(error, () => download(format));
  }
}

// ---- wiring

stage.addEventListener("click", ({ detail: { x, y, positive } }) => change(() => scene.click(x, y, positive)));
stage.addEventListener("box", ({ detail: { box } }) => change(() => scene.box(...box)));
stage.addEventListener("movedot", ({ detail: { index, x, y } }) => change(() => scene.moveClick(index, x, y)));
stage.addEventListener("removedot", ({ detail: { index } }) => change(() => scene.removeClick(index)));
stage.addEventListener("paint", ({ detail: { mask } }) => change(() => scene.start(mask)));
stage.addEventListener("hover", ({ detail: { x, y, positive } }) => glance(x, y, positive));
stage.addEventListener("leave", lookAway);
stage.addEventListener("brush", ({ detail: { breadth } }) => say(`The brush is ${Math.round(breadth)} wide.`));

let moveTimer = 0;
stage.addEventListener("move", ({ detail: { x, y } }) => {
  clearTimeout(moveTimer);
  moveTimer = setTimeout(() => say(`Crosshair at ${x}, ${y}.`), 400); // not one announcement per key press
});

list.addEventListener("select", ({ detail: { id } }) => work(() => scene.select(id)));
list.addEventListener("name", ({ detail: { id, label } }) => {
  scene.select(id);
  scene.name(label);
  if (photo) store.keepScene(photo.image, scene.toJSON());
  render();
});
list.addEventListener("remove", ({ detail: { id } }) => work(() => scene.remove(id)));

// Another object comes to hand: nothing of the last answer belongs to it.
function work(action) {
  const before = scene.active.id;
  action();
  if (scene.active.id !== before) shown = null;
  if (photo) refresh();
  else render();
}

const undo = () => scene.canUndo && work(() => scene.undo());
const redo = () => scene.canRedo && work(() => scene.redo());
const reset = () => !scene.isEmpty && change(() => scene.reset());
const add = () => !scene.isEmpty && work(() => scene.add());
const next = (direction) => scene.objects.length > 1 && work(() => scene.next(direction));
part("undo").onclick = undo;
part("redo").onclick = redo;
part("reset").onclick = reset;
part("add").onclick = add;
part("dismiss").onclick = dismiss;
document.querySelectorAll("[data-download]").forEach((button) => (button.onclick = () => download(button.dataset.download)));

function take(tool) {
  document.querySelector(`[name=tool][value=${tool}]`).checked = true;
  stage.tool = tool;
  part("stage").dataset.tool = tool;
}
document.querySelectorAll("[name=tool]").forEach((radio) => (radio.onchange = () => take(radio.value)));

part("from-file").onclick = () => part("mask-file").click();
part("mask-file").onchange = async () => {
  const [file] = part("mask-file").files;
  part("mask-file").value = "";
  if (!file) return;
  try {
    const mask = await maskOfFile(file, photo.width, photo.height);
    change(() => scene.start(mask));
  } catch (error) {
    report(error);
  }
};

function choose(index) {
  if (!part("choice-panel").hidden) part("choices").children[index]?.click();
}

// The place where an answer would help most is a click like any other.
function answer(yes) {
  const suggestion = part("suggestions-shown").checked ? shown?.suggestion : null;
  if (suggestion) change(() => scene.click(suggestion.x, suggestion.y, yes));
}

const KEYS = {
  z: ({ shiftKey }) => (shiftKey ? redo : undo)(),
  r: reset,
  o: add,
  ",": () => next(-1),
  ".": () => next(1),
  p: () => take(stage.tool === "brush" ? "object" : "brush"),
  "[": () => (stage.breadth /= 1.3),
  "]": () => (stage.breadth *= 1.3),
  y: () => answer(true),
  n: () => answer(false),
  m: () => part("sheet").classList.toggle("bare"),
  escape: dismiss,
  "?": () => part("keys").showModal(),
  "+": () => stage.zoom(1.25),
  "=": () => stage.zoom(1.25),
  "-": () => stage.zoom(0.8),
  0: () => stage.fit(),
  ...Object.fromEntries(Array.from({ length: 9 }, (_, index) => [index + 1, () => choose(index)])),
};

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.target.matches("input[type=text]") || part("keys").open) return;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") (event.shiftKey ? redo : undo)();
    else if (key === "y") redo();
    else return;
    event.preventDefault();
    return;
  }
  KEYS[key]?.(event);
});

part("keys-open").onclick = () => part("keys").showModal();
part("keys").onclick = ({ target }) => {
  if (target === part("keys")) part("keys").close(); // beside the sheet of keys
};

function setOpacity() {
  part("sheet").style.setProperty("--opacity", part("opacity").value / 100);
  part("opacity-value").textContent = `${part("opacity").value} %`;
}
part("opacity").oninput = setOpacity;
setOpacity();
part("contour-shown").onchange = ({ target }) => part("sheet").classList.toggle("without-contour", !target.checked);
part("dots-shown").onchange = ({ target }) => part("sheet").classList.toggle("without-dots", !target.checked);
part("suggestions-shown").checked = store.setting("suggestions") === "true";
part("suggestions-shown").onchange = ({ target }) => {
  store.keepSetting("suggestions", target.checked);
  if (target.checked && shown) refresh(); // the answer on the screen was asked for without it
  else render();
};
part("preview-shown").checked = store.setting("preview") === "true";
part("preview-shown").onchange = ({ target }) => {
  store.keepSetting("preview", target.checked);
  lookAway();
};
part("yes").onclick = () => answer(true);
part("no").onclick = () => answer(false);

for (const place of document.querySelectorAll("[data-samples]")) {
  for (const sample of SAMPLES) {
    const button = pictureButton(address(`assets/samples/${sample.name}`), `Sample photo: ${sample.title}`, () => openSample(sample));
    button.dataset.sample = sample.name;
    place.append(button);
  }
}

takePhotos(part("file"), open, report);

part("forget").onclick = async () => {
  await store.forget();
  part("recent").replaceChildren();
  say("This browser has forgotten all photos and clicks.");
  note("This browser has forgotten all photos and clicks; those on the screen stay until the page is closed.");
};

const remembered = store.setting("theme");
if (remembered) document.documentElement.dataset.theme = remembered;
part("theme").onclick = () => {
  const dark = getComputedStyle(document.documentElement).colorScheme.includes("light dark")
    ? matchMedia("(prefers-color-scheme: dark)").matches
    : document.documentElement.dataset.theme === "dark";
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  store.keepSetting("theme", document.documentElement.dataset.theme);
};

model().then(
  ({ name, variant, device }) => (part("model").textContent = `${name} · ${variant} · ${device}`),
  (error) => report(error, () => window.location.reload()),
);
render();
showRecent();
reopen();
