// A path that leads back needs a limit or a wait: this asks for one as the loop is drawn, before anybody can run in circles.
import { edges, loops, reachable } from "./graph.js";
import { connect, insert } from "./model.js";

/** Whether the loop that this path closes holds nobody: no timed step is on it. */
export function isUnending(flow, edge, isTimed) {
  if (!loops(flow).size) return false;
  const line = edges(flow).find((one) => one.id === edge);
  if (!line) return false;
  const free = flow.steps.filter((step) => !isTimed(step));
  const known = new Set(free.map((step) => step.id));
  return known.has(line.from) && known.has(line.to) && reachable({ steps: free, start: line.to }).has(line.from);
}

/** Let a path lead back by way of a wait; with `repeat` so many times only, and then on to where it led before. */
export function loopWith(flow, edge, to, { wait, repeat }, reserved = 0) {
  const onward = edges(flow).find((one) => one.id === edge).to;
  const waiting = insert(flow, edge, wait, reserved);
  if (!repeat) return { ...connect(waiting.flow, `${waiting.id}:${wait.ports[0]}`, to), id: waiting.id };
  const again = insert(waiting.flow, edge, { ...repeat, ports: repeat.ports.slice(0, 1) }, reserved);
  again.flow.steps.find((one) => one.id === waiting.id).next = { [wait.ports[0]]: to };
  again.flow.steps.find((one) => one.id === again.id).next[repeat.ports[1]] = onward;
  return { flow: again.flow, id: again.id, lost: 0 };
}

/** Ask how the loop is to end; without an answer nothing is drawn. */
export function looping({ designer, canvas, menu }) {
  designer.addEventListener("unending", ({ detail: { edge, to } }) => {
    const card = canvas.button(to);
    const answer = (label, hint, icon, limited) => ({ group: "", label, hint, icon, tone: "orange", run: () => (designer.loop(edge, to, limited), canvas.focus(designer.chosen[0])) });
    const entries = [
      answer("At most 3 times, a day apart, then on", "Adds a Repeat and a wait; change both in their settings.", "repeat", true),
      answer("Again and again, a day apart", "Adds a wait to the path that leads back; another path must lead out.", "clock", false),
    ];
    // the end of a drag would close at once what it opens
    setTimeout(() => menu.open({ at: card.getBoundingClientRect(), title: "How does this loop end?", entries, back: card }));
    designer.say("A loop needs a limit or a wait. Choose one; Escape leaves the path as it was.");
  });
}
