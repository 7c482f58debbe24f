// The drawing: cards are HTML buttons in reading order, paths one SVG, labels and "+" on top of them.
import { drawCard, drawFold } from "./card.js";
import { counted, el, icon, number, spoken, svg } from "./dom.js";
import { branchOf, canFold, Folding, isFold } from "./folding.js";
import { edges } from "./graph.js";
import { CARD, layout } from "./layout.js";
import { head, rounded } from "./routes.js";
import { Viewport } from "./viewport.js";
import { whences } from "./whence.js";

export class Canvas {
  constructor(root, designer) {
    this.root = root;
    this.designer = designer;
    this.places = new Map();
    this.folding = new Folding(designer);
    this.paths = svg("svg", { class: "flow-paths", "aria-hidden": "true" });
    this.list = el("div", { class: "flow-cards", role: "list", "aria-label": "Steps of the campaign" });
    this.marks = el("div", { class: "flow-marks", role: "group", "aria-label": "Paths of the campaign" });
    this.world = el("div", { class: "flow-world" }, this.paths, this.list, this.marks);
    root.append(this.world);
    this.view = new Viewport(root, this.world);
    this.draw();
    this.view.home(this.middle);
    designer.addEventListener("change", () => this.draw());
    designer.addEventListener("looks", () => this.draw());
    designer.addEventListener("figures", () => this.draw());
    designer.addEventListener("choose", () => this.showChosen());
    this.list.addEventListener("click", (event) => this.clicked(event));
    this.marks.addEventListener("click", (event) => this.clicked(event));
    this.folding.addEventListener("change", () => designer.emit("figures")); // all that is drawn on cards is drawn anew
  }

  /** Branches are folded and opened wherever a flow is drawn, also where nothing can be changed. */
  clicked(event) {
    const [folder, fold] = ["[data-fold-edge]", "[data-fold]"].map((each) => event.target.closest(each));
    if (folder) this.focus(this.folding.fold(folder.dataset.foldEdge));
    if (fold) this.focus(this.folding.open(fold.dataset.opens));
  }

  get middle() {
    const first = this.drawn.cards.get(this.designer.flow.start);
    return first ? first.x + CARD.width / 2 : 0;
  }

  draw() {
    const flow = this.folding.draw();
    if (flow !== this.shown) this.arrange(flow);
    this.drawCards();
    this.drawPaths();
    this.drawMarks();
    this.showChosen();
    this.view.dispatchEvent(new Event("move"));
  }

  arrange(flow) {
    this.shown = flow;
    const before = this.drawn?.cards;
    const triggers = flow.triggers.map((trigger) => trigger.id);
    this.drawn = layout(flow, window.dagre, triggers.length ? triggers : ["no-trigger"]);
    this.view.bounds = this.drawn.bounds;
    if (before) this.stayPut(before);
  }

  /** What the marketer looks at stays where it is while the rest makes room. */
  stayPut(before) {
    const { chosen } = this.designer;
    const flow = this.shown;
    const focused = document.activeElement?.closest?.("[data-step], [data-fold], [data-fold-edge]");
    const held = focused?.dataset.step ?? focused?.dataset.fold ?? focused?.dataset.foldEdge?.split(":")[0];
    const anchor = [held, ...chosen, flow.start, ...flow.triggers.map((trigger) => trigger.id)].find((id) => before.has(id) && this.drawn.cards.has(id));
    if (!anchor) return;
    const [old, now] = [before.get(anchor), this.drawn.cards.get(anchor)];
    this.view.x += (old.x - now.x) * this.view.scale;
    this.view.y += (old.y - now.y) * this.view.scale;
    this.view.apply();
  }

