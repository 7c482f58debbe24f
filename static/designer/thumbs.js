// Small pictures of flows: the same layout as on the canvas, a coloured bar for each step.
import { svg } from "./dom.js";
import { CARD, layout } from "./layout.js";
import { rounded } from "./routes.js";

/** A flow as small as it has to be; `look(id)` are the classes of a card. */
export function picture(flow, look) {
  const { cards, routes, bounds } = layout(flow, window.dagre, flow.triggers.map((trigger) => trigger.id));
  const paths = [...routes.values()].map(({ points }) => rounded(points)).join("");
  const boxes = [...cards].map(([id, at]) => svg("rect", { class: `thumb-card ${look(id)}`, ...at, ...CARD, rx: 14 }));
  return svg("svg", { viewBox: `${bounds.x} ${bounds.y} ${bounds.width} ${bounds.height}`, focusable: "false" }, svg("path", { class: "thumb-path", d: paths }), boxes);
}

for (const place of document.querySelectorAll("[data-flow]")) {
  const flow = JSON.parse(place.dataset.flow);
  const tones = new Map(flow.steps.map((step) => [step.id, step.tone]));
  place.replaceChildren(picture(flow, (id) => `tone-${tones.get(id) ?? "green"}`));
}
