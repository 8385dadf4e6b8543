import assert from "node:assert/strict";
import { test } from "node:test";
import { setUp } from "./pages.mjs";
import { scrn } from "./scrn.mjs";

const { write, writeData, open } = setUp();

/** The arrows of the picture that lead into step t, lit or all of them. */
const arrows = (page, t, lit = "") =>
    page
        .locator(`#stage .arrow${lit}`)
        .evaluateAll((list) => list.map((element) => element.dataset.key))
        .then((keys) => keys.filter((key) => key.endsWith(`:${t}`)).sort());

test("the arrows of a cell of one's own are those of its graph", async () => {
    const page = await open(`${writeData("scrn.html", scrn())}#loss=1&event=999`);
    const cell = ["e:s0:s0:1:1", "e:s0:y:0:1", "e:s1:s0:0:1", "e:s1:s1:1:1", "e:x:s0:0:1", "e:x:s1:0:1", "e:y:E:0:1"];
    assert.deepEqual(await arrows(page, 1), cell);
    assert.deepEqual(await arrows(page, 1, "[data-level]"), cell, "the sweep of E_1 passes all of them");
    assert.deepEqual(await arrows(page, 2, "[data-level]"), []);
    assert.deepEqual(page.problems, []);
});

test("an arrow bends around the elements between its ends", async () => {
    const page = await open(writeData("bow.html", scrn()));
    const wire = (key) => page.getAttribute(`#stage [data-key="${key}"] .wire`, "d");
    assert.match(await wire("e:x:s0:0:1"), /Q/, "x_1 → h_1 passes s_1");
    assert.doesNotMatch(await wire("e:x:s1:0:1"), /Q/);
});

test("an LSTM has the arrows that its fused gates have in the graph", async () => {
    const { url } = write("lstm.html");
    const page = await open(`${url}#net=lstm`);
    const memory = ["e:s0:s1:1:1", "e:s0:y:0:1", "e:s1:s0:0:1", "e:s1:s1:1:1", "e:x:s1:0:1", "e:y:E:0:1"];
    assert.deepEqual(await arrows(page, 1), memory);
    await page.click('[data-net="gru"]');
    assert.deepEqual(await arrows(page, 1), ["e:s0:s0:1:1", "e:s0:y:0:1", "e:x:s0:0:1", "e:y:E:0:1"]);
});

test("the names of parameters without a letter are at their own arrows, and the recurrent one is chosen", async () => {
    const page = await open(writeData("names.html", scrn()));
    const uses = await page
        .locator('#stage .weight[data-key$=":1"]')
        .evaluateAll((list) => list.map((element) => [element.dataset.key, element.textContent]));
    assert.deepEqual(uses.sort(), [
        ["w:cell.a:1", "a"],
        ["w:cell.b:1", "b"],
        ["w:cell.p:1", "p"],
        ["w:cell.r:1", "r"],
        ["w:readout.weight:1", "weight"],
    ]);
    assert.equal(await page.evaluate("Store.state().parameter"), "cell.r");
});

test("the path of a term runs along the arrows of the graph", async () => {
    const page = await open(`${writeData("path.html", scrn())}#parameter=cell.b&term=1,1`);
    const keys = await page.locator("#stage [data-path]").evaluateAll((list) => list.map((element) => element.dataset.key));
    const expected = ["E:1", "e:s0:y:0:1", "e:s1:s0:0:1", "e:x:s1:0:1", "e:y:E:0:1", "s:0:1", "s:1:1", "w:cell.b:1", "y:1"];
    assert.deepEqual(keys.sort(), expected);
});
