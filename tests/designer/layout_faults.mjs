// Lays out random flows and counts faults: cards that overlap, paths that run through a card, yes to the right of no.
// Usage: node layout_faults.mjs <folder of the designer's modules> <dagre.min.js> <flows a family>; prints one JSON line.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [, , modules, dagreFile, count] = process.argv;
const load = (name) => import(pathToFileURL(`${modules}/${name}`));
const { findFaults } = await import(pathToFileURL(`${modules}/random_flows.js`));
const { layout } = await load("layout.js");
const dagre = new Function(`${readFileSync(dagreFile, "utf8")};return dagre`)();
console.log(JSON.stringify(findFaults(layout, dagre, Number(count))));
