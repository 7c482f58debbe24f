// Folding a branch away: the part of the flow behind one path is drawn as a single card until it is opened again.
import { counted } from "./dom.js";
import { edgeOf, edges, reachable } from "./graph.js";

export const isFold = (id) => id.startsWith("fold~");
export const foldId = (edge) => `fold~${edge.replace(":", "~")}`;

const known = new WeakMap(); // flow -> Map path -> its branch; a flow never changes

/** The steps that only this path leads to, in the order of the flow. */
export function branchOf(flow, edge) {
  if (!known.has(flow)) known.set(flow, new Map());
  const branches = known.get(flow);
  if (!branches.has(edge)) branches.set(edge, findBranch(flow, edge));
  return branches.get(edge);
}

function findBranch(flow, edge) {
  const line = edgeOf(flow, edge);
  if (!line || line.from === null) return [];
  const cut = { ...flow, steps: flow.steps.map((step) => (step.id === line.from ? { ...step, next: without(step.next, line.port) } : step)) };
  return onlyIn(flow, reachable(flow, line.to), reachable(cut));
}

/** A step and what only it leads to. */
export function behind(flow, id) {
  const cut = { ...flow, steps: flow.steps.filter((step) => step.id !== id) };
  return onlyIn(flow, reachable(flow, id), flow.start === id ? new Set() : reachable(cut));
}

const without = (next, port) => Object.fromEntries(Object.entries(next).filter(([name]) => name !== port));
const onlyIn = (flow, reached, others) => flow.steps.map((step) => step.id).filter((id) => reached.has(id) && !others.has(id));

/** A path whose branch is worth folding: more than an end. */
export const canFold = (flow, branch) => branch.length > 1 || flow.steps.some((step) => step.id === branch[0] && step.kind !== "exit");

/**
 * The flow with the branches behind these paths each as one step of kind "fold".
 * Answers { flow, folds: Map id of the fold -> {edge, steps} }.
 */
export function folded(flow, paths) {
  if (!paths.size) return { flow, folds: new Map() };
  const branches = new Map([...paths].map((edge) => [edge, branchOf(flow, edge)]));
  const hidden = new Set([...branches.values()].flat());
  const folds = new Map();
  let steps = flow.steps;
  for (const [edge, branch] of branches) {
    const line = edgeOf(flow, edge);
    if (!branch.length || hidden.has(line.from)) continue; // inside another fold
    const id = foldId(edge);
    folds.set(id, { edge, steps: branch });
    steps = withFold(steps, line, { id, kind: "fold", name: "", note: "", settings: {}, next: leaving(flow, branch) });
  }
  const gone = new Set([...folds.values()].flatMap((fold) => fold.steps));
  return { flow: { ...flow, steps: steps.filter((step) => !gone.has(step.id)) }, folds };
}

function withFold(steps, line, fold) {
  const at = steps.findIndex((step) => step.id === line.to);
  const led = steps.map((step) => (step.id === line.from ? { ...step, next: { ...step.next, [line.port]: fold.id } } : step));
  return [...led.slice(0, at), fold, ...led.slice(at)];
}

/** Where leads come out of a branch, each place once. */
function leaving(flow, branch) {
  const inside = new Set(branch);
  const out = edges(flow).filter((edge) => inside.has(edge.from) && !inside.has(edge.to));
  return Object.fromEntries([...new Set(out.map((edge) => edge.to))].map((to, number) => [`to${number}`, to]));
}

/** Which branches are folded, remembered in this browser for each campaign. */
export class Folding extends EventTarget {
  constructor(designer) {
    super();
    this.designer = designer;
    this.key = designer.data.urls?.draft ? `trellis-folded-${designer.data.campaign.id}` : ""; // a drawing to look at begins open
    this.paths = new Set(JSON.parse((this.key && localStorage.getItem(this.key)) || "[]"));
  }

  /** The flow as it is to be drawn. */
  draw() {
    const { flow } = this.designer;
    for (const edge of this.paths) if (!branchOf(flow, edge).length) this.paths.delete(edge);
    const of = [...this.paths].join();
    if (this.drawn?.of !== of || this.drawn.from !== flow) this.drawn = { ...folded(flow, this.paths), of, from: flow };
    return this.drawn.flow;
  }

  /** The fold that hides a step, or undefined. */
  around(id) {
    return [...this.drawn.folds.values()].find((fold) => fold.steps.includes(id));
  }

  /** The card that shows a step: its own, or that of the fold it is in. */
  standIn(id) {
    const fold = this.around(id);
    return fold ? foldId(fold.edge) : id;
  }

  /** The path of the smallest branch that a step is in, if it can be folded. */
  innermost(id) {
    const { flow } = this.designer;
    const ways = edges(flow).filter((edge) => Object.keys(flow.steps.find((step) => step.id === edge.from).next).length > 1);
    const around = ways.map((edge) => ({ edge: edge.id, branch: branchOf(flow, edge.id) })).filter(({ branch }) => branch.includes(id) && canFold(flow, branch));
    return around.sort((a, b) => a.branch.length - b.branch.length)[0]?.edge;
  }

  fold(edge) {
    const branch = branchOf(this.designer.flow, edge);
    if (!canFold(this.designer.flow, branch)) return this.designer.say("There is no branch to fold here: other paths lead to these steps, too.");
    this.paths.add(edge);
    this.changed(`Branch folded: ${counted(branch.length, "step")}.`);
    return foldId(edge);
  }

  open(edge) {
    this.paths.delete(edge);
    this.changed("Branch opened.");
    return edgeOf(this.designer.flow, edge)?.to;
  }

  openAll() {
    this.paths.clear();
    this.changed("All branches opened.");
  }

  /** Open whatever hides a step, so that it can be shown. */
  reveal(id) {
    for (let fold = this.around(id); fold; fold = this.around(id)) {
      this.paths.delete(fold.edge);
      this.draw();
      this.isStale = true;
    }
    if (this.isStale) this.changed("Branch opened.");
    this.isStale = false;
  }

  changed(words) {
    if (this.key) localStorage.setItem(this.key, JSON.stringify([...this.paths]));
    this.dispatchEvent(new Event("change"));
    this.designer.say(words);
  }
}
