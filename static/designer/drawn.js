// A flow on the designer's own canvas, to be looked at and not changed; other scripts may mark what is on it.
import { Canvas } from "./canvas.js";
import { choosing } from "./choosing.js";
import { Designer } from "./designer.js";
import { useSprite } from "./dom.js";

/** Draws the flow that `root` carries in data-drawn; `Kind` may be a canvas that draws more; `onPath` as in choosing.js. */
export function draw(root, { Kind = Canvas, onPath } = {}) {
  const data = JSON.parse(root.dataset.drawn);
  useSprite(data.sprite);
  const designer = new Designer(data);
  const canvas = new Kind(root, designer);
  choosing(canvas, designer, onPath);
  const zooms = { "drawn-out": () => canvas.view.zoom(1 / 1.2), "drawn-in": () => canvas.view.zoom(1.2), "drawn-fit": () => canvas.view.fit() };
  for (const [id, run] of Object.entries(zooms)) document.getElementById(id)?.addEventListener("click", run);
  root.dataset.ready = "";
  return { data, designer, canvas };
}

const plain = document.querySelector("#drawn[data-drawn]");
if (plain) draw(plain);
