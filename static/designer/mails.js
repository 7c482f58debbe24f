// Choosing the mail of a step by how it looks, and writing it, without leaving the canvas.
import { el, icon, spoken } from "./dom.js";
import { get, post } from "./saving.js";

export class Mails {
  constructor({ designer, panel, url, draft }) {
    Object.assign(this, { designer, panel, url, draft });
    panel.addEventListener("click", (event) => {
      const button = event.target.closest("[data-mails]");
      if (!button) return;
      const opened = this.open(panel.querySelector(`select[name="${button.dataset.mails}"]`), "edit" in button.dataset);
      if ("make" in button.dataset) opened.then(() => this.begin());
    });
  }

  build() {
    const button = (label, run, look = "btn", name = "") => el("button", { type: "button", class: look, onclick: run }, name ? icon(name) : "", label);
    this.title = el("h2", { class: "dialog-title", id: "mails-title" });
    this.search = el("input", { type: "search", class: "form-control", placeholder: "Name or subject", "aria-label": "Find a mail", autocomplete: "off", oninput: () => this.fill(), onkeydown: (event) => ["ArrowDown", "Enter"].includes(event.key) && this.key(event) });
    this.list = el("div", { class: "mails-list", role: "listbox", "aria-label": "Mails", onkeydown: (event) => this.key(event) });
    this.head = el("p", { class: "mails-subject" });
    this.frame = el("iframe", { class: "mails-frame", title: "Preview of the mail", sandbox: "allow-popups allow-popups-to-escape-sandbox", referrerpolicy: "no-referrer" });
    this.chooser = el("div", { class: "mails-chooser" }, el("div", { class: "mails-side" }, this.search, this.list), el("div", { class: "mails-look" }, this.head, this.frame));
    this.editor = el("div", { class: "mails-editor", hidden: true });
    this.use = button("Use this mail", () => this.choose(), "btn btn-primary");
    this.edit = button("Edit this mail", () => this.write(this.current), "btn", "edit");
    this.create = button("New mail", () => this.begin(), "btn", "plus");
    this.done = button("Done", () => this.finish(), "btn btn-primary");
    this.back = button("Other mails", () => this.goBack());
    this.name = el("input", { type: "text", class: "form-control", placeholder: "Name of the new mail", "aria-label": "Name of the new mail", maxlength: "200", hidden: true, onkeydown: (event) => event.key === "Enter" && (event.preventDefault(), this.begin()) });
    const head = el("div", { class: "dialog-head" }, this.title, el("button", { type: "button", class: "btn btn-icon btn-sm btn-ghost", "aria-label": "Close", onclick: () => this.root.close() }, icon("x")));
    const foot = el("div", { class: "dialog-foot" }, this.create, this.name, el("span", { class: "mails-gap" }), this.back, this.edit, this.use, this.done);
    this.root = el("dialog", { class: "dialog mails-dialog", id: "mails-dialog", "aria-labelledby": "mails-title" }, head, this.chooser, this.editor, foot);
    this.root.addEventListener("close", () => this.closed());
    document.body.append(this.root);
  }

  async open(select, isEdited) {
    if (!this.root) this.build();
    this.select = select;
    this.wanted = select.value;
    await this.load();
    const sent = this.mails.find((mail) => mail.key === select.value);
    this.current = sent ?? this.mails[0];
    this.search.value = "";
    this.root.showModal();
    this.fill(); // shown already, so that the mail that is sent now comes into view
    this.show(isEdited && Boolean(sent));
    (isEdited ? this.done : this.search).focus();
  }

  async load() {
    const { ok, data } = await get(this.url);
    this.mails = ok ? data.mails : [];
  }

  /** The list with a preview, or the editor of the mail that is chosen. */
  show(isEditing) {
    this.isEditing = isEditing;
    for (const part of [this.editor, this.done, this.back]) part.hidden = !isEditing;
    for (const part of [this.chooser, this.use, this.edit, this.create]) part.hidden = isEditing;
    this.name.hidden = true;
    this.create.replaceChildren(icon("plus"), "New mail");
    const mayEdit = this.designer.mayEdit;
    this.edit.hidden ||= !mayEdit;
    this.create.hidden ||= !mayEdit;
    this.use.disabled = this.edit.disabled = !this.current;
    this.use.hidden ||= !mayEdit;
    this.title.textContent = isEditing ? `Edit: ${this.current.name}` : "Choose a mail";
    if (isEditing) this.editor.replaceChildren(el("iframe", { class: "mails-frame", src: this.current.editor, title: `Editor of ${this.current.name}`, onload: (event) => event.target.contentDocument?.querySelector("[name=subject]")?.focus() }));
    else this.editor.replaceChildren();
    if (!isEditing) this.look(this.current);
  }

