// How paths run between cards: orthogonal, in the gaps between rows, loops in lanes at the side, round corners.
import { CARD, isFan, isJoin, laneId } from "./layout.js";

const LEAVE = 22; // from a card down to where its paths fan out
const ARRIVE = 22; // from where paths join down to the card
const TRACK = 10; // between two lines that would lie on each other
const LOOP_LANE = 28;

/** Routes by edge id; the edges from trigger cards are called "trigger:<id>", the one into the first step "start". */
export function route(drawing) {
  const routes = new Map();
  const tracks = new Tracks();
  for (const edge of drawing.forward) routes.set(edge.id, forwardRoute(edge, drawing, tracks));
  loopRoutes(drawing, routes);
  triggerRoutes(drawing, routes);
  return routes;
}

function forwardRoute(edge, drawing, tracks) {
  const { cards, rows, shape } = drawing;
  const [from, to] = [cards.get(edge.from), cards.get(edge.to)];
  const start = [from.x + CARD.width / 2, from.y + CARD.height];
  const end = [to.x + CARD.width / 2, to.y];
  const fan = isFan(edge, shape);
  const xs = passages(edge, drawing);
  const points = [start];
  let x = start[0];
  const turn = (toX, y) => {
    if (toX !== x) points.push([x, y], [toX, y]);
    x = toX;
  };
  const leave = start[1] + LEAVE;
  const lane = xs.length ? xs[0].x : fan ? end[0] : x;
  turn(lane, leave);
  for (const { row, x: nextX } of xs.slice(1)) turn(nextX, rows.top[row] - 8 - tracks.offset(row - 1, edge.id, x, nextX));
  const last = rows.of.get(edge.to) - 1;
  let grip = [end[0], end[1] - 7]; // where the end of the path is taken hold of; before it joins others
  if (x !== end[0]) {
    const arrive = end[1] - ARRIVE - tracks.offset(last, `to ${edge.to}`, x, end[0]);
    if (isJoin(edge, shape)) grip = [x, arrive - 2];
    turn(end[0], arrive);
  }
  points.push(end);
  const plus = fan ? [lane, leave + 30] : [start[0], start[1] + Math.min(22, (end[1] - start[1]) / 2)];
  return { points, loop: false, pill: fan ? [lane, leave + 2] : null, plus, grip };
}

/** The x at which an edge passes each row between its ends, as dagre kept it free. */
function passages(edge, { graph, rows }) {
  const lane = laneId(edge);
  const ends = graph.hasNode(lane) ? [[edge.from, lane], [lane, edge.to]] : [[edge.from, edge.to]];
  const found = [];
  for (const [v, w] of ends) {
    const points = graph.edge({ v, w, name: edge.port }).points;
    for (let row = rows.of.get(v) + 1; row < rows.of.get(w); row += 1) {
      const point = points.find(({ y }) => Math.abs(y - rows.heights[row]) < 1);
      if (point) found.push({ row, x: Math.round(point.x) });
    }
    if (w === lane) found.push({ row: rows.of.get(w), x: Math.round(graph.node(w).x) });
  }
  return found;
}

/** Lines into different cards that would lie on each other in one gap get different heights. */
class Tracks {
  constructor() {
    this.gaps = new Map();
  }

  offset(row, owner, x1, x2) {
    const lines = this.gaps.get(row) ?? [];
    this.gaps.set(row, lines);
    const [low, high] = [Math.min(x1, x2), Math.max(x1, x2)];
    const mine = lines.find((line) => line.owner === owner);
    const overlaps = (line) => line.owner !== owner && line.low < high && low < line.high;
    let track = mine?.track ?? 0;
    while (!mine && lines.some((line) => line.track === track && overlaps(line))) track += 1;
    lines.push({ owner, low, high, track });
    return (track % 3) * TRACK;
  }
}

