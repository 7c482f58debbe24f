// Where every card stands: ranks and order by dagre with the declared order kept, rows and gaps of our own. No x/y is stored.
import { edges, loops } from "./graph.js";
import { route } from "./routes.js";

export const CARD = { width: 252, height: 80 };
const SPACE = 56; // between neighbours
const LANE = 132; // what an arm needs beside the cards when it goes straight to a join, for its label
const LANES_ONLY = 28; // the height of a row in which no card stands
const GAPS = { plain: 46, fan: 84, join: 62, both: 104 };

/**
 * Positions of cards and routes of edges. `triggers` are the ids of the cards in the row above the first step.
 * Answers { cards: Map id -> {x, y}, routes: Map edge id -> {points, pill, plus, loop}, bounds: {x, y, width, height} }.
 */
export function layout(flow, dagre, triggers = []) {
  const back = loops(flow);
  const known = new Set(flow.steps.map((step) => step.id));
  const all = edges(flow).filter((edge) => known.has(edge.to));
  const forward = all.filter((edge) => !back.has(edge.id));
  const shape = degrees(flow, forward);
  const graph = ranked(flow, forward, shape, dagre);
  const rows = rowsOf(flow, graph, forward, shape);
  const cards = new Map();
  for (const step of flow.steps) {
    cards.set(step.id, { x: Math.round(graph.node(step.id).x - CARD.width / 2), y: rows.top[rows.of.get(step.id)] });
  }
  placeTriggers(cards, flow, triggers);
  const routes = route({ flow, forward, back: all.filter((edge) => back.has(edge.id)), graph, rows, cards, shape, triggers });
  return { cards, routes, bounds: boundsOf(cards, routes) };
}

/** How many forward edges leave and enter each step. */
function degrees(flow, forward) {
  const shape = new Map(flow.steps.map((step) => [step.id, { out: 0, into: 0, drawn: Object.keys(step.next).length }]));
  for (const edge of forward) {
    shape.get(edge.from).out += 1;
    shape.get(edge.to).into += 1;
  }
  return shape;
}

/** Whether an edge fans out (its step has several paths) and whether it joins others. */
export const isFan = (edge, shape) => shape.get(edge.from).drawn > 1;
export const isJoin = (edge, shape) => shape.get(edge.to).into > 1;

/** Joins stretch rather than other edges, so that cards stand right under what leads to them. */
function ranked(flow, forward, shape, dagre) {
  const graph = new dagre.graphlib.Graph({ multigraph: true });
  graph.setGraph({ rankdir: "TB", nodesep: SPACE, edgesep: SPACE / 2, ranksep: 92 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const step of flow.steps) graph.setNode(step.id, { ...CARD });
  for (const edge of forward) {
    const weight = isJoin(edge, shape) ? 1 : 16;
    if (isFan(edge, shape) && isJoin(edge, shape)) {
      graph.setNode(laneId(edge), { width: LANE, height: CARD.height });
      graph.setEdge(edge.from, laneId(edge), { weight: 16 }, edge.port);
      graph.setEdge(laneId(edge), edge.to, { weight }, edge.port);
    } else graph.setEdge(edge.from, edge.to, { weight }, edge.port);
  }
  dagre.layout(graph, { disableOptimalOrderHeuristic: true }); // declared order kept; never `constraints`: 3.1.3 can throw
  return graph;
}

/** The name of the place that an arm which goes straight to a join has in the row of its sibling cards. */
export const laneId = (edge) => `lane ${edge.id}`;

/** Cards of one rank share a row; the gap under a row is as high as the paths and labels in it need. */
function rowsOf(flow, graph, forward, shape) {
  const heights = [...new Set(graph.nodes().map((id) => graph.node(id).y))].sort((a, b) => a - b);
  const of = new Map(graph.nodes().map((id) => [id, heights.indexOf(graph.node(id).y)]));
  const withCards = new Set(flow.steps.map((step) => of.get(step.id)));
  const fans = new Set(forward.filter((edge) => isFan(edge, shape)).map((edge) => of.get(edge.from)));
  const joins = new Set(forward.filter((edge) => isJoin(edge, shape)).map((edge) => of.get(edge.to) - 1));
  const top = [0];
  heights.forEach((_, row) => {
    const kind = fans.has(row) ? (joins.has(row) ? "both" : "fan") : joins.has(row) ? "join" : "plain";
    top.push(top[row] + (withCards.has(row) ? CARD.height : LANES_ONLY) + GAPS[kind]);
  });
  return { of, heights, top };
}

function placeTriggers(cards, flow, triggers) {
  const start = cards.get(flow.start) ?? { x: 0, y: 0 };
  const width = triggers.length * CARD.width + (triggers.length - 1) * SPACE;
  const left = start.x + CARD.width / 2 - width / 2;
  const gap = triggers.length > 1 ? GAPS.join : GAPS.plain;
  triggers.forEach((id, index) => {
    cards.set(id, { x: Math.round(left + index * (CARD.width + SPACE)), y: -CARD.height - gap });
  });
}

function boundsOf(cards, routes) {
  const xs = [...cards.values()].flatMap((card) => [card.x, card.x + CARD.width]);
  const ys = [...cards.values()].flatMap((card) => [card.y, card.y + CARD.height]);
  for (const { points } of routes.values()) for (const [x, y] of points) xs.push(x - 12, x + 12), ys.push(y);
  const [left, right] = [Math.min(0, ...xs), Math.max(CARD.width, ...xs)];
  const [top, bottom] = [Math.min(0, ...ys), Math.max(CARD.height, ...ys)];
  return { x: left - 40, y: top - 32, width: right - left + 80, height: bottom - top + 72 };
}
