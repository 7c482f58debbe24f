// What a marketer can do to a flow. Every function takes a flow and answers a new one; none changes what it was given.
import { edgeOf, ordered, reachable, stepOf } from "./graph.js";

/** A new id that no step of the flow, of the clip or of an older version (numbers up to `reserved`) has had. */
export const freshId = (flow, prefix, reserved = 0) => `${prefix}${highest(flow, reserved) + 1}`;

/** The highest number of any id, or `reserved`. */
export function highest(flow, reserved = 0) {
  const used = [...flow.steps, ...flow.triggers].map((item) => Number(/^[a-z](\d+)$/.exec(item.id)?.[1] ?? 0));
  return Math.max(reserved, ...used);
}

const copy = (flow) => structuredClone(flow);

function pointEdge(flow, edge, to) {
  if (edge.from === null) flow.start = to;
  else stepOf(flow, edge.from).next[edge.port] = to;
}

/** Drop the steps that this change made unreachable; those that were unreachable before stay for the marketer to join. */
function prune(before, after) {
  const loose = new Set(before.steps.map((step) => step.id));
  for (const id of reachable(before)) loose.delete(id);
  const is = reachable(after);
  const lost = after.steps.filter((step) => !is.has(step.id) && !loose.has(step.id));
  after.steps = after.steps.filter((step) => !lost.includes(step));
  return lost.filter((step) => step.kind !== "exit" || step.name).length; // a plain end is no loss
}

function addExit(flow, after, reserved) {
  const id = freshId(flow, "s", reserved);
  const at = flow.steps.findIndex((step) => step.id === after);
  flow.steps.splice(at < 0 ? flow.steps.length : at + 1, 0, { id, kind: "exit", name: "", note: "", settings: {}, next: {} });
  return id;
}

/** Put a new step on an edge. Its first port goes on to where the edge led, its others to a new exit each. */
export function insert(flow, edge, { kind, settings = {}, name = "", ports }, reserved = 0) {
  const after = copy(flow);
  const line = edgeOf(after, edge);
  const id = freshId(after, "s", reserved);
  const step = { id, kind, name, note: "", settings: structuredClone(settings), next: {} };
  const at = after.steps.findIndex((other) => other.id === line.to);
  after.steps.splice(at < 0 ? after.steps.length : at, 0, step);
  pointEdge(after, line, id);
  ports.forEach((port, index) => {
    step.next[port] = index === 0 ? line.to : addExit(after, id, reserved);
  });
  return { flow: after, id, lost: prune(flow, after) };
}

/** Where a lead goes on once the steps in `gone` are no more; undefined when the path ends among them. */
function beyond(flow, id, gone) {
  const seen = new Set();
  while (gone.has(id)) {
    if (seen.has(id)) return undefined;
    seen.add(id);
    id = Object.values(stepOf(flow, id).next)[0];
    if (id === undefined) return undefined;
  }
  return id;
}

/** Take steps out and heal: what led to one goes on to what followed it by its first port. */
export function remove(flow, ids, reserved = 0) {
  const gone = new Set(ids);
  const after = copy(flow);
  after.steps = after.steps.filter((step) => !gone.has(step.id));
  const heal = (target, owner) => (gone.has(target) ? (beyond(flow, target, gone) ?? addExit(after, owner, reserved)) : target);
  after.start = heal(flow.start, null);
  for (const step of [...after.steps]) {
    for (const port of Object.keys(step.next)) step.next[port] = heal(step.next[port], step.id);
  }
  const lost = prune(flow, after);
  return { flow: after, lost };
}

/** The chosen steps as something that can be pasted: ports that leave the choice are open (null), parts are chained. */
export function clip(flow, ids) {
  const chosen = new Set(ids);
  const steps = copy(flow).steps.filter((step) => chosen.has(step.id));
  const entered = new Set();
  for (const step of steps) {
    for (const [port, to] of Object.entries(step.next)) {
      if (chosen.has(to)) entered.add(to);
      else step.next[port] = null;
    }
  }
  const entry = (steps.find((step) => !entered.has(step.id)) ?? steps[0])?.id;
  return { entry, steps: chained(steps, entry, entered) };
}

