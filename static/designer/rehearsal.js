// A rehearsal on the flow: so many leads came to each step, and took each path, until the day that the slider stands at.
import { draw } from "./drawn.js";

const { data, designer } = draw(document.getElementById("rehearsal"), { onPath: open });
const [slider, shown, live] = ["rehearsal-day", "rehearsal-shown", "rehearsal-said"].map((id) => document.getElementById(id));
const { counts } = data;

/** How many by the end of a day; the days are in order. */
const until = (days = [], last) => {
  let total = 0;
  for (const [day, count] of days) {
    if (day > last) break;
    total += count;
  }
  return total;
};

function figuresOf(day) {
  const [steps, triggers] = [{}, {}];
  for (const [id, { came, left, gone }] of Object.entries(counts.steps)) {
    const ways = Object.fromEntries(Object.entries(left).map(([port, days]) => [port, until(days, day)]));
    const out = Object.values(ways).reduce((sum, count) => sum + count, 0) + until(gone, day);
    const entered = until(came, day);
    steps[id] = { entered, here: Math.max(0, entered - out), left: ways };
  }
  for (const { id } of designer.flow.triggers) triggers[id] = { entered: until(counts.triggers[id], day) };
  return { steps, triggers };
}

function show() {
  const day = Number(slider.value);
  const words = `${counts.days[day] ?? ""}, day ${day}`;
  shown.textContent = words;
  slider.setAttribute("aria-valuetext", words);
  designer.figures = figuresOf(day);
  designer.emit("figures");
}
slider.addEventListener("input", show);
show();

function open(step, port = "") {
  const query = new URLSearchParams({ step, port });
  window.htmx.ajax("GET", `${data.urls.leads}?${query}`, { target: "#rehearsal-leads", swap: "outerHTML" });
  live.textContent = `Leads who came to ${designer.titleOf(designer.find(step))}.`;
}
designer.addEventListener("choose", () => {
  const [id] = designer.chosen;
  if (id && !designer.isTrigger(id)) open(id);
});
