// The menu behind every "+": what can be added here, found by typing, walked by arrow keys.
import { el, icon, placeNear, tile } from "./dom.js";

/** How near an entry is to what was typed: it begins so, a word of it does, it holds it, its group does, or not at all. */
function rank({ label, group }, wanted) {
  const at = ` ${label.toLowerCase()}`;
  return [at.startsWith(` ${wanted}`), at.includes(` ${wanted}`), at.includes(wanted), (group ?? "").toLowerCase().includes(wanted), true].indexOf(true);
}

/** One popover for the whole page. `open({at, title, entries})`; an entry: {group, label, icon, tone, hint, run}. */
export class Menu {
  constructor() {
    this.search = el("input", { type: "text", class: "form-control", placeholder: "Find…", "aria-label": "Find in this list", autocomplete: "off" });
    this.title = el("h2", { class: "add-menu-title", id: "add-menu-title" });
    this.list = el("div", { class: "add-menu-list" });
    this.root = el("div", { id: "add-menu", class: "add-menu", popover: "auto", role: "dialog", "aria-labelledby": "add-menu-title" }, this.title, this.search, this.list);
    document.body.append(this.root);
    this.search.addEventListener("input", () => this.fill());
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.root.addEventListener("toggle", (event) => event.newState === "closed" && this.closed());
  }

  open({ at, title, entries, back }) {
    Object.assign(this, { entries, back });
    this.title.textContent = title;
    this.search.value = "";
    this.search.hidden = entries.length < 8;
    this.fill();
    this.root.showPopover();
    placeNear(this.root, { left: at.right + 8, top: at.top - 40 });
    (this.search.hidden ? this.items[0] : this.search).focus();
  }

  get items() {
    return [...this.list.querySelectorAll("button")];
  }

  fill() {
    const wanted = this.search.value.trim().toLowerCase();
    const found = this.entries.map((entry) => [rank(entry, wanted), entry]).filter(([at]) => at < 4).sort(([a], [b]) => a - b).map(([, entry]) => entry);
    const groups = [...new Set(found.map((entry) => entry.group))];
    const nodes = groups.flatMap((group) => [
      group ? el("div", { class: "palette-heading" }, group) : null,
      ...found.filter((entry) => entry.group === group).map((entry) => this.item(entry)),
    ]);
    this.list.replaceChildren(...nodes.filter(Boolean));
    if (!found.length) this.list.append(el("p", { class: "text-secondary m-2" }, "Nothing is called that."));
  }

  item(entry) {
    const mark = entry.tone ? tile(entry.icon, entry.tone) : icon(entry.icon);
    return el("button", { type: "button", class: "palette-item", title: entry.hint, onclick: () => this.pick(entry) }, mark, el("span", {}, entry.label));
  }

  pick(entry) {
    this.picked = true;
    this.root.hidePopover();
    entry.run();
  }

  closed() {
    if (!this.picked) this.back?.focus();
    this.picked = false;
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Enter" && event.target === this.search && this.items.length) {
      event.preventDefault();
      return this.items[0].click();
    }
    if (!step) return;
    event.preventDefault();
    const items = this.search.hidden ? this.items : [this.search, ...this.items];
    items[(items.indexOf(document.activeElement) + step + items.length) % items.length]?.focus();
  }
}
