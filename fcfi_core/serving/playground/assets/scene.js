// What the user asked for on one photo: some objects, each with a label and a prompt. Every step is an immutable
// scene, so that undo and redo are exact, across objects too.

const NOTHING = Object.freeze({ clicks: Object.freeze([]), box: null, mask: null });

const fresh = (id, label = "") => Object.freeze({ id, label, ...NOTHING });

export const asks = ({ clicks, box, mask }) => clicks.length > 0 || box !== null || mask !== null;

export const promptOf = ({ clicks, box, mask }) => ({ clicks, box, mask });

export class Scene {
  #steps;
  #position = 0;

  constructor(saved = null) {
    this.#steps = [Object.freeze(isSound(saved) ? saved : { objects: [fresh(1)], active: 1 })];
  }

  get #present() {
    return this.#steps[this.#position];
  }

  get objects() {
    return this.#present.objects;
  }

  // Those that anything was asked of.
  get asked() {
    return this.objects.filter(asks);
  }

  get active() {
    return this.objects.find(({ id }) => id === this.#present.active);
  }

  get prompt() {
    return promptOf(this.active);
  }

  get isEmpty() {
    return !asks(this.active);
  }

  get canUndo() {
    return this.#position > 0;
  }

  get canRedo() {
    return this.#position < this.#steps.length - 1;
  }

  toJSON() {
    return this.#present;
  }

  // ---- the active object

  click(x, y, positive) {
    this.#change({ clicks: [...this.active.clicks, { x, y, positive }] });
  }

  moveClick(index, x, y) {
    this.#change({ clicks: this.active.clicks.map((click, at) => (at === index ? { ...click, x, y } : click)) });
  }

  removeClick(index) {
    this.#change({ clicks: this.active.clicks.filter((_, at) => at !== index) });
  }

  choose(clicks) {
    this.#change({ clicks });
  }

  box(x1, y1, x2, y2) {
    this.#change({ box: [x1, y1, x2, y2] });
  }

  start(mask) {
    this.#change({ mask });
  }

  name(label) {
    if (label !== this.active.label) this.#change({ label });
  }

  reset() {
    if (!this.isEmpty) this.#change(NOTHING);
  }

  #change(fields) {
    const changed = Object.freeze({ ...this.active, ...fields });
    const objects = this.objects.map((one) => (one.id === changed.id ? changed : one));
    this.#push({ ...this.#present, objects });
  }

  // ---- objects

  // Begins another object of the same class; an empty one is there already.
  add() {
    if (this.isEmpty) return;
    const empty = this.objects.find((one) => !asks(one));
    if (empty) return this.select(empty.id);
    const id = 1 + Math.max(...this.objects.map((one) => one.id));
    this.#push({ objects: [...this.objects, fresh(id, this.active.label)], active: id });
  }

  // Which object is worked on is no step of its own: undo changes masks.
  select(id) {
    this.#steps[this.#position] = Object.freeze({ ...this.#present, active: id });
  }

  next(direction) {
    const place = this.objects.indexOf(this.active) + direction;
    this.select(this.objects[(place + this.objects.length) % this.objects.length].id);
  }

  remove(id) {
    const objects = this.objects.filter((one) => one.id !== id);
    if (objects.length === 0) objects.push(fresh(id + 1));
    const active = objects.some((one) => one.id === this.#present.active) ? this.#present.active : objects.at(-1).id;
    this.#push({ objects, active });
  }

  // ---- steps

  undo() {
    if (this.canUndo) this.#position -= 1;
  }

  redo() {
    if (this.canRedo) this.#position += 1;
  }

  // Forgets the newest step, which the server refused.
  withdraw() {
    if (!this.canUndo) return;
    this.#steps.length = this.#position;
    this.#position -= 1;
  }

  #push(scene) {
    this.#steps.length = this.#position + 1;
    this.#steps.push(Object.freeze(scene));
    this.#position += 1;
  }
}

// A scene from the browser's storage is looked at before it is believed: an older page may have written it.
function isSound(saved) {
  return (
    Array.isArray(saved?.objects) &&
    saved.objects.length > 0 &&
    saved.objects.every((one) => Number.isInteger(one.id) && typeof one.label === "string" && Array.isArray(one.clicks)) &&
    saved.objects.some((one) => one.id === saved.active)
  );
}
