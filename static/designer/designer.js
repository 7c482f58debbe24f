// The state of one open designer: the flow and its history, what is chosen, what the server said about it; and its commands.
import { behind } from "./folding.js";
import { edgeOf, edges, inDeclaredOrder, stable, stepOf } from "./graph.js";
import { History } from "./history.js";
import * as model from "./model.js";
import { isUnending, loopWith } from "./looping.js";
import { move } from "./moving.js";
import { counted } from "./dom.js";

const CLIP = "trellis-clip";

/** Events: "change" (the flow), "choose" (the selection), "looks" (titles, ports, problems), "figures", "say" (detail: words). */
export class Designer extends EventTarget {
  constructor(data) {
    super();
    this.data = data;
    this.looks = new Map();
    this.problems = data.problems;
    this.figures = data.figures;
    this.chosen = [];
    this.unread = new Set(); // forms whose settings the server could not read yet
    for (const type of [...data.steps, ...data.triggers]) if (type.title) this.looks.set(keyOf(type), type); // as it comes out of the palette
    this.learn(data.flow, data.looks);
    this.history = new History(this.tidy(data.flow), `trellis-undo-${data.campaign.id}`);
    if (data.replaced) this.history.replaced({ ...data.replaced, flow: this.tidy(data.replaced.flow) });
    this.history.addEventListener("change", () => this.changed());
  }

  get flow() {
    return this.history.flow;
  }

  get mayEdit() {
    return this.data.may_edit;
  }

  tidy(flow) {
    return inDeclaredOrder(flow, (step) => this.portsOf(step));
  }

  emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  say(words) {
    this.emit("say", words);
  }

  changed() {
    const known = new Set([...this.flow.steps, ...this.flow.triggers].map((item) => item.id).concat("campaign"));
    const left = this.chosen.filter((id) => known.has(id));
    const isFewer = left.length !== this.chosen.length;
    this.chosen = left;
    for (const form of this.unread) if (!known.has(form.id)) form.forget();
    this.emit("change");
    if (isFewer) this.emit("choose");
  }

  // --- what the server knows: how a step with these settings is called, and which ways out it has

  learn(flow, looks) {
    for (const item of [...flow.steps, ...flow.triggers]) {
      if (looks[item.id]) this.looks.set(keyOf(item), looks[item.id]);
    }
  }

  heard({ flow, looks, problems }) {
    this.learn(flow, looks);
    this.problems = problems;
    this.emit("looks");
  }

  typeOf(item) {
    const types = this.isTrigger(item.id) ? this.data.triggers : this.data.steps;
    return types.find((type) => type.kind === item.kind) ?? { kind: item.kind, label: item.kind, icon: "question-mark", tone: "gray", ports: [] };
  }

  isTrigger(id) {
    return this.history ? this.flow.triggers.some((trigger) => trigger.id === id) : false;
  }

  portsOf(step) {
    const look = this.looks.get(keyOf(step));
    if (look?.ports) return look.ports;
    const declared = this.data.steps.find((type) => type.kind === step.kind)?.ports ?? [];
    const others = Object.keys(step.next ?? {}).filter((name) => !declared.some((port) => port.name === name));
    return [...declared, ...others.map((name) => ({ name, label: name, optional: false }))];
  }

  portLabel(step, name) {
    return this.portsOf(step).find((port) => port.name === name)?.label ?? name;
  }

  titleOf(item) {
    return item.name || this.looks.get(keyOf(item))?.title || this.typeOf(item).hint || "Choose the settings";
  }

  /** What a step does by its settings, where its name does not say so already; empty for one without a name. */
  doingOf(item) {
    const does = this.looks.get(keyOf(item))?.title ?? "";
    return item.name && item.name !== does ? does : "";
  }

  find(id) {
    return stepOf(this.flow, id) ?? this.flow.triggers.find((trigger) => trigger.id === id);
  }

  /** The figures of a step or trigger, those of nobody included; null before the first publication. */
  figuresOf(item) {
    if (!this.figures) return null;
    return this.figures[this.isTrigger(item.id) ? "triggers" : "steps"]?.[item.id] ?? { entered: 0 };
  }

