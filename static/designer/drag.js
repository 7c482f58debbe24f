// Dragging by mouse, pen or finger: a palette entry or cards onto a "+", the end of a path onto a card.
import { el, svg } from "./dom.js";

const SLOP = 6; // pixels before a press becomes a drag
const HOLD = 350; // milliseconds a finger rests before it drags, since a moving finger pans
const SNAP = 46; // how near to a "+" is near enough

/**
 * Let `source` start drags. `describe(event)` answers {words, kind: "plus" | "card", from?, rest?} or null; `drop(target, drag)`
 * ends one; `rest` is what a finger means that was held and lifted where it was.
 */
export function draggable(source, canvas, describe, drop) {
  source.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.shiftKey || event.ctrlKey) return;
    const drag = describe(event);
    if (drag) new Drag(event, drag, canvas, drop);
  });
}

class Drag {
  constructor(event, drag, canvas, drop) {
    Object.assign(this, { drag, canvas, drop, pointer: event.pointerId, from: [event.clientX, event.clientY], at: [event.clientX, event.clientY] });
    this.stop = new AbortController();
    const options = { signal: this.stop.signal, capture: true };
    addEventListener("pointermove", (moved) => this.moved(moved), options);
    addEventListener("pointerup", (ended) => this.ended(ended), options);
    addEventListener("pointercancel", () => this.finish(), options);
    addEventListener("pointerdown", (second) => second.pointerId !== this.pointer && this.finish(), options); // two fingers pinch
    addEventListener("contextmenu", (menu) => this.isTouch && menu.preventDefault(), options); // a finger held is no wish for a menu
    addEventListener("keydown", (key) => key.key === "Escape" && this.active && (key.preventDefault(), this.finish()), options);
    addEventListener("touchmove", (touch) => this.active && touch.cancelable && touch.preventDefault(), { ...options, passive: false });
    this.isTouch = event.pointerType === "touch";
    if (this.isTouch) this.timer = setTimeout(() => this.begin(), HOLD);
  }

  moved(event) {
    if (event.pointerId !== this.pointer) return;
    const [x, y] = (this.at = [event.clientX, event.clientY]);
    const isFar = Math.hypot(x - this.from[0], y - this.from[1]) > SLOP;
    if (!this.active && isFar) {
      if (this.isTouch) return this.finish();
      this.begin();
    }
    if (!this.active) return;
    this.hasMoved ||= isFar;
    event.preventDefault();
    event.stopPropagation();
    this.show();
  }

  begin() {
    this.active = true;
    document.body.classList.add("is-dragging", `is-dragging-${this.drag.kind}`);
    this.ghost = el("div", { class: "drag-ghost", "aria-hidden": "true" }, this.drag.words);
    document.body.append(this.ghost);
    if (this.drag.from) {
      this.line = svg("path", { class: "drag-line" });
      this.canvas.paths.append(this.line);
    }
    this.scroll = setInterval(() => this.panNearBorder(), 16);
    this.show();
  }

  show() {
    const [x, y] = this.at;
    this.ghost.style.transform = `translate(${x + 14}px, ${y + 10}px)`;
    const target = this.drag.kind === "plus" ? this.nearestPlus() : this.cardBelow();
    if (target !== this.target) {
      this.target?.classList.remove("is-target");
      target?.classList.add("is-target");
      this.target = target;
    }
    if (!this.line) return;
    const { view } = this.canvas;
    const { left, top } = view.size;
    const [fromX, fromY] = this.drag.from;
    this.line.setAttribute("d", `M${fromX} ${fromY}L${(x - left - view.x) / view.scale} ${(y - top - view.y) / view.scale}`);
  }

  nearestPlus() {
    const [x, y] = this.at;
    const frame = this.canvas.view.size;
    if (x < frame.left || x > frame.right || y < frame.top || y > frame.bottom) return null;
    let [best, least] = [null, SNAP];
    for (const plus of this.canvas.marks.querySelectorAll(".flow-plus")) {
      const box = plus.getBoundingClientRect();
      const distance = Math.hypot(x - box.left - box.width / 2, y - box.top - box.height / 2);
      if (distance < least) [best, least] = [plus, distance];
    }
    return best;
  }

  cardBelow() {
    const found = document.elementsFromPoint(...this.at).find((element) => element.closest(".flow-card[data-step]:not(.is-trigger)"));
    return found?.closest(".flow-card") ?? null;
  }

  panNearBorder() {
    const [x, y] = this.at;
    const { left, right, top, bottom } = this.canvas.view.size;
    if (x < left || x > right || y < top || y > bottom) return;
    const pull = (distance) => (distance < 40 ? (40 - distance) / 4 : 0);
    const [dx, dy] = [pull(x - left) - pull(right - x), pull(y - top) - pull(bottom - y)];
    if (dx || dy) this.canvas.view.pan(dx, dy), this.show();
  }

  ended(event) {
    if (event.pointerId !== this.pointer) return;
    const [wasActive, target] = [this.active, this.isTouch && !this.hasMoved ? null : this.target];
    this.finish();
    if (!wasActive) return;
    const swallow = (click) => (click.stopPropagation(), click.preventDefault());
    addEventListener("click", swallow, { capture: true, once: true });
    setTimeout(() => removeEventListener("click", swallow, { capture: true }));
    if (target) this.drop(target, this.drag);
    else if (this.isTouch && !this.hasMoved) this.drag.rest?.();
  }

  finish() {
    this.stop.abort();
    clearTimeout(this.timer);
    clearInterval(this.scroll);
    this.active = false;
    document.body.classList.remove("is-dragging", "is-dragging-plus", "is-dragging-card");
    this.target?.classList.remove("is-target");
    this.ghost?.remove();
    this.line?.remove();
  }
}
