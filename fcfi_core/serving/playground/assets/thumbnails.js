// Small pictures to press: sample photos, photos opened before, answers to choose from.

const LONGEST = 240; // side of a small copy, pixels

export function pictureButton(source, title, action) {
  const button = Object.assign(document.createElement("button"), { type: "button", title, onclick: action });
  button.setAttribute("aria-label", title);
  const picture = Object.assign(new Image(), { src: source, alt: "" });
  picture.onerror = () => button.replaceChildren(title.split(": ").at(-1)); // a kind that the browser cannot show
  button.append(picture);
  return button;
}

// One of several answers: its mask on the photo, and the key that chooses it.
export function choiceButton({ mask, given }, key, source, share, colour, action) {
  const button = pictureButton(source, `Key ${key}`, action);
  button.setAttribute("aria-label", `Answer ${key}: ${(100 * share).toFixed(1)} % of the photo`);
  button.setAttribute("aria-pressed", String(given));
  const stencil = document.createElement("i");
  stencil.style.maskImage = stencil.style.webkitMaskImage = `url("${mask}")`;
  stencil.style.background = colour;
  button.append(stencil, Object.assign(document.createElement("kbd"), { textContent: key }));
  return button;
}

// A small JPEG of a picture on the page, so that photos which the browser cannot show by itself have one too, and
// large ones need not be decoded for it; null where the browser cannot make one.
export async function smallCopy(picture) {
  try {
    await picture.decode();
    const scale = Math.min(1, LONGEST / Math.max(picture.naturalWidth, picture.naturalHeight));
    const side = (length) => Math.max(1, Math.round(length * scale));
    const canvas = Object.assign(document.createElement("canvas"), {
      width: side(picture.naturalWidth),
      height: side(picture.naturalHeight),
    });
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    return await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.8));
  } catch {
    return null;
  }
}
