import assert from "node:assert/strict";
import { test } from "node:test";
import { setUp, stateOf, text } from "./pages.mjs";

const { write, open } = setUp();

test("a failing check is shown with op, gate, step and both numbers, and its node is marked", async () => {
    const { url, data } = write("mistake.html", "--mistake");
    const scene = data.scenes.find(({ networks }) => networks.some(({ check }) => check?.passed === false));
    const network = scene.networks.find(({ check }) => check?.passed === false);
    const page = await open(`${url}#scene=${scene.id}&lang=en`);
    const box = page.locator(".failed-check");
    assert.equal(await box.getAttribute("role"), "alert");
    const fact = (name) => text(page, `.failed-check [data-fact=${name}] dd`);
    assert.equal(await fact("op"), network.check.op);
    assert.equal(await fact("gate"), network.check.gate);
    assert.equal(await fact("step"), String(network.check.step));
    assert.match(await fact("gradient"), /\d/);
    assert.notEqual(await fact("gradient"), await fact("difference"));
    await box.locator("button").click();
    const state = await stateOf(page);
    assert.equal(state.net, network.id);
    const event = await page.evaluate(() => {
        const place = Sweep.locate(Store.network(), Store.state().loss, Store.state().event);
        return Sweep.events(Store.network(), place.k)[place.at].node;
    });
    assert.equal(event, network.check.node);
    assert.equal(await page.locator("#stage [data-fault]").count(), 1);
    assert.equal(await page.locator("#graph [data-fault]:visible").count(), 1);
});

test("a page without a failing check shows no box", async () => {
    const { url } = write("right.html");
    const page = await open(url);
    assert.equal(await page.locator(".failed-check").count(), 0);
    assert.equal(await page.locator("[data-fault]").count(), 0);
});
