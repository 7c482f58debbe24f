// The settings of what is chosen: name, figures, the form drawn by the server from the kind's declaration, paths, note.
import { counted, el, icon, number, spoken, tile } from "./dom.js";
import { accepting } from "./problems.js";
import { SettingsForm } from "./settings_form.js";

const OVERLAID = "(max-width: 991.98px)"; // there the panel lies over the canvas

export class Panel {
  constructor(root, { designer, canvas, picker, urls }) {
    Object.assign(this, { root, designer, canvas, picker, urls });
    this.shown = null;
    designer.addEventListener("choose", () => this.show());
    designer.addEventListener("change", () => this.refresh());
    designer.addEventListener("looks", () => this.refresh());
    designer.addEventListener("figures", () => this.refresh());
    designer.addEventListener("toured", () => designer.chosen.length || this.showNothing());
    this.show();
  }

  focus(id = "") {
    const field = document.getElementById(id) ?? this.root.querySelector("input:not([type=hidden], :disabled), select:enabled, textarea:enabled");
    (field ?? this.root.querySelector("button:enabled:not(.panel-close)"))?.focus();
  }

  show() {
    const { designer } = this;
    const ids = designer.chosen;
    document.body.classList.toggle("is-panel-open", ids.length > 0);
    this.canvas.view.covered = ids.length && matchMedia(OVERLAID).matches ? this.root.offsetWidth : 0;
    if (this.canvas.view.covered) this.canvas.reveal(ids[0]);
    if (ids.length === 1 && ids[0] === "campaign") return this.showCampaign();
    if (ids.length > 1) return this.showSeveral();
    const item = designer.find(ids[0]);
    if (!item) return this.showNothing();
    this.shown = item.id;
    this.parts = { head: el("div"), paths: el("div"), problems: el("div", { class: "panel-problems" }) }; // below, so that no field moves when they come and go
    this.form = this.formOf(item.id, designer.isTrigger(item.id) ? "trigger" : "step");
    this.root.replaceChildren(this.parts.head, this.nameField(item), this.form.root, this.parts.paths, this.noteField(item), this.foot(item));
    this.refresh();
  }

  /** The form of something; the one that holds what was typed there, if the server could not read that yet. */
  formOf(id, what) {
    const { designer, urls } = this;
    return [...designer.unread].find((form) => form.id === id) ?? new SettingsForm({ designer, urls, id, what });
  }

  /** What changes while the marketer types elsewhere; the form keeps its focus. */
  refresh() {
    const item = this.shown && this.designer.find(this.shown);
    if (!item) return;
    this.parts.head.replaceChildren(this.head(item), ...this.figures(item));
    this.parts.problems.replaceChildren(...this.problems(item));
    const within = this.parts.paths.contains(document.activeElement) ? document.activeElement.dataset.path : null;
    this.parts.paths.replaceChildren(...this.paths(item));
    if (within) this.parts.paths.querySelector(`[data-path="${CSS.escape(within)}"]`)?.focus();
    this.form.follow(item);
    this.follow("panel-name", item.name ?? "");
    this.follow("panel-note", item.note ?? "");
  }

  follow(id, value) {
    const field = document.getElementById(id);
    if (field && document.activeElement !== field) field.value = value;
  }

  head(item) {
    const type = this.designer.typeOf(item);
    const words = el("div", { class: "panel-head-text" }, el("div", { class: "flow-card-kind" }, type.label), el("h2", { class: "panel-title", id: "panel-title", title: this.designer.titleOf(item) }, this.designer.titleOf(item)));
    return el("div", { class: `panel-head tone-${type.tone}` }, tile(type.icon, type.tone, ""), words, this.closer());
  }

  /** Where the panel lies over the canvas it can be put away. */
  closer() {
    return el("button", { type: "button", class: "btn btn-icon btn-sm btn-ghost panel-close", "aria-label": "Close settings", onclick: () => this.close() }, icon("x"));
  }

  close() {
    const [id] = this.designer.chosen;
    this.designer.choose([]);
    this.canvas.button(id)?.focus({ preventScroll: true });
  }

  figures(item) {
    const own = this.designer.figuresOf(item);
    if (!own) return [];
    const rate = own.rate ?? { value: "–", label: "rate" };
    const cell = (value, label, scope) => {
      const content = [el("b", {}, value), el("span", {}, label)];
      if (!scope) return el("div", {}, content);
      return el("button", { type: "button", onclick: () => this.openLeads(item.id, scope), title: "Who they are" }, content);
    };
    const cells = [cell(number(own.entered), "entered", "entered")];
    if (!this.designer.isTrigger(item.id)) cells.push(cell(number(own.here), "here now", "here"));
    cells.push(cell(rate.value, rate.label));
    const rows = [el("div", { class: "panel-figures" }, cells)];
    if (own.mail) rows.push(this.mailFigures(own.mail));
    const ways = this.designer.isTrigger(item.id) ? null : this.ways(item, own);
    if (ways) rows.push(ways);
    return rows;
  }

