// Tells apart the steps that are called alike: each by the step, and the path, that it comes after.
import { edges } from "./graph.js";

/** Step id -> "after Decide, path No", for the steps whose kind and title another has, too. */
export function whences(designer) {
  const { flow } = designer;
  const called = (step) => `${step.kind} ${designer.titleOf(step)}`;
  const counts = new Map();
  for (const step of flow.steps) counts.set(called(step), (counts.get(called(step)) ?? 0) + 1);
  const alike = new Set(flow.steps.filter((step) => counts.get(called(step)) > 1).map((step) => step.id));
  const found = new Map();
  for (const edge of edges(flow)) if (alike.has(edge.to) && !found.has(edge.to)) found.set(edge.to, words(designer, edge));
  return found;
}

function words(designer, { from, port }) {
  const step = designer.find(from);
  const label = Object.keys(step.next).length > 1 ? designer.portLabel(step, port) : "";
  return `after ${designer.titleOf(step)}${label ? `, path ${label}` : ""}`;
}
