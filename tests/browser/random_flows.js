// Random flows laid out by the designer's own modules: no card on another, no path through a card, arms in declared order; also
// with branches folded away, which hides each step once and loses none.
// Answers { flows, faults: [words] }; `faults` names the flow by its seed, so that it can be drawn again.
async ({ count, seed }) => {
  const { CARD, layout } = await import("/static/designer/layout.js");
  const { branchOf, canFold, folded } = await import("/static/designer/folding.js");
  let state = seed;
  const random = (n) => (state = (state * 1103515245 + 12345) & 0x7fffffff) % n;

  /** Grow a tree, now and then join open ends, at the end lead some back: `joins` percent join, `near` only their neighbours. */
  function grow(size, { joins, near, loops }) {
    const steps = [];
    let open = [];
    while (steps.length < size) {
      const arms = [1, 1, 1, 2, 2, 3, 4][random(7)];
      const step = { id: `s${steps.length + 1}`, kind: arms > 1 ? "decide" : "wait", next: {} };
      const taken = open.length > 2 && random(100) < joins ? 2 + random(2) : 1;
      const at = random(open.length || 1);
      for (let i = 0; i < taken && open.length; i += 1) {
        const [from, port] = open.splice(near ? Math.min(at, open.length - 1) : random(open.length), 1)[0];
        from.next[port] = step.id;
      }
      const ends = Array.from({ length: arms }, (_, arm) => [step, arms > 1 ? `a${arm + 1}` : "out"]);
      if (near) open.splice(Math.min(at, open.length), 0, ...ends);
      else open.push(...ends);
      steps.push(step);
    }
    for (const [from, port] of open) {
      if (random(100) < loops) from.next[port] = steps[random(steps.indexOf(from) + 1)].id;
      else {
        const exit = { id: `s${steps.length + 1}`, kind: "exit", next: {} };
        from.next[port] = exit.id;
        steps.push(exit);
      }
    }
    for (const step of steps) step.next = Object.fromEntries(Object.entries(step.next).sort(([a], [b]) => (a < b ? -1 : 1)));
    return { start: "s1", steps, triggers: Array.from({ length: 1 + random(3) }, (_, n) => ({ id: `t${n}` })) };
  }

  function faultsOf(flow) {
    const { cards, routes } = layout(flow, window.dagre, flow.triggers.map((trigger) => trigger.id));
    const found = [];
    const all = [...cards];
    all.forEach(([a, p], i) => all.slice(i + 1).forEach(([b, q]) => Math.abs(p.x - q.x) < CARD.width && Math.abs(p.y - q.y) < CARD.height && found.push(`${a} lies on ${b}`)));
    for (const [id, { points }] of routes) for (const name of crossed(id, points, all, flow)) found.push(`${id} runs through ${name}`);
    for (const step of flow.steps) {
      const pills = Object.keys(step.next).map((port) => routes.get(`${step.id}:${port}`)).filter((route) => route && !route.loop && route.pill);
      if (pills.some((route, i) => i && pills[i - 1].pill[0] > route.pill[0])) found.push(`the arms of ${step.id} are out of order`);
    }
    return found;
  }

  function crossed(id, points, all, flow) {
    const [from, port] = id.split(":");
    const ends = id.startsWith("trigger:") ? [port, flow.start] : [from, flow.steps.find((step) => step.id === from)?.next[port]];
    const through = ([name, card]) =>
      !ends.includes(name) && points.some(([x2, y2], i) => {
        if (!i) return false;
        const [x1, y1] = points[i - 1];
        return Math.max(x1, x2) > card.x + 1 && Math.min(x1, x2) < card.x + CARD.width - 1 && Math.max(y1, y2) > card.y + 1 && Math.min(y1, y2) < card.y + CARD.height - 1;
      });
    return all.filter(through).map(([name]) => name);
  }

  /** Fold up to three branches anywhere, one perhaps inside another. */
  function foldedFaults(flow) {
    const paths = flow.steps.flatMap((step) => Object.keys(step.next).map((port) => `${step.id}:${port}`)).filter((edge) => canFold(flow, branchOf(flow, edge)));
    if (!paths.length) return [];
    const { flow: rest, folds } = folded(flow, new Set([0, 1, 2].map(() => paths[random(paths.length)])));
    const ids = [...rest.steps.map((step) => step.id).filter((id) => !folds.has(id)), ...[...folds.values()].flatMap((fold) => fold.steps)];
    const found = faultsOf(rest);
    if (ids.sort().join() !== flow.steps.map((step) => step.id).sort().join()) found.push("folding lost a step or hid one twice");
    return found.map((words) => `folded: ${words}`);
  }

  const shapes = [{ joins: 0, near: true, loops: 0 }, { joins: 20, near: true, loops: 10 }, { joins: 20, near: false, loops: 5 }];
  const faults = [];
  for (let n = 0; n < count; n += 1) {
    const began = state;
    const flow = grow(5 + random(25), shapes[n % shapes.length]);
    const found = [...faultsOf(flow), ...(n % 4 ? [] : foldedFaults(flow))];
    if (found.length) faults.push(`flow ${n} of shape ${n % shapes.length} (seed ${began}): ${found.slice(0, 3).join("; ")}`);
  }
  return { flows: count, faults };
}
