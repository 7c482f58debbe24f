// The form of one step, trigger or campaign: fetched from the server, read back by it as the marketer types.
import { el, icon } from "./dom.js";
import { stable } from "./graph.js";
import { RETRY, post } from "./saving.js";

const PAUSE = 350; // milliseconds after the last key
const ENTRY = ["already", "filter", "most_per_day", "key"]; // what every trigger has beside its own settings
const GOVERNING = ["zone", "topic", "audience", "audience_mode", "re_entry", "exits", "on_unsubscribe", "priority"];

export class SettingsForm {
  constructor({ designer, urls, id, what }) {
    Object.assign(this, { designer, urls, id, what });
    this.root = el("form", { class: "panel-form", id: "settings-form", novalidate: true, "aria-label": "Settings", onsubmit: (event) => event.preventDefault() });
    for (const name of ["input", "change"]) this.root.addEventListener(name, (event) => this.changed(event));
    this.root.addEventListener("click", (event) => this.clicked(event));
    this.root.addEventListener("rule-changed", (event) => {
      this.sent = null; // htmx settles before it tells, so the snapshot below already holds the new rule
      this.changed(event);
    });
    this.root.addEventListener("htmx:after:settle", () => this.timer || (this.sent = this.snapshot())); // a rule drew itself
  }

  get settings() {
    if (this.what !== "campaign") return this.designer.find(this.id)?.settings;
    return Object.fromEntries(GOVERNING.map((name) => [name, this.designer.flow[name]]));
  }

  /** What every trigger has beside its settings; nothing for steps. */
  get entry() {
    const item = this.what === "trigger" ? this.designer.find(this.id) : null;
    return item ? Object.fromEntries(ENTRY.map((name) => [name, item[name] ?? null])) : null;
  }

  /** Settings and entry as one text, to see whether they changed elsewhere. */
  whole(settings = this.settings) {
    return stable([settings, this.entry]);
  }

  values() {
    const item = this.designer.find(this.id);
    return { what: this.what, kind: item?.kind ?? "", id: this.id, already: item?.already ? "1" : "", entry: JSON.stringify(this.entry ?? {}) };
  }

  async load(settings = this.settings) {
    this.loaded = this.whole(settings);
    this.sent = this.snapshot();
    await window.htmx.ajax("POST", this.urls.form, { source: this.root, target: this.root, swap: "innerHTML", values: { ...this.values(), settings: JSON.stringify(settings) } });
    this.showDependent();
    this.sent = this.snapshot();
    if (!this.designer.mayEdit) this.root.querySelectorAll("input, select, textarea, button").forEach((field) => (field.disabled = true));
  }

  /** What is typed, without the inner inputs of rules: those speak up by "rule-changed". */
  snapshot() {
    const typed = [...new FormData(this.root)].filter(([name]) => !name.includes("|") && !name.startsWith("rule_"));
    return new URLSearchParams(typed).toString();
  }

  /** The flow changed elsewhere (undo, another tab): draw the form again unless it is what is being typed. */
  follow() {
    if (this.whole() !== this.loaded && !this.isUnread) this.load();
  }

  /** Whether something typed here is not in the flow yet: then it must not be drawn over. */
  get isUnread() {
    return this.designer.unread.has(this);
  }

