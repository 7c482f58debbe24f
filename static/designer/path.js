// One lead's path on the flow: the steps and paths it passed are marked with the numbers of its stops, which a list tells in words.
import { Canvas } from "./canvas.js";
import { draw } from "./drawn.js";
import { el, icon, spoken, svg } from "./dom.js";
import { rounded } from "./routes.js";

/** As many numbers as a card is wide: of a lead that went round and round the first two and the last. */
const few = (stops) => (stops.length > 4 ? `${stops[0]}, ${stops[1]} … ${stops.at(-1)}` : stops.join(", "));

/** "Here now", or where a rehearsal ended: the page says which. */
const here = document.querySelector(".path-key.is-here")?.textContent.trim();

class Path extends Canvas {
  placeOf(item, whence) {
    const place = super.placeOf(item, whence);
    const { steps, times, here: last } = this.designer.data.passed;
    const stops = steps[item.id];
    const isTrigger = this.designer.data.passed.paths.includes(`trigger:${item.id}`);
    place.classList.toggle("is-passed", Boolean(stops) || isTrigger);
    place.classList.toggle("is-here", item.id === last);
    if (!stops || place.querySelector(".flow-stop")) return place;
    const isHere = item.id === last;
    const when = times[item.id].at(-1);
    const words = `${isHere ? here : "Passed"}, stop ${stops.join(" and ")}, ${when}. `;
    place.append(el("span", { class: "flow-stop" }, icon(isHere ? "map-pin" : "check", "icon icon-small"), el("span", { "aria-hidden": "true" }, `${few(stops)} · ${when}`), spoken(words)));
    return place;
  }

  drawPaths() {
    super.drawPaths();
    for (const id of new Set(this.designer.data.passed.paths)) {
      const points = this.drawn.routes.get(id)?.points ?? [];
      if (points.length) this.paths.append(svg("path", { class: "flow-path is-passed", d: rounded(points) }));
    }
  }

  pill(edge, label) {
    const element = super.pill(edge, label);
    if (this.designer.data.passed.paths.includes(edge.id)) {
      element.classList.add("is-passed");
      element.prepend(icon("check", "icon icon-small"), spoken("Taken: "));
    }
    return element;
  }
}

const { data, designer, canvas } = draw(document.getElementById("path"), { Kind: Path });
const stops = [...document.querySelectorAll("[data-stop]")];
const last = data.passed.here || stops.at(-1)?.dataset.stop;
if (last) canvas.reveal(last);

for (const stop of stops) {
  stop.addEventListener("click", () => {
    designer.choose(stop.dataset.stop);
    canvas.reveal(stop.dataset.stop);
  });
}
designer.addEventListener("choose", () => {
  for (const stop of stops) stop.classList.toggle("is-shown", designer.chosen.includes(stop.dataset.stop));
  document.querySelector(".path-stop.is-shown")?.scrollIntoView({ block: "nearest" });
});
