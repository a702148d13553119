// The photo on the screen: where it lies, and what a pointer or a key means there.
//
// Pixels are counted as on the server: (0, 0) is the first pixel, and its centre lies half a pixel from the edge of
// the sheet. Everything on the sheet is placed in fractions of it, so zooming only resizes the sheet.

import { Drawing } from "./drawing.js";
import { Painting } from "./masks.js";

const MARGIN = 24; // around the photo, in CSS pixels
const SLACK = 5; // a pointer that moves less than this is a click, not a drag
const LONG_PRESS = 500; // milliseconds
const LARGEST_ZOOM = 40; // screen pixels per photo pixel

const NEAR_A_DOT = { mouse: 10, pen: 12, touch: 16 }; // CSS pixels from its centre
const BRUSH = { smallest: 4, usual: 26, largest: 160 }; // CSS pixels

export class Stage extends EventTarget {
  // Events: "click" {x, y, positive}, "box" {box: [x1, y1, x2, y2]}, "move" {x, y}, "movedot" {index, x, y},
  // "removedot" {index}, "paint" {mask}, "brush" {breadth}, "hover" {x, y, positive} of a mouse over the photo,
  // "leave" where a click there would add none.

  tool = "object";
  #photo = null; // {width, height}
  #scale = 1; // CSS pixels per photo pixel
  #centre = { x: 0, y: 0 }; // photo position in the middle of the stage
  #fitted = true;
  #pointers = new Map();
  #gesture = null;
  #crosshair = null;
  #corner = null; // first corner of a box drawn with the keys
  #prompt = { clicks: [], box: null, mask: null };
  #breadth = BRUSH.usual;

