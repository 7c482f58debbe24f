// Line numbers for the text of scenarios, the wrong line marked and shown; asks before what was typed is left behind.
import { Lines } from "./lines.js";

const field = document.getElementById("scenarios-field");
const lines = new Lines(field);
const wrong = Number(field.dataset.line);
if (wrong) {
  lines.mark(wrong);
  lines.show(wrong, true);
}

let saved = wrong ? null : field.value;
field.form.addEventListener("submit", () => (saved = field.value));
addEventListener("beforeunload", (event) => saved !== null && saved !== field.value && event.preventDefault());
