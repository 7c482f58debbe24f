// The flow as text beside the canvas: what is typed is drawn as soon as it can be read, what is drawn is written here.
import { el, icon } from "./dom.js";
import { stable } from "./graph.js";
import { Lines } from "./lines.js";
import { post } from "./saving.js";

const PAUSE = 600; // milliseconds after the last key
const SOON = 120; // after a change of the canvas

export class FlowText {
  constructor(root, { designer, canvas, urls, toggle, campaign }) {
    Object.assign(this, { root, designer, canvas, urls, toggle, storage: `trellis-text-${campaign}` });
    this.isTyped = false; // something stands here that the canvas does not show
    this.build();
    toggle?.addEventListener("click", () => this.turn());
    designer.addEventListener("change", () => this.drawn());
    designer.addEventListener("choose", () => this.follow());
    addEventListener("beforeunload", (event) => this.isTyped && event.preventDefault());
    if (sessionStorage.getItem(this.storage) !== null) this.turn(true);
  }

  build() {
    const close = el("button", { type: "button", class: "btn btn-icon btn-sm btn-ghost", "aria-label": "Close the text", onclick: () => this.turn(false) }, icon("x"));
    const describedby = "flow-text-state";
    const field = el("textarea", { class: "lined-field", id: "flow-text-field", "aria-label": "The flow as text", "aria-describedby": describedby, wrap: "off", spellcheck: "false", autocapitalize: "off", autocomplete: "off", readonly: !this.designer.mayEdit });
    this.state = el("div", { class: "flow-text-state", id: describedby, role: "status" });
    this.root.append(el("div", { class: "flow-text-head" }, el("h2", { class: "panel-title" }, "Flow as text"), close), el("div", { class: "lined" }, field), this.state);
    this.lines = new Lines(field);
    field.addEventListener("input", () => this.typed());
    field.addEventListener("keyup", () => this.lead());
    field.addEventListener("click", () => this.lead());
    field.addEventListener("keydown", (event) => event.key === "Escape" && (event.preventDefault(), event.stopPropagation(), this.turn(false)));
  }

  get isOpen() {
    return !this.root.hidden;
  }

  begin() {
    this.turn(true);
    this.lines.field.focus();
  }

  /** Open or close; what could not be read yet is kept for the next time. */
  turn(open = !this.isOpen) {
    const had = this.root.contains(document.activeElement);
    this.root.hidden = !open;
    document.body.classList.toggle("is-text-open", open);
    this.toggle?.setAttribute("aria-pressed", String(open));
    if (!open && had) (this.canvas.button(this.designer.chosen[0]) ?? this.toggle)?.focus({ preventScroll: true });
    if (!open) return;
    const kept = sessionStorage.getItem(this.storage);
    if (kept === null) return this.write();
    this.lines.text = kept;
    this.isTyped = true;
    this.read();
  }

  say(words, tone = "", ...buttons) {
    this.state.className = `flow-text-state${tone ? ` tone-${tone}` : ""}`;
    this.state.replaceChildren(...(tone ? [icon(tone === "red" ? "alert-circle" : "alert-triangle")] : []), el("span", {}, words), ...buttons);
  }

  button(label, run) {
    return el("button", { type: "button", class: "btn btn-sm", onclick: run }, label);
  }

  // --- from the canvas

  /** The canvas has changed. Text that is not drawn yet is not overwritten: the marketer says which of the two stands. */
  drawn() {
    if (this.isApplying || !this.isOpen) return;
    clearTimeout(this.timer);
    if (!this.isTyped) {
      this.timer = setTimeout(() => this.write(), SOON);
      return;
    }
    this.isBehind = true;
    this.ask();
  }

  ask() {
    this.say("The canvas changed before this text was drawn. Which of the two is to stand? Either can be undone.", "orange", this.button("This text", () => this.insist()), this.button("The canvas", () => this.yield()));
  }

  insist() {
    this.isBehind = false;
    this.read();
  }

  yield() {
    this.settle();
    this.write();
  }

  settle() {
    this.isTyped = this.isBehind = false;
    sessionStorage.removeItem(this.storage);
    this.lines.mark(null);
  }

  async write() {
    const { flow } = this.designer;
    const answer = await post(this.urls.text, { flow });
    if (this.isTyped) return;
    if (flow !== this.designer.flow) return this.write();
    if (!answer.ok) return this.say(answer.sentence, "red", this.button("Try again", () => this.write()));
    this.lines.text = answer.data.text;
    this.lines.mark(null);
    this.say(this.designer.mayEdit ? "The same as the canvas. What you type is drawn as soon as it can be read." : "The same as the canvas.");
    this.follow();
  }

  // --- from the text

  typed() {
    this.isTyped = true;
    sessionStorage.setItem(this.storage, this.lines.text);
    clearTimeout(this.timer);
    if (!this.isBehind) this.timer = setTimeout(() => this.read(), PAUSE);
  }

  async read() {
    clearTimeout(this.timer);
    const { text } = this.lines;
    const answer = await post(this.urls.flow, { text });
    if (text !== this.lines.text || !this.isTyped) return; // typed on meanwhile, or taken back
    if (this.isBehind) return this.ask();
    if (!answer.ok) return this.refuse(answer);
    this.draw(answer.data);
  }

  refuse({ data, sentence }) {
    const line = data?.line;
    this.lines.mark(line);
    const jump = line ? [this.button("Go to the line", () => this.lines.show(line, true))] : [];
    const words = data ? `${sentence} Until then the canvas stays as it was.` : sentence;
    this.say(words, "red", ...(data ? jump : [this.button("Try again", () => this.read())]), this.button("Take the canvas’s text", () => this.yield()));
  }

  draw({ flow, looks }) {
    const { designer } = this;
    this.settle();
    designer.learn(flow, looks);
    const tidy = designer.tidy(flow);
    if (stable(tidy) !== stable(designer.flow)) {
      this.isApplying = true;
      designer.apply({ flow: tidy }, "Text changed", { strand: "text", quiet: true });
      this.isApplying = false;
    }
    this.say("Drawn: the same as the canvas.");
  }

  // --- from one to the other

  /** The step whose lines the cursor is in. */
  get stepHere() {
    const before = this.lines.text.split("\n").slice(0, this.lines.line).reverse();
    return before.map((line) => /^ *- *\{?id: *["']?([\w-]+)/.exec(line)?.[1]).find(Boolean);
  }

  /** Choose on the canvas what the cursor is in. */
  lead() {
    if (this.isTyped) return;
    const id = this.stepHere;
    if (!id || !this.designer.find(id) || this.designer.chosen[0] === id) return;
    this.isLeading = true;
    this.designer.choose(id);
    this.canvas.reveal(id);
    this.isLeading = false;
  }

  /** Show the lines of what is chosen on the canvas. */
  follow() {
    const [id] = this.designer.chosen;
    if (!this.isOpen || this.isTyped) return;
    this.lines.point(null);
    if (!id) return;
    const line = this.lines.text.split("\n").findIndex((text) => new RegExp(`^ *- *\\{?id: *["']?${id}["']?[,\\s}]*$`).test(text) || text.trim().startsWith(`- {id: ${id},`));
    this.lines.point(line + 1);
    if (line >= 0 && !this.isLeading) this.lines.show(line + 1);
  }
}