  /** Which way leads left: each path with its share as a bar and in words. */
  ways(item, own) {
    const ports = this.designer.portsOf(item).filter(({ name }) => name in item.next);
    const all = ports.reduce((sum, { name }) => sum + (own.left?.[name] ?? 0), 0);
    if (!all || ports.length < 2) return null;
    const rows = ports.map(({ name, label }) => {
      const count = own.left[name] ?? 0;
      const share = Math.round((count / all) * 100);
      const bar = el("meter", { min: "0", max: "100", value: String(share), "aria-label": `${label}: ${share} %` });
      return el("li", {}, el("span", { class: "panel-way-name", title: label }, label || name), bar, el("button", { type: "button", class: "btn-link", title: "Who they are", onclick: () => this.openLeads(item.id, "left", name) }, `${number(count)} · ${share} %`));
    });
    return el("ul", { class: "panel-ways", "aria-label": "Which way leads left" }, rows);
  }

  mailFigures(mail) {
    const names = [["sent", "Sent"], ["opened", "Opened by people"], ["clicked", "Clicked"], ["bounced", "Bounced"], ["unsubscribed", "Unsubscribed by it"], ["complained", "Called it spam"], ["not_sent", "Not sent"], ["failed", "Failed"]];
    const usual = ["sent", "opened", "clicked", "not_sent"]; // the others only if there are any
    const rows = names.filter(([key]) => mail[key] || usual.includes(key)).map(([key, label]) => el("div", {}, el("dt", {}, label), el("dd", {}, number(mail[key]))));
    return el("dl", { class: "facts panel-mail" }, rows);
  }

  openLeads(step, scope, port = "") {
    const query = new URLSearchParams({ scope, port, ...this.designer.period });
    window.htmx.ajax("GET", `${this.urls.leads.replace("STEP", encodeURIComponent(step))}?${query}`, { target: "#leads-drawer", swap: "innerHTML" });
    document.getElementById("leads-dialog").showModal();
  }

  problems(item) {
    const { designer } = this;
    return designer.problemsOf(item.id).map((problem) =>
      el("div", { class: `panel-problem tone-${problem.is_warning ? "orange" : "red"}` }, icon(problem.is_warning ? "alert-triangle" : "alert-circle"), el("p", {}, problem.sentence), accepting(designer, problem)),
    );
  }

  nameField(item) {
    const placeholder = "Shown on the card; empty: by its settings";
    return this.field("panel-name", "Name", el("input", { id: "panel-name", class: "form-control", type: "text", maxlength: "200", value: item.name ?? "", placeholder, disabled: !this.designer.mayEdit, oninput: (event) => this.designer.describe(item.id, { name: event.target.value }) }));
  }

  noteField(item) {
    if (this.designer.isTrigger(item.id)) return "";
    const area = el("textarea", { id: "panel-note", class: "form-control", rows: "2", maxlength: "2000", disabled: !this.designer.mayEdit, oninput: (event) => this.designer.describe(item.id, { note: event.target.value }) }, item.note ?? "");
    return this.field("panel-note", "Note for colleagues", area);
  }

  field(id, label, input) {
    return el("div", { class: "field panel-field" }, el("label", { class: "form-label", for: id }, label), input);
  }

  /** Where each path goes on, with the means to send it elsewhere. */
  paths(item) {
    const { designer } = this;
    if (designer.isTrigger(item.id)) return [];
    const drawn = Object.entries(item.next);
    const optional = designer.portsOf(item).filter((port) => port.optional);
    if (!drawn.length && !optional.length) return [];
    const rows = drawn.map(([port, to]) => this.path(item, port, to));
    const toggles = designer.mayEdit ? optional.map((port) => this.optional(item, port)) : [];
    return [el("h3", { class: "panel-heading" }, drawn.length > 1 ? "Paths" : "Goes on at"), el("ul", { class: "panel-paths" }, rows), ...toggles];
  }