/** Parts of a choice that do not hang together follow each other; what comes after an end is left out. */
function chained(steps, entry, entered) {
  for (;;) {
    const within = reachable({ steps, start: entry });
    const rest = steps.filter((step) => !within.has(step.id));
    if (!rest.length) return steps;
    const open = steps.find((step) => within.has(step.id) && Object.values(step.next).includes(null));
    if (!open) return steps.filter((step) => within.has(step.id));
    const port = Object.keys(open.next).find((name) => open.next[name] === null);
    open.next[port] = (rest.find((step) => !entered.has(step.id)) ?? rest[0]).id;
  }
}

/** Put a clip on an edge under new ids (or its own, when it is being moved). One open port goes on, others end. */
export function paste(flow, edge, clipped, { reserved = 0, keepIds = false } = {}) {
  const after = copy(flow);
  const line = edgeOf(after, edge);
  const steps = structuredClone(clipped.steps);
  const named = new Map();
  for (const step of steps) {
    named.set(step.id, keepIds ? step.id : freshId({ steps: [...after.steps, ...fakes(named)], triggers: [] }, "s", reserved));
  }
  for (const step of steps) {
    step.id = named.get(step.id);
    for (const [port, to] of Object.entries(step.next)) step.next[port] = to === null ? null : named.get(to);
  }
  const at = after.steps.findIndex((step) => step.id === line.to);
  after.steps.splice(at < 0 ? after.steps.length : at, 0, ...steps);
  pointEdge(after, line, named.get(clipped.entry));
  closeOpenPorts(after, steps, line.to, reserved);
  return { flow: after, ids: [...named.values()], lost: prune(flow, after) };
}

const fakes = (named) => [...named.values()].map((id) => ({ id }));

function closeOpenPorts(flow, steps, onward, reserved) {
  const open = steps.flatMap((step) => Object.keys(step.next).filter((port) => step.next[port] === null).map((port) => ({ step, port })));
  open.forEach(({ step, port }, index) => {
    step.next[port] = index === 0 ? onward : addExit(flow, step.id, reserved);
  });
}

/** Let a path end at an existing step: a join, or a loop when that step comes earlier. */
export function connect(flow, edge, to) {
  const after = copy(flow);
  pointEdge(after, edgeOf(after, edge), to);
  return { flow: after, lost: prune(flow, after) };
}

/** The only way out of a step that is given several leads to where the first of them leads: nothing behind it is lost. */
function handOn(step, ports, known) {
  const first = ports.find((port) => !port.optional && !(port.name in step.next));
  if (first && "out" in step.next && !known.includes("out")) step.next[first.name] = step.next.out;
}

/** Store a step's settings; paths follow its ports: a new port gets an exit, a port that is gone takes its own path along. */
export function configure(flow, id, settings, ports, reserved = 0) {
  const after = copy(flow);
  const step = stepOf(after, id);
  step.settings = structuredClone(settings);
  const known = ports.map((port) => port.name);
  handOn(step, ports, known);
  for (const port of Object.keys(step.next)) if (!known.includes(port)) delete step.next[port];
  for (const port of ports) if (!port.optional && !(port.name in step.next)) step.next[port.name] = addExit(after, id, reserved);
  step.next = ordered(step.next, ports);
  return { flow: after, lost: prune(flow, after) };
}

/** Draw an optional port as a path of its own, or take that path away again. */
export function togglePort(flow, id, port, ports, reserved = 0) {
  const after = copy(flow);
  const step = stepOf(after, id);
  if (port in step.next) delete step.next[port];
  else step.next[port] = addExit(after, id, reserved);
  step.next = ordered(step.next, ports);
  return { flow: after, lost: prune(flow, after) };
}

/** Change a step's own words: its name or its note. */
export function describe(flow, id, words) {
  const after = copy(flow);
  Object.assign(stepOf(after, id), words);
  return { flow: after };
}

export function addTrigger(flow, kind, settings, reserved = 0) {
  const after = copy(flow);
  const id = freshId(after, "t", reserved);
  after.triggers.push({ id, kind, name: "", already: false, filter: null, most_per_day: null, key: "", settings: structuredClone(settings) });
  return { flow: after, id };
}

export function changeTrigger(flow, id, change) {
  const after = copy(flow);
  Object.assign(after.triggers.find((trigger) => trigger.id === id), structuredClone(change));
  return { flow: after };
}

export function removeTrigger(flow, id) {
  const after = copy(flow);
  after.triggers = after.triggers.filter((trigger) => trigger.id !== id);
  return { flow: after };
}

/** Change what holds for the whole campaign: zone, topic, audience, re-entry, exits, priority. */
export function govern(flow, change) {
  return { flow: { ...copy(flow), ...structuredClone(change) } };
}
