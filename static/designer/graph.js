// Reading a flow: its edges in drawn order, who leads to whom, what can be reached.

/** A step by id, or undefined. */
export const stepOf = (flow, id) => flow.steps.find((step) => step.id === id);

/** The name of the edge that leaves `from` by `port`; the edge into the first step is called "start". */
export const edgeId = (from, port) => (from === null ? "start" : `${from}:${port}`);

/** Every edge in the order in which it is drawn: steps as listed, ports as they stand in the step. */
export function edges(flow) {
  return flow.steps.flatMap((step) =>
    Object.entries(step.next).map(([port, to]) => ({ id: edgeId(step.id, port), from: step.id, port, to })),
  );
}

/** The same flow with every step's ports in declared order; a database may keep the members of `next` in another one. */
export function inDeclaredOrder(flow, portsOf) {
  const steps = flow.steps.map((step) => ({ ...step, next: ordered(step.next ?? {}, portsOf(step)) }));
  return { ...flow, steps };
}

/** The members of `next`, declared ports first and in their order, unknown ones last. */
export function ordered(next, ports) {
  const names = ports.map((port) => port.name).filter((name) => name in next);
  const others = Object.keys(next).filter((name) => !names.includes(name));
  return Object.fromEntries([...names, ...others].map((name) => [name, next[name]]));
}

/** The edge with this id, the one into the first step included. */
export function edgeOf(flow, id) {
  if (id === "start") return { id, from: null, port: "", to: flow.start };
  const cut = id.lastIndexOf(":");
  const from = id.slice(0, cut);
  const port = id.slice(cut + 1);
  const step = stepOf(flow, from);
  return step && port in step.next ? { id, from, port, to: step.next[port] } : undefined;
}

/** The ids of all steps a lead can come to. */
export function reachable(flow, from = flow.start) {
  const byId = new Map(flow.steps.map((step) => [step.id, step]));
  const seen = new Set();
  const open = [from];
  while (open.length) {
    const id = open.pop();
    if (!byId.has(id) || seen.has(id)) continue;
    seen.add(id);
    open.push(...Object.values(byId.get(id).next ?? {}));
  }
  return seen;
}

/** The ids of the edges that lead back to where a lead has been: walking from the start in drawn order. */
export function loops(flow) {
  const byId = new Map(flow.steps.map((step) => [step.id, step]));
  const state = new Map();
  const found = new Set();
  const walk = (root) => {
    const stack = [{ id: root, left: nexts(byId.get(root)) }];
    state.set(root, "open");
    while (stack.length) {
      const top = stack[stack.length - 1];
      const edge = top.left.shift();
      if (!edge) {
        state.set(top.id, "done");
        stack.pop();
      } else if (state.get(edge.to) === "open") {
        found.add(edge.id);
      } else if (!state.has(edge.to) && byId.has(edge.to)) {
        state.set(edge.to, "open");
        stack.push({ id: edge.to, left: nexts(byId.get(edge.to)) });
      }
    }
  };
  if (byId.has(flow.start)) walk(flow.start);
  for (const step of flow.steps) if (!state.has(step.id)) walk(step.id);
  return found;
}

function nexts(step) {
  return Object.entries(step.next).map(([port, to]) => ({ id: edgeId(step.id, port), to }));
}

/** Data as text that is the same whatever the order of members, which a database may change. */
export function stable(value) {
  if (Array.isArray(value)) return `[${value.map(stable)}]`;
  if (value && typeof value === "object") return `{${Object.keys(value).sort().map((name) => `${name}:${stable(value[name])}`)}}`;
  return JSON.stringify(value) ?? "";
}
