// Two people changed one draft: what each of them did to which step, and both together where they do not meet.
import { stable } from "./graph.js";
import { highest } from "./model.js";

const LISTS = ["triggers", "steps"];
const byId = (flow) => new Map(LISTS.flatMap((list) => flow[list].map((item) => [item.id, item])));
const others = (flow) => Object.keys(flow).filter((name) => !LISTS.includes(name));
const same = (a, b) => stable(a ?? null) === stable(b ?? null);

function fate(before, after) {
  if (same(before, after)) return "";
  return before ? (after ? "changed" : "deleted") : "added";
}

/** Our flow with new ids for what we added, where they gave the same ids to what they added. */
export function apart(base, mine, theirs) {
  const [was, is, other] = [base, mine, theirs].map(byId);
  let last = Math.max(...[base, mine, theirs].map((flow) => highest(flow)));
  const names = new Map();
  for (const [id, item] of is) if (!was.has(id) && other.has(id) && !same(item, other.get(id))) names.set(id, `${id[0]}${(last += 1)}`);
  const name = (id) => names.get(id) ?? id;
  const renamed = (item) => ({ ...item, id: name(item.id), ...(item.next ? { next: Object.fromEntries(Object.entries(item.next).map(([port, to]) => [port, name(to)])) } : {}) });
  return names.size ? { ...mine, start: name(mine.start), triggers: mine.triggers.map(renamed), steps: mine.steps.map(renamed) } : mine;
}

/** What became of each step and trigger, and of the campaign's settings ("campaign"): [{id, mine, theirs}], each "" or a word. */
export function compared(base, mine, theirs) {
  const [was, is, other] = [base, mine, theirs].map(byId);
  const rows = [...new Set([...was.keys(), ...is.keys(), ...other.keys()])].map((id) => ({ id, mine: fate(was.get(id), is.get(id)), theirs: fate(was.get(id), other.get(id)) }));
  const governing = (flow) => Object.fromEntries(others(flow).map((name) => [name, flow[name]]));
  rows.push({ id: "campaign", mine: fate(governing(base), governing(mine)), theirs: fate(governing(base), governing(theirs)) });
  return rows.filter((row) => row.mine || row.theirs);
}

/** Both changes in one flow; null where they meet at one step, or would leave a path without an end. */
export function merged(base, mine, theirs) {
  const [was, is, other] = [base, mine, theirs].map(byId);
  const meets = compared(base, mine, theirs).some((row) => row.id !== "campaign" && row.mine && row.theirs && !same(is.get(row.id), other.get(row.id)));
  const names = [...new Set([...others(base), ...others(mine), ...others(theirs)])];
  const clash = names.some((name) => !same(base[name], mine[name]) && !same(base[name], theirs[name]) && !same(mine[name], theirs[name]));
  if (meets || clash) return null;
  const flow = Object.fromEntries(names.map((name) => [name, same(base[name], mine[name]) ? theirs[name] : mine[name]]));
  for (const list of LISTS) flow[list] = both(mine[list], theirs[list], { was, is, other });
  const ids = new Set(flow.steps.map((step) => step.id));
  const isWhole = ids.has(flow.start) && flow.steps.every((step) => Object.values(step.next ?? {}).every((to) => ids.has(to)));
  return isWhole ? structuredClone(flow) : null;
}

/** Their order; what only we have comes behind what it stands behind with us. */
function both(ours, theirs, { was, is, other }) {
  const pick = (id) => (same(was.get(id), is.get(id)) ? other.get(id) : is.get(id));
  const found = theirs.map((item) => item.id).filter((id) => pick(id));
  ours.forEach((item, index) => {
    if (found.includes(item.id) || !pick(item.id)) return;
    const before = ours.slice(0, index).map((one) => one.id).filter((id) => found.includes(id)).at(-1);
    found.splice(found.indexOf(before) + 1, 0, item.id);
  });
  return found.map(pick);
}
