// The whole designer by keyboard: arrows walk the flow, single keys act on the step in focus, chords undo, copy and paste.
import { edges, loops } from "./graph.js";
import { CARD } from "./layout.js";

const CARDS = "[data-step], [data-fold]";
const idOf = (card) => card.dataset.step ?? card.dataset.fold;
const ARROWS = ["ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight"];

export class Keyboard {
  constructor({ designer, canvas, adding, picker, text, openPanel, help, look }) {
    Object.assign(this, { designer, canvas, adding, picker, text, openPanel, help, look });
    document.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("pointerdown", (event) => (this.isInSettings = Boolean(event.target.closest("#panel"))), true);
    canvas.list.addEventListener("focusin", (event) => {
      const card = event.target.closest(CARDS);
      if (card && card.matches(":focus-visible")) canvas.reveal(idOf(card));
    });
  }

  key(event) {
    const isTyping = event.target.closest("input, textarea, select, [contenteditable]");
    const isLeaving = event.key === "Escape" && event.target.closest("#panel"); // back from the settings to their step
    if (event.defaultPrevented || event.altKey || (isTyping && !isLeaving)) return;
    if (document.querySelector("dialog[open], [popover]:popover-open")) return;
    if (this.isMissed(event)) return;
    const run = event.ctrlKey || event.metaKey ? this.chord(event) : this.single(event);
    if (!run) return;
    event.preventDefault();
    run();
  }

  /** Typed after a press that just missed a field of the settings: letters meant for it are no commands. */
  isMissed(event) {
    if (event.key === "Tab" || event.target.closest("#canvas")) this.isInSettings = false;
    return this.isInSettings && !event.ctrlKey && !event.metaKey && event.key !== "Escape";
  }

  chord(event) {
    const { designer } = this;
    const key = event.key.toLowerCase();
    if (key === "c" && String(getSelection())) return null; // text is copied as text
    const chords = {
      z: () => this.staying(() => (event.shiftKey ? designer.redo() : designer.undo())),
      y: () => this.staying(() => designer.redo()),
      c: () => designer.copy(),
      x: () => (designer.copy(), designer.remove(designer.chosenSteps)),
      v: () => (designer.paste(), this.focusChosen()),
      d: () => (designer.duplicate(), this.focusChosen()),
      a: () => designer.choose(designer.flow.steps.map((step) => step.id)),
    };
    return chords[key];
  }

  single(event) {
    const { canvas, designer, help, look, picker, text } = this;
    const card = event.target.closest?.(CARDS);
    const anywhere = { F: look.fullScreen, C: () => canvas.folding.openAll(), f: look.fit, 0: look.home, i: look.in, o: look.out, "/": () => picker.jump(), "?": help, t: () => text.begin(), Escape: () => this.escape(card) };
    if (event.key in anywhere) return anywhere[event.key];
    if (!card && ARROWS.includes(event.key) && (event.target === document.body || event.target.closest?.("#canvas"))) return () => this.enter();
    const removal = ["Delete", "Backspace"].includes(event.key);
    if (removal && designer.chosen.length && !(card && !designer.chosen.includes(card.dataset.step))) return () => this.removeAndStay(designer.chosen);
    if (!card) return null;
    return card.dataset.fold ? this.onFold(event, card) : this.onCard(event, card);
  }

  /** From the page onto the canvas. */
  enter() {
    const id = this.designer.chosenSteps[0] ?? this.designer.flow.triggers[0]?.id;
    const ghost = this.canvas.list.querySelector(".flow-ghost");
    if (id || !ghost || document.activeElement === ghost) return this.canvas.focus(id ?? this.designer.flow.start);
    ghost.focus();
  }

