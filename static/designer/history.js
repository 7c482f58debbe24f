// Undo and redo of everything done to a flow, kept over a reload of the page in this browser tab.
import { stable } from "./graph.js";

const MOST = 100;

export class History extends EventTarget {
  constructor(flow, storageKey = "") {
    super();
    this.flow = flow;
    this.past = [];
    this.future = [];
    this.storageKey = storageKey;
    this.recall();
  }

  /** Take over a new flow. Changes of the same `strand` in a row (typing into one field) are undone as one. */
  apply(flow, words, strand = "") {
    if (flow === this.flow) return;
    const last = this.past[this.past.length - 1];
    if (!(strand && last?.strand === strand && !this.future.length)) {
      this.past.push({ flow: this.flow, words, strand });
      if (this.past.length > MOST) this.past.shift();
    }
    this.future = [];
    this.become(flow);
  }

  /** The flow was replaced as a whole outside of this window; undo brings back what there was. */
  replaced({ flow, words }) {
    if (!this.past.length) this.past.push({ flow, words, strand: "" });
  }

  /** Go one change back; answers the words of what was undone, or undefined. */
  undo() {
    return this.step(this.past, this.future);
  }

  redo() {
    return this.step(this.future, this.past);
  }

  step(from, to) {
    const entry = from.pop();
    if (!entry) return undefined;
    to.push({ flow: this.flow, words: entry.words, strand: "" });
    this.become(entry.flow);
    return entry.words;
  }

  become(flow) {
    this.flow = flow;
    this.remember();
    this.dispatchEvent(new Event("change"));
  }

  remember() {
    if (!this.storageKey) return;
    const kept = { flow: this.flow, past: this.past.slice(-30), future: this.future.slice(-30) };
    try {
      sessionStorage.setItem(this.storageKey, JSON.stringify(kept));
    } catch {
      sessionStorage.removeItem(this.storageKey); // full: undo still works until the page is left
    }
  }

  recall() {
    const text = this.storageKey && sessionStorage.getItem(this.storageKey);
    if (!text) return;
    const kept = JSON.parse(text);
    if (stable(kept.flow) !== stable(this.flow)) return; // the draft has moved on since
    this.past = kept.past;
    this.future = kept.future;
  }
}