  /** What a step still has to be looked at for. */
  problemsOf(id) {
    return this.problems.filter((problem) => problem.step === id && !this.isAccepted(problem));
  }

  isAccepted(problem) {
    return problem.is_warning && (this.flow.accepted ?? []).some((one) => sameWarning(one, problem));
  }

  /** Let a warning stand, or take that back; the server adds who and when. */
  accept(problem, isAccepted = true) {
    const others = (this.flow.accepted ?? []).filter((one) => !sameWarning(one, problem));
    const accepted = isAccepted ? [...others, { step: problem.step, warning: problem.sentence }] : others;
    this.apply(model.govern(this.flow, { accepted }), isAccepted ? "Warning accepted" : "Warning taken up again");
  }

  // --- choosing

  choose(ids) {
    const next = Array.isArray(ids) ? ids : ids ? [ids] : [];
    if (next.join() === this.chosen.join()) return;
    this.chosen = next;
    this.emit("choose");
  }

  chooseAlso(id) {
    const kept = this.chosen.filter((other) => stepOf(this.flow, other));
    this.choose(kept.includes(id) ? kept.filter((other) => other !== id) : [...kept, id]);
  }

  /** A step and all that only it leads to, but for plain ends. */
  chooseBranch(id) {
    const ids = this.withoutEnds(behind(this.flow, id));
    if (!ids.length) return;
    this.choose(ids);
    this.say(`${counted(ids.length, "step")} chosen. Drag one of them, or press M, to move them all.`);
  }

  withoutEnds(ids) {
    return ids.filter((id) => stepOf(this.flow, id).kind !== "exit");
  }

  get chosenSteps() {
    return this.chosen.filter((id) => stepOf(this.flow, id));
  }

  // --- commands; each says in words what it did

  apply({ flow, id, ids, lost = 0 }, words, { strand = "", quiet = false } = {}) {
    if (!this.mayEdit || flow === this.flow) return false;
    const also = lost ? ` ${counted(lost, "step")} that nothing leads to any more went with it.` : "";
    if (id ?? ids) this.chosen = ids ?? [id];
    this.history.apply(this.tidy(flow), words, strand);
    if (id ?? ids) this.emit("choose");
    if (!quiet) this.emit("say", `${words}.${also} Undo with Control Z.`);
    if (lost) this.emit("lost", { words, lost });
    return true;
  }

  insert(edge, kind) {
    const type = this.data.steps.find((one) => one.kind === kind);
    const behind = this.find(edgeOf(this.flow, edge)?.to);
    const step = behind?.kind === "exit" ? this.fresh(kind) : this.fresh(kind, type.amid ?? type);
    this.apply(model.insert(this.flow, edge, step, this.data.reserved), `${type.label} added`);
  }

  remove(ids = this.chosen) {
    const triggers = ids.filter((id) => this.isTrigger(id));
    if (triggers.length) {
      const flow = triggers.reduce((left, id) => model.removeTrigger(left, id).flow, this.flow);
      this.apply({ flow }, "Trigger deleted");
      return;
    }
    const steps = ids.filter((id) => stepOf(this.flow, id));
    if (!steps.length) return;
    const words = steps.length === 1 ? `${this.typeOf(stepOf(this.flow, steps[0])).label} deleted` : `${steps.length} steps deleted`;
    const result = model.remove(this.flow, steps, this.data.reserved);
    if (result.flow.steps.length >= this.flow.steps.length) return this.say("A path must end somewhere, so this exit stays. Drag the path’s end onto a step to join it.");
    this.apply(result, words);
  }

  move(ids, edge) {
    const result = move(this.flow, ids, edge, this.data.reserved);
    if (result.flow === this.flow) return this.say("Not moved: that place belongs to what is being moved, or steps behind it would be lost.");
    this.apply(result, result.ids.length === 1 ? "Step moved" : `${result.ids.length} steps moved`);
  }

  connect(edge, to) {
    const from = edgeOf(this.flow, edge);
    if (!from || from.to === to) return;
    const result = model.connect(this.flow, edge, to);
    const timed = (step) => this.typeOf(step).category === "Timing";
    if (isUnending(result.flow, edge, timed)) return this.emit("unending", { edge, to });
    this.apply(result, `The path now goes on at ${this.titleOf(this.find(to))}`);
  }

