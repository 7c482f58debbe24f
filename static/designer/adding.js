// Adding by "+", by palette and by drag: what each of them offers and where it goes.
import { counted, el, tile } from "./dom.js";
import { draggable } from "./drag.js";
import { branchOf } from "./folding.js";
import { edgeOf, edges } from "./graph.js";
import { clip } from "./model.js";

const ORDER = ["Actions", "Timing", "Logic", "End"];
export const groupsOf = (types, order = ORDER) => [...new Set([...order, ...types.map((type) => type.category)])].filter((name) => types.some((type) => type.category === name));

export class Adding {
  constructor({ designer, canvas, menu, picker, palette }) {
    Object.assign(this, { designer, canvas, menu, picker });
    if (!designer.mayEdit) return;
    this.drawPalette(palette);
    canvas.root.addEventListener("click", (event) => this.clicked(event));
    draggable(palette, canvas, (event) => this.fromPalette(event), (plus, { step }) => designer.insert(plus.dataset.plus, step));
    draggable(canvas.list, canvas, (event) => this.fromCard(event), (plus, { ids }) => designer.move(ids, plus.dataset.plus));
    draggable(canvas.marks, canvas, (event) => this.fromEnd(event), (card, { edge }) => designer.connect(edge, card.dataset.step));
    draggable(canvas.marks, canvas, (event) => this.fromBranch(event), (plus, { ids }) => designer.move(ids, plus.dataset.plus));
  }

  drawPalette(root) {
    const { steps } = this.designer.data;
    for (const group of groupsOf(steps)) {
      const entries = steps.filter((type) => type.category === group);
      root.append(
        el("h2", { class: "palette-heading" }, group),
        el("div", { class: "palette-group" }, entries.map((type) => this.paletteItem(type))),
      );
    }
    root.addEventListener("click", (event) => {
      const item = event.target.closest("[data-kind]");
      if (item) this.addBehindChosen(item.dataset.kind);
    });
    root.addEventListener("keydown", (event) => this.walkPalette(event, [...root.querySelectorAll("[data-kind]")]));
    this.rest(root.querySelector("[data-kind]"));
  }

  /** The palette is one stop of Tab, within it arrows walk: the canvas is near for who has no mouse. */
  walkPalette(event, items) {
    const at = items.indexOf(event.target);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    this.rest(items[Math.max(0, Math.min(to, items.length - 1))])?.focus();
  }

  rest(item) {
    this.resting?.setAttribute("tabindex", "-1");
    item?.setAttribute("tabindex", "0");
    return (this.resting = item);
  }

  paletteItem(type) {
    return el("button", { type: "button", class: `palette-item tone-${type.tone}`, tabindex: "-1", dataset: { kind: type.kind }, title: type.help }, tile(type.icon, type.tone), el("span", {}, type.label));
  }

  /** A click in the palette adds behind the chosen step; without one, at the end of the first path. */
  addBehindChosen(kind) {
    const { designer } = this;
    const all = edges(designer.flow);
    const chosen = designer.chosenSteps.at(-1);
    const behind = all.find((edge) => edge.from === chosen) ?? (chosen ? all.find((edge) => edge.to === chosen) : null);
    designer.insert(behind?.id ?? lastOfFirstPath(designer.flow), kind);
    this.canvas.reveal(designer.chosen[0]);
  }

  clicked(event) {
    const plus = event.target.closest("[data-plus]");
    if (plus) this.openAt(plus.dataset.plus, plus);
    const trigger = event.target.closest("[data-add-trigger]");
    if (trigger) this.openTriggers(trigger);
  }

  openAt(edge, back) {
    const { designer, menu } = this;
    const at = back.getBoundingClientRect();
    const to = edgeOf(designer.flow, edge)?.to;
    const last = designer.find(to)?.kind === "exit" ? "exit" : "";
    const entries = groupsOf(designer.data.steps).flatMap((group) =>
      designer.data.steps.filter((type) => type.category === group && type.kind !== last).map((type) => ({ ...type, group, hint: type.help, run: () => this.inserted(edge, type.kind) })),
    );
    const pasted = designer.clip;
    if (pasted?.steps?.length) entries.push({ group: "More", label: `Paste ${pasted.steps.length === 1 ? "the copied step" : `${pasted.steps.length} copied steps`}`, icon: "clipboard", tone: "gray", run: () => (designer.paste(edge), this.focusChosen()) });
    if (edge !== "start") entries.push({ group: "More", label: "Go to another step…", icon: "arrow-loop-right", tone: "gray", run: () => this.picker.goTo(edge) });
    menu.open({ at, title: "Add here", entries, back });
  }

