// The server, as the page sees it. Every address is relative to this module, so that the page also works below
// a path prefix.

const root = new URL("..", import.meta.url);

export function address(path) {
  return new URL(path, root).href;
}

const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

// A busy server (also one that is still loading its model) says when to come back, and is asked again.
async function call(path, options = {}, patience = 60) {
  let answer;
  try {
    answer = await fetch(address(path), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is it still running?");
  }
  if (answer.ok) return answer;
  const seconds = Number(answer.headers.get("Retry-After"));
  if (answer.status === 503 && seconds > 0 && patience > 0) {
    await pause(seconds);
    options.signal?.throwIfAborted();
    return call(path, options, patience - 1);
  }
  let sentence = `The server answered with status ${answer.status}.`;
  try {
    sentence = (await answer.json()).error ?? sentence;
  } catch (error) {
    if (error.name === "AbortError") throw error;
  }
  throw Object.assign(new Error(sentence), { status: answer.status });
}

export async function model() {
  return (await call("model")).json();
}

// One photo on the server, known by the digest of its content. The server forgets photos after a while and when it
// restarts; the photo is then sent again, unnoticed.
export class Photo {
  constructor(file, name) {
    this.file = file;
    this.name = name;
  }

  async upload(signal) {
    const answer = await call("images", {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: this.file,
      signal,
    });
    Object.assign(this, await answer.json()); // image, width, height, notes
    return this;
  }

  async mask(prompt, signal) {
    return (await this.#post("mask", prompt, signal)).json();
  }

  // What a click would select, roughly: {busy, glimpse}; a busy server has better things to do.
  async hover(prompt, signal) {
    return (await this.#post("hover", prompt, signal)).json();
  }

  async candidates(prompt, signal) {
    return (await this.#post("candidates", prompt, signal)).json();
  }

  // The masks of several objects, so that none overlaps another.
  async scene(objects, signal) {
    return (await this.#post("scene", { objects }, signal)).json();
  }

  async download(objects, format) {
    return (await this.#post("file", { objects, format, name: this.name })).blob();
  }

  async #post(action, body, signal) {
    const send = () =>
      call(`images/${this.image}/${action}`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
        signal,
      });
    try {
      return await send();
    } catch (error) {
      if (error.status !== 404) throw error;
      await this.upload(signal);
      return send();
    }
  }
}
