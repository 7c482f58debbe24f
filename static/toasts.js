// A sentence that shows for a while at the edge of the page. A module of its own: whatever imports it runs nothing else again.

const one = (selector, root = document) => root.querySelector(selector);

export function toast(text, tone = "green") {
  const note = one("#toast-template").content.firstElementChild.cloneNode(true);
  note.classList.add(`tone-${tone}`);
  one(".toast-text", note).textContent = text;
  one("#toasts").append(note);
  const stay = tone === "red" ? 12000 : 5000;
  let timer = setTimeout(() => note.remove(), stay);
  note.addEventListener("pointerenter", () => clearTimeout(timer));
  note.addEventListener("pointerleave", () => (timer = setTimeout(() => note.remove(), stay)));
}
