// The list of what stops publishing and what to think about; each entry jumps to its step, a warning can be let stand.
import { counted, el, icon, spoken } from "./dom.js";

export function problemList(root, button, { designer, canvas }) {
  const draw = () => {
    const errors = designer.problems.filter((problem) => !problem.is_warning);
    const warnings = designer.problems.filter((problem) => problem.is_warning && !designer.isAccepted(problem));
    const accepted = designer.problems.filter((problem) => designer.isAccepted(problem));
    const focused = root.contains(document.activeElement) ? [...root.querySelectorAll("button")].indexOf(document.activeElement) : -1;
    const tone = errors.length ? "red" : warnings.length ? "orange" : "green";
    const words = errors.length ? counted(errors.length, "problem") : warnings.length ? counted(warnings.length, "warning") : "No problems";
    button.className = `btn btn-sm problems-button tone-${tone}`;
    button.replaceChildren(icon(errors.length ? "alert-circle" : warnings.length ? "alert-triangle" : "circle-check"), words);
    root.replaceChildren(...section("These stop publishing", errors), ...section("Worth a thought", warnings), ...section("Accepted", accepted));
    if (focused >= 0) [...root.querySelectorAll("button")].at(Math.min(focused, root.querySelectorAll("button").length - 1))?.focus();
    if (!errors.length && !warnings.length) root.append(el("p", { class: "m-3 text-secondary" }, "Nothing stands in the way of publishing."));
  };

  const section = (title, problems) =>
    problems.length ? [el("h2", { class: "palette-heading" }, title), el("ul", { class: "problem-list" }, problems.map(entry))] : [];

  const entry = (problem) => {
    const item = designer.find(problem.step);
    const words = el("span", {}, item ? el("b", {}, designer.titleOf(item)) : null, problem.sentence);
    const mark = icon(problem.is_warning ? "alert-triangle" : "alert-circle");
    const isAccepted = designer.isAccepted(problem);
    const tone = isAccepted ? "gray" : problem.is_warning ? "orange" : "red";
    if (isAccepted) words.append(el("small", {}, `Accepted by ${problem.accepted || "you, just now"}`));
    return el("li", {}, el("button", { type: "button", class: `problem tone-${tone}`, onclick: () => jump(problem, item) }, mark, words), accepting(designer, problem));
  };

  const jump = (problem, item) => {
    root.hidePopover();
    designer.choose(item ? item.id : "campaign");
    if (item) canvas.focus(item.id);
  };

  for (const name of ["change", "looks"]) designer.addEventListener(name, draw);
  draw();
}

/** The button that lets a warning stand, or takes that back; nothing for errors. */
export function accepting(designer, problem) {
  if (!problem.is_warning || !designer.mayEdit) return null;
  const isAccepted = designer.isAccepted(problem);
  const about = `: ${problem.sentence}`;
  return el("button", { type: "button", class: "btn btn-sm problem-accept", title: isAccepted ? "Show it as a warning again" : "Let it stand; your name is kept with it", onclick: () => designer.accept(problem, !isAccepted) }, isAccepted ? "Take back" : "Accept", spoken(about));
}
