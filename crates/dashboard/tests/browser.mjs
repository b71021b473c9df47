// Looks at a dashboard in headless Chromium while a cluster works.
//
//   node --experimental-websocket browser.mjs CHROMIUM LINK FOLDER
//
// Prints one JSON object with what was seen; writes screenshots to FOLDER. It
// speaks the browser's own protocol, so nothing has to be installed.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [chromium, link, folder] = process.argv.slice(2);
const profile = mkdtempSync(join(tmpdir(), "dashboard-browser-"));
const browser = spawn(chromium, [
  "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
  "--remote-debugging-port=0", "--user-data-dir=" + profile, "about:blank",
], { stdio: ["ignore", "ignore", "pipe"] });

const address = await new Promise((resolve, reject) => {
  let text = "";
  browser.stderr.on("data", (data) => {
    text += data;
    const found = text.match(/DevTools listening on (ws:\S+)/);
    if (found) resolve(found[1]);
  });
  browser.on("exit", () => reject(new Error("Chromium ended: " + text)));
});

const socket = new WebSocket(address);
await new Promise((resolve) => (socket.onopen = resolve));
let number = 0;
const waiting = new Map();
const problems = [];
socket.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message.id) {
    const { resolve, reject } = waiting.get(message.id);
    waiting.delete(message.id);
    message.error ? reject(new Error(message.error.message)) : resolve(message.result);
  } else if (message.method === "Runtime.exceptionThrown" || message.method === "Log.entryAdded") {
    problems.push(JSON.stringify(message.params).slice(0, 500));
  }
};
function send(method, params = {}, sessionId = undefined) {
  return new Promise((resolve, reject) => {
    number += 1;
    waiting.set(number, { resolve, reject });
    socket.send(JSON.stringify({ id: number, method, params, sessionId }));
  });
}
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function open() {
  const { targetId } = await send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  const page = {
    send: (method, params) => send(method, params, sessionId),
    async value(expression) {
      const { result } = await this.send("Runtime.evaluate", { expression, returnByValue: true });
      return result.value;
    },
    async until(expression) {
      for (let i = 0; i < 200; i += 1) {
        const value = await this.value(expression);
        if (value) return value;
        await pause(100);
      }
      throw new Error("never true: " + expression);
    },
    async go(name) {
      const url = new URL(link);
      url.pathname = url.pathname.replace(/status$/, name);
      await this.send("Page.navigate", { url: url.href });
      await pause(300);
    },
    async shot(name) {
      const { data } = await this.send("Page.captureScreenshot", { format: "png" });
      writeFileSync(join(folder, name + ".png"), Buffer.from(data, "base64"));
    },
    async scheme(value) {
      await this.send("Emulation.setEmulatedMedia", {
        features: [{ name: "prefers-color-scheme", value }],
      });
    },
  };
  await page.send("Page.enable");
  await page.send("Runtime.enable");
  await page.send("Log.enable");
  await page.send("Emulation.setDeviceMetricsOverride", {
    width: 1280, height: 900, deviceScaleFactor: 1, mobile: false,
  });
  return page;
}

const seen = {};
try {
  const page = await open();
  await page.scheme("light");
  await page.go("status");
  const done = "document.querySelector('#tiles b').textContent.replace(/\\D/g, '')";
  await page.until("Number(document.getElementById('live').dataset.updates) > 1");
  seen.first = Number(await page.value(done));
  const updates = await page.value("Number(document.getElementById('live').dataset.updates)");
  await page.until(`Number(document.getElementById('live').dataset.updates) > ${updates + 4}`);
  seen.later = Number(await page.value(done));
  seen.live = await page.value("document.getElementById('live').textContent");
  seen.rects = await page.value("document.querySelectorAll('#stream rect').length");
  seen.nodes = await page.value("document.querySelectorAll('*').length");
  const asked = performance.now();
  await page.value("document.body.offsetHeight");
  seen.answer_ms = performance.now() - asked;
  await page.shot("status-light");
  await page.scheme("dark");
  await page.shot("status-dark");
  for (const name of ["map", "workers", "errors", "graph", "info"]) {
    await page.scheme(name === "map" ? "dark" : "light");
    await page.go(name);
    await page.until("Number(document.getElementById('live').dataset.updates) > 0");
    await page.shot(name);
    seen[name] = await page.value("document.querySelector('main').innerText.slice(0, 400)");
  }
  const plain = await open();
  await plain.scheme("light");
  await plain.send("Emulation.setScriptExecutionDisabled", { value: true });
  await plain.go("status");
  await pause(500);
  await plain.shot("status-without-script");
  const { root } = await plain.send("DOM.getDocument", { depth: 0 });
  const { outerHTML } = await plain.send("DOM.getOuterHTML", { nodeId: root.nodeId });
  seen.without_script = {
    tables: outerHTML.split("<table").length - 1,
    live: /id="live"[^>]*>([^<]*)</.exec(outerHTML)[1],
  };
  seen.problems = problems;
  console.log(JSON.stringify(seen));
} finally {
  browser.removeAllListeners("exit");
  const ended = new Promise((resolve) => browser.once("exit", resolve));
  // All its processes end by this; one that was killed would leave some behind that write.
  send("Browser.close").catch(() => {});
  const timer = setTimeout(() => browser.kill("SIGKILL"), 10_000);
  await ended;
  clearTimeout(timer);
  try {
    rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  } catch (error) {
    // What is left in the temporary folder says nothing of the pages.
    console.error(String(error));
  }
}
