// A short tour of the designer for somebody's first campaign: offered, never forced, left at any time, remembered for the person.
import { el, icon, placeNear } from "./dom.js";
import { post } from "./saving.js";

const STOPS = [
  { at: ".flow-ghost, .flow-card.is-trigger", title: "Who enters", words: "A campaign begins with a trigger: a form, a visit, a date, a segment, or you by hand. There may be several." },
  { at: ".flow-plus", title: "What happens", words: "Press + on a path to add a step, or drag one from the list on the left. With the keyboard: + on any card. Everything is drawn tidily by itself." },
  { at: "#panel", title: "How it happens", words: "A press on a card opens its settings here. They are saved as you type; a mark at a field says what is missing." },
  { at: "#problems-button", title: "What to mend", words: "Problems stop publishing; warnings are worth a thought, and you may accept them. A press takes you to the step." },
  { at: "#tool-undo", title: "Nothing is lost", words: "Everything can be undone, also after the page was closed and opened. The draft saves itself and reaches nobody." },
  { at: ".designer-top a[href$='/try'], #publish", title: "Try it first", words: "Take a test lead through the draft and read what would happen, mail by mail." },
  { at: "#publish", title: "Let leads in", words: "Leads follow what you publish. If some are inside already, you see first what it means for them." },
];

export function touring({ designer, url }) {
  let number = -1;
  const title = el("h2", { class: "tour-title", id: "tour-title" });
  const words = el("p", { id: "tour-words" });
  const count = el("span", { class: "text-secondary tour-count" });
  const button = (label, run, look = "btn btn-sm") => el("button", { type: "button", class: look, onclick: run }, label);
  const back = button("Back", () => go(number - 1));
  const next = button("Next", () => go(number + 1), "btn btn-sm btn-primary");
  const end = el("button", { type: "button", class: "btn btn-icon btn-sm btn-ghost tour-end", "aria-label": "End the tour", onclick: () => finish() }, icon("x"));
  const root = el("div", { class: "tour", role: "dialog", "aria-labelledby": "tour-title", "aria-describedby": "tour-words", hidden: true }, end, title, words, el("div", { class: "tour-foot" }, count, back, next));
  document.body.append(root);
  root.addEventListener("keydown", (event) => {
    const moves = { Escape: () => finish(), ArrowRight: () => go(number + 1), ArrowLeft: () => go(number - 1) };
    if (!(event.key in moves)) return;
    event.preventDefault();
    event.stopPropagation();
    moves[event.key]();
  });
  addEventListener("resize", () => number >= 0 && place());

  const target = () => STOPS[number].at.split(", ").map((each) => document.querySelector(each)).find((found) => found?.getClientRects().length);

  function go(to) {
    if (to < 0) return;
    if (to >= STOPS.length) return finish();
    document.querySelector(".is-toured")?.classList.remove("is-toured");
    number = to;
    if (!target()) return go(to + 1); // not shown in this window
    title.textContent = STOPS[to].title;
    words.textContent = STOPS[to].words;
    count.textContent = `${to + 1} of ${STOPS.length}`;
    back.disabled = !to;
    next.textContent = to === STOPS.length - 1 ? "Done" : "Next";
    root.hidden = false;
    target().classList.add("is-toured");
    place();
    next.focus({ preventScroll: true });
    designer.say(`${STOPS[to].title}. ${STOPS[to].words}`);
  }

  /** Beside what it speaks of, on the side with more room. */
  function place() {
    const [box, size] = [target()?.getBoundingClientRect(), root.getBoundingClientRect()];
    if (!box) return;
    const isLeft = box.left + box.width / 2 > innerWidth / 2;
    const beside = isLeft ? box.left - size.width - 14 : box.right + 14;
    const isBeside = beside > 8 && beside + size.width < innerWidth - 8;
    placeNear(root, { left: isBeside ? beside : box.left + box.width / 2 - size.width / 2, top: isBeside ? box.top : box.bottom + 12 });
  }

  function finish() {
    document.querySelector(".is-toured")?.classList.remove("is-toured");
    const was = number;
    number = -1;
    root.hidden = true;
    forget();
    if (was >= 0) document.querySelector(".flow-ghost, .flow-card")?.focus({ preventScroll: true });
  }

  /** Offered once; whoever took it or declined it is not asked again. */
  function forget() {
    if (!designer.data.tour) return;
    designer.data.tour = false;
    post(url, {});
    designer.emit("toured");
  }

  designer.addEventListener("tour", () => go(0));
  designer.addEventListener("no-tour", forget);
  document.getElementById("tool-tour")?.addEventListener("click", () => {
    document.getElementById("help-dialog").close();
    go(0);
  });
}
