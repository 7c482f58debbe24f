// What every page shares: theme, menu, dialogs, confirmations, toasts, copying, and the token on htmx requests.
import { toast } from "./toasts.js";

const one = (selector, root = document) => root.querySelector(selector);

// --- toasts: the server says so with the header HX-Trigger: {"toast": {"text": "Saved", "tone": "green"}}

document.addEventListener("toast", (event) => toast(event.detail.text ?? event.detail.value, event.detail.tone));

// --- htmx: the token, and one clear sentence when a request fails

document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
  const token = one('meta[name="csrf-token"]'); // public pages set no cookie, so they have none
  if (token) ctx.request.headers["X-CSRFToken"] = token.content;
});

document.addEventListener("htmx:response:error", ({ detail: { ctx } }) => {
  if (ctx.response.status === 422) return; // the form comes back with its sentences
  const renewed = ctx.response.headers.get("X-CSRFToken"); // ours is of the time before a signing in in another tab
  if (renewed && one('meta[name="csrf-token"]')) one('meta[name="csrf-token"]').content = renewed;
  if (ctx.response.status === 401) {
    const work = one("[data-signed-out]"); // what is here alone, and would be lost: elsewhere htmx goes to the sign-in
    if (!work) return;
    ctx.hx.redirect = "";
    return toast(work.dataset.signedOut, "red");
  }
  const page = new DOMParser().parseFromString(ctx.text, "text/html");
  const sentence = one("[data-sentence]", page)?.textContent.trim();
  const plain = ctx.response.headers.get("Content-Type")?.startsWith("text/plain") && ctx.text.trim();
  toast(sentence || plain || "That did not work. Please try again.", "red");
});

document.addEventListener("htmx:error", ({ detail: { ctx } }) => {
  if (!ctx?.response) toast("Trellis cannot be reached. Check your connection and try again.", "red");
});

// htmx hands the style of what goes on to what comes, as an attribute, which the content policy refuses
document.addEventListener("htmx:before:swap", ({ detail: { tasks } }) => {
  for (const { target } of tasks) {
    const leaving = typeof target === "string" ? one(target) : target;
    leaving?.querySelectorAll("[id][style]").forEach((element) => element.removeAttribute("style"));
  }
});

// --- confirmations: <form data-confirm="Delete this segment?" data-confirm-button="Delete">, also hx-confirm

const confirmed = new WeakSet();

function ask(question, button = "Continue", tone = "danger") {
  const dialog = one("#confirm-dialog");
  one("#confirm-title").textContent = question;
  const go = one("#confirm-button");
  go.textContent = button;
  go.className = `btn btn-${tone}`;
  dialog.returnValue = "cancel";
  dialog.showModal();
  return new Promise((answer) => {
    dialog.addEventListener("close", () => answer(dialog.returnValue === "confirm"), { once: true });
  });
}