  constructor(element) {
    super();
    this.element = element;
    const part = (id) => element.querySelector(`#${id}`);
    this.sheet = part("sheet");
    this.image = part("photo");
    this.cross = part("crosshair");
    this.drawing = new Drawing(this.sheet);
    this.painting = new Painting(part("painting"));
    new ResizeObserver(() => this.#layOut(this.#fitted)).observe(element);
    element.addEventListener("pointerdown", (event) => this.#down(event));
    element.addEventListener("pointermove", (event) => this.#move(event));
    element.addEventListener("pointerleave", () => this.#tell("leave"));
    element.addEventListener("pointerup", (event) => this.#up(event));
    element.addEventListener("pointercancel", (event) => this.#cancel(event));
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    element.addEventListener("keydown", (event) => this.#key(event));
  }

  // ---- what is shown

  show(address, width, height) {
    this.#photo = { width, height };
    this.#crosshair = this.#corner = null;
    this.image.src = address;
    this.drawing.begin(width, height);
    this.sheet.hidden = false;
    this.cross.hidden = true;
    this.#layOut(true);
  }

  // The prompt of the active object, and the click that a start alone implies.
  drawPrompt(prompt, implied = null) {
    this.drawing.drawPrompt(prompt, implied);
    if (prompt.mask !== this.#prompt.mask || !prompt.mask) this.painting.begin(this.#photo.width, this.#photo.height, prompt.mask);
    this.#prompt = prompt;
  }

  // ---- where the photo lies

  #layOut(fit) {
    if (!this.#photo) return;
    const { width, height } = this.#photo;
    const { clientWidth, clientHeight } = this.element;
    const fitting = Math.min((clientWidth - 2 * MARGIN) / width, (clientHeight - 2 * MARGIN) / height, LARGEST_ZOOM);
    if (fit || this.#scale <= fitting) {
      this.#scale = Math.max(fitting, 1e-3);
      this.#centre = { x: width / 2, y: height / 2 };
      this.#fitted = true;
    }
    // The photo may be pushed about, but never out of sight.
    const reach = { x: clientWidth / 2 / this.#scale, y: clientHeight / 2 / this.#scale };
    const held = (value, size, half) => (size <= 2 * half ? size / 2 : Math.min(Math.max(value, half * 0.6), size - half * 0.6));
    this.#centre.x = held(this.#centre.x, width, reach.x);
    this.#centre.y = held(this.#centre.y, height, reach.y);
    Object.assign(this.sheet.style, {
      width: `${width * this.#scale}px`,
      height: `${height * this.#scale}px`,
      left: `${clientWidth / 2 - this.#centre.x * this.#scale}px`,
      top: `${clientHeight / 2 - this.#centre.y * this.#scale}px`,
    });
    this.sheet.classList.toggle("magnified", this.#scale >= 3);
    this.element.classList.toggle("movable", !this.#fitted);
  }

  zoom(factor, clientX = null, clientY = null) {
    if (!this.#photo) return;
    const area = this.element.getBoundingClientRect();
    const dx = clientX === null ? 0 : clientX - area.left - area.width / 2;
    const dy = clientY === null ? 0 : clientY - area.top - area.height / 2;
    const scale = Math.min(this.#scale * factor, LARGEST_ZOOM);
    this.#centre.x += dx / this.#scale - dx / scale;
    this.#centre.y += dy / this.#scale - dy / scale;
    this.#scale = scale;
    this.#fitted = false;
    this.#layOut(false);
  }

  fit() {
    this.#layOut(true);
  }

  #push(dx, dy) {
    this.#centre.x -= dx / this.#scale;
    this.#centre.y -= dy / this.#scale;
    this.#layOut(false);
  }

  // The pixel under a pointer, or null beside the photo; `clamp` takes the nearest pixel instead of null.
  #pixel(event, clamp = false) {
    const area = this.sheet.getBoundingClientRect();
    const { width, height } = this.#photo;
    const x = Math.floor(((event.clientX - area.left) / area.width) * width);
    const y = Math.floor(((event.clientY - area.top) / area.height) * height);
    if (clamp) return { x: Math.min(Math.max(x, 0), width - 1), y: Math.min(Math.max(y, 0), height - 1) };
    return x >= 0 && y >= 0 && x < width && y < height ? { x, y } : null;
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  // ---- pointers: mouse, pen, fingers

  #down(event) {
    if (!this.#photo || event.target.closest("#message") || event.button === 1) return;
    this.#pointers.set(event.pointerId, event);
    this.element.setPointerCapture(event.pointerId);
    this.#hideCrosshair();
    if (this.#pointers.size > 1) {
      if (this.#gesture?.kind === "stroke") this.#repaint();
      this.#gesture = { kind: "pinch" };
      this.drawing.drawBox(this.#prompt.box);
      return;
    }
    const drawsBox = event.button === 0 && (event.shiftKey || this.tool === "box");
    if (this.tool === "brush" && !drawsBox) return this.#beginStroke(event);
    const dot = drawsBox ? -1 : this.#dotAt(event);
    this.#gesture = { kind: "tap", start: event, drawsBox, dot };
    if (event.pointerType === "touch" && !drawsBox) setTimeout(() => this.#longPress(event), LONG_PRESS);
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return this.#hover(event);
    this.#pointers.set(event.pointerId, event);
    const gesture = this.#gesture;
    if (gesture?.kind === "pinch") return this.#pinch(before, event);
    if (gesture?.kind === "tap" && Math.hypot(event.clientX - gesture.start.clientX, event.clientY - gesture.start.clientY) > SLACK) {
      gesture.kind = gesture.drawsBox ? "box" : gesture.dot >= 0 ? "dot" : "push";
      gesture.corner = this.#pixel(gesture.start, true);
    }
    if (gesture?.kind === "stroke") this.#stroke(event);
    if (gesture?.kind === "dot") this.drawing.moveDot(gesture.dot, this.#pixel(event, true));
    if (gesture?.kind === "push") this.#push(event.clientX - before.clientX, event.clientY - before.clientY);
    if (gesture?.kind === "box") {
      const { x, y } = this.#pixel(event, true);
      this.drawing.drawBox([gesture.corner.x, gesture.corner.y, x, y]);
    }
  }

  #hover(event) {
    if (!this.#photo || event.pointerType !== "mouse") return;
    const clicks = this.tool === "object" || this.tool === "background";
    const pixel = clicks && !event.shiftKey && this.#dotAt(event) < 0 ? this.#pixel(event) : null;
    if (pixel) this.#tell("hover", { ...pixel, positive: (this.tool !== "background") !== event.altKey });
    else this.#tell("leave");
  }

  #pinch(before, event) {
    const others = [...this.#pointers.values()].filter((pointer) => pointer.pointerId !== event.pointerId);
    const distance = (pointer) => Math.hypot(pointer.clientX - others[0].clientX, pointer.clientY - others[0].clientY);
    if (others.length !== 1 || distance(before) === 0) return;
    this.#push((event.clientX - before.clientX) / 2, (event.clientY - before.clientY) / 2);
    const middle = (axis) => (event[axis] + others[0][axis]) / 2;
    this.zoom(distance(event) / distance(before), middle("clientX"), middle("clientY"));
  }

  #up(event) {
    if (!this.#pointers.delete(event.pointerId)) return;
    const gesture = this.#gesture;
    if (this.#pointers.size === 0) this.#gesture = null;
    if (gesture?.kind === "tap") {
      const pixel = this.#pixel(event);
      const other = event.altKey || gesture.start.button === 2;
      if (other && gesture.dot >= 0) this.#tell("removedot", { index: gesture.dot });
      else if (pixel) this.#click(pixel, other);
    } else if (gesture?.kind === "dot") {
      this.#tell("movedot", { index: gesture.dot, ...this.#pixel(event, true) });
    } else if (gesture?.kind === "stroke") {
      this.#tell("paint", { mask: this.painting.mask });
    } else if (gesture?.kind === "box") {
      const { x, y } = this.#pixel(event, true);
      this.#tell("box", { box: [gesture.corner.x, gesture.corner.y, x, y] });
    }
  }

  #cancel(event) {
    this.#pointers.delete(event.pointerId);
    this.#gesture = null;
    this.#repaint();
    this.drawing.drawPrompt(this.#prompt);
  }

  #longPress(start) {
    if (this.#gesture?.start !== start || this.#gesture.kind !== "tap") return; // lifted or moved meanwhile
    const { dot } = this.#gesture;
    this.#gesture = null;
    const pixel = this.#pixel(start);
    if (dot >= 0) this.#tell("removedot", { index: dot });
    else if (pixel) this.#click(pixel, true);
  }

  // The dot under a pointer, the newest of several; -1 if there is none.
  #dotAt(event) {
    const area = this.sheet.getBoundingClientRect();
    const { width, height } = this.#photo;
    const near = NEAR_A_DOT[event.pointerType] ?? NEAR_A_DOT.mouse;
    return this.#prompt.clicks.findLastIndex(({ x, y }) => {
      const across = area.left + ((x + 0.5) / width) * area.width - event.clientX;
      const down = area.top + ((y + 0.5) / height) * area.height - event.clientY;
      return Math.hypot(across, down) <= near;
    });
  }

  // ---- the brush

  set breadth(pixels) {
    this.#breadth = Math.min(Math.max(pixels, BRUSH.smallest), BRUSH.largest);
    this.#tell("brush", { breadth: this.#breadth });
  }

  get breadth() {
    return this.#breadth;
  }

  #beginStroke(event) {
    const erases = event.altKey || event.button === 2;
    this.#gesture = { kind: "stroke", start: event, erases, last: this.#pixel(event, true) };
    this.#stroke(event);
  }

  #stroke(event) {
    const pixel = this.#pixel(event, true);
    this.painting.stroke(this.#gesture.last, pixel, this.#breadth / this.#scale, this.#gesture.erases);
    this.#gesture.last = pixel;
  }

  #repaint() {
    if (this.#photo) this.painting.begin(this.#photo.width, this.#photo.height, this.#prompt.mask);
  }

  #wheel(event) {
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), event.clientX, event.clientY);
  }

  #click(pixel, other) {
    this.#tell("click", { ...pixel, positive: (this.tool !== "background") !== other });
  }

  // ---- keys

  #key(event) {
    if (!this.#photo || event.ctrlKey || event.metaKey || event.target !== this.element) return;
    const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (direction) {
      this.#moveCrosshair(direction, event.shiftKey ? 1 : Math.max(1, Math.round(12 / this.#scale)));
    } else if (event.key === "Enter" || event.key === " ") {
      if (this.#crosshair) this.#click(this.#crosshair, event.shiftKey || event.altKey);
      else this.#moveCrosshair([0, 0], 0);
    } else if (event.key === "b" && this.#crosshair) {
      this.#markCorner();
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.#removeAtCrosshair();
    } else if (event.key === "Escape" && this.#crosshair) {
      this.#hideCrosshair();
    } else {
      return;
    }
    event.preventDefault();
  }

  #moveCrosshair([dx, dy], step) {
    const { width, height } = this.#photo;
    const { x, y } = this.#crosshair ?? { x: Math.floor(width / 2), y: Math.floor(height / 2) };
    this.#crosshair = {
      x: Math.min(Math.max(x + dx * step, 0), width - 1),
      y: Math.min(Math.max(y + dy * step, 0), height - 1),
    };
    this.cross.hidden = false;
    this.cross.style.left = `${((this.#crosshair.x + 0.5) / width) * 100}%`;
    this.cross.style.top = `${((this.#crosshair.y + 0.5) / height) * 100}%`;
    if (this.#corner) this.drawing.drawBox([this.#corner.x, this.#corner.y, this.#crosshair.x, this.#crosshair.y]);
    this.#tell("move", this.#crosshair);
  }

  // The dot nearest to the crosshair goes; without a crosshair the last one.
  #removeAtCrosshair() {
    const { clicks } = this.#prompt;
    if (clicks.length === 0) return;
    const { x, y } = this.#crosshair ?? clicks.at(-1);
    const distances = clicks.map((click) => Math.hypot(click.x - x, click.y - y));
    this.#tell("removedot", { index: distances.lastIndexOf(Math.min(...distances)) });
  }

  #hideCrosshair() {
    if (this.#corner) this.drawing.drawBox(this.#prompt.box);
    this.#crosshair = this.#corner = null;
    this.cross.hidden = true;
  }

  #markCorner() {
    const { x, y } = this.#crosshair;
    if (this.#corner) {
      this.#tell("box", { box: [this.#corner.x, this.#corner.y, x, y] });
      this.#corner = null;
    } else {
      this.#corner = { x, y };
      this.drawing.drawBox([x, y, x, y]);
    }
  }
}
