// The heat view: each step says how long leads stay, or how many leave the campaign there, in words, numbers and warmth.
import { el, icon, number, spoken, svg } from "./dom.js";
import { rounded } from "./routes.js";

const HOUR = 3600;
const DAY = 24 * HOUR;
const WAITS = { title: "Time at a step", icon: "clock", bounds: [HOUR, DAY, 3 * DAY, 7 * DAY, 14 * DAY], words: ["up to a day", "1–3 days", "3–7 days", "1–2 weeks", "longer"] };
const LEAVES = { title: "Left the campaign here", icon: "door-exit", bounds: [0, 0.02, 0.05, 0.1, 0.25], words: ["under 2%", "2–5%", "5–10%", "10–25%", "more"] };
const WIDEST = 11;

/** How warm a value is: 0 is not worth a mark, 5 the hottest. */
const level = (value, { bounds }) => bounds.filter((bound) => value > bound).length;

function span(seconds) {
  if (seconds < HOUR) return `${Math.max(1, Math.round(seconds / 60))} min`;
  if (seconds < DAY) return `${Math.round(seconds / HOUR)} h`;
  const days = seconds / DAY;
  return `${days < 10 ? Math.round(days * 10) / 10 : Math.round(days)} ${days >= 0.95 && days < 1.05 ? "day" : "days"}`;
}

const measures = {
  waits: (of) => {
    const seconds = of.stayed ?? of.waiting ?? 0;
    return { value: seconds, words: span(seconds), spoken: `Leads stay ${span(seconds)} here on average` };
  },
  leaves: (of) => {
    const share = of.entered ? (of.dropped ?? 0) / of.entered : 0;
    const percent = `${share >= 0.1 ? Math.round(share * 100) : Math.round(share * 1000) / 10}%`;
    return { value: share, words: `${percent} leave (${number(of.dropped)})`, spoken: `${number(of.dropped)} of ${number(of.entered)} left the campaign here, ${percent}` };
  },
};

export class Heat {
  constructor({ designer, canvas, legend }) {
    Object.assign(this, { designer, canvas, legend, mode: "" });
    for (const name of ["change", "looks", "figures"]) designer.addEventListener(name, () => this.draw()); // after the canvas has drawn
  }

  show(mode) {
    const isNew = mode !== this.mode;
    this.mode = mode in measures ? mode : "";
    this.draw();
    this.drawLegend();
    if (isNew) this.designer.say(this.mode ? `Heat view: ${this.kind.title}. Each step says it in words.` : "Heat view off.");
  }

  get kind() {
    return this.mode === "leaves" ? LEAVES : WAITS;
  }

  draw() {
    const { canvas, designer } = this;
    canvas.root.classList.toggle("is-heat", Boolean(this.mode));
    for (const place of canvas.places.values()) {
      place.querySelector(".flow-heat")?.remove();
      place.className = place.className.replace(/ ?heat-\d/g, "");
    }
    canvas.paths.querySelector(".flow-streams")?.remove();
    if (!this.mode || !designer.figures) return;
    for (const step of designer.flow.steps) this.mark(step, designer.figures.steps?.[step.id]);
    this.drawStreams();
  }

  mark(step, of) {
    const place = this.canvas.places.get(step.id);
    if (!of || !place) return;
    const told = measures[this.mode](of);
    const warmth = level(told.value, this.kind);
    if (!warmth) return;
    place.classList.add(`heat-${warmth}`);
    place.append(el("span", { class: "flow-heat" }, icon(this.kind.icon, "icon icon-small"), el("span", { "aria-hidden": "true" }, told.words), spoken(`${told.spoken}. `)));
  }

  /** Paths as broad as they are trodden. */
  drawStreams() {
    const { canvas, designer } = this;
    const steps = designer.figures.steps ?? {};
    const most = Math.max(1, ...Object.values(steps).flatMap((of) => Object.values(of.left ?? {})));
    const streams = [];
    for (const [id, { points }] of canvas.drawn.routes) {
      const cut = id.lastIndexOf(":");
      const count = steps[id.slice(0, cut)]?.left?.[id.slice(cut + 1)];
      if (count && points.length) streams.push(svg("path", { class: "flow-stream", d: rounded(points), "stroke-width": (2 + (WIDEST - 2) * Math.sqrt(count / most)).toFixed(1) }));
    }
    canvas.paths.prepend(svg("g", { class: "flow-streams" }, streams));
  }

  drawLegend() {
    this.legend.hidden = !this.mode;
    if (!this.mode) return this.legend.replaceChildren();
    const { title, words } = this.kind;
    const keys = words.map((each, i) => el("li", { class: `heat-${i + 1}` }, el("span", { class: "heat-key", "aria-hidden": "true" }, String(i + 1)), each));
    this.legend.replaceChildren(el("b", {}, title), el("ol", {}, keys), el("span", { class: "live-note" }, "Broader path: more leads."));
  }
}