  /** The keys that walk, on whatever card. */
  walking(id) {
    return {
      ArrowDown: () => this.walk(id, this.next(id)),
      ArrowUp: () => this.walk(id, this.previous(id)),
      ArrowLeft: () => this.walk(id, this.beside(id, -1)),
      ArrowRight: () => this.walk(id, this.beside(id, 1)),
      Home: () => this.walk(id, this.designer.flow.triggers[0]?.id ?? this.designer.flow.start),
    };
  }

  onFold(event, card) {
    const open = () => this.canvas.focus(this.canvas.folding.open(card.dataset.opens));
    return { ...this.walking(card.dataset.fold), c: open, Enter: open, " ": open }[event.key];
  }

  onCard(event, card) {
    const id = card.dataset.step;
    const { designer, adding } = this;
    const acts = {
      ...this.walking(id),
      "+": () => adding.addAfter(id, card),
      g: () => this.goTo(id, card),
      m: () => adding.moveBehind(designer.chosenSteps.includes(id) ? designer.chosenSteps : [id], card),
      b: () => designer.chooseBranch(id),
      c: () => this.fold(id),
      n: () => (designer.choose(id), this.openPanel("panel-note")),
      F2: () => (designer.choose(id), this.openPanel("panel-name")),
      Enter: () => (designer.choose(id), this.openPanel()),
      " ": () => designer.chooseAlso(id),
      Delete: () => this.removeAndStay([id]),
      Backspace: () => this.removeAndStay([id]),
    };
    return acts[event.key];
  }

  walk(from, to) {
    if (!to) return this.designer.say("No step in that direction.");
    this.canvas.focus(to);
  }

  forward() {
    const back = loops(this.canvas.shown);
    return edges(this.canvas.shown).filter((edge) => !back.has(edge.id));
  }

  next(id) {
    if (this.designer.isTrigger(id)) return this.canvas.shown.start;
    return this.forward().find((edge) => edge.from === id)?.to;
  }

  previous(id) {
    const before = this.forward().find((edge) => edge.to === id)?.from;
    return before ?? (id === this.designer.flow.start ? this.designer.flow.triggers[0]?.id : undefined);
  }

  /** Fold the smallest branch that this step is in. */
  fold(id) {
    const edge = this.canvas.folding.innermost(id);
    if (!edge) return this.designer.say("This step is in no branch that could be folded.");
    this.canvas.focus(this.canvas.folding.fold(edge));
  }

  /** The neighbour in the same row. */
  beside(id, direction) {
    const { cards } = this.canvas.drawn;
    const here = cards.get(id);
    const row = [...cards].filter(([other, at]) => this.canvas.button(other) && Math.abs(at.y - here.y) < CARD.height).sort((a, b) => a[1].x - b[1].x);
    return row[row.findIndex(([other]) => other === id) + direction]?.[0];
  }

  goTo(id, card) {
    const paths = edges(this.designer.flow).filter((edge) => edge.from === id);
    if (!paths.length || !this.designer.mayEdit) return;
    if (paths.length === 1) return this.picker.goTo(paths[0].id);
    this.adding.choosePath(paths, "Which path goes on elsewhere?", (edge) => this.picker.goTo(edge.id), card);
  }

  removeAndStay(ids) {
    const stay = this.previous(ids[0]) ?? this.designer.flow.start;
    this.designer.remove(ids);
    const id = this.designer.find(stay) ? stay : this.designer.flow.start;
    this.canvas.focus(id);
  }

  /** Undo may take away the card in focus: the one before it is next. */
  staying(run) {
    const card = document.activeElement?.closest(CARDS);
    const before = card && this.previous(idOf(card));
    run();
    if (card && !this.canvas.button(idOf(card))) this.canvas.focus(this.designer.find(before) ? before : this.designer.flow.start);
  }

  focusChosen() {
    if (this.designer.chosen[0]) this.canvas.focus(this.designer.chosen[0]);
  }

  escape(card) {
    if (!card && this.designer.chosen[0] && document.activeElement?.closest("#panel")) return this.focusChosen();
    this.designer.choose([]);
  }
}