  fill() {
    const wanted = this.search.value.trim().toLowerCase();
    const found = this.mails.filter((mail) => `${mail.name} ${mail.subject} ${mail.about}`.toLowerCase().includes(wanted));
    const rows = found.map((mail) => this.row(mail));
    this.list.replaceChildren(...(rows.length ? rows : [el("p", { class: "text-secondary m-3" }, this.mails.length ? "No mail is called that." : "There is no mail yet; make the first one here.")]));
    if (!found.includes(this.current)) this.look(found[0]);
    this.mark();
  }

  row(mail) {
    const note = mail.is_published ? null : el("span", { class: "badge tone-orange" }, "Not published");
    return el("button", { type: "button", class: "mails-row", role: "option", dataset: { mail: mail.key }, onclick: () => this.look(mail), ondblclick: () => this.choose() }, el("b", {}, mail.name, spoken(". ")), el("span", {}, mail.subject || "No subject yet"), el("small", {}, mail.about, note));
  }

  mark() {
    for (const row of this.list.querySelectorAll("[data-mail]")) {
      const isCurrent = row.dataset.mail === this.current?.key;
      row.setAttribute("aria-selected", String(isCurrent));
      row.tabIndex = isCurrent ? 0 : -1; // the list is one stop of Tab, within it arrows walk
      if (isCurrent) row.scrollIntoView({ block: "nearest" });
    }
  }

  look(mail) {
    this.current = mail;
    this.use.disabled = this.edit.disabled = !mail;
    this.mark();
    this.head.parentElement.hidden = !mail;
    if (!mail) return;
    this.head.replaceChildren(el("b", {}, "Subject: "), mail.subject || "none yet");
    if (this.frame.getAttribute("src") !== mail.preview) this.frame.src = mail.preview;
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, Enter: 1 }[event.key]; // Enter in the search goes into the list
    const rows = [...this.list.querySelectorAll("[data-mail]")];
    if (event.key === "Enter" && document.activeElement?.dataset.mail === this.current?.key) {
      event.preventDefault();
      return this.choose();
    }
    if (!step || !rows.length) return;
    event.preventDefault();
    const next = rows[(rows.indexOf(document.activeElement) + step + rows.length) % rows.length];
    next.focus();
    next.click();
  }

  choose() {
    if (!this.current || !this.designer.mayEdit) return;
    this.wanted = this.current.key;
    this.root.close();
  }

  write(mail) {
    this.wanted = mail.key;
    this.current = mail;
    this.show(true);
    this.done.focus();
  }

  /** From the editor to the list, which says what has just been written. */
  async goBack() {
    await this.load();
    this.current = this.mails.find((mail) => mail.key === this.current?.key) ?? this.mails[0];
    this.search.value = "";
    this.fill();
    this.show(false);
    this.search.focus();
  }

  /** Ask for a name, then make the mail and open its editor. */
  async begin() {
    if (this.name.hidden) {
      this.name.hidden = false;
      this.create.replaceChildren(icon("plus"), "Create it");
      return this.name.focus();
    }
    const name = this.name.value.trim();
    if (!name) return this.name.focus();
    const form = new FormData();
    form.set("name", name);
    form.set("topic", this.designer.flow.topic ?? "");
    const before = new Set(this.mails.map((mail) => mail.key));
    await post(this.url.replace(/\/choices$/, ""), form);
    await this.load();
    const made = this.mails.find((mail) => !before.has(mail.key));
    if (!made) return this.designer.emit("trouble", "The mail could not be made; try again.");
    this.name.value = "";
    this.fill();
    this.write(made);
  }

  finish() {
    this.root.close();
  }

  /** The step sends what was chosen, and the problems are asked for again: the mail may have been published meanwhile. */
  async closed() {
    this.editor.replaceChildren();
    await this.load();
    const { select, wanted } = this;
    const field = select.isConnected ? select : this.panel.querySelector(`select[name="${select.name}"]`);
    if (!field) return;
    const mail = this.mails.find((one) => one.key === wanted);
    if (mail && ![...field.options].some((option) => option.value === wanted)) field.append(new Option(mail.name, wanted));
    const isOther = field.value !== wanted && Boolean(mail);
    if (isOther) {
      field.value = wanted;
      field.dispatchEvent(new Event("change", { bubbles: true }));
      this.designer.say(`The step sends ${mail.name}.`);
    }
    field.focus();
    if (isOther) return; // the draft is saved, and so asked for, anyhow
    const { ok, data } = await get(this.draft);
    if (ok) this.designer.heard({ ...data, flow: this.designer.flow });
  }
}