  /** A loop with the wait that slows it and, if it is limited, the step that ends it. */
  loop(edge, to, isLimited) {
    const steps = Object.fromEntries(["wait", "repeat"].map((kind) => [kind, this.fresh(kind)]));
    if (!isLimited) delete steps.repeat;
    this.apply(loopWith(this.flow, edge, to, steps, this.data.reserved), isLimited ? "Loop drawn, with a limit and a wait" : "Loop drawn, with a wait");
  }

  /** A new step of a kind as it comes out of the palette, or with the settings it has amid other steps. */
  fresh(kind, { settings, ports } = this.data.steps.find((one) => one.kind === kind)) {
    return { kind, settings, ports: ports.filter((port) => !port.optional).map((port) => port.name) };
  }

  copy(ids = this.chosenSteps) {
    if (!ids.length) return;
    localStorage.setItem(CLIP, JSON.stringify(model.clip(this.flow, ids)));
    this.say(`${counted(ids.length, "step")} copied.`);
  }

  get clip() {
    const text = localStorage.getItem(CLIP);
    return text ? JSON.parse(text) : null;
  }

  /** Paste on an edge; without one behind the chosen step. */
  paste(edge, clip = this.clip) {
    const after = edge ?? edges(this.flow).find((one) => one.from === this.chosenSteps[this.chosenSteps.length - 1])?.id ?? "start";
    if (!clip?.steps?.length) return this.say("Nothing has been copied yet.");
    const strange = clip.steps.find((step) => !this.data.steps.some((type) => type.kind === step.kind));
    if (strange) return this.say(`Not pasted: this Trellis has no step of kind ${strange.kind}.`);
    this.apply(model.paste(this.flow, after, clip, { reserved: this.data.reserved }), `${counted(clip.steps.length, "step")} pasted`);
  }

  duplicate(ids = this.chosenSteps) {
    const last = ids[ids.length - 1];
    if (last) this.paste(edges(this.flow).find((edge) => edge.from === last)?.id, model.clip(this.flow, ids));
  }

  configure(id, settings, look) {
    const item = this.find(id);
    if (!item) return;
    this.looks.set(keyOf({ kind: item.kind, settings }), look);
    const result = this.isTrigger(id) ? model.changeTrigger(this.flow, id, { settings }) : model.configure(this.flow, id, settings, look.ports, this.data.reserved);
    if (stable(result.flow) === stable(this.flow)) return this.emit("looks");
    this.apply(result, `${this.typeOf(item).label} changed`, { strand: `settings ${id}`, quiet: !result.lost });
  }

  describe(id, words) {
    const result = this.isTrigger(id) ? model.changeTrigger(this.flow, id, words) : model.describe(this.flow, id, words);
    this.apply(result, "name" in words ? "Name changed" : "note" in words ? "Note changed" : "Entry changed", { strand: `words ${id}`, quiet: true });
  }

  togglePort(id, port) {
    const step = stepOf(this.flow, id);
    this.apply(model.togglePort(this.flow, id, port, this.portsOf(step), this.data.reserved), port in step.next ? "Path removed" : "Path added");
  }

  addTrigger(kind) {
    const type = this.data.triggers.find((one) => one.kind === kind);
    this.apply(model.addTrigger(this.flow, kind, type.settings, this.data.reserved), `Trigger added: ${type.label}`);
  }

  govern(change) {
    const result = model.govern(this.flow, change);
    if (stable(result.flow) !== stable(this.flow)) this.apply(result, "Campaign settings changed", { strand: "campaign", quiet: true });
  }

  undo() {
    const words = this.history.undo();
    this.say(words ? `Undone: ${words}.` : "Nothing to undo.");
  }

  redo() {
    const words = this.history.redo();
    this.say(words ? `Done again: ${words}.` : "Nothing to redo.");
  }
}

const sameWarning = (accepted, problem) => accepted.step === problem.step && accepted.warning === problem.sentence;

/** Two steps of one kind with the same settings look the same. */
function keyOf({ kind, settings }) {
  return `${kind} ${stable(settings)}`;
}
