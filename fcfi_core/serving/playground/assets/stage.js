// The photo on the screen: where it lies, what is drawn over it, and which pixel a pointer or a key means.
//
// Pixels are counted as on the server: (0, 0) is the first pixel, and its centre lies half a pixel from the edge of
// the sheet. Everything on the sheet is placed in fractions of it, so zooming only resizes the sheet.

const MARGIN = 24; // around the photo, in CSS pixels
const SLACK = 5; // a pointer that moves less than this is a click, not a drag
const LONG_PRESS = 500; // milliseconds
const LARGEST_ZOOM = 40; // screen pixels per photo pixel

const svg = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);

export class Stage extends EventTarget {
  // Events: "click" {x, y, positive}, "box" {box: [x1, y1, x2, y2]}, "move" {x, y}.

  tool = "object";
  #photo = null; // {width, height}
  #scale = 1; // CSS pixels per photo pixel
  #centre = { x: 0, y: 0 }; // photo position in the middle of the stage
  #fitted = true;
  #pointers = new Map();
  #gesture = null;
  #crosshair = null;
  #corner = null; // first corner of a box drawn with the keys
  #box = null; // the box of the prompt

  constructor(element) {
    super();
    this.element = element;
    const part = (id) => element.querySelector(`#${id}`);
    this.sheet = part("sheet");
    this.image = part("photo");
    this.mask = part("mask");
    this.lines = part("lines");
    this.dots = part("dots");
    this.cross = part("crosshair");
    this.boxes = [part("box"), part("box-over")];
    this.contours = [part("contour-under"), part("contour")];
    new ResizeObserver(() => this.#layOut(this.#fitted)).observe(element);
    element.addEventListener("pointerdown", (event) => this.#down(event));
    element.addEventListener("pointermove", (event) => this.#move(event));
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
    this.lines.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.sheet.hidden = false;
    this.cross.hidden = true;
    this.#layOut(true);
  }

  // `answer` is the server's, or null for no mask.
  async drawMask(answer) {
    if (answer === null) {
      this.mask.hidden = true;
      this.contours.forEach((path) => path.setAttribute("d", ""));
      return;
    }
    const picture = new Image();
    picture.src = answer.mask;
    await picture.decode(); // so that the old mask stays until the new one can be painted
    this.mask.style.maskImage = this.mask.style.webkitMaskImage = `url(${answer.mask})`;
    this.mask.hidden = false;
    const ring = (points) => `M${points.map(([x, y]) => `${x} ${y}`).join("L")}Z`;
    const outline = answer.polygons.map((part) => [part.exterior, ...part.holes].map(ring).join("")).join("");
    this.contours.forEach((path) => path.setAttribute("d", outline));
  }

  drawPrompt({ clicks, box }, implied = null) {
    const dots = clicks.map((click, index) => this.#dot(click, index === clicks.length - 1 ? "last" : ""));
    if (implied) dots.push(this.#dot(implied, "implied"));
    this.dots.replaceChildren(...dots);
    this.#box = box;
    this.#drawBox(box);
  }

  #dot({ x, y, positive }, kind) {
    const dot = document.createElement("i");
    dot.className = `dot ${positive ? "positive" : "negative"} ${kind}`;
    dot.style.left = `${((x + 0.5) / this.#photo.width) * 100}%`;
    dot.style.top = `${((y + 0.5) / this.#photo.height) * 100}%`;
    return dot;
  }

  #drawBox(box) {
    for (const rectangle of this.boxes) {
      rectangle.toggleAttribute("hidden", box === null);
      if (box === null) continue;
      const [x1, y1, x2, y2] = box;
      rectangle.setAttribute("x", Math.min(x1, x2));
      rectangle.setAttribute("y", Math.min(y1, y2));
      rectangle.setAttribute("width", Math.abs(x2 - x1) + 1);
      rectangle.setAttribute("height", Math.abs(y2 - y1) + 1);
    }
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
      this.#gesture = { kind: "pinch" };
      this.#drawBox(this.#box);
      return;
    }
    const drawsBox = event.button === 0 && (event.shiftKey || this.tool === "box");
    this.#gesture = { kind: "tap", start: event, drawsBox };
    if (event.pointerType === "touch" && !drawsBox) setTimeout(() => this.#longPress(event), LONG_PRESS);
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    this.#pointers.set(event.pointerId, event);
    const gesture = this.#gesture;
    if (gesture?.kind === "pinch") return this.#pinch(before, event);
    if (gesture?.kind === "tap" && Math.hypot(event.clientX - gesture.start.clientX, event.clientY - gesture.start.clientY) > SLACK) {
      gesture.kind = gesture.drawsBox ? "box" : "push";
      gesture.corner = this.#pixel(gesture.start, true);
    }
    if (gesture?.kind === "push") this.#push(event.clientX - before.clientX, event.clientY - before.clientY);
    if (gesture?.kind === "box") {
      const { x, y } = this.#pixel(event, true);
      this.#drawBox([gesture.corner.x, gesture.corner.y, x, y]);
    }
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
      if (pixel) this.#click(pixel, other);
    } else if (gesture?.kind === "box") {
      const { x, y } = this.#pixel(event, true);
      this.#tell("box", { box: [gesture.corner.x, gesture.corner.y, x, y] });
    }
  }

  #cancel(event) {
    this.#pointers.delete(event.pointerId);
    this.#gesture = null;
  }

  #longPress(start) {
    if (this.#gesture?.start !== start || this.#gesture.kind !== "tap") return; // lifted or moved meanwhile
    this.#gesture = null;
    const pixel = this.#pixel(start);
    if (pixel) this.#click(pixel, true);
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
    if (this.#corner) this.#drawBox([this.#corner.x, this.#corner.y, this.#crosshair.x, this.#crosshair.y]);
    this.#tell("move", this.#crosshair);
  }

  #hideCrosshair() {
    if (this.#corner) this.#drawBox(this.#box);
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
      this.#drawBox([x, y, x, y]);
    }
  }
}
