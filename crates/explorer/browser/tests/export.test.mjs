import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { setUp } from "./pages.mjs";

const { write, open } = setUp();

async function exported(page, id) {
    await page.click("#export summary");
    const [download] = await Promise.all([page.waitForEvent("download"), page.click(`#${id}`)]);
    return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
}

/** Runs in the page: the size of an SVG that is drawn alone. */
async function sizeOf(text) {
    const image = document.createElement("img");
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    await image.decode();
    return [image.naturalWidth, image.naturalHeight];
}

test("the network and the table are saved as SVG with their styles", async () => {
    const { url } = write("page.html");
    const page = await open(`${url}#net=lstm&event=20`);
    for (const what of ["network", "table"]) {
        const { name, bytes } = await exported(page, `export-${what}-svg`);
        assert.equal(name, `rewind-lecture-lstm-${what}.svg`);
        assert.match(String(bytes), /^<svg[^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/);
        assert.doesNotMatch(String(bytes), /var\(--/);
        assert.match(String(bytes), /fill:\s?rgb/);
        if (what === "network") assert.match(String(bytes), /paint-order:\s?stroke/, "the halo is behind the numbers");
        const drawn = await page.evaluate(sizeOf, String(bytes));
        assert.ok(drawn[0] > 200 && drawn[1] > 100, `drawn alone it is ${drawn}`);
    }
    assert.deepEqual(page.problems, []);
});

test("the network and the table are saved as PNG", async () => {
    const { url } = write("png.html");
    const page = await open(`${url}#net=lstm&event=20`);
    for (const what of ["network", "table"]) {
        const { name, bytes } = await exported(page, `export-${what}-png`);
        assert.equal(name, `rewind-lecture-lstm-${what}.png`);
        assert.equal(bytes.subarray(1, 4).toString(), "PNG");
        assert.ok(bytes.readUInt32BE(16) > 400, "twice as wide as on the screen");
        assert.ok(bytes.length > 4000, "not blank");
    }
    assert.deepEqual(page.problems, []);
});

test("the charts are saved too", async () => {
    const { url } = write("flow.html");
    const page = await open(`${url}#view=flow&scene=memory`);
    const { bytes } = await exported(page, "export-network-svg");
    assert.match(String(bytes), /<svg/);
});