  inserted(edge, kind) {
    this.designer.insert(edge, kind);
    this.focusChosen();
  }

  focusChosen() {
    const id = this.designer.chosen[0];
    if (id) this.canvas.focus(id);
  }

  /** From the keyboard: behind a card. With several paths, first ask which. */
  addAfter(id, back) {
    const { designer } = this;
    if (designer.isTrigger(id)) return this.openAt("start", back);
    const paths = edges(designer.flow).filter((edge) => edge.from === id);
    if (!paths.length) return designer.say("This step ends its path. Add a step before it.");
    if (paths.length === 1) return this.openAt(paths[0].id, back);
    this.choosePath(paths, "Add to which path?", (edge) => this.openAt(edge.id, back), back);
  }

  choosePath(paths, title, run, back) {
    const { designer } = this;
    const label = (edge) => designer.portLabel(designer.find(edge.from), edge.port) || "Next";
    const entries = paths.map((edge) => ({ group: "", label: label(edge), icon: "arrow-guide", tone: "purple", run: () => run(edge) }));
    this.menu.open({ at: back.getBoundingClientRect(), title, entries, back });
  }

  /** From the keyboard: move steps behind another one. */
  moveBehind(ids, back) {
    const { designer } = this;
    if (!designer.mayEdit || ids.some((id) => designer.isTrigger(id))) return;
    this.picker.moveBehind(ids, (target) => {
      const paths = edges(designer.flow).filter((edge) => edge.from === target);
      const put = (edge) => (designer.move(ids, edge), this.canvas.focus(ids[0]));
      if (designer.isTrigger(target)) return put("start");
      if (paths.length === 1) return put(paths[0].id);
      this.choosePath(paths, "Into which path?", (edge) => put(edge.id), back);
    });
  }

  openTriggers(back) {
    const { designer, menu } = this;
    const entries = designer.data.triggers.map((type) => ({ ...type, group: type.category, hint: type.help, run: () => (designer.addTrigger(type.kind), this.focusChosen()) }));
    menu.open({ at: back.getBoundingClientRect(), title: "Who enters this campaign?", entries, back });
  }

  fromPalette(event) {
    const item = event.target.closest("[data-kind]");
    return item && { kind: "plus", words: item.textContent, step: item.dataset.kind };
  }

  fromCard(event) {
    const { designer } = this;
    const fold = this.canvas.folding.drawn.folds.get(event.target.closest("[data-fold]")?.dataset.fold);
    if (fold) return this.fromBranch(event, fold.edge);
    const card = event.target.closest(".flow-card[data-step]");
    if (!card || designer.isTrigger(card.dataset.step)) return null;
    const ids = designer.chosen.includes(card.dataset.step) ? designer.chosenSteps : [card.dataset.step];
    const words = ids.length > 1 ? `${ids.length} steps` : designer.titleOf(clip(designer.flow, ids).steps[0]);
    const rest = () => (designer.chooseAlso(card.dataset.step), designer.say(`${designer.chosenSteps.length} chosen.`));
    return { kind: "plus", words, ids, rest };
  }

  /** The name of a path, or a folded branch, takes along the whole branch. */
  fromBranch(event, edge = event.target.closest(".flow-pill")?.dataset.edge) {
    const ids = edge ? this.designer.withoutEnds(branchOf(this.designer.flow, edge)) : [];
    return ids.length ? { kind: "plus", words: `Branch of ${counted(ids.length, "step")}`, ids } : null;
  }

  fromEnd(event) {
    const handle = event.target.closest("[data-end]");
    if (!handle) return null;
    const edge = handle.dataset.end;
    return { kind: "card", words: "Let go on a step", edge, from: this.canvas.drawn.routes.get(edge).points.at(0) };
  }
}

/** The last edge of the path that takes every first way out. */
function lastOfFirstPath(flow) {
  const all = edges(flow);
  const seen = new Set();
  let [last, here] = ["start", flow.start];
  while (!seen.has(here)) {
    seen.add(here);
    const edge = all.find((one) => one.from === here);
    if (!edge) break;
    [last, here] = [edge.id, edge.to];
  }
  return last;
}