async function guard(event, element, repeat) {
  if (confirmed.delete(element)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const { confirm, confirmButton, confirmTone } = element.dataset;
  if (!(await ask(confirm, confirmButton, confirmTone))) return;
  confirmed.add(element);
  repeat();
}

document.addEventListener(
  "submit",
  (event) => {
    const form = event.target;
    if (form.dataset.confirm) guard(event, form, () => form.requestSubmit(event.submitter));
  },
  true,
);

document.addEventListener(
  "click",
  (event) => {
    const element = event.target.closest("[data-confirm]:not(form)");
    if (element) guard(event, element, () => element.click());
  },
  true,
);

document.addEventListener("htmx:confirm", (event) => {
  const { ctx, issueRequest, dropRequest } = event.detail;
  if (!ctx.confirm) return;
  event.preventDefault();
  const { confirmButton, confirmTone } = ctx.sourceElement.dataset;
  ask(ctx.confirm, confirmButton, confirmTone).then((yes) => (yes ? issueRequest() : dropRequest()));
});

// --- one listener for the small controls

const controls = {
  "[data-theme-toggle]": () => window.switchTheme(),
  "[data-open]": (element) => openDialog(document.getElementById(element.dataset.open)),
  "[data-close]": (element) => element.closest("dialog").close(),
  "[data-dismiss]": (element) => element.parentElement.remove(),
  "[data-side-open]": () => side(true),
  "[data-side-close]": () => side(false),
  "[data-copy]": async (element) => {
    await navigator.clipboard.writeText(element.dataset.copy);
    toast("Copied");
  },
};

document.addEventListener("click", (event) => {
  for (const [selector, run] of Object.entries(controls)) {
    const element = event.target.closest(selector);
    if (element) run(element);
  }
  if (event.target.matches("dialog")) event.target.close(); // a click beside the dialog
});

function side(open) {
  document.body.classList.toggle("is-side-open", open);
  const opener = one("[data-side-open]");
  opener?.setAttribute("aria-expanded", String(open));
  if (open) one("#side .side-link")?.focus();
  else opener?.focus();
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key === "Escape" && document.body.classList.contains("is-side-open")) side(false);
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && one("[data-search]")) {
    event.preventDefault();
    one("[data-search]").focus();
  }
});

// --- menus: popovers placed at their button, arrow keys inside

document.addEventListener(
  "toggle",
  (event) => {
    const menu = event.target;
    if (!menu.matches?.(".menu") || event.newState !== "open") return;
    const button = one(`[popovertarget="${menu.id}"]`);
    const at = button.getBoundingClientRect();
    const size = menu.getBoundingClientRect();
    const below = at.bottom + size.height + 8 < innerHeight;
    menu.style.left = `${Math.max(8, Math.min(at.right - size.width, innerWidth - size.width - 8))}px`;
    if (at.left < size.width) menu.style.left = `${Math.max(8, at.left)}px`;
    menu.style.top = `${below ? at.bottom + 4 : Math.max(8, at.top - size.height - 4)}px`;
    one(".menu-item", menu)?.focus({ focusVisible: false });
  },
  true,
);

document.addEventListener("keydown", (event) => {
  const menu = event.target.closest(".menu");
  if (!menu || !["ArrowDown", "ArrowUp"].includes(event.key)) return;
  event.preventDefault();
  const items = [...menu.querySelectorAll(".menu-item")];
  const next = items.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1);
  items[(next + items.length) % items.length]?.focus();
});

// --- rules: who has gone on within a condition while it was drawn anew stays at the same place of it

const FIELDS = "input:not([type=hidden]), select, textarea";
let within = null;
document.addEventListener("focusin", ({ target }) => {
  const fields = [...(target.closest(".rule-line")?.querySelectorAll(FIELDS) ?? [])];
  within = fields.length ? { target, first: fields[0].id, at: fields.indexOf(target) } : null;
});
// at once: a key pressed before htmx is done would go on from nowhere
const watch = new MutationObserver(() => within?.target.isConnected || goOn());
document.addEventListener("htmx:before:swap", () => within && watch.observe(document.body, { childList: true, subtree: true }));
document.addEventListener("htmx:after:swap", () => watch.disconnect());

function goOn() {
  if (!within || document.activeElement !== document.body) return;
  const fields = document.getElementById(within.first)?.closest(".rule-line").querySelectorAll(FIELDS) ?? [];
  (fields[within.at] ?? fields[0])?.focus();
}

// --- dialogs that arrive open, from a fragment or with the page

function openDialog(dialog) {
  dialog.showModal();
  one("input:not([type=hidden]), select, textarea", dialog)?.focus();
}

function openArrived() {
  document.querySelectorAll("dialog[data-open-now]").forEach((dialog) => {
    dialog.removeAttribute("data-open-now");
    openDialog(dialog);
  });
}

document.addEventListener("htmx:after:settle", openArrived);
openArrived();
