// Making elements without markup from text, so that nothing a marketer types can become markup.
const SVG = "http://www.w3.org/2000/svg";

/** el("button", {class: "card", "aria-label": "…", onclick: fn, dataset: {…}}, child, "text", …) */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "dataset") Object.assign(element.dataset, value);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

let sprite = "";
export const useSprite = (url) => (sprite = url);

/** An icon of the sprite; decoration only. */
export function icon(name, className = "icon") {
  return svg("svg", { class: className, "aria-hidden": "true", focusable: "false" }, svg("use", { href: `${sprite}#${name}` }));
}

export const tile = (name, tone, size = "tile-sm") => el("span", { class: `tile ${size} tone-${tone}` }, icon(name));

/** Words only a screen reader says. */
export const spoken = (text) => el("span", { class: "visually-hidden" }, text);

const numbers = new Intl.NumberFormat("en");
export const number = (value) => numbers.format(value ?? 0);

export const counted = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;

/** Put an element near a point, inside the window. */
export function placeNear(element, { left, top }) {
  const size = element.getBoundingClientRect();
  element.style.left = `${Math.max(8, Math.min(left, innerWidth - size.width - 8))}px`;
  element.style.top = `${Math.max(8, Math.min(top, innerHeight - size.height - 8))}px`;
}
