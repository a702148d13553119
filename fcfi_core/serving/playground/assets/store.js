// What this browser remembers: clicks by photo, and the photos opened last. Nothing of it goes to the server.
//
// A browser may refuse to remember (private windows, a full disk); the page then works without.

const SCENES = 100; // photos whose clicks are kept
const PHOTOS = 6; // photos kept themselves
const PREFIX = "fcfi:scene:";

const quietly = (action) => {
  try {
    return action();
  } catch {
    return null;
  }
};

export function sceneOf(digest) {
  return quietly(() => JSON.parse(localStorage.getItem(PREFIX + digest)));
}

// Returns whether it could be kept.
export function keepScene(digest, scene) {
  const known = (quietly(() => JSON.parse(localStorage.getItem("fcfi:scenes"))) ?? []).filter((one) => one !== digest);
  known.push(digest);
  while (known.length > SCENES) quietly(() => localStorage.removeItem(PREFIX + known.shift()));
  return (
    quietly(() => {
      localStorage.setItem(PREFIX + digest, JSON.stringify(scene));
      localStorage.setItem("fcfi:scenes", JSON.stringify(known));
      return true;
    }) ?? false
  );
}

export const lastPhoto = () => quietly(() => JSON.parse(localStorage.getItem("fcfi:last")));

export const setting = (name) => quietly(() => localStorage.getItem(`fcfi:${name}`));
export const keepSetting = (name, value) => quietly(() => localStorage.setItem(`fcfi:${name}`, value));

export function forget() {
  for (const key of Object.keys(localStorage)) if (key.startsWith("fcfi:")) localStorage.removeItem(key);
  return inPhotos("readwrite", (photos) => photos.clear());
}

// ---- photos: {digest, name, file, small, time}; `small` is a picture of it, or null

const inPhotos = (mode, action) =>
  new Promise((resolve) => {
    const opening = quietly(() => indexedDB.open("fcfi", 1));
    if (!opening) return resolve(null);
    opening.onupgradeneeded = () => opening.result.createObjectStore("photos", { keyPath: "digest" });
    opening.onerror = () => resolve(null);
    opening.onsuccess = () => {
      const database = opening.result;
      const transaction = database.transaction("photos", mode);
      const request = action(transaction.objectStore("photos"));
      transaction.oncomplete = () => (database.close(), resolve(request?.result ?? null));
      transaction.onerror = transaction.onabort = () => (database.close(), resolve(null));
    };
  });

export const photoOf = (digest) => inPhotos("readonly", (photos) => photos.get(digest));

// Newest first.
export async function photosKept() {
  const all = (await inPhotos("readonly", (photos) => photos.getAll())) ?? [];
  return all.sort((one, other) => other.time - one.time);
}

export async function keepPhoto(digest, name, file, small) {
  quietly(() => localStorage.setItem("fcfi:last", JSON.stringify({ digest, name })));
  await inPhotos("readwrite", (photos) => photos.put({ digest, name, file, small, time: Date.now() }));
  for (const old of (await photosKept()).slice(PHOTOS)) await inPhotos("readwrite", (photos) => photos.delete(old.digest));
}