  /** The order of the document is the order of reading, so that Tab and screen readers follow the flow. */
  drawCards() {
    const { drawn } = this;
    const items = [...this.shown.triggers, ...this.shown.steps];
    const kept = new Set(items.map((item) => item.id));
    const at = (item) => drawn.cards.get(item.id);
    items.sort((a, b) => at(a).y - at(b).y || at(a).x - at(b).x);
    for (const [id, place] of this.places) if (!kept.has(id)) place.remove(), this.places.delete(id);
    let before = null;
    const whence = whences(this.designer);
    for (const item of items) {
      const place = this.placeOf(item, whence.get(item.id));
      const next = before ? before.nextSibling : this.list.firstChild;
      if (next !== place) this.list.insertBefore(place, next); // moving a focused card would take its focus away
      before = place;
    }
    this.drawFirstTrigger();
  }

  placeOf(item, whence) {
    const { designer } = this;
    const place = this.places.get(item.id) ?? el("div", { class: "flow-place", role: "listitem" }, el("button", { type: "button" }));
    this.places.set(item.id, place);
    if (isFold(item.id)) return this.placeFold(place, item.id);
    const view = {
      id: item.id,
      type: designer.typeOf(item),
      title: designer.titleOf(item),
      does: designer.doingOf(item),
      whence,
      note: item.note,
      figures: designer.figuresOf(item),
      problems: designer.problemsOf(item.id),
      isTrigger: designer.isTrigger(item.id),
    };
    const key = JSON.stringify(view);
    if (place.shown !== key) drawCard(place.firstChild, view);
    place.shown = key;
    this.put(place, this.drawn.cards.get(item.id));
    return place;
  }

  placeFold(place, id) {
    const { designer } = this;
    const fold = this.folding.drawn.folds.get(id);
    const steps = fold.steps.map((step) => designer.find(step));
    const here = designer.figures ? steps.reduce((sum, step) => sum + (designer.figures.steps?.[step.id]?.here ?? 0), 0) : null;
    const kinds = [...new Set(steps.map((step) => designer.typeOf(step).label))];
    drawFold(place.firstChild, { id, edge: fold.edge, count: steps.length, kinds, here, problems: steps.flatMap((step) => designer.problemsOf(step.id)) });
    this.put(place, this.drawn.cards.get(id));
    return place;
  }

  put(element, { x, y }) {
    const [left, top] = [`${x}px`, `${y}px`];
    if (element.style.left !== left) element.style.left = left;
    if (element.style.top !== top) element.style.top = top;
  }

  drawFirstTrigger() {
    this.ghost ??= el("div", { class: "flow-place", role: "listitem" }, el("button", { type: "button", class: "flow-card flow-ghost", dataset: { addTrigger: "" } }, icon("bolt"), "Choose who enters"));
    const at = this.drawn.cards.get("no-trigger");
    if (!at) return this.ghost.remove();
    this.put(this.ghost, at);
    this.list.prepend(this.ghost);
  }

  drawPaths() {
    const [plain, loop, heads] = [[], [], []];
    for (const { points, loop: isLoop } of this.drawn.routes.values()) {
      if (!points.length) continue;
      (isLoop ? loop : plain).push(rounded(points));
      heads.push(head(points));
    }
    this.paths.replaceChildren(
      svg("path", { class: "flow-path", d: plain.join("") }),
      svg("path", { class: "flow-path is-loop", d: loop.join("") }),
      svg("path", { class: "flow-head", d: heads.join("") }),
    );
  }

  /** What stands on the paths. A mark whose words are as before is only moved: most are, and making them is slow. */
  drawMarks() {
    const [found, kept] = [this.marksOf(), new Map()];
    let before = null;
    for (const { key, words, make, at } of found) {
      const old = this.made?.get(key);
      const mark = old?.words === words ? old : { words, element: make() };
      kept.set(key, mark);
      this.put(mark.element, { x: at[0], y: at[1] });
      const next = before ? before.nextSibling : this.marks.firstChild;
      if (next !== mark.element) this.marks.insertBefore(mark.element, next);
      before = mark.element;
    }
    for (const [key, { element }] of this.made ?? []) if (kept.get(key)?.element !== element) element.remove();
    this.made = kept;
  }

