// Runs a check of this folder in Node: node run.mjs <folder with all modules> <dagre.min.js> <check> <arguments as JSON>.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [, , folder, dagreFile, check, given] = process.argv;
globalThis.dagre = new Function(`${readFileSync(dagreFile, "utf8")};return dagre`)();
const { checks } = await import(pathToFileURL(`${folder}/checks.js`));
console.log(JSON.stringify(checks[check](...JSON.parse(given))));
