// How steps are moved: a branching step takes its branches along, and nothing is lost on the way.
import { edgeOf, reachable, stepOf } from "./graph.js";
import { clip, highest, paste, remove } from "./model.js";

/** Move steps to another edge, healing where they were; where that would lose steps, nothing changes. */
export function move(flow, chosen, edge, reserved = 0) {
  const ids = [...new Set(chosen.flatMap((id) => [id, ...branchesOf(flow, id)]))];
  const same = { flow, ids, lost: 0 };
  const line = edgeOf(flow, edge);
  if (!line || ids.includes(line.from) || ids.includes(line.to)) return same;
  const taken = clip(flow, ids);
  if (taken.steps.length < ids.length) return same;
  const kept = highest(flow, reserved); // an exit made on the way must not get the id of a step that is in the air
  const healed = remove(flow, ids, kept).flow;
  if (!edgeOf(healed, edge)) return same;
  const moved = paste(healed, edge, taken, { reserved: kept, keepIds: true });
  return isComplete(flow, moved.flow) ? moved : same;
}

/** Whether every step but plain ends is still there. */
function isComplete(before, after) {
  return before.steps.every((step) => step.kind === "exit" || stepOf(after, step.id));
}

/**
 * What a branching step takes along: all its branches up to where they meet again; when they never do, its further
 * branches, while the first goes on in place. Steps that are reached by other ways stay.
 */
function branchesOf(flow, id) {
  const targets = Object.values(stepOf(flow, id).next);
  if (targets.length < 2) return [];
  const cut = { ...flow, steps: flow.steps.map((step) => (step.id === id ? { ...step, next: {} } : step)) };
  const elsewhere = reachable(cut);
  const reached = targets.map((target) => reachable(cut, target));
  const common = [...reached[0]].filter((one) => reached.every((set) => set.has(one)));
  const meeting = common.find((one) => common.every((other) => reachable(cut, one).has(other)));
  const onward = meeting ? reachable(cut, meeting) : reached[0];
  return [...new Set(reached.flatMap((set) => [...set]))].filter((one) => !onward.has(one) && !elsewhere.has(one));
}
