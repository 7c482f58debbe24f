// Choosing by mouse and finger: a click on a card, Shift or Control for several, Shift and drag for a frame around many.
import { el } from "./dom.js";
import { edgeOf } from "./graph.js";

/** `onPath(step, port)` is what a press on the name of a path does; without one it chooses the step the path leaves. */
export function choosing(canvas, designer, onPath = (step) => designer.choose(step)) {
  canvas.list.addEventListener("click", (event) => {
    const card = event.target.closest("[data-step]");
    if (!card) return;
    if (event.shiftKey || event.ctrlKey || event.metaKey) designer.chooseAlso(card.dataset.step);
    else designer.choose(card.dataset.step);
  });
  canvas.marks.addEventListener("click", (event) => {
    const pill = event.target.closest(".flow-pill");
    if (!pill) return;
    const { from, port } = edgeOf(designer.flow, pill.dataset.edge);
    onPath(from, port);
  });
  canvas.root.addEventListener("pointerdown", (event) => {
    if (event.shiftKey && event.button === 0 && !event.target.closest("button")) frame(event, canvas, designer);
  });
  canvas.root.addEventListener("click", (event) => {
    const ground = event.target === canvas.root || event.target === canvas.world || event.target === canvas.paths;
    if (ground && !canvas.wasPanned) designer.choose([]);
  });
  let from = null;
  canvas.root.addEventListener("pointerdown", (event) => (from = [event.clientX, event.clientY]), true);
  canvas.root.addEventListener("pointerup", (event) => (canvas.wasPanned = Boolean(from) && Math.hypot(event.clientX - from[0], event.clientY - from[1]) > 4), true);
}

function frame(start, canvas, designer) {
  const box = el("div", { class: "choose-frame" });
  document.body.append(box);
  const stop = new AbortController();
  let area = null;
  const moved = (event) => {
    area = { left: Math.min(start.clientX, event.clientX), top: Math.min(start.clientY, event.clientY), right: Math.max(start.clientX, event.clientX), bottom: Math.max(start.clientY, event.clientY) };
    Object.assign(box.style, { left: `${area.left}px`, top: `${area.top}px`, width: `${area.right - area.left}px`, height: `${area.bottom - area.top}px` });
  };
  const ended = () => {
    stop.abort();
    box.remove();
    if (!area) return;
    const inside = designer.flow.steps.filter(({ id }) => {
      const card = canvas.button(canvas.folding.standIn(id)).getBoundingClientRect(); // a fold is chosen with all in it
      return card.left < area.right && card.right > area.left && card.top < area.bottom && card.bottom > area.top;
    });
    designer.choose(inside.map((step) => step.id));
    designer.say(`${inside.length} steps chosen.`);
    canvas.wasPanned = true;
  };
  addEventListener("pointermove", moved, { signal: stop.signal });
  addEventListener("pointerup", ended, { signal: stop.signal });
}
