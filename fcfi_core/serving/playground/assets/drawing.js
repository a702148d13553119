// What lies over the photo: masks and outlines of all objects, the dots of the active one, its box, the place where an
// answer would help most. Everything is placed in fractions of the sheet, so zooming only resizes it.

export const COLOURS = ["#7c4dff", "#0891b2", "#e8710a", "#d6336c", "#3b82f6", "#7a9a01", "#a855f7", "#8d6e63"];

export const colourOf = (id) => COLOURS[(id - 1) % COLOURS.length];

const svg = (name) => document.createElementNS("http://www.w3.org/2000/svg", name);
const ring = (points) => `M${points.map(([x, y]) => `${x} ${y}`).join("L")}Z`;
const outline = ({ polygons }) => polygons.map((part) => [part.exterior, ...part.holes].map(ring).join("")).join("");

export class Drawing {
  #size = null;

  constructor(sheet) {
    const part = (id) => sheet.querySelector(`#${id}`);
    this.masks = part("masks");
    this.lines = part("lines");
    this.contours = part("contours");
    this.dots = part("dots");
    this.boxes = [part("box"), part("box-over")];
    this.mark = part("suggestion");
    this.glimpse = part("glimpse");
  }

  begin(width, height) {
    this.#size = { width, height };
    this.lines.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.drawMasks([]);
    this.drawPrompt({ clicks: [], box: null });
    this.drawSuggestion(null);
    this.drawGlimpse(null);
  }

  // `shapes`: {id, mask, polygons, active}. The old masks stay until the new ones can be painted.
  async drawMasks(shapes) {
    await Promise.all(
      shapes.map(({ mask }) => {
        const picture = new Image();
        picture.src = mask;
        return picture.decode();
      }),
    );
    const drawn = shapes.map(({ id, mask, active }) => {
      const element = document.createElement("i");
      element.className = active ? "active" : "";
      element.dataset.object = id;
      element.style.background = colourOf(id);
      element.style.maskImage = element.style.webkitMaskImage = `url(${mask})`;
      return element;
    });
    const contours = shapes
      .toSorted((one, other) => one.active - other.active)
      .flatMap((shape) => (shape.active ? [this.#path(shape, "under"), this.#path(shape, "active")] : [this.#path(shape, "")]));
    this.masks.replaceChildren(...drawn);
    this.contours.replaceChildren(...contours);
  }

  // What a click would select: a mask of a part of the photo, in shares of its sides.
  drawGlimpse(glimpse, colour = "") {
    this.glimpse.hidden = glimpse === null;
    if (!glimpse) return;
    const [left, top, right, bottom] = glimpse.region.map((share) => 100 * share);
    Object.assign(this.glimpse.style, {
      left: `${left}%`,
      top: `${top}%`,
      width: `${right - left}%`,
      height: `${bottom - top}%`,
      background: colour,
      maskImage: `url(${glimpse.mask})`,
      webkitMaskImage: `url(${glimpse.mask})`,
    });
  }

  #path(shape, kind) {
    const path = svg("path");
    path.setAttribute("d", outline(shape));
    path.setAttribute("class", kind);
    path.style.setProperty("--colour", colourOf(shape.id));
    return path;
  }

  drawPrompt({ clicks, box }, implied = null) {
    const dots = clicks.map((click, index) => this.#dot(click, index === clicks.length - 1 ? "last" : ""));
    if (implied) dots.push(this.#dot(implied, "implied"));
    this.dots.replaceChildren(...dots);
    this.drawBox(box);
  }

  #dot(click, kind) {
    const dot = document.createElement("i");
    dot.className = `dot ${click.positive ? "positive" : "negative"} ${kind}`;
    this.#place(dot, click);
    return dot;
  }

  moveDot(index, pixel) {
    this.#place(this.dots.children[index], pixel);
  }

  #place(element, { x, y }) {
    element.style.left = `${((x + 0.5) / this.#size.width) * 100}%`;
    element.style.top = `${((y + 0.5) / this.#size.height) * 100}%`;
  }

  drawBox(box) {
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

  drawSuggestion(suggestion) {
    this.mark.hidden = suggestion === null;
    if (suggestion) this.#place(this.mark, suggestion);
  }
}
