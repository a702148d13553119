// How photos come in: chosen, dropped, pasted, or as a link dragged here from another page.

const READABLE = /^(https?|data|blob):$/;
const QUIETLY = { credentials: "omit", referrerPolicy: "no-referrer" };
const PICTURES = /\.(jpe?g|png|webp|gif|bmp|tiff?|avif|hei[cf])$/i;

// Calls `open(file, name)` for each photo, and `complain(error)` where a link leads to none.
export function takePhotos(chooser, open, complain) {
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
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    const [file] = event.dataTransfer.files;
    if (file) return open(file, file.name);
    const link = linkIn(event.dataTransfer);
    if (!link) return complain(new Error("What was dropped is no picture; drop a file, or a picture from another page."));
    try {
      const { content, name } = await fetched(link);
      open(content, name);
    } catch (error) {
      complain(error);
    }
  });
  document.addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (file) open(file, file.name || "pasted.png");
  });
}

// The address of the picture in what was dropped; of a picture inside a link that of the picture.
function linkIn(transfer) {
  const page = new DOMParser().parseFromString(transfer.getData("text/html"), "text/html");
  const address = page.querySelector("img[src]")?.getAttribute("src") ?? transfer.getData("text/uri-list").split(/\r?\n/).find((line) => line && !line.startsWith("#"));
  return address && URL.canParse(address) ? new URL(address) : null;
}

// Whether anybody answers at an address; what they answer, the browser tells no page.
const answers = (link) => fetch(link, { ...QUIETLY, method: "HEAD", mode: "no-cors" }).then(() => true, () => false);

async function fetched(link) {
  const name = decodeURIComponent(link.pathname.split("/").at(-1)) || "picture";
  if (!READABLE.test(link.protocol)) {
    throw new Error(`A link that begins with ${link.protocol} cannot be read by a page; drop the file of ${name} itself here.`);
  }
  const shown = link.protocol === "data:" ? "The picture" : link.host;
  let answer;
  try {
    answer = await fetch(link, QUIETLY);
  } catch {
    const reason = (await answers(link)) ? "does not hand its pictures to other pages" : "cannot be reached from this browser";
    throw new Error(`${shown} ${reason}; save ${name} there, and drop the file here.`);
  }
  const content = answer.ok ? await answer.blob() : null;
  if (!content) throw new Error(`${shown} answered with status ${answer.status}; save ${name} there, and drop the file here.`);
  if (!content.type.startsWith("image/") && !PICTURES.test(name)) {
    throw new Error(`The link to ${name} on ${shown} leads to no picture; drop the picture itself.`);
  }
  return { content, name: link.protocol === "data:" ? "picture.png" : name };
}