  marksOf() {
    const marks = [];
    const { mayEdit, flow } = this.designer;
    const mark = (key, words, at, make) => marks.push({ key, words, at, make });
    const start = this.drawn.routes.get("start");
    if (start && mayEdit) mark("+start", "", start.plus, () => this.plus("start", "Add a first step"));
    for (const edge of edges(this.shown)) {
      const route = this.drawn.routes.get(edge.id);
      if (!route || isFold(edge.from)) continue;
      const step = this.designer.find(edge.from);
      const label = this.designer.portLabel(step, edge.port);
      if (route.pill) this.markBranch({ edge, route, label, flow, mark });
      if (!mayEdit) continue;
      const words = `Add a step after ${this.designer.titleOf(step)}${label ? `, path ${label}` : ""}`;
      mark(`+${edge.id}`, words, route.plus, () => this.plus(edge.id, words));
      mark(`end ${edge.id}`, label, route.grip, () => this.end(edge, label));
    }
    if (mayEdit && flow.triggers.length) mark("trigger", "", this.besideTriggers(), () => this.addTrigger());
    return marks;
  }

  markBranch({ edge, route, label, flow, mark }) {
    const passed = this.designer.figures ? (this.designer.figures.steps?.[edge.from]?.left?.[edge.port] ?? 0) : "";
    mark(`pill ${edge.id}`, `${label} ${passed}`, route.pill, () => this.pill(edge, label));
    if (isFold(edge.to) || !canFold(flow, branchOf(flow, edge.id))) return;
    mark(`fold ${edge.id}`, label, [route.plus[0] + 26, route.plus[1]], () => this.folder(edge, label));
  }

  pill(edge, label) {
    const passed = this.designer.figures?.steps?.[edge.from]?.left?.[edge.port];
    const count = this.designer.figures ? el("b", {}, number(passed)) : null;
    const words = label || edge.port;
    return el("button", { type: "button", class: `flow-pill ${pillTone(words)}`, tabindex: "-1", dataset: { edge: edge.id }, title: words }, el("span", {}, words), count, this.designer.figures ? spoken(` ${counted(passed ?? 0, "lead")} took this path`) : null);
  }

  /** Folds the branch behind a path. */
  folder(edge, label) {
    const words = `Fold the branch ${label || edge.port}`;
    return el("button", { type: "button", class: "flow-fold", tabindex: "-1", "aria-label": words, title: `${words} (C)`, dataset: { foldEdge: edge.id } }, icon("chevron-up"));
  }

  plus(id, label) {
    return el("button", { type: "button", class: "flow-plus", tabindex: "-1", "aria-label": label, title: "Add a step", "aria-haspopup": "dialog", dataset: { plus: id } }, icon("plus"));
  }

  /** The end of a path, which can be dragged onto another step. */
  end(edge, label) {
    const words = `Drag this path’s end${label ? ` (${label})` : ""} onto another step`;
    return el("span", { class: "flow-end", title: words, dataset: { end: edge.id } });
  }

  besideTriggers() {
    const last = this.drawn.cards.get(this.designer.flow.triggers.at(-1).id);
    return [last.x + CARD.width + 20, last.y + CARD.height / 2];
  }

  addTrigger() {
    return el("button", { type: "button", class: "flow-add-trigger", "aria-haspopup": "dialog", dataset: { addTrigger: "" } }, icon("plus"), spoken("Add a "), "Trigger");
  }

  showChosen() {
    for (const [id, place] of this.places) {
      const isChosen = this.designer.chosen.includes(id);
      place.firstChild.classList.toggle("is-chosen", isChosen);
      place.firstChild.setAttribute("aria-pressed", String(isChosen));
    }
  }

  button(id) {
    return this.places.get(id)?.firstChild;
  }

  focus(id) {
    this.reveal(id);
    this.button(id)?.focus({ preventScroll: true });
  }

  reveal(id) {
    this.folding.reveal(id);
    const at = this.drawn.cards.get(id);
    if (at) this.view.reveal({ ...at, ...CARD });
  }
}

function pillTone(label) {
  if (/^(yes|true|met|done)$/i.test(label)) return "tone-green";
  return /^(no|not sent|failed|timed out|else)$/i.test(label) ? "tone-red" : "";
}
