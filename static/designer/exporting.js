// The flow as a picture: one SVG made of the drawing itself, with no font, style or file from elsewhere; as SVG, PNG or on paper.
import { toast } from "../toasts.js";
import { counted, number, svg } from "./dom.js";
import { edges } from "./graph.js";
import { isFold } from "./folding.js";
import { CARD } from "./layout.js";
import { head, rounded } from "./routes.js";

const TONES = { green: "#157a43", orange: "#a84b06", blue: "#1a5fc4", purple: "#7a35c4", pink: "#b8296a", teal: "#0b706d", red: "#bf2419", yellow: "#855700", indigo: "#4f46e5", gray: "#566273" };
const [INK, MUTED, LINE, PATH] = ["#101828", "#566273", "#d5dbe5", "#8b97aa"];
const FONT = "Inter, system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif";
const HEAD = 64; // what the title above the drawing takes
const MOST_PIXELS = 16_000; // a side of a PNG that every browser can make

export class Exporting {
  constructor({ designer, canvas, name, sprite }) {
    Object.assign(this, { designer, canvas, name, sprite });
    const run = (id, make) => document.getElementById(id)?.addEventListener("click", make);
    run("tool-svg", () => this.saveSvg());
    run("tool-png", () => this.savePng());
    run("tool-print", () => this.print());
    addEventListener("beforeprint", () => this.lay());
    this.icons = null;
  }

  // --- ways out

  async saveSvg() {
    await this.loadIcons();
    this.download(new Blob([this.text()], { type: "image/svg+xml" }), "svg");
    this.designer.say("The drawing was saved as an SVG file.");
  }

