// Pan and zoom: one CSS transform on the world; by wheel, pinch, drag, keys and buttons.
const [LEAST, MOST, READABLE] = [0.15, 2, 0.8];
const BELOW = 46; // of a card, where the “+” of its paths is

/**
 * The rule of a style sheet of its own for one element. What moves with every frame is not written to `style=`: Tabler has rules
 * for [style*=…], and a browser then looks at everything inside anew, 50 ms a frame with 150 steps instead of 3.
 */
function ruleFor(element) {
  const sheet = new CSSStyleSheet();
  const name = `moved-${(ruleFor.count = (ruleFor.count ?? 0) + 1)}`;
  sheet.insertRule(`.${name} {}`);
  document.adoptedStyleSheets.push(sheet);
  element.classList.add(name);
  return sheet.cssRules[0].style;
}

/** Emits "move" after every change. `bounds` is what `layout` answered. */
export class Viewport extends EventTarget {
  constructor(frame, world) {
    super();
    Object.assign(this, { frame, world, scale: 1, x: 0, y: 0, covered: 0, bounds: { x: 0, y: 0, width: 0, height: 0 } });
    this.styles = { world: ruleFor(world), frame: ruleFor(frame) };
    frame.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.followPointers();
    new ResizeObserver(() => this.resized()).observe(frame);
    addEventListener("resize", () => (this.known = null));
    addEventListener("scroll", () => (this.known = null), { passive: true });
  }

  /** Where the frame is; asked once, since asking while the drawing moves makes the browser lay out the whole page. */
  get size() {
    return (this.known ??= this.frame.getBoundingClientRect());
  }

  resized() {
    this.known = null;
    this.dispatchEvent(new Event("move"));
  }

  apply() {
    const { world, frame } = this.styles;
    world.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
    frame.backgroundPosition = `${this.x}px ${this.y}px`;
    const dots = `${22 * this.scale}px ${22 * this.scale}px`;
    if (frame.backgroundSize !== dots) frame.backgroundSize = dots;
    this.dispatchEvent(new Event("move"));
  }

  pan(dx, dy) {
    const { width, height } = this.size;
    const { bounds, scale } = this;
    const keep = 80; // so much of the drawing always stays in view
    const within = (value, from, length, room) => Math.min(room - keep - from * scale, Math.max(keep - (from + length) * scale, value));
    this.x = within(this.x + dx, bounds.x, bounds.width, width);
    this.y = within(this.y + dy, bounds.y, bounds.height, height);
    this.apply();
  }

  /** Zoom by a factor about a point of the frame (its middle when none is given). */
  zoom(factor, at = { x: this.size.width / 2, y: this.size.height / 2 }) {
    const scale = Math.min(MOST, Math.max(LEAST, this.scale * factor));
    this.x = at.x - ((at.x - this.x) * scale) / this.scale;
    this.y = at.y - ((at.y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.apply();
  }

  /** Everything in view. */
  fit() {
    const { width, height } = this.size;
    this.scale = Math.max(LEAST, Math.min(1, width / this.bounds.width, height / this.bounds.height));
    this.x = (width - this.bounds.width * this.scale) / 2 - this.bounds.x * this.scale;
    this.y = Math.max(0, (height - this.bounds.height * this.scale) / 2) - this.bounds.y * this.scale;
    this.apply();
  }

  /** The start of the flow at a size that can be read; `middle` is the x of the first step. */
  home(middle) {
    const { width } = this.size;
    this.scale = Math.min(1, Math.max(READABLE, width / this.bounds.width));
    const isWide = this.bounds.width * this.scale > width;
    const centre = isWide ? middle : this.bounds.x + this.bounds.width / 2;
    this.x = width / 2 - centre * this.scale;
    this.y = -this.bounds.y * this.scale;
    this.apply();
  }

  /** Bring a card of the world into view with the beginning of its paths, moving as little as needed. */
  reveal({ x, y, width, height }, margin = 48) {
    const frame = this.size;
    const shift = (from, length, room) => {
      if (from < margin) return margin - from;
      return from + length > room - margin ? Math.max(margin - from, room - margin - from - length) : 0;
    };
    const dx = shift(x * this.scale + this.x, width * this.scale, frame.width - this.covered);
    const dy = shift(y * this.scale + this.y, (height + BELOW) * this.scale, frame.height);
    if (!dx && !dy) return;
    this.x += dx;
    this.y += dy;
    this.apply();
  }

  wheel(event) {
    event.preventDefault();
    const { left, top } = this.size;
    const unit = event.deltaMode === 1 ? 16 : 1;
    if (event.ctrlKey || event.metaKey) {
      this.zoom(Math.exp((-event.deltaY * unit) / 240), { x: event.clientX - left, y: event.clientY - top });
    } else if (event.shiftKey && !event.deltaX) this.pan(-event.deltaY * unit, 0);
    else this.pan(-event.deltaX * unit, -event.deltaY * unit);
  }

  /** The mouse on the ground pans; a finger pans from anywhere, two pinch, also when they come down on cards. */
  followPointers() {
    const held = new Map();
    let apart = 0;
    this.frame.addEventListener("pointerdown", (event) => {
      const isFinger = event.pointerType === "touch";
      const isOnButton = event.target.closest("button, .flow-end");
      if (event.button > 1 || event.shiftKey || event.target.closest(".minimap, .canvas-tools") || (event.button === 0 && isOnButton && !isFinger)) return;
      held.set(event.pointerId, event);
      if (!isOnButton) this.frame.setPointerCapture(event.pointerId);
    });
    this.frame.addEventListener("pointermove", (event) => {
      const before = held.get(event.pointerId);
      if (!before) return;
      held.set(event.pointerId, event);
      if (held.size === 1) return this.pan(event.clientX - before.clientX, event.clientY - before.clientY);
      const [a, b] = [...held.values()];
      const distance = Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
      const { left, top } = this.size;
      if (apart) this.zoom(distance / apart, { x: (a.clientX + b.clientX) / 2 - left, y: (a.clientY + b.clientY) / 2 - top });
      apart = distance;
    });
    const release = (event) => {
      held.delete(event.pointerId);
      apart = 0;
    };
    addEventListener("pointerup", release, true);
    addEventListener("pointercancel", release, true);
  }
}
