// The list of what stops publishing and what to think about; each entry jumps to its step.
import { counted, el, icon } from "./dom.js";

export function problemList(root, button, { designer, canvas }) {
  const draw = () => {
    const errors = designer.problems.filter((problem) => !problem.is_warning);
    const warnings = designer.problems.filter((problem) => problem.is_warning);
    const tone = errors.length ? "red" : warnings.length ? "orange" : "green";
    const words = errors.length ? counted(errors.length, "problem") : warnings.length ? counted(warnings.length, "warning") : "No problems";
    button.className = `btn btn-sm problems-button tone-${tone}`;
    button.replaceChildren(icon(errors.length ? "alert-circle" : warnings.length ? "alert-triangle" : "circle-check"), words);
    root.replaceChildren(...section("These stop publishing", errors), ...section("Worth a thought", warnings));
    if (!designer.problems.length) root.append(el("p", { class: "m-3 text-secondary" }, "Nothing stands in the way of publishing."));
  };

  const section = (title, problems) =>
    problems.length ? [el("h2", { class: "palette-heading" }, title), el("ul", { class: "problem-list" }, problems.map(entry))] : [];

  const entry = (problem) => {
    const item = designer.find(problem.step);
    const words = el("span", {}, item ? el("b", {}, designer.titleOf(item)) : null, problem.sentence);
    const mark = icon(problem.is_warning ? "alert-triangle" : "alert-circle");
    return el("li", {}, el("button", { type: "button", class: `problem tone-${problem.is_warning ? "orange" : "red"}`, onclick: () => jump(problem, item) }, mark, words));
  };

  const jump = (problem, item) => {
    root.hidePopover();
    designer.choose(item ? item.id : "campaign");
    if (item) canvas.focus(item.id);
  };

  for (const name of ["change", "looks"]) designer.addEventListener(name, draw);
  draw();
}
