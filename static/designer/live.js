// The figures on the canvas, kept fresh over a chosen time, with the campaign in a line above them; and the heat view.
import { counted, el, number } from "./dom.js";
import { Heat } from "./heat.js";
import { get } from "./saving.js";

const EVERY = 20_000;
const byId = (id) => document.getElementById(id);

export function live({ designer, canvas, urls }) {
  const bar = byId("live-bar");
  if (!bar) return;
  const [period, from, to, mode] = ["live-period", "live-from", "live-to", "live-heat"].map(byId);
  const heat = new Heat({ designer, canvas, legend: byId("live-legend") });
  const asked = new URLSearchParams(location.search);
  if (asked.get("period")) period.value = asked.get("period");
  [from.value, to.value, mode.value] = ["from", "to", "heat"].map((name) => asked.get(name) ?? "");
  if (!period.value) period.value = "all";
  let last = 0;

  const query = () => {
    if (period.value === "all") return {};
    return period.value === "own" ? { period: "own", from: from.value, to: to.value } : { period: period.value };
  };

  const remember = () => {
    const kept = new URLSearchParams({ ...query(), ...(mode.value ? { heat: mode.value } : {}) }).toString();
    history.replaceState(history.state, "", `${location.pathname}${kept ? `?${kept}` : ""}${location.hash}`);
  };

  const whole = () => {
    const told = designer.figures?.whole;
    if (!told) return;
    const parts = [`${number(told.entered)} entered`, `${number(told.here)} here now`];
    if (told.rate) parts.push(`${told.rate} converted`);
    const words = [el("span", {}, parts.join(" · "))];
    if (told.failed) words.push(" · ", el("a", { href: urls.attention }, `${number(told.failed)} failed`));
    if (designer.figures.as_of) words.push(` · as of ${new Date(designer.figures.as_of).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })}`);
    byId("live-whole").replaceChildren(...words);
  };

  async function refresh(isAsked = false) {
    const mine = (last += 1);
    const place = byId("live-whole");
    if (isAsked || !designer.figures) place.textContent = "Counting…";
    const { ok, data: figures, sentence } = await get(`${urls.figures}?${new URLSearchParams(query())}`);
    if (mine !== last) return; // something else was asked for meanwhile
    if (!ok) return void ((isAsked || !designer.figures) && (place.textContent = sentence));
    if (JSON.stringify(figures) !== JSON.stringify(designer.figures)) {
      designer.figures = figures;
      designer.emit("figures");
    } else whole();
    if (isAsked) designer.say(`Figures: ${period.selectedOptions[0].text}. ${counted(figures.whole.entered, "lead")} entered.`);
  }

  const choose = () => {
    byId("live-dates").hidden = period.value !== "own";
    designer.period = query();
    remember();
    if (period.value !== "own" || from.value || to.value) refresh(true);
  };
  for (const field of [period, from, to]) field.addEventListener("change", choose);
  mode.addEventListener("change", () => {
    remember();
    heat.show(mode.value);
  });
  designer.addEventListener("figures", whole);
  new ResizeObserver(() => document.body.style.setProperty("--live", `${bar.offsetHeight}px`)).observe(bar); // the canvas begins below
  byId("live-dates").hidden = period.value !== "own";
  designer.period = query();
  whole();
  heat.show(mode.value);
  if (!designer.figures || period.value !== "all") refresh();
  setInterval(() => document.hidden || refresh(), EVERY);
}
