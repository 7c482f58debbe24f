// A plain text field with line numbers: any browser's own editing, nothing captured, one line that can be marked as wrong.
import { el } from "./dom.js";

export class Lines {
  /** Puts the numbers beside a textarea that is in the document already. */
  constructor(field) {
    this.field = field;
    this.numbers = el("div", { class: "lined-numbers", "aria-hidden": "true" });
    this.count = 0;
    field.before(this.numbers);
    field.addEventListener("input", () => this.number());
    field.addEventListener("scroll", () => (this.numbers.scrollTop = field.scrollTop));
    field.addEventListener("keydown", (event) => this.indent(event));
    this.number();
  }

  get text() {
    return this.field.value;
  }

  set text(value) {
    if (value === this.field.value) return;
    const { scrollTop, selectionStart } = this.field;
    this.field.value = value;
    this.field.setSelectionRange(selectionStart, selectionStart);
    this.number();
    this.field.scrollTop = scrollTop;
  }

  number() {
    const count = this.text.split("\n").length;
    for (; this.count < count; this.count += 1) this.numbers.append(el("span", {}, String(this.count + 1)));
    for (; this.count > count; this.count -= 1) this.numbers.lastChild.remove();
  }

  /** A new line begins under the one before; Tab stays what it is everywhere: the way out. */
  indent(event) {
    if (event.key !== "Enter" || event.isComposing || event.ctrlKey || event.metaKey || event.altKey || this.field.readOnly) return;
    const before = this.text.slice(0, this.field.selectionStart).split("\n").pop();
    const spaces = /^ */.exec(before)[0] + (/^ *- /.test(before) || /:$/.test(before) ? "  " : "");
    if (!spaces) return;
    event.preventDefault();
    document.execCommand("insertText", false, `\n${spaces}`); // so that the browser's own undo knows it
  }

  /** The number of the line the cursor is in, from 1. */
  get line() {
    return this.text.slice(0, this.field.selectionStart).split("\n").length;
  }

  /** Mark a line as wrong; none: all is well. */
  mark(line) {
    this.numbers.querySelector(".is-wrong")?.classList.remove("is-wrong");
    if (line) this.numbers.children[line - 1]?.classList.add("is-wrong");
    this.field.setAttribute("aria-invalid", String(Boolean(line)));
  }

  /** Set apart the line of what is chosen elsewhere. */
  point(line) {
    this.numbers.querySelector(".is-here")?.classList.remove("is-here");
    if (line) this.numbers.children[line - 1]?.classList.add("is-here");
  }

  /** Scroll a line into view; with `focus` put the cursor there, too. */
  show(line, focus = false) {
    const height = parseFloat(getComputedStyle(this.field).lineHeight);
    const top = (line - 1) * height;
    if (top < this.field.scrollTop || top > this.field.scrollTop + this.field.clientHeight - 3 * height) this.field.scrollTop = Math.max(0, top - this.field.clientHeight / 3);
    if (!focus) return;
    const at = this.text.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    this.field.focus();
    this.field.setSelectionRange(at, at);
  }
}
