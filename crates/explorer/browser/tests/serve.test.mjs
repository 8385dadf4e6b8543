import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventsOf, serve, setUp, stateOf, text } from "./pages.mjs";

const { open } = setUp();
let server;
before(async () => {
    server = await serve();
});
after(() => server?.stop());

/** A served page with its settings open. */
async function opened(hash = "#lang=en") {
    const page = await open(`${server.url}${hash}`);
    await page.click("#settings-button");
    return page;
}

const computed = (page) => page.waitForResponse((response) => response.url().endsWith("/compute"));

/** Sets a field and returns the answer of the server. */
async function set(page, field, value) {
    const answer = computed(page);
    await page.fill(`#setting-${field}`, value);
    const response = await answer;
    await page.waitForFunction(() => !document.querySelector("#settings").hasAttribute("aria-busy"));
    return response;
}

test("a slider changes the numbers", async () => {
    const page = await opened();
    const answer = computed(page);
    await page.locator('#settings input[type="range"]').first().focus();
    await page.keyboard.press("ArrowRight");
    const scene = await (await answer).json();
    await page.waitForFunction(() => Store.state().scene === "yours");
    const first = await text(page, "#items");
    assert.equal(await page.locator("#stage .node.x").count(), scene.steps);
    const steps = Number(await page.inputValue("#setting-steps"));
    assert.equal(steps, scene.steps);
    await set(page, "scale", "2.5");
    await page.keyboard.press("End");
    await page.evaluate(() => Store.set({ event: 1e9 }));
    assert.notEqual(await text(page, "#items"), first);
    assert.deepEqual(page.problems, []);
});

test("each field reaches the engine", async () => {
    const page = await opened();
    await set(page, "hidden", "5");
    assert.equal(await page.evaluate("Store.network().hidden"), 5);
    await set(page, "steps", "4");
    assert.equal(await page.evaluate("Store.scene().steps"), 4);
    await set(page, "losses", "1, 3");
    assert.deepEqual(await page.evaluate("Store.network().losses.map(({ step }) => step)"), [1, 3]);
    await set(page, "inputs", "1 0; 0 1; 0.5 0; 0 0");
    assert.deepEqual(await page.evaluate("Store.scene().inputs"), [
        [1, 0],
        [0, 1],
        [0.5, 0],
        [0, 0],
    ]);
    const total = await page.evaluate("Store.network().total");
    await set(page, "seed", "7");
    assert.notEqual(await page.evaluate("Store.network().total"), total);
    const answer = computed(page);
    await page.uncheck('#settings [value="tanh"]');
    await answer;
    await page.waitForFunction(() => Store.scene().networks.every(({ id }) => id !== "tanh"));
    assert.equal(await text(page, "#error"), "");
});

test("a value out of bounds shows the error of the server, and a right one takes it away", async () => {
    const page = await opened();
    assert.equal(await page.getAttribute("#error", "role"), "alert");
    const response = await set(page, "hidden", "900");
    assert.equal(response.status(), 400);
    assert.match(await text(page, "#error"), /hidden is 900; expected .* 1 to 32/);
    await set(page, "hidden", "4");
    assert.equal(await text(page, "#error"), "");
});

test("a text that is no number is refused without a request", async () => {
    const page = await opened();
    const asked = page.requests.length;
    await page.fill("#setting-seed", "seven");
    await page.waitForFunction(() => document.querySelector("#error").textContent);
    assert.match(await text(page, "#error"), /Seed: “seven” is not a number/);
    assert.equal(page.requests.length, asked);
});

test("a number may have a comma, and one that is too large is refused", async () => {
    const page = await opened();
    const response = await set(page, "scale", "1,5");
    assert.equal(response.request().postDataJSON().scale, 1.5);
    assert.equal(await page.inputValue('.setting:has(#setting-scale) [type="range"]'), "1.5");
    await page.fill("#setting-scale", "1e400");
    await page.waitForFunction(() => document.querySelector("#error").textContent);
    assert.match(await text(page, "#error"), /1e400.* is not a number/);
});

test("the answer to an older question is dropped", async () => {
    const page = await opened();
    let held;
    await page.route("**/compute", async (route) => {
        if (held) return route.continue();
        held = route;
        return undefined;
    });
    await page.fill("#setting-steps", "9");
    await page.waitForFunction(() => document.querySelector("#settings").hasAttribute("aria-busy"));
    await new Promise((resolve) => setTimeout(resolve, 400));
    await set(page, "steps", "5");
    const answer = computed(page);
    await held.continue();
    assert.equal((await (await answer).json()).steps, 9);
    await page.waitForTimeout(300);
    assert.equal(await page.evaluate("Store.scene().steps"), 5);
});

test("an address with settings is computed again", async () => {
    const page = await opened();
    await set(page, "steps", "5");
    await page.evaluate(() => Store.set({ event: 12, net: "lstm" }, "push"));
    const address = page.url();
    assert.match(address, /scene=yours.*steps=5/);
    const other = await open(address);
    await other.waitForFunction(() => Store.state().scene === "yours" && Store.state().event === 12);
    assert.equal((await stateOf(other)).net, "lstm");
    assert.equal(await other.evaluate("Store.scene().steps"), 5);
});

test("64 steps are drawn, and more are rolled up with a ruler", async () => {
    const page = await opened();
    await set(page, "steps", "64");
    assert.equal(await page.locator("#stage .node.x").count(), 64);
    await set(page, "steps", "100");
    assert.equal(await page.locator("#stage .node.x").count(), 1);
    await page.fill("#ruler-step", "40");
    assert.match(await page.locator("#stage .node.x .name").innerHTML(), />40</);
    const total = eventsOf(await page.evaluate("Store.network()"));
    await page.evaluate((event) => Store.set({ event }), total - 1);
    assert.equal(await page.locator("#ruler .swatch[data-level]").count(), 100);
    assert.deepEqual(page.problems, []);
});

test("a server that is gone is reported", async () => {
    const page = await opened();
    await page.route("**/compute", (route) => route.abort());
    await page.fill("#setting-steps", "8");
    await page.waitForFunction(() => document.querySelector("#error").textContent);
    assert.match(await text(page, "#error"), /The server does not answer/);
});

test("back computes the earlier settings again", async () => {
    const page = await opened();
    await set(page, "steps", "5");
    await page.click('[data-net="lstm"]');
    await set(page, "steps", "7");
    assert.equal(await page.evaluate("Store.scene().steps"), 7);
    await page.waitForFunction(() => location.hash.includes("steps=7"));
    await page.goBack();
    await page.waitForFunction(() => Store.scene().steps === 5);
    assert.equal((await stateOf(page)).net, "tanh");
});