  path(item, port, to) {
    const { designer } = this;
    const target = designer.find(to);
    const label = designer.portLabel(item, port);
    const passed = designer.figures?.steps?.[item.id]?.left?.[port];
    const name = target ? designer.titleOf(target) : to;
    const row = el("li", {}, label && drawnMany(item) ? el("span", { class: "panel-path-name" }, label) : null, el("button", { type: "button", class: "btn-link panel-path-target", dataset: { path: `jump ${port}` }, "aria-label": label && drawnMany(item) ? `${label}: ${name}` : null, onclick: () => (designer.choose(to), this.canvas.reveal(to)) }, name));
    if (passed !== undefined) row.append(el("button", { type: "button", class: "btn-link panel-path-count", dataset: { path: `who ${port}` }, onclick: () => this.openLeads(item.id, "left", port) }, number(passed), spoken(` ${counted(passed, "lead")} went this way`)));
    if (designer.mayEdit) row.append(el("button", { type: "button", class: "btn btn-sm", dataset: { path: `go ${port}` }, "aria-label": `Go to… another step${label ? `: path ${label}` : ""}`, onclick: () => this.picker.goTo(`${item.id}:${port}`) }, "Go to…"));
    return row;
  }

  optional(item, port) {
    const id = `panel-port-${port.name}`;
    const box = el("input", { id, type: "checkbox", class: "form-check-input", role: "switch", dataset: { path: `toggle ${port.name}` }, onchange: () => this.designer.togglePort(item.id, port.name) });
    box.checked = port.name in item.next;
    return el("div", { class: "form-check form-switch panel-optional" }, box, el("label", { class: "form-check-label", for: id }, `Own path for “${port.label}”`));
  }

  foot(item) {
    if (!this.designer.mayEdit) return this.parts.problems;
    const buttons = [el("button", { type: "button", class: "btn btn-outline-danger btn-sm", onclick: () => this.designer.remove([item.id]) }, this.designer.isTrigger(item.id) ? "Delete trigger" : "Delete step")];
    const button = (label, title, run) => el("button", { type: "button", class: "btn btn-sm", title, onclick: run }, label);
    if (!this.designer.isTrigger(item.id)) {
      buttons.push(button("Duplicate", "Ctrl+D", () => this.designer.duplicate([item.id])), button("Copy", "Ctrl+C; paste it at any “+”", () => this.designer.copy([item.id])));
      if (Object.keys(item.next).length) buttons.push(button("Branch", "Choose this step and all that only it leads to (B)", () => this.designer.chooseBranch(item.id)));
    }
    return el("div", { class: "panel-foot" }, this.parts.problems, buttons);
  }

  showSeveral() {
    this.shown = null;
    const ids = this.designer.chosenSteps;
    const button = (label, run, tone = "btn") => el("button", { type: "button", class: `${tone} btn-sm`, onclick: run }, label);
    this.root.replaceChildren(
      el("div", { class: "panel-head" }, el("div", { class: "panel-head-text" }, el("h2", { class: "panel-title", id: "panel-title" }, `${ids.length} steps chosen`)), this.closer()),
      el("p", { class: "panel-hint" }, "Drag one of them onto a “+” to move them all, or copy them and paste them in any campaign."),
      el("div", { class: "panel-foot is-top" }, button("Copy", () => this.designer.copy()), button("Duplicate", () => this.designer.duplicate()), button("Delete", () => this.designer.remove(ids), "btn btn-outline-danger")),
    );
  }

  showNothing() {
    this.shown = null;
    const button = (label, run, look = "btn btn-sm") => el("button", { type: "button", class: look, onclick: run }, label);
    const { designer } = this;
    const tour = designer.data.tour ? el("div", { class: "panel-tour" }, el("p", {}, "Your first campaign? A tour takes a minute."), button("Show me around", () => designer.emit("tour"), "btn btn-sm btn-primary"), " ", button("No, thank you", () => designer.emit("no-tour"))) : "";
    this.root.replaceChildren(
      el("div", { class: "panel-empty" }, icon("pointer"), el("p", {}, "Choose a step to see and change its settings."), button("Campaign settings", () => designer.choose("campaign")), tour),
    );
  }

  showCampaign() {
    this.shown = null;
    this.form = this.formOf("campaign", "campaign");
    const head = el("div", { class: "panel-head tone-indigo" }, tile("settings", "indigo", ""), el("div", { class: "panel-head-text" }, el("div", { class: "flow-card-kind" }, "Campaign"), el("h2", { class: "panel-title", tabindex: "-1", id: "panel-title" }, "Campaign settings")), this.closer());
    this.root.replaceChildren(head, this.form.root);
    this.form.follow();
  }
}

const drawnMany = (item) => Object.keys(item.next).length > 1;
