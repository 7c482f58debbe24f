// What the tests ask of the designer's modules, in Node or in a browser.
import { edges, inDeclaredOrder, loops, reachable } from "./graph.js";
import { History } from "./history.js";
import { layout } from "./layout.js";
import * as changes from "./model.js";
import { move } from "./moving.js";
import { findFaults, randomFlow } from "./random_flows.js";

const model = { ...changes, move };

function chance(seed) {
  let state = seed;
  return (limit) => (state = (state * 1103515245 + 12345) & 0x7fffffff) % limit;
}

/** Whether a flow is whole: every path ends at a step that is there, ids are unique, everything can be reached. */
function faultsOf(flow) {
  const ids = flow.steps.map((step) => step.id);
  const faults = ids.length === new Set(ids).size ? [] : ["two steps have one id"];
  for (const edge of edges(flow)) if (!ids.includes(edge.to)) faults.push(`${edge.id} leads to ${edge.to}, which is not there`);
  if (!ids.includes(flow.start)) faults.push("the start is not there");
  if (reachable(flow).size !== ids.length) faults.push("a step cannot be reached");
  return faults;
}

/** Many random changes in a row leave the flow whole, never touch what they were given, and can all be undone. */
function changed(flows, changes) {
  const next = chance(11);
  const faults = [];
  const any = (list) => list[next(list.length)];
  for (let i = 0; i < flows; i += 1) {
    const first = randomFlow(6 + next(10), { joins: 20, adjacent: false, loops: 10 }, next);
    const history = new History(first);
    const frozen = JSON.stringify(first);
    for (let n = 0; n < changes; n += 1) {
      const flow = history.flow;
      const steps = flow.steps.map((step) => step.id);
      const edge = any(["start", ...edges(flow).map((one) => one.id)]);
      const some = [any(steps), any(steps)];
      const acts = [
        () => model.insert(flow, edge, { kind: "wait", ports: ["out"] }),
        () => model.insert(flow, edge, { kind: "decide", ports: ["a1", "a2", "else"] }),
        () => model.insert(flow, edge, { kind: "exit", ports: [] }),
        () => model.remove(flow, [any(steps)]),
        () => model.remove(flow, some),
        () => model.move(flow, some, edge),
        () => model.paste(flow, edge, model.clip(flow, some)),
        () => (edge === "start" ? { flow } : model.connect(flow, edge, any(steps))),
        () => model.configure(flow, some[0], { n }, [{ name: "out" }, { name: `p${n % 3}` }]),
      ];
      const before = JSON.stringify(flow);
      const act = next(acts.length);
      const after = acts[act]().flow;
      if (JSON.stringify(flow) !== before) faults.push(`change ${act} altered what it was given`);
      faults.push(...faultsOf(after).map((fault) => `change ${act}: ${fault}`));
      history.apply(after, `change ${act}`);
    }
    while (history.undo());
    if (JSON.stringify(history.flow) !== frozen) faults.push("undoing everything did not lead back");
  }
  return faults.slice(0, 10);
}

/** One operation of the model on a flow; answers what it answers. */
const operate = (name, ...given) => model[name](...given);

export const checks = {
  faults: (count) => findFaults(layout, globalThis.dagre, count),
  changed,
  operate,
  loops: (flow) => [...loops(flow)],
  ordered: (flow, ports) => inDeclaredOrder(flow, () => ports),
  places: (flow, triggers) => Object.fromEntries(layout(flow, globalThis.dagre, triggers).cards),
};
