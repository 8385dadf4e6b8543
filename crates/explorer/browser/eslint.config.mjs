import { readdirSync, readFileSync } from "node:fs";
import js from "@eslint/js";

// The scripts of the page are classic scripts: each defines one module, or two, that the later ones use.
const page = new URL("../page/", import.meta.url);
const sources = readdirSync(page)
    .filter((name) => name.endsWith(".js"))
    .map((name) => readFileSync(new URL(name, page), "utf8"));
const modules = sources.flatMap((source) => [...source.matchAll(/^const (\w+) = /gm)].map(([, name]) => name));

const readonly = (names) => Object.fromEntries(names.map((name) => [name, "readonly"]));
const browser = [
    "Blob",
    "Image",
    "Node",
    "URL",
    "URLSearchParams",
    "XMLSerializer",
    "addEventListener",
    "clearInterval",
    "clearTimeout",
    "document",
    "fetch",
    "getComputedStyle",
    "history",
    "location",
    "matchMedia",
    "navigator",
    "setInterval",
    "setTimeout",
    "window",
];
// Those of the page too: tests run functions in it.
const node = [
    ...modules,
    "URL",
    "document",
    "location",
    "process",
    "setTimeout",
    "getComputedStyle",
    "window",
    "MutationObserver",
    "axe",
    "console",
];

const rules = {
    eqeqeq: "error",
    "no-var": "error",
    "prefer-const": "error",
    "no-implicit-globals": "off",
    "no-shadow": "error",
    "no-unused-vars": ["error", { varsIgnorePattern: `^(${modules.join("|")})$` }],
    "no-redeclare": ["error", { builtinGlobals: false }],
    curly: ["error", "multi-line"],
    "max-lines": ["error", 400],
    "max-lines-per-function": ["error", { max: 70, IIFEs: false }],
};

export default [
    { ignores: ["**/node_modules/**"] },
    js.configs.recommended,
    { files: ["page/*.js"], languageOptions: { sourceType: "script", globals: readonly([...browser, ...modules]) }, rules },
    { files: ["browser/**/*.mjs"], languageOptions: { globals: readonly(node) }, rules },
];
