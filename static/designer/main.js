// Opens the designer: reads what the page carries, joins the parts, and keeps the figures fresh.
import { toast } from "../toasts.js";
import { Adding } from "./adding.js";
import { Canvas } from "./canvas.js";
import { choosing } from "./choosing.js";
import { Designer } from "./designer.js";
import { counted, useSprite } from "./dom.js";
import { Exporting } from "./exporting.js";
import { Keyboard } from "./keyboard.js";
import { live } from "./live.js";
import { looking } from "./looking.js";
import { looping } from "./looping.js";
import { Mails } from "./mails.js";
import { Menu } from "./menu.js";
import { minimap } from "./minimap.js";
import { Panel } from "./panel.js";
import { Picker } from "./picker.js";
import { problemList } from "./problems.js";
import { publishing } from "./publishing.js";
import { Saving } from "./saving.js";
import { sharing } from "./sharing.js";
import { FlowText } from "./text.js";
import { touring } from "./touring.js";

const byId = (id) => document.getElementById(id);
const root = byId("canvas");
const data = JSON.parse(root.dataset.designer);
useSprite(data.sprite);

const designer = new Designer(data);
const canvas = new Canvas(root, designer);
const picker = new Picker(designer, canvas);
const menu = new Menu();
const adding = new Adding({ designer, canvas, menu, picker, palette: byId("palette") });
const panel = new Panel(byId("panel"), { designer, canvas, picker, urls: data.urls });
const saving = new Saving({ designer, url: data.urls.draft, revision: data.revision, status: byId("save-state"), dialog: byId("conflict-dialog") });
const help = () => byId("help-dialog").showModal();
const openPanel = (field) => {
  panel.focus(field); // at once, or the next letters would be commands
  setTimeout(() => byId("panel").contains(document.activeElement) || panel.focus(field), 120);
};
const look = looking(canvas, designer);
new Exporting({ designer, canvas, name: data.campaign.name, sprite: data.sprite });

const text = new FlowText(byId("flow-text"), { designer, canvas, urls: data.urls, toggle: byId("tool-text"), campaign: data.campaign.id });
new Keyboard({ designer, canvas, adding, picker, text, openPanel, help, look });
looping({ designer, canvas, menu });
touring({ designer, url: data.urls.tour });
new Mails({ designer, panel: byId("panel"), url: data.urls.mails, draft: data.urls.draft });
choosing(canvas, designer, (step, port) => (designer.figures ? panel.openLeads(step, "left", port) : designer.choose(step)));
minimap(byId("minimap"), canvas, designer);
problemList(byId("problems"), byId("problems-button"), { designer, canvas });
publishing({ designer, saving, data });
sharing({ designer, saving, urls: data.urls, dialog: byId("conflict-dialog"), badge: byId("hands"), editor: data.editor });

const spoken = byId("announcements");
designer.addEventListener("say", ({ detail }) => (spoken.textContent = detail === spoken.textContent ? `${detail} ` : detail));
designer.addEventListener("lost", ({ detail }) => toast(`${detail.words}. ${counted(detail.lost, "step")} that nothing leads to any more went with it. Undo brings everything back.`, "orange"));
designer.addEventListener("trouble", ({ detail }) => toast(detail, "red"));

const buttons = {
  "tool-undo": () => designer.undo(),
  "tool-redo": () => designer.redo(),
  "tool-find": () => picker.jump(),
  "tool-help": help,
  "tool-settings": () => (designer.choose("campaign"), openPanel("panel-title")),
  "tool-palette": () => document.body.classList.toggle("is-palette-open"),
};
for (const [id, run] of Object.entries(buttons)) byId(id)?.addEventListener("click", run);

// a choice closes the menu it was made in
byId("designer-menu")?.addEventListener("click", (event) => event.target.closest(".menu-item") && byId("designer-menu").hidePopover());

const tools = () => {
  for (const [id, entries] of [["tool-undo", designer.history.past], ["tool-redo", designer.history.future]]) {
    if (byId(id)) byId(id).disabled = !entries.length;
  }
};
designer.addEventListener("change", tools);
tools();

live({ designer, canvas, urls: data.urls });

addEventListener("pagehide", () => saving.save());
root.dataset.ready = "";