  changed(event) {
    if (event.target.name?.includes("|")) return; // inside a rule, which says itself when it has changed
    if (event.type === "input") this.giveTheRest(event.target);
    this.showDependent();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.read(), PAUSE);
  }

  /** Of two shares the other is what is left; of more the marketer says which. */
  giveTheRest(field) {
    const both = [...this.root.querySelectorAll('.setting-share input[type="number"]')];
    if (both.length !== 2 || !both.includes(field) || !field.value || !field.validity.valid) return;
    both.find((other) => other !== field).value = String(Math.round((100 - field.valueAsNumber) * 100) / 100);
  }

  /** Fields that matter only for another field's value are hidden otherwise. */
  showDependent() {
    for (const part of this.root.querySelectorAll("[data-shown-if]")) {
      const [name, value] = part.dataset.shownIf.split("=");
      const field = this.root.elements.namedItem(name);
      const set = field?.type === "checkbox" ? (field.checked ? field.value : "") : field?.value;
      const isAsked = value === "*" ? Boolean(set) : value.startsWith("!") ? set !== value.slice(1) : set === value;
      part.hidden = Boolean(field) && (!isAsked || Boolean(field.closest?.("[data-setting]")?.hidden));
    }
  }

  clicked(event) {
    const button = event.target.closest("button[name=_act]");
    if (button) this.read(button.value);
    if (event.target.closest("[data-elsewhere]")) addEventListener("focus", () => this.root.isConnected && !this.isUnread && this.load(), { once: true }); // back with what was made there
  }

  /** Let the server make settings of the form; `act` adds or removes a row ("add arms", "remove arms 1"). */
  async read(act = this.act ?? "") {
    clearTimeout(this.timer);
    this.timer = 0;
    const body = new FormData(this.root);
    const typed = this.snapshot();
    if (!act && typed === this.sent) return;
    this.sent = typed;
    for (const [name, value] of Object.entries(this.values())) body.set(`_${name}`, value);
    body.set("_act", act);
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const answer = await post(this.urls.settings, body);
    if (turn !== this.turn && !act) return; // more was typed meanwhile, and that answer counts
    if (this.what !== "campaign" && !this.designer.find(this.id)) return; // deleted meanwhile
    if (!answer.ok) return this.again(answer, act);
    this.designer.unread.delete(this);
    this.act = "";
    await this.take(answer.data, Boolean(act));
    this.designer.emit("unread");
    if (act) this.goOn(act);
  }

  /** The step is deleted, and what was typed with it. */
  forget() {
    clearTimeout(this.timer);
    this.designer.unread.delete(this);
  }

  /** What is typed or pressed is kept and tried again, also when another step has been chosen meanwhile. */
  again(answer, act) {
    this.sent = null;
    this.act = act || this.act;
    this.designer.unread.add(this);
    this.designer.emit("unread", answer);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.read(), RETRY);
  }

  /** The button that was pressed has been drawn anew: go on in the row it added, or at the end of the list. */
  goOn(act) {
    const [verb, name] = act.split(" ");
    const adder = this.root.querySelector(`button[name=_act][value^="add ${CSS.escape(name)}"]`);
    const rows = adder?.closest(".setting-rows")?.querySelectorAll(".setting-row, .setting-share") ?? [];
    const added = verb === "add" ? rows[rows.length - 1]?.querySelector("input:not([type=hidden]), select") : null;
    (added ?? adder)?.focus();
  }

  take({ settings, look, complaints, entry }, isRedrawn) {
    this.complain(complaints);
    this.loaded = stable([settings, entry ?? null]);
    if (this.what === "campaign") this.designer.govern(settings);
    else {
      if (entry && stable(entry) !== stable(this.entry)) {
        this.loaded = stable([this.settings, entry]); // the panel follows after each of the two changes
        this.designer.describe(this.id, entry);
        this.loaded = stable([settings, entry]);
      }
      this.designer.configure(this.id, settings, look);
    }
    this.loaded = this.whole();
    return isRedrawn ? this.load(settings) : null;
  }

  complain(complaints) {
    this.root.querySelectorAll(".field-error").forEach((note) => note.remove());
    for (const field of this.root.querySelectorAll("[aria-invalid]")) {
      field.removeAttribute("aria-invalid");
      field.classList.remove("is-invalid"); // as the server drew it
    }
    for (const { at, sentence } of complaints) {
      const part = this.root.querySelector(`[data-setting="${CSS.escape(at)}"]`);
      if (!part) continue;
      part.append(el("div", { class: "field-error", "data-live": "" }, icon("alert-circle"), sentence));
      const field = part.querySelector("input:not([type=hidden]), select, textarea");
      field?.setAttribute("aria-invalid", "true");
      field?.classList.add("is-invalid");
    }
  }
}
