import assert from "node:assert/strict";
import { test } from "node:test";
import { assertShows, setUp, text } from "./pages.mjs";

const { write, open } = setUp();

const lit = (page) =>
    page.locator("#stage [data-path]").evaluateAll((list) => list.map((element) => element.dataset.key).sort());

test("focus on a cell lights its path, and leaving it puts it out", async () => {
    const { url } = write("page.html");
    const page = await open(`${url}#net=tanh`);
    await page.locator('#items [data-term="2,0"]').focus();
    const path = [
        "E:2",
        "e:y:E:0:2",
        "y:2",
        "e:s0:y:0:2",
        "s:0:2",
        "e:s0:s0:1:2",
        "s:0:1",
        "e:s0:s0:1:1",
        "s:0:0",
        "e:s0:s0:1:0",
        "w:U:0",
    ];
    assert.deepEqual(await lit(page), path.sort());
    await page.locator("#sweep-play").focus();
    assert.deepEqual(await lit(page), []);
});

test("hovering does the same, and the arrows move between cells", async () => {
    const { url } = write("hover.html");
    const page = await open(`${url}#net=tanh`);
    await page.hover('#items [data-term="1,1"]');
    assert.deepEqual(await lit(page), ["E:1", "e:s0:s0:1:1", "e:s0:y:0:1", "e:y:E:0:1", "s:0:1", "w:U:1", "y:1"]);
    await page.mouse.move(2, 2);
    await page.locator('#items [data-term="1,1"]').focus();
    await page.keyboard.press("ArrowDown");
    assert.equal(await page.evaluate("document.activeElement.dataset.term"), "2,1");
    await page.keyboard.press("ArrowLeft");
    assert.equal(await page.evaluate("document.activeElement.dataset.term"), "2,0");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate("Store.state().term"), "2,0");
});

test("the factors on the way are the jacobians of the data", async () => {
    const { url, data } = write("factors.html");
    const page = await open(`${url}#net=tanh&term=2,0`);
    const factors = await page
        .locator("#term .factors li")
        .evaluateAll((list) =>
            list.map((item) => [item.querySelector("b").textContent, item.querySelector("span:last-child").textContent]),
        );
    const expected = data.scenes[0].networks[0].jacobians
        .filter(({ step }) => step >= 1 && step <= 2)
        .sort((a, b) => b.step - a.step);
    assert.equal(factors.length, 2);
    for (const [k, { largest, smallest }] of expected.entries()) {
        assertShows(factors[k][0], Number(largest.toPrecision(2)), "largest");
        assertShows(factors[k][1], Number(smallest.toPrecision(2)), "smallest");
    }
    assert.match(await text(page, "#term-formula"), /∂E\s*2\s*\/∂h/);
});
