// Two people in one draft: who else is at it, their changes as they come, and both sides where they meet.
import { el, icon } from "./dom.js";
import { apart, compared, merged } from "./merging.js";
import { get } from "./saving.js";
import { picture } from "./thumbs.js";

const LOOK_EVERY = 8000;
const WORDS = { added: "added", changed: "changed", deleted: "deleted", "": "as before" };

export function sharing({ designer, saving, urls, dialog, badge, editor }) {
  const show = (other) => {
    badge.hidden = !other;
    if (!other) return;
    badge.replaceChildren(icon("user-edit"), el("span", {}, `${other.name} is editing`));
    badge.title = `${other.name} changed this draft ${other.ago}. You both can; nothing is overwritten.`;
    if (badge.dataset.who !== other.name) designer.say(`${other.name} is editing this campaign, too.`);
    badge.dataset.who = other.name;
  };

  const isTyping = () => Boolean(document.activeElement?.closest("#panel form, #flow-text, #panel-note, #panel-name"));

  async function look() {
    if (document.hidden || dialog.open) return;
    const { ok, data: state } = await get(urls.hands);
    if (!ok) return; // offline: saving says so
    show(state.other);
    if (state.revision > saving.revision && !saving.isAhead && !saving.running && !isTyping()) await follow(state.other?.name ?? "Somebody");
  }

  /** What somebody else drew appears here, and can be undone like anything. */
  async function follow(name) {
    const { ok, data: draft } = await get(urls.draft);
    if (!ok || draft.revision <= saving.revision || saving.isAhead) return;
    saving.take(draft, `${name}’s changes`);
    designer.say(`${name} changed the draft; you see it as it is now.`);
  }

  saving.addEventListener("conflict", ({ detail: theirs }) => {
    const other = designer.tidy(theirs.flow);
    const mine = apart(saving.saved, designer.flow, other);
    const together = merged(saving.saved, mine, other);
    dialog.querySelector("[data-both]").replaceChildren(table(designer, mine, theirs, compared(saving.saved, mine, other)), sketches(designer, mine, other, saving.saved));
    const button = dialog.querySelector("[data-keep-both]");
    button.hidden = !together;
    button.onclick = () => saving.keepMerged(together);
  });

  show(editor);
  if (urls.hands) setInterval(look, LOOK_EVERY);
}

function table(designer, mine, theirs, rows) {
  const inside = (flow, id) => [...flow.steps, ...flow.triggers].find((one) => one.id === id);
  const title = (id) => {
    if (id === "campaign") return "Campaign settings";
    const [ours, others] = [inside(mine, id), inside(theirs.flow, id)];
    return ours ? designer.titleOf(ours) : others ? others.name || theirs.looks[id]?.title : "A deleted step";
  };
  const cell = (what) => el("td", { class: what ? `fate-${what}` : "text-secondary" }, WORDS[what]);
  const head = el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Step"), el("th", { scope: "col" }, "You"), el("th", { scope: "col" }, "They")));
  return el("table", { class: "table conflict-table" }, head, el("tbody", {}, rows.map((row) => el("tr", {}, el("th", { scope: "row" }, title(row.id)), cell(row.mine), cell(row.theirs)))));
}

/** Both flows as small drawings, what differs from before marked in them. */
function sketches(designer, mine, theirs, base) {
  const one = (words, flow) => el("figure", { class: "conflict-sketch" }, el("figcaption", {}, words), sketch(designer, flow, base));
  return el("div", { class: "conflict-sketches", "aria-hidden": "true" }, one("Yours", mine), one("Theirs", theirs));
}

function sketch(designer, flow, base) {
  const changed = new Set(compared(base, flow, base).map((row) => row.id));
  const kinds = [...designer.data.steps, ...designer.data.triggers];
  const tones = new Map([...flow.steps, ...flow.triggers].map((item) => [item.id, kinds.find((type) => type.kind === item.kind)?.tone]));
  return picture(flow, (id) => `tone-${tones.get(id) ?? "gray"}${changed.has(id) ? " is-changed" : ""}`);
}
