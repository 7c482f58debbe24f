// Small pictures of flows: the same layout as on the canvas, a coloured bar for each step.
import { svg } from "./dom.js";
import { CARD, layout } from "./layout.js";
import { rounded } from "./routes.js";

function picture(flow) {
  const triggers = flow.triggers.map((trigger) => trigger.id);
  const { cards, routes, bounds } = layout(flow, window.dagre, triggers);
  const tones = new Map(flow.steps.map((step) => [step.id, step.tone]));
  const paths = [...routes.values()].map(({ points }) => rounded(points)).join("");
  const boxes = [...cards].map(([id, { x, y }]) => svg("rect", { class: `thumb-card tone-${tones.get(id) ?? "green"}`, x, y, rx: 14, width: CARD.width, height: CARD.height }));
  return svg("svg", { viewBox: `${bounds.x} ${bounds.y} ${bounds.width} ${bounds.height}`, focusable: "false" }, svg("path", { class: "thumb-path", d: paths }), boxes);
}

for (const place of document.querySelectorAll("[data-flow]")) place.replaceChildren(picture(JSON.parse(place.dataset.flow)));
