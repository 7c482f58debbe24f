// Random flows and what may be wrong with their drawing, also with branches folded away; runs in Node and in a browser alike.
import { branchOf, canFold, folded } from "./folding.js";
import { edges } from "./graph.js";

const CARD = { width: 252, height: 80 };

function chance(seed) {
  let state = seed;
  return (limit) => (state = (state * 1103515245 + 12345) & 0x7fffffff) % limit;
}

/** Grow a flow of `size` steps: branches of 2 to 4 arms, joins of neighbouring or of any open ends, a few loops back. */
export function randomFlow(size, { joins, adjacent, loops }, next) {
  const steps = [];
  let open = [{ step: null, port: "out" }];
  const point = ({ step, port }, to) => step && (step.next[port] = to);
  while (steps.length < size && open.length) {
    const take = 1 + (open.length > 2 && next(100) < joins ? 1 + next(2) : 0);
    const at = next(open.length);
    const from = adjacent ? open.splice(Math.min(at, Math.max(0, open.length - take)), take) : [];
    while (!adjacent && from.length < take && open.length) from.push(open.splice(next(open.length), 1)[0]);
    const arms = next(3) === 0 ? 2 + next(3) : 1;
    const step = { id: `s${steps.length + 1}`, kind: arms > 1 ? "decide" : "wait", settings: {}, next: {} };
    for (const end of from) point(end, step.id);
    steps.push(step);
    const ports = [];
    for (let arm = 0; arm < arms; arm += 1) {
      const port = arms === 1 ? "out" : `a${arm + 1}`;
      step.next[port] = null;
      if (arms > 1 && steps.length > 3 && next(100) < loops) step.next[port] = steps[next(steps.length - 1)].id;
      else ports.push({ step, port });
    }
    open.splice(adjacent ? Math.min(at, open.length) : open.length, 0, ...ports);
  }
  let exits = 0;
  for (const end of open) {
    const id = `x${(exits += 1)}`;
    point(end, id);
    steps.push({ id, kind: "exit", settings: {}, next: {} });
  }
  return { start: "s1", steps, triggers: Array.from({ length: 1 + next(3) }, (_, n) => ({ id: `t${n + 1}` })) };
}

function through([x1, y1], [x2, y2], card) {
  const [left, right, top, bottom] = [Math.min(x1, x2), Math.max(x1, x2), Math.min(y1, y2), Math.max(y1, y2)];
  return right > card.x + 1 && left < card.x + CARD.width - 1 && bottom > card.y + 1 && top < card.y + CARD.height - 1;
}

export function faultsOf(flow, drawn) {
  const cards = [...drawn.cards.entries()];
  const faults = [];
  cards.forEach(([a, p], index) => {
    for (const [b, q] of cards.slice(index + 1)) {
      if (Math.abs(p.x - q.x) < CARD.width && Math.abs(p.y - q.y) < CARD.height) faults.push(`cards ${a} and ${b} overlap`);
    }
  });
  for (const [id, { points, plus }] of drawn.routes) {
    for (let i = 1; i < points.length; i += 1) {
      const hit = cards.find(([, card]) => through(points[i - 1], points[i], card));
      if (hit) faults.push(`path ${id} runs through card ${hit[0]}`);
      if (points[i][0] !== points[i - 1][0] && points[i][1] !== points[i - 1][1]) faults.push(`path ${id} is slanted`);
    }
    if (plus && cards.some(([, card]) => through([plus[0] - 11, plus[1] - 11], [plus[0] + 11, plus[1] + 11], card))) faults.push(`the + of ${id} lies on a card`);
  }
  const pluses = [...drawn.routes.entries()].filter(([, one]) => one.plus);
  pluses.forEach(([a, one], index) => {
    for (const [b, other] of pluses.slice(index + 1)) {
      if (Math.hypot(one.plus[0] - other.plus[0], one.plus[1] - other.plus[1]) < 22) faults.push(`the + of ${a} and of ${b} lie on each other`);
    }
  });
  for (const step of flow.steps) {
    const pills = Object.keys(step.next).map((port) => drawn.routes.get(`${step.id}:${port}`)).filter((route) => route && !route.loop && route.pill);
    if (pills.some((route, i) => i && pills[i - 1].pill[0] > route.pill[0])) faults.push(`the names of the arms of ${step.id} are out of order`);
  }
  return faults;
}

/** Fold up to three branches anywhere, one perhaps inside another: each step is hidden once, none is lost, the rest is tidy. */
function foldedFaults(flow, drawnOf, next) {
  const paths = edges(flow).map((edge) => edge.id).filter((edge) => canFold(flow, branchOf(flow, edge)));
  if (!paths.length) return [];
  const { flow: rest, folds } = folded(flow, new Set([0, 1, 2].map(() => paths[next(paths.length)])));
  const ids = [...rest.steps.map((step) => step.id).filter((id) => !folds.has(id)), ...[...folds.values()].flatMap((fold) => fold.steps)];
  const faults = faultsOf(rest, drawnOf(rest));
  if (ids.sort().join() !== flow.steps.map((step) => step.id).sort().join()) faults.push("a step was lost or hidden twice");
  return faults.map((words) => `folded: ${words}`);
}

/** Declared order on the page: of two arms with cards of their own, the earlier stands to the left. */
function turned(flow, drawn) {
  const entered = new Map();
  for (const step of flow.steps) for (const to of Object.values(step.next)) entered.set(to, (entered.get(to) ?? 0) + 1);
  let [wrong, pairs] = [0, 0];
  for (const step of flow.steps) {
    const xs = Object.values(step.next).filter((to) => entered.get(to) === 1).map((to) => drawn.cards.get(to).x);
    for (let i = 1; i < xs.length; i += 1) (pairs += 1), (wrong += xs[i] < xs[i - 1] ? 1 : 0);
  }
  return [wrong, pairs];
}

export function findFaults(layout, dagre, count) {
  const families = {
    trees: { joins: 0, adjacent: true, loops: 0 },
    "joins of neighbours": { joins: 20, adjacent: true, loops: 0 },
    "joins and loops anywhere": { joins: 20, adjacent: false, loops: 15 },
  };
  const drawnOf = (flow) => layout(flow, dagre, flow.triggers.map((trigger) => trigger.id));
  const answer = { flows: 0, faulty: 0, faults: [], turned: 0, pairs: 0 };
  for (const family of Object.values(families)) {
    const next = chance(7);
    for (let i = 0; i < count; i += 1) {
      const flow = randomFlow(5 + next(25), family, next);
      const drawn = drawnOf(flow);
      const faults = faultsOf(flow, drawn);
      if (i % 4 === 0) faults.push(...foldedFaults(flow, drawnOf, next));
      const [wrong, pairs] = turned(flow, drawn);
      answer.flows += 1;
      answer.faulty += faults.length ? 1 : 0;
      answer.faults.push(...faults.slice(0, 3));
      answer.turned += wrong;
      answer.pairs += pairs;
    }
  }
  answer.faults = answer.faults.slice(0, 30);
  return answer;
}