/** Loops go up in a lane at the nearer side: straight out of the card's side where nothing stands between, else by the gap. */
function loopRoutes({ back, cards, rows, flow, shape }, routes) {
  const steps = flow.steps.map((step) => ({ id: step.id, ...cards.get(step.id) }));
  const reach = [...routes.values()].flatMap((one) => one.points.map(([x]) => x));
  const low = Math.min(...steps.map((card) => card.x), ...reach);
  const high = Math.max(...steps.map((card) => card.x + CARD.width), ...reach);
  const used = { left: 0, right: 0 };
  for (const edge of back) {
    const [from, to] = [cards.get(edge.from), cards.get(edge.to)];
    const side = from.x + to.x + CARD.width < low + high ? "left" : "right";
    const x = side === "left" ? low - 40 - LOOP_LANE * used.left++ : high + 40 + LOOP_LANE * used.right++;
    const free = (id, card) => !steps.some((other) => other.id !== id && other.y === card.y && (side === "left" ? other.x < card.x : other.x > card.x));
    const crossed = (id, card) => crossesPath(routes, card, x);
    const out = free(edge.from, from) && !crossed(edge.from, from) ? besides(from, side) : beneath(from);
    const into = free(edge.to, to) && !crossed(edge.to, to) ? besides(to, side) : above(to);
    const points = [...out, [x, out[out.length - 1][1]], [x, into[0][1]], ...into];
    const middle = (out[out.length - 1][1] + into[0][1]) / 2;
    const [[px], [ex, ey]] = points.slice(-2);
    const grip = px === ex ? [ex, ey - 7] : [ex + (px < ex ? -7 : 7), ey];
    routes.set(edge.id, { points, loop: true, side, grip, pill: shape.get(edge.from).drawn > 1 ? [x, middle] : null, plus: [x, middle + 28] });
  }
}

/** Whether a line from the side of a card out to `x` would cross a path that runs down beside the card. */
function crossesPath(routes, card, x) {
  const y = card.y + CARD.height / 2;
  const [low, high] = x < card.x ? [x, card.x] : [card.x + CARD.width, x];
  for (const { points, loop } of routes.values()) {
    for (let i = 1; i < points.length && !loop; i += 1) {
      const [[x1, y1], [x2, y2]] = [points[i - 1], points[i]];
      if (x1 === x2 && x1 > low && x1 < high && Math.min(y1, y2) < y && Math.max(y1, y2) > y) return true;
    }
  }
  return false;
}

const besides = (card, side) => [[side === "left" ? card.x : card.x + CARD.width, card.y + CARD.height / 2]];
const beneath = (card) => [[card.x + CARD.width / 2 + 18, card.y + CARD.height], [card.x + CARD.width / 2 + 18, card.y + CARD.height + 11]];
const above = (card) => [[card.x + CARD.width / 2 + 18, card.y - 11], [card.x + CARD.width / 2 + 18, card.y]];

function triggerRoutes({ flow, cards, triggers }, routes) {
  const to = cards.get(flow.start);
  if (!to) return;
  const end = [to.x + CARD.width / 2, to.y];
  for (const id of triggers) {
    const from = cards.get(id);
    const start = [from.x + CARD.width / 2, from.y + CARD.height];
    const turn = from.y + CARD.height + LEAVE - 4;
    const points = start[0] === end[0] ? [start, end] : [start, [start[0], turn], [end[0], turn], end];
    routes.set(`trigger:${id}`, { points, loop: false, pill: null, plus: null });
  }
  routes.set("start", { points: [], loop: false, pill: null, plus: [end[0], end[1] - (triggers.length > 1 ? 30 : 26)] });
}

/** An SVG path along the points with round corners. */
export function rounded(points, radius = 12) {
  if (!points.length) return "";
  let path = `M${points[0][0]} ${points[0][1]}`;
  for (let i = 1; i < points.length - 1; i += 1) {
    const [[px, py], [x, y], [qx, qy]] = [points[i - 1], points[i], points[i + 1]];
    const r = Math.min(radius, Math.hypot(x - px, y - py) / 2, Math.hypot(qx - x, qy - y) / 2);
    const near = [x - Math.sign(x - px) * r, y - Math.sign(y - py) * r];
    path += `L${near[0]} ${near[1]}Q${x} ${y} ${x + Math.sign(qx - x) * r} ${y + Math.sign(qy - y) * r}`;
  }
  const [x, y] = points[points.length - 1];
  return `${path}L${x} ${y}`;
}

/** The tip of an arrow at the end of the points. */
export function head(points) {
  const [[px, py], [x, y]] = points.slice(-2);
  return px === x ? `M${x} ${y}l-5 ${py > y ? 8 : -8}h10z` : `M${x} ${y}l${px < x ? -8 : 8} -5v10z`;
}