  async savePng() {
    await this.loadIcons();
    const picture = this.picture();
    const [width, height] = ["width", "height"].map((side) => Number(picture.getAttribute(side)));
    const scale = Math.min(2, MOST_PIXELS / Math.max(width, height));
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(this.text(picture))}`;
    await image.decode();
    const sheet = Object.assign(document.createElement("canvas"), { width: Math.round(width * scale), height: Math.round(height * scale) });
    sheet.getContext("2d").drawImage(image, 0, 0, sheet.width, sheet.height);
    const blob = await new Promise((done) => sheet.toBlob(done, "image/png"));
    if (!blob) return toast("This browser could not make a picture that large; save it as SVG.", "red");
    this.download(blob, "png");
    this.designer.say("The drawing was saved as a PNG picture.");
  }

  async print() {
    await this.loadIcons();
    this.lay();
    window.print();
  }

  /** What is printed instead of the page; a print by the browser's own menu gets it, too. */
  lay() {
    this.sheet ??= document.body.appendChild(Object.assign(document.createElement("div"), { className: "print-sheet" }));
    this.sheet.replaceChildren(this.picture());
  }

  download(blob, ending) {
    const address = URL.createObjectURL(blob);
    const name = this.name.normalize("NFKD").replace(/\p{M}/gu, "").replace(/[^\w-]+/g, "-").replace(/^-+|-+$/g, "").toLowerCase() || "campaign";
    Object.assign(document.createElement("a"), { href: address, download: `${name}.${ending}` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }

  async loadIcons() {
    if (this.icons) return;
    const response = await fetch(this.sprite);
    const parsed = new DOMParser().parseFromString(await response.text(), "image/svg+xml");
    this.icons = new Map([...parsed.querySelectorAll("symbol")].map((symbol) => [symbol.id, symbol]));
  }

  text(picture = this.picture()) {
    return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(picture)}`;
  }

  // --- the drawing

  picture() {
    const { bounds } = this.canvas.drawn;
    const box = { x: bounds.x, y: bounds.y - HEAD, width: bounds.width, height: bounds.height + HEAD };
    const root = svg("svg", { xmlns: "http://www.w3.org/2000/svg", viewBox: `${box.x} ${box.y} ${box.width} ${box.height}`, width: box.width, height: box.height, "font-family": FONT, role: "img" });
    root.append(svg("title", {}, this.name), svg("rect", { ...box, fill: "#ffffff" }), this.title(box), this.paths(), ...this.pills(), ...this.cards());
    return root;
  }

  title(box) {
    const day = new Intl.DateTimeFormat("en", { dateStyle: "long" }).format(new Date());
    return svg("g", {}, write(this.name, { x: box.x + 40, y: box.y + 36, size: 20, weight: 600, room: box.width - 80 }), write(day, { x: box.x + 40, y: box.y + 54, size: 11, fill: MUTED }));
  }

  paths() {
    const group = svg("g", { fill: "none", stroke: PATH, "stroke-width": 1.5 });
    for (const { points, loop } of this.canvas.drawn.routes.values()) {
      if (!points.length) continue;
      group.append(svg("path", { d: rounded(points), "stroke-dasharray": loop ? "5 4" : null }), svg("path", { d: head(points), fill: PATH, stroke: "none" }));
    }
    return group;
  }

  pills() {
    return edges(this.canvas.shown).flatMap((edge) => {
      const pill = isFold(edge.from) ? null : this.canvas.drawn.routes.get(edge.id)?.pill;
      if (!pill) return [];
      const passed = this.designer.figures?.steps?.[edge.from]?.left?.[edge.port];
      const label = this.designer.portLabel(this.designer.find(edge.from), edge.port) || edge.port;
      const words = fitted(passed === undefined ? label : `${label}  ${number(passed)}`, 11, 600, 172);
      const width = measured(words, 11, 600) + 20;
      const [x, y] = pill;
      return [svg("rect", { x: x - width / 2, y: y - 10, width, height: 20, rx: 10, fill: "#ffffff", stroke: PATH }), write(words, { x, y: y + 4, size: 11, weight: 600, anchor: "middle" })];
    });
  }

  cards() {
    const { designer, canvas } = this;
    return [...canvas.drawn.cards].map(([id, at]) => {
      const item = designer.find(id);
      if (item) return this.card(at, { type: designer.typeOf(item), title: designer.titleOf(item), foot: this.foot(item) });
      const fold = canvas.folding.drawn.folds.get(id);
      if (fold) return this.card(at, { type: { label: "Folded branch", icon: "stack-2", tone: "gray" }, title: counted(fold.steps.length, "step"), foot: "" });
      return this.card(at, { type: { label: "Trigger", icon: "bolt", tone: "gray" }, title: "Nobody can enter yet", foot: "" });
    });
  }

  foot(item) {
    const all = this.designer.figuresOf(item);
    const parts = all ? [`${number(all.entered)} entered`, all.here ? `${number(all.here)} here now` : "", all.result ?? ""] : [];
    return [...parts, item.note ? `Note: ${item.note}` : ""].filter(Boolean).join(" · ");
  }

  card({ x, y }, { type, title, foot }) {
    const tone = TONES[type.tone] ?? TONES.gray;
    const middle = y + (foot ? 28 : CARD.height / 2);
    const group = svg("g", {});
    group.append(
      svg("rect", { x, y, ...CARD, rx: 14, fill: "#ffffff", stroke: LINE }),
      svg("rect", { x: x + 12, y: middle - 18, width: 36, height: 36, rx: 10, fill: tone, "fill-opacity": 0.12 }),
      this.icon(type.icon, { x: x + 20, y: middle - 10, color: tone }),
      write(type.label, { x: x + 60, y: middle - 4, size: 11, weight: 600, fill: tone, room: CARD.width - 74 }),
      write(title, { x: x + 60, y: middle + 12, size: 13, weight: 600, room: CARD.width - 74 }),
    );
    if (foot) group.append(svg("line", { x1: x + 12, x2: x + CARD.width - 12, y1: y + 54, y2: y + 54, stroke: LINE }), write(foot, { x: x + 12, y: y + 70, size: 11, fill: MUTED, room: CARD.width - 24 }));
    return group;
  }

  icon(name, { x, y, color }) {
    const symbol = this.icons?.get(name);
    if (!symbol) return svg("circle", { cx: x + 10, cy: y + 10, r: 6, fill: color });
    const drawn = svg("svg", { x, y, width: 20, height: 20, viewBox: "0 0 24 24", fill: "none", stroke: color, "stroke-width": 1.75, "stroke-linecap": "round", "stroke-linejoin": "round" });
    drawn.append(...[...symbol.children].map((part) => document.importNode(part, true)));
    return drawn;
  }
}

// --- words: as text nodes, so that no name can become markup, and no longer than there is room

let ruler;
function measured(words, size, weight) {
  ruler ??= document.createElement("canvas").getContext("2d");
  ruler.font = `${weight} ${size}px ${FONT}`;
  return ruler.measureText(words).width;
}

function fitted(words, size, weight, room) {
  if (measured(words, size, weight) <= room) return words;
  let [low, high] = [0, words.length];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (measured(`${words.slice(0, middle)}…`, size, weight) <= room) low = middle;
    else high = middle - 1;
  }
  return `${words.slice(0, low).trimEnd()}…`;
}

function write(words, { x, y, size, weight = 400, fill = INK, anchor = null, room = Infinity }) {
  const plain = words.replace(/\s+/g, " ");
  return svg("text", { x, y, fill, "font-size": size, "font-weight": weight, "text-anchor": anchor }, room === Infinity ? plain : fitted(plain, size, weight, room));
}
