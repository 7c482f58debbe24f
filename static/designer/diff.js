// Draws two flows as one on the designer's own canvas, to be looked at: what came, went and changed is marked there and in the list.
import { Canvas } from "./canvas.js";
import { draw } from "./drawn.js";
import { el, icon, spoken, svg } from "./dom.js";
import { rounded } from "./routes.js";

const SIGNS = { added: "plus", removed: "minus", changed: "pencil" };
const WORDS = { added: "Added", removed: "Removed", changed: "Changed" };

class Drawing extends Canvas {
  placeOf(item, whence) {
    const place = super.placeOf(item, whence);
    const fate = this.designer.data.marks[item.id];
    if (fate && !place.querySelector(".flow-fate")) {
      place.firstChild.classList.add(`is-${fate}`);
      place.firstChild.append(el("span", { class: `flow-fate is-${fate}` }, icon(SIGNS[fate]), WORDS[fate], spoken(". ")));
    }
    return place;
  }

  drawPaths() {
    super.drawPaths();
    for (const [id, fate] of Object.entries(this.designer.data.paths)) {
      const points = this.drawn.routes.get(id)?.points ?? [];
      if (!points.length) continue;
      const d = rounded(points);
      this.paths.append(svg("path", { class: "flow-under", d }), svg("path", { class: `flow-path is-${fate}`, d }));
    }
  }

  pill(edge, label) {
    const fate = this.designer.data.paths[edge.id];
    const element = super.pill(edge, label || (edge.port === "out" ? "now" : ""));
    if (fate) {
      element.classList.add(`is-${fate}`);
      element.prepend(icon(SIGNS[fate], "icon icon-small"), spoken(`${WORDS[fate]}: `));
    }
    return element;
  }
}

const { data, designer, canvas } = draw(document.getElementById("diff-canvas"), { Kind: Drawing });
const entry = (id) => document.getElementById(`change-${id}`);

const first = designer.flow.steps.find((step) => data.marks[step.id]);
if (first) canvas.reveal(first.id);

designer.addEventListener("choose", () => {
  for (const shown of document.querySelectorAll(".diff-changes .is-shown")) shown.classList.remove("is-shown");
  const item = entry(designer.chosen[0]);
  item?.classList.add("is-shown");
  item?.scrollIntoView({ block: "nearest" });
});
for (const button of document.querySelectorAll("[data-change]")) {
  button.addEventListener("click", () => {
    designer.choose(button.dataset.change);
    canvas.reveal(button.dataset.change);
  });
}
