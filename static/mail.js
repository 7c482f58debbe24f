// The email editor: a preview that follows every change, merge tags and marks at the cursor, blocks moved by dragging.

const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

if (window.self !== window.top) document.body.classList.add("is-framed"); // in the designer, which has its own way back

// --- preview: a second frame loads behind the first and takes its place, so that nothing flickers

const preview = one("[data-preview]");
const frames = one(".mail-frames");
let wanted = 0;
let timer;

function show(block, wait = 250) {
  clearTimeout(timer);
  timer = setTimeout(() => load(block), wait);
}

function load(block) {
  const lead = one("#preview-lead").value;
  const turn = ++wanted;
  const old = one("iframe", frames);
  const next = old.cloneNode();
  next.classList.add("is-coming");
  next.addEventListener("load", () => {
    if (turn !== wanted) return next.remove();
    next.classList.remove("is-coming");
    all("iframe", frames).forEach((frame) => frame !== next && frame.remove());
  }, { once: true });
  next.src = `${preview.dataset.preview}?lead=${lead}&turn=${turn}${block ? `#b-${block}` : ""}`;
  frames.append(next);
  inbox(lead);
}

async function inbox(lead) {
  const answer = await fetch(`${preview.dataset.inbox}?lead=${lead}`);
  if (!answer.ok) return;
  const line = new DOMParser().parseFromString(await answer.text(), "text/html").body.firstElementChild;
  one("#inbox-line")?.replaceWith(line);
}

const openBlock = () => one(".block.is-open")?.dataset.block ?? "";

if (preview) {
  document.addEventListener("mail-changed", (event) => show(event.detail?.block || openBlock()));
  document.addEventListener("block-opened", (event) => event.detail?.block && show(event.detail.block, 0));
  one("#preview-lead").addEventListener("change", (event) => {
    const field = one("#test-lead");
    if (field) field.value = event.target.value;
    show(openBlock(), 0);
  });
  for (const button of all(".btn[data-width]", preview)) {
    button.addEventListener("click", () => {
      frames.dataset.width = button.dataset.width;
      all(".btn[data-width]", preview).forEach((each) => each.setAttribute("aria-pressed", each === button));
    });
  }
  inbox("");
}

// --- the cursor: where a merge tag goes

let last = null;
document.addEventListener("focusin", ({ target }) => target.matches?.("[data-merge]") && (last = target.id));

function write(field, before, after = "") {
  const { selectionStart: from, selectionEnd: to, value } = field;
  const chosen = value.slice(from, to);
  field.setRangeText(before + chosen + after, from, to, "end");
  field.focus();
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

document.addEventListener("click", ({ target }) => {
  const tag = target.closest("[data-tag]");
  if (tag) insert(tag);
  const mark = target.closest("[data-mark]");
  if (mark) paint(one(`#${mark.dataset.for}`), mark.dataset.mark);
});

function insert(button) {
  const field = (last && document.getElementById(last)) || one(".block.is-open [data-merge]") || one("#field-subject");
  const fallback = one("#merge-fallback").value.replaceAll('"', "'");
  const name = button.dataset.tag;
  button.closest("dialog").close();
  if (button.hasAttribute("data-plain")) return write(field, field.name === "text" ? `[${button.textContent}]({{ ${name} }})` : `{{ ${name} }}`);
  write(field, fallback ? `{{ ${name} | default("${fallback}") }}` : `{{ ${name} }}`);
}

const MARKS = { bold: ["**", "**"], italic: ["*", "*"], link: ["[", "](https://)"] };

function paint(field, mark) {
  if (mark === "list") {
    const start = field.value.lastIndexOf("\n", field.selectionStart - 1) + 1;
    field.setRangeText("- ", start, start, "end");
    field.focus();
    return field.dispatchEvent(new Event("input", { bubbles: true }));
  }
  write(field, ...MARKS[mark]);
}

// --- the list of blocks: keep the cursor where the work is, and drag

let pressed = null; // the tool of a block whose answer draws the list anew
document.addEventListener("click", ({ target }) => {
  const tool = target.closest?.(".block-actions button");
  pressed = tool && tool.title !== "Copy" ? { block: tool.closest(".block").id, tool: tool.title } : null;
});

/** The same tool of the same block, its name where the block cannot move further; of a removed one, what puts it back. */
function pressedAgain() {
  const block = pressed && document.getElementById(pressed.block);
  const tools = block ? [...block.querySelector(".block-head").querySelectorAll("button:enabled")] : [];
  const again = tools.find((tool) => tool.title === pressed.tool) ?? tools[0] ?? (pressed ? one(".block-removed button") : null);
  pressed = null;
  return again;
}

document.addEventListener("htmx:after:swap", () => {
  const field = pressedAgain() ?? one(".block.is-open .block-form :is(input:not([type=hidden]), textarea, select)");
  if (field && (document.activeElement === document.body || !document.activeElement)) field.focus();
});

let dragged = null;
document.addEventListener("dragstart", (event) => {
  const block = event.target.closest?.(".block");
  if (!block || event.target.closest("input, textarea, select")) return;
  dragged = block;
  event.dataTransfer.effectAllowed = "move";
  event.dataTransfer.setData("text/plain", block.dataset.block);
  requestAnimationFrame(() => block.classList.add("is-dragged"));
});

document.addEventListener("dragover", (event) => {
  const list = dragged && event.target.closest?.(".block-list, .block-column");
  if (!list) return;
  event.preventDefault();
  point(event);
});

document.addEventListener("drop", (event) => {
  if (!dragged) return;
  const place = spot(event);
  if (!place) return;
  event.preventDefault();
  const url = one("#mail-blocks").dataset.positionUrl.replace("BLOCK", dragged.dataset.block);
  htmx.ajax("POST", url, { target: "#mail-blocks", swap: "outerHTML", values: { ...place, open: openBlock() } });
});

document.addEventListener("dragend", () => {
  dragged?.classList.remove("is-dragged");
  dragged = null;
  all(".is-before, .is-end").forEach((each) => each.classList.remove("is-before", "is-end"));
});

function spot(event) {
  const list = event.target.closest(".block-list") ?? one(".block-list", event.target.closest(".block-column") ?? document.createElement("i"));
  if (!list || dragged.contains(list)) return null;
  const blocks = [...list.children].filter((each) => each !== dragged);
  const before = blocks.find((each) => event.clientY < each.getBoundingClientRect().top + each.offsetHeight / 2);
  return before ? { before: before.dataset.block } : { column: list.dataset.column };
}

function point(event) {
  all(".is-before, .is-end").forEach((each) => each.classList.remove("is-before", "is-end"));
  const place = spot(event);
  if (!place) return;
  if (place.before) one(`#block-${place.before}`).classList.add("is-before");
  else one(`[data-column="${place.column}"]`).classList.add("is-end");
}

// --- a dialog whose form went through closes by itself

document.addEventListener("htmx:after:request", ({ target, detail }) => {
  const form = target.closest?.("[data-close-after]");
  if (form && detail.ctx?.response?.status < 400) form.closest("dialog").close();
});
