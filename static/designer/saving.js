// Saves the draft as it is drawn, and says so; when somebody else changed it meanwhile, asks instead of overwriting.
import { el } from "./dom.js";

const PAUSE = 700; // milliseconds after the last change
export const RETRY = 5000;

const token = () => document.querySelector('meta[name="csrf-token"]');

function ask(method, url, body) {
  const isForm = body instanceof FormData;
  const headers = { "X-CSRFToken": token().content, Accept: "application/json", ...(isForm ? {} : { "Content-Type": "application/json" }) };
  return fetch(url, { method, headers, body: isForm ? body : JSON.stringify(body), credentials: "same-origin" });
}

/** Send to our server; answers {ok, status, data, sentence} and never throws. */
export async function send(method, url, body) {
  try {
    let response = await ask(method, url, body);
    const renewed = response.headers.get("X-CSRFToken"); // ours is of the time before a signing in in another tab
    if (renewed) {
      token().content = renewed;
      response = await ask(method, url, body);
    }
    const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
    const data = isJson ? await response.json() : null;
    return { ok: response.ok && isJson, status: response.status, data, sentence: sentenceFor(response.status, data) };
  } catch {
    return { ok: false, status: 0, data: null, sentence: "Trellis cannot be reached. Your changes are kept here until it answers." };
  }
}

export const post = (url, body) => send("POST", url, body);
export const get = (url) => send("GET", url);

function sentenceFor(status, data) {
  const signedOut = status === 401 && document.querySelector("[data-signed-out]")?.dataset.signedOut;
  return signedOut || (data?.sentence ?? "That did not work. Your changes are kept here; try again.");
}

/** Event "conflict" (detail: their draft), when somebody else saved meanwhile. */
export class Saving extends EventTarget {
  constructor({ designer, url, revision, status, dialog }) {
    super();
    Object.assign(this, { designer, url, revision, status, dialog });
    this.saved = designer.flow;
    designer.addEventListener("change", () => this.later());
    designer.addEventListener("unread", ({ detail }) => (detail ? this.failed(detail) : this.later()));
    addEventListener("beforeunload", (event) => this.isAhead && event.preventDefault());
    dialog.querySelector("[data-keep-mine]").addEventListener("click", () => this.keepMine());
    dialog.querySelector("[data-take-theirs]").addEventListener("click", () => this.takeTheirs());
  }

  get isUnsaved() {
    return this.designer.flow !== this.saved;
  }

  /** Whether something drawn or typed is here alone. */
  get isAhead() {
    return this.isUnsaved || this.designer.unread.size > 0;
  }

  later() {
    if (this.theirs) return;
    if (this.isUnsaved && !this.designer.unread.size) this.say("Unsaved changes", "unsaved");
    else this.sayDone();
    clearTimeout(this.timer);
    if (this.isUnsaved) this.timer = setTimeout(() => this.save(), PAUSE);
  }

  say(words, state) {
    this.status.dataset.state = state;
    this.status.replaceChildren(el("span", { class: "save-dot", "aria-hidden": "true" }), words);
  }

  /** The server has what is on the canvas; what is typed and not read yet is not there. */
  sayDone() {
    if (!this.designer.unread.size) this.say("Saved", "saved");
    else if (this.status.dataset.state !== "failed") this.say("Not saved", "failed");
  }

  /** Save since somebody wants to go on: why not is said, also when it was said before. */
  async insist() {
    const { told } = this;
    this.told = "";
    if (await this.save()) return true;
    if (told && !this.told && this.designer.unread.size) this.designer.emit("trouble", (this.told = told));
    return false;
  }

  /** Save now; answers whether the server has what is on the canvas, and all that was typed. */
  async save() {
    clearTimeout(this.timer);
    if (this.running) {
      await this.running;
      return this.isUnsaved ? this.save() : !this.designer.unread.size;
    }
    if (!this.isUnsaved) return !this.designer.unread.size;
    this.running = this.put();
    const isDone = await this.running;
    this.running = null;
    if (isDone && this.isUnsaved) this.later();
    return isDone && !this.isUnsaved && !this.designer.unread.size;
  }

  async put() {
    const { flow } = this.designer;
    this.say("Saving…", "saving");
    const answer = await send("PUT", this.url, { revision: this.revision, flow });
    if (answer.ok) {
      this.revision = answer.data.revision;
      this.saved = flow;
      if (!this.designer.unread.size) this.told = "";
      this.sayDone();
      this.designer.heard({ ...answer.data, flow });
      return true;
    }
    if (answer.status === 409) this.conflict(answer.data);
    else {
      this.failed(answer);
      if (!answer.status || answer.status === 401 || answer.status >= 500) this.timer = setTimeout(() => this.save(), RETRY);
    }
    return false;
  }

  failed({ status, sentence }) {
    this.say(status ? "Not saved" : "Not saved: offline", "failed");
    if (sentence !== this.told) this.designer.emit("trouble", sentence); // once, not at each try
    this.told = sentence;
  }

  conflict(theirs) {
    this.theirs = theirs;
    this.say("Not saved: changed elsewhere", "failed");
    this.dialog.querySelector("[data-conflict]").textContent = theirs.sentence;
    this.dispatchEvent(new CustomEvent("conflict", { detail: theirs }));
    this.dialog.showModal();
  }

  keepMine() {
    this.revision = this.theirs.revision;
    this.theirs = null;
    this.dialog.close();
    this.save();
  }

  takeTheirs() {
    const { theirs } = this;
    this.theirs = null;
    this.dialog.close();
    this.take(theirs, "Their draft taken");
  }

  /** Both changes in one draft, saved over the revision it was made from. */
  keepMerged(flow) {
    const { theirs } = this;
    this.revision = theirs.revision;
    this.theirs = null;
    this.dialog.close();
    this.designer.choose([]); // what was chosen may have another id now
    this.designer.learn(theirs.flow, theirs.looks);
    this.designer.history.apply(this.designer.tidy(flow), "Both drafts joined");
    this.designer.say("Both changes are in the draft now.");
    this.save();
  }

  /** The draft as somebody else saved it; what was here before is only an undo away. */
  take({ flow, looks, revision, problems }, words) {
    this.revision = revision;
    this.designer.learn(flow, looks);
    const tidy = this.designer.tidy(flow);
    this.saved = tidy;
    this.designer.history.apply(tidy, words);
    this.designer.heard({ flow, looks, problems });
    this.sayDone();
  }
}
