// What the user asked for so far: an immutable prompt per step, so that undo and redo are exact.

const NOTHING = Object.freeze({ clicks: Object.freeze([]), box: null });

export class History {
  #steps = [NOTHING];
  #position = 0;

  get prompt() {
    return this.#steps[this.#position];
  }

  get isEmpty() {
    return this.prompt.clicks.length === 0 && this.prompt.box === null;
  }

  get canUndo() {
    return this.#position > 0;
  }

  get canRedo() {
    return this.#position < this.#steps.length - 1;
  }

  click(x, y, positive) {
    this.#push({ ...this.prompt, clicks: [...this.prompt.clicks, { x, y, positive }] });
  }

  box(x1, y1, x2, y2) {
    this.#push({ ...this.prompt, box: [x1, y1, x2, y2] });
  }

  choose(clicks) {
    this.#push({ ...this.prompt, clicks });
  }

  reset() {
    if (!this.isEmpty) this.#push(NOTHING);
  }

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

  #push(prompt) {
    this.#steps.length = this.#position + 1;
    this.#steps.push(Object.freeze(prompt));
    this.#position += 1;
  }
}
