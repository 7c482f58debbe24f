// One card of the canvas: a button that says what the step is, how many came, and whether something is wrong.
import { counted, el, icon, number, spoken, tile } from "./dom.js";

/** What a card shows; `figures` are those of the published version, absent before the first publication. */
export function drawCard(button, { id, type, title, does, whence, note, figures, problems, isTrigger }) {
  const errors = problems.filter((problem) => !problem.is_warning);
  button.className = `flow-card tone-${type.tone}${isTrigger ? " is-trigger" : ""}`;
  button.dataset.step = id;
  button.replaceChildren(
    tile(type.icon, type.tone),
    el(
      "span",
      { class: "flow-card-text" },
      el("span", { class: "flow-card-kind", title: does }, type.label, does ? ` · ${does}` : "", spoken(": ")),
      el("span", { class: "flow-card-title", title }, title, spoken(whence ? `, ${whence}. ` : ". ")),
    ),
    foot(figures, note),
  );
  if (problems.length) button.append(mark(problems, errors));
}

function mark(problems, errors) {
  const words = errors.length ? counted(errors.length, "problem") : counted(problems.length, "warning");
  const tone = errors.length ? "red" : "orange";
  return el("span", { class: `flow-card-mark tone-${tone}`, title: problems[0].sentence }, icon(errors.length ? "alert-circle" : "alert-triangle"), spoken(` ${words}. `));
}

function foot(figures, note) {
  const parts = [];
  if (figures) {
    parts.push(el("span", {}, icon("users", "icon icon-small"), number(figures.entered), spoken(" entered. ")));
    if (figures.here) parts.push(el("span", { class: "flow-card-here" }, `${number(figures.here)} here now`));
    if (figures.result) parts.push(el("span", { class: "flow-card-result" }, figures.result));
  }
  if (note) parts.push(el("span", { class: "flow-card-note", title: note }, icon("note", "icon icon-small"), spoken(`Note: ${note}`)));
  return parts.length ? el("span", { class: "flow-card-foot" }, parts) : "";
}

/** A folded branch: how many steps it hides, which kinds, how many leads are in it; a press opens it. */
export function drawFold(button, { id, edge, count, kinds, here, problems }) {
  button.className = "flow-card flow-folded tone-gray";
  button.dataset.fold = id;
  button.dataset.opens = edge;
  const parts = [el("span", {}, "Open it")];
  if (here) parts.unshift(el("span", { class: "flow-card-here" }, `${number(here)} here now`));
  button.replaceChildren(
    tile("stack-2", "gray"),
    el("span", { class: "flow-card-text" }, el("span", { class: "flow-card-kind" }, "Folded branch", spoken(": ")), el("span", { class: "flow-card-title", title: kinds.join(", ") }, `${counted(count, "step")}: ${kinds.join(", ")}`, spoken(". "))),
    el("span", { class: "flow-card-foot" }, parts),
  );
  if (problems.length) button.append(mark(problems, problems.filter((problem) => !problem.is_warning)));
}
