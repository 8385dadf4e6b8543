// The pages under test, made by the example `explorer`, and the browser that opens them.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const program = process.env.EXPLORER ?? fileURLToPath(new URL("../../../../target/debug/examples/explorer", import.meta.url));
const DATA = /<script type="application\/json" id="data">(.*?)<\/script>/s;
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const args = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/** A folder for the pages of a test file, and a browser; both end with the file. */
export function setUp() {
    const made = { folder: mkdtempSync(join(tmpdir(), "explorer-")), browser: null };
    before(async () => {
        made.browser = await chromium.launch({ executablePath, args });
    });
    after(async () => {
        await made.browser?.close();
        rmSync(made.folder, { recursive: true, force: true });
    });
    return {
        /** Writes a page and returns { url, data }. */
        write(name, ...options) {
            const path = join(made.folder, name);
            execFileSync(program, ["--out", path, ...options], { stdio: ["ignore", "ignore", "inherit"] });
            return { url: pathToFileURL(path).href, data: dataOf(readFileSync(path, "utf8")) };
        },
        /** Writes a page with other data than the program's own; returns its address. */
        writeData(name, data) {
            const path = join(made.folder, name);
            execFileSync(program, ["--out", path], { stdio: ["ignore", "ignore", "inherit"] });
            const json = JSON.stringify(data).replace(/</g, "\\u003c");
            writeFileSync(path, readFileSync(path, "utf8").replace(DATA, () => `<script type="application/json" id="data">${json}</script>`));
            return pathToFileURL(path).href;
        },
        /** Opens an address; `page.problems` lists errors, `page.requests` what else than the page was asked for. */
        async open(url, options = {}) {
            const page = await made.browser.newPage({ viewport: { width: 1280, height: 720 }, locale: "en-GB", ...options });
            page.problems = [];
            page.requests = [];
            page.on("pageerror", (error) => page.problems.push(String(error.stack)));
            page.on(
                "console",
                (message) => ["error", "warning"].includes(message.type()) && page.problems.push(message.text()),
            );
            page.on(
                "request",
                (request) => request.url().split("#")[0] !== url.split("#")[0] && page.requests.push(request.url()),
            );
            await page.goto(url);
            await page.waitForSelector("#tools button");
            return page;
        },
    };
}

function dataOf(html) {
    const found = html.match(DATA);
    assert.ok(found, "the page has its data");
    return JSON.parse(found[1]);
}

/** Starts a server of the page; returns { url, stop }. */
export async function serve() {
    const child = spawn(program, ["--serve"], { stdio: ["ignore", "pipe", "inherit"] });
    let printed = "";
    const url = await new Promise((resolve, reject) => {
        child.on("exit", (code) => reject(new Error(`the server ended with ${code}: ${printed}`)));
        child.stdout.on("data", (chunk) => {
            printed += chunk;
            const found = printed.match(/http:\/\/\S+/);
            if (found) resolve(found[0]);
        });
    });
    return { url, stop: () => child.kill("SIGINT") };
}

/** Every sweep of a network is longer than this many events. */
export const eventsOf = (network) => network.sweeps.reduce((sum, { events }) => sum + events.length, 0);

/** A number as the page writes it: "4.56·10⁻⁷", "10⁵", "−0.2". */
export function read(text) {
    const digits = "⁰¹²³⁴⁵⁶⁷⁸⁹";
    const plain = text
        .replace(/−/g, "-")
        .replace(/[⁻⁰¹²³⁴-⁹]+/, (power) => `^${[...power].map((c) => (c === "⁻" ? "-" : digits.indexOf(c))).join("")}`);
    const [, mantissa, exponent] = plain.match(/^(-?[\d.]*?)·?(?:10\^(-?\d+))?$/) ?? [];
    assert.ok(mantissa !== undefined, `${text} is a number`);
    return Number(mantissa === "" || mantissa === "-" ? `${mantissa}1` : mantissa) * 10 ** Number(exponent ?? 0);
}

/** Asserts that a text shows a number to three digits. */
export function assertShows(text, value, what) {
    const shown = read(text);
    assert.ok(Math.abs(shown - value) <= 0.006 * Math.abs(value), `${what}: the page says ${text}, the data ${value}`);
}

export const text = (page, selector) => page.locator(selector).innerText();
export const stateOf = (page) => page.evaluate("Store.state()");
