// The list of objects: one row each, with colour, label, share of the photo, and a cross to remove it.

import { colourOf } from "./drawing.js";
import { asks } from "./scene.js";

const make = (kind, fields = {}, ...children) => {
  const element = Object.assign(document.createElement(kind), fields);
  element.append(...children);
  return element;
};

export class ObjectList extends EventTarget {
  // Events: "select" {id}, "name" {id, label}, "remove" {id}.

  constructor(list, labels) {
    super();
    this.list = list;
    this.labels = labels; // a <datalist> of the labels used so far
  }

  // `areaOf(id)` is the share of the photo, or null where no mask is known.
  show(scene, areaOf) {
    const rows = scene.objects.map((one, index) => this.#row(one, index + 1, one.id === scene.active.id, areaOf(one.id)));
    const focused = this.list.contains(document.activeElement) ? document.activeElement : null;
    const { value, selectionStart, selectionEnd } = focused ?? {};
    this.replacing = true;
    this.list.replaceChildren(...rows);
    const again = focused && this.list.querySelector(`[data-focus="${focused.dataset.focus}"]`);
    again?.focus();
    if (again?.matches("input")) {
      again.value = value; // somebody is typing
      again.setSelectionRange(selectionStart, selectionEnd);
    }
    this.replacing = false;
    this.list.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
    const names = [...new Set(scene.objects.map(({ label }) => label).filter(Boolean))];
    this.labels.replaceChildren(...names.map((value) => make("option", { value })));
  }

  #row(one, number, active, area) {
    const tell = (name, detail = {}) => this.dispatchEvent(new CustomEvent(name, { detail: { id: one.id, ...detail } }));
    const swatch = make("button", { type: "button", className: "swatch", title: `Object ${number}`, onclick: () => tell("select") });
    swatch.style.setProperty("--colour", colourOf(one.id));
    swatch.setAttribute("aria-label", `Work on object ${number}${one.label ? `, ${one.label}` : ""}`);
    swatch.dataset.focus = `swatch-${one.id}`;
    const label = make("input", { type: "text", value: one.label, placeholder: `object ${number}`, maxLength: 80, autocomplete: "off" });
    label.setAttribute("list", this.labels.id);
    label.setAttribute("aria-label", `Label of object ${number}`);
    label.dataset.focus = `label-${one.id}`;
    label.onfocus = () => {
      if (this.replacing) return;
      if (!active) tell("select");
      label.select();
    };
    let told = one.label;
    label.onchange = label.onblur = () => {
      if (this.replacing || label.value.trim() === told) return;
      told = label.value.trim();
      tell("name", { label: told });
    };
    label.onkeydown = ({ key }) => {
      if (key === "Enter" || key === "Escape") label.blur();
    };
    const share = make("span", { className: "share", textContent: area === null ? (asks(one) ? "…" : "empty") : `${(100 * area).toFixed(1)} %` });
    const cross = make("button", { type: "button", className: "plain cross", textContent: "✕", title: "Remove this object", onclick: () => tell("remove") });
    cross.setAttribute("aria-label", `Remove object ${number}`);
    const row = make("li", {}, swatch, label, share, cross);
    row.dataset.object = one.id;
    if (active) row.setAttribute("aria-current", "true");
    return row;
  }
}
