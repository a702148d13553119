// Masks as the server takes them: COCO's run lengths, down the columns, beginning outside.

const FINEST = 1024; // longer side of the canvas that strokes are painted on, pixels

// `inside(x, y)` tells of each pixel; returns null where none is inside.
function encode(width, height, inside) {
  const counts = [];
  let run = 0;
  let within = false;
  for (let x = 0; x < width; x += 1) {
    for (let y = 0; y < height; y += 1) {
      if (inside(x, y) !== within) {
        counts.push(run);
        run = 0;
        within = !within;
      }
      run += 1;
    }
  }
  counts.push(run);
  return counts.length > 1 ? { size: [height, width], counts } : null;
}

function canvasOf(width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  return [canvas, canvas.getContext("2d", { willReadFrequently: true })];
}

// The mask in a picture file: object where it is visible and not black.
export async function maskOfFile(file, width, height) {
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name} is no picture that this browser can read; give the mask as a PNG file.`);
  }
  if (picture.width !== width || picture.height !== height) {
    throw new Error(
      `${file.name} has ${picture.width} × ${picture.height} pixels, the photo ${width} × ${height}; a mask must have the photo's size.`,
    );
  }
  const [, context] = canvasOf(width, height);
  context.drawImage(picture, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const mask = encode(width, height, (x, y) => {
    const at = 4 * (y * width + x);
    return data[at + 3] > 0 && data[at] + data[at + 1] + data[at + 2] > 0;
  });
  if (!mask) throw new Error(`${file.name} is black everywhere; a mask is white where the object is.`);
  return mask;
}

// A mask that is painted: strokes on a canvas over the photo.
export class Painting {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
  }

  // Begins with `mask`, or with nothing.
  begin(width, height, mask) {
    const scale = Math.min(1, FINEST / Math.max(width, height));
    Object.assign(this, { width, height });
    this.canvas.width = Math.max(1, Math.round(width * scale));
    this.canvas.height = Math.max(1, Math.round(height * scale));
    if (mask && Array.isArray(mask.counts)) this.#draw(mask.counts);
  }

  #draw(counts) {
    const { width, height } = this.canvas;
    const pixels = this.context.createImageData(width, height);
    let end = counts[0] ?? 0;
    let run = 0;
    for (let x = 0; x < width; x += 1) {
      for (let y = 0; y < height; y += 1) {
        const column = Math.floor(((x + 0.5) * this.width) / width);
        const place = column * this.height + Math.floor(((y + 0.5) * this.height) / height);
        while (place >= end && run < counts.length - 1) end += counts[(run += 1)];
        if (run % 2) pixels.data[4 * (y * width + x) + 3] = 255;
      }
    }
    this.context.putImageData(pixels, 0, 0);
  }

  // From one pixel of the photo to another; `breadth` in pixels of the photo.
  stroke(from, to, breadth, erases) {
    const scale = this.canvas.width / this.width;
    const { context } = this;
    context.globalCompositeOperation = erases ? "destination-out" : "source-over";
    context.lineWidth = breadth * scale;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo((from.x + 0.5) * scale, (from.y + 0.5) * scale);
    context.lineTo((to.x + 0.5) * scale, (to.y + 0.5) * scale + 0.01); // a dot where both are one
    context.stroke();
  }

  // What was painted, or null.
  get mask() {
    const { width, height } = this.canvas;
    const { data } = this.context.getImageData(0, 0, width, height);
    const across = width / this.width;
    const down = height / this.height;
    return encode(this.width, this.height, (x, y) => {
      const column = Math.min(Math.floor((x + 0.5) * across), width - 1);
      const row = Math.min(Math.floor((y + 0.5) * down), height - 1);
      return data[4 * (row * width + column) + 3] > 127;
    });
  }
}
