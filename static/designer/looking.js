// The tools in the corner of the canvas: zoom, fit, full screen.
export function looking(canvas, designer) {
  const { view } = canvas;
  const byId = (id) => document.getElementById(id);
  const shown = byId("tool-scale");
  const home = () => view.home(canvas.middle);

  async function fullScreen() {
    if (document.fullscreenElement) return document.exitFullscreen();
    try {
      await document.documentElement.requestFullscreen();
    } catch {
      designer.say("This browser does not allow a full screen here.");
    }
  }

  const showScale = () => {
    const words = `${Math.round(view.scale * 100)} %`;
    if (shown.textContent !== words) shown.textContent = words;
  };
  view.addEventListener("move", showScale);
  showScale();
  document.addEventListener("fullscreenchange", () => {
    const isFull = Boolean(document.fullscreenElement);
    byId("tool-full").setAttribute("aria-pressed", String(isFull));
    designer.say(isFull ? "Full screen. Escape leaves it." : "Full screen left.");
  });
  const told = (words, run) => () => (run(), designer.say(words ? `${words}, ${shown.textContent}.` : `${shown.textContent}.`));
  const ways = { out: told("", () => view.zoom(1 / 1.2)), in: told("", () => view.zoom(1.2)), home: told("The start", home), fit: told("The whole flow", () => view.fit()), fullScreen };
  const tools = { "tool-out": ways.out, "tool-in": ways.in, "tool-scale": ways.home, "tool-fit": ways.fit, "tool-full": fullScreen };
  for (const [id, run] of Object.entries(tools)) byId(id).addEventListener("click", run);
  return ways;
}
