// The button "Publish": saves what is on the canvas first, shows the plan for leads inside, then asks the server to publish.
import { toast } from "../toasts.js";
import { post } from "./saving.js";

export function publishing({ designer, saving, data }) {
  const button = document.getElementById("publish");
  if (!button) return;
  const dialog = document.getElementById("publish-dialog");
  const list = document.getElementById("problems");

  designer.addEventListener("change", () => {
    button.disabled = false;
    button.removeAttribute("title");
  });

  button.addEventListener("click", async () => {
    if (!(await saving.insist())) return;
    const errors = designer.problems.filter((problem) => !problem.is_warning);
    if (!errors.length) return show();
    designer.say(`Not published: ${errors.length} to mend first.`);
    toast(errors.length === 1 ? `Not published: ${errors[0].sentence}` : `Not published: ${errors.length} problems stand in the way.`, "red");
    list.showPopover();
    list.querySelector("button")?.focus();
  });

  /** The plan for the leads inside is made when it is looked at: they move on meanwhile. */
  async function show() {
    dialog.showModal();
    if (plan()) await window.htmx.ajax("POST", data.urls.plan, { target: "#publish-plan", swap: "innerHTML" });
  }

  const plan = () => document.getElementById("publish-plan");

  function chosen() {
    const given = new FormData(plan() ?? undefined);
    const choices = {};
    for (const [name, value] of given) if (name.startsWith("map.")) choices[name.slice(4)] = value;
    return given.get("move") ? { move: true, choices } : {};
  }

  document.getElementById("publish-now").addEventListener("click", async (event) => {
    event.target.disabled = true;
    const answer = await post(data.urls.publication, { revision: saving.revision, ...chosen() });
    event.target.disabled = false;
    dialog.close();
    if (answer.ok) return location.assign(answer.data.url);
    if (answer.data?.problems) designer.heard({ flow: designer.flow, looks: {}, problems: answer.data.problems });
    toast(answer.sentence, "red");
  });
}
