// A small picture of the whole flow with the part in view, shown only when the flow is larger than the view.
import { svg } from "./dom.js";
import { isFold } from "./folding.js";
import { CARD } from "./layout.js";

export function minimap(root, canvas, designer) {
  const { view } = canvas;
  const drawing = svg("svg", { "aria-hidden": "true" });
  const frame = svg("rect", { class: "minimap-view" });
  root.append(drawing);

  const redraw = () => {
    const { bounds, cards } = canvas.drawn;
    const tone = (id) => (isFold(id) ? "gray" : designer.typeOf(designer.find(id)).tone);
    const known = [...cards].filter(([id]) => isFold(id) || designer.find(id));
    drawing.setAttribute("viewBox", `${bounds.x} ${bounds.y} ${bounds.width} ${bounds.height}`);
    drawing.replaceChildren(
      ...known.map(([id, { x, y }]) => svg("rect", { class: `minimap-card tone-${tone(id)}`, x, y, rx: 12, ...CARD })),
      frame,
    );
    follow();
  };

  const follow = () => {
    const { width, height } = view.size;
    const { bounds, scale } = view;
    root.hidden = bounds.width * scale <= width + 2 && bounds.height * scale <= height + 2;
    const box = { x: -view.x / scale, y: -view.y / scale, width: width / scale, height: height / scale };
    for (const [name, value] of Object.entries(box)) frame.setAttribute(name, value);
  };

  const goTo = (event) => {
    const { bounds } = canvas.drawn;
    const box = root.getBoundingClientRect();
    const shown = Math.max(bounds.width / box.width, bounds.height / box.height);
    const x = bounds.x + bounds.width / 2 + (event.clientX - box.left - box.width / 2) * shown;
    const y = bounds.y + bounds.height / 2 + (event.clientY - box.top - box.height / 2) * shown;
    const { width, height } = view.size;
    view.pan(width / 2 - x * view.scale - view.x, height / 2 - y * view.scale - view.y);
  };
  root.addEventListener("pointerdown", (event) => {
    root.setPointerCapture(event.pointerId);
    goTo(event);
  });
  root.addEventListener("pointermove", (event) => event.buttons && goTo(event));

  for (const name of ["change", "looks"]) designer.addEventListener(name, redraw);
  canvas.folding.addEventListener("change", redraw);
  view.addEventListener("move", follow);
  redraw();
}
