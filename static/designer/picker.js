// Choosing a step from a list: to let a path go on there, or to jump to it on the canvas.
import { el, spoken, tile } from "./dom.js";
import { edgeOf } from "./graph.js";
import { whences } from "./whence.js";

export class Picker {
  constructor(designer, canvas) {
    Object.assign(this, { designer, canvas });
    this.search = el("input", { type: "search", class: "form-control", "aria-label": "Find a step", placeholder: "Name, kind or note", autocomplete: "off" });
    this.title = el("h2", { class: "dialog-title", id: "picker-title" });
    this.list = el("div", { class: "picker-list" });
    this.root = el("dialog", { class: "dialog", id: "step-picker", "aria-labelledby": "picker-title" }, el("div", { class: "dialog-head" }, this.title), el("div", { class: "dialog-body" }, this.search, this.list));
    document.body.append(this.root);
    this.search.addEventListener("input", () => this.fill());
    this.root.addEventListener("keydown", (event) => this.key(event));
  }

  /** Let the path `edge` go on at a step that is there already: a join, or a loop. */
  goTo(edge) {
    const { from, to } = edgeOf(this.designer.flow, edge);
    const steps = this.designer.flow.steps.filter((step) => step.id !== to && step.id !== from);
    this.open("Let this path go on at…", steps, (id) => {
      this.designer.connect(edge, id);
      this.canvas.focus(from);
    });
  }

  /** Where steps are to go: behind a trigger, which means first, or behind a step that goes on. */
  moveBehind(ids, run) {
    const { flow } = this.designer;
    const steps = flow.steps.filter((step) => !ids.includes(step.id) && Object.keys(step.next).length);
    this.open(ids.length === 1 ? "Move it behind…" : `Move ${ids.length} steps behind…`, [...flow.triggers.slice(0, 1), ...steps], run);
  }

  jump() {
    this.open("Jump to a step", [...this.designer.flow.triggers, ...this.designer.flow.steps], (id) => {
      this.designer.choose(id);
      this.canvas.focus(id);
    });
  }

  open(title, items, run) {
    Object.assign(this, { items, run });
    this.title.textContent = title;
    this.search.value = "";
    this.fill();
    this.root.showModal();
    this.search.focus();
  }

  fill() {
    const { designer } = this;
    const whence = whences(designer);
    const wanted = this.search.value.trim().toLowerCase();
    const words = (item) => `${designer.typeOf(item).label} ${designer.titleOf(item)} ${whence.get(item.id) ?? ""} ${item.note ?? ""}`.toLowerCase();
    const found = this.items.filter((item) => words(item).includes(wanted));
    const rows = found.map((item) => {
      const type = designer.typeOf(item);
      const pick = () => (this.root.close(), this.run(item.id));
      return el("button", { type: "button", class: "palette-item", onclick: pick }, tile(type.icon, type.tone), el("span", {}, el("small", {}, type.label, spoken(": ")), el("b", {}, designer.titleOf(item)), whence.has(item.id) ? el("small", {}, spoken(", "), whence.get(item.id)) : null));
    });
    this.list.replaceChildren(...(rows.length ? rows : [el("p", { class: "text-secondary mt-3" }, "No step is called that.")]));
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const items = [this.search, ...this.list.querySelectorAll("button")];
    if (event.key === "Enter" && event.target === this.search && items[1]) {
      event.preventDefault();
      items[1].click();
    }
    if (!step) return;
    event.preventDefault();
    items[(items.indexOf(document.activeElement) + step + items.length) % items.length].focus();
  }
}
