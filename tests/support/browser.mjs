// Fill in and submit `docs/examples/browser.html` in a headless Chromium, and print the status and the rows that it shows.
// Run `node browser.mjs PAGE_URL BASE_URL TOKEN SOCKET_URL`; without the last, the page polls. CHROMIUM is the path of another Chromium than the package's.
import chromium from "@sparticuz/chromium";
import puppeteer from "puppeteer-core";

const [pageUrl, base, token, socket] = process.argv.slice(2);
const executablePath = process.env.CHROMIUM ?? (await chromium.executablePath());
const browser = await puppeteer.launch({ executablePath, args: chromium.args, headless: "shell", protocolTimeout: 300_000 });
try {
  const page = await browser.newPage();
  await page.goto(pageUrl);
  await page.type("[name=base]", base);
  if (socket) await page.type("[name=socket]", socket);
  await page.$eval("[name=token]", (input, value) => (input.value = value), token);
  await page.click("button");
  await page.waitForFunction(() => document.querySelector("#form").dataset.done, { timeout: 300_000, polling: 500 });
  const texts = (selector) => page.$$eval(selector, (found) => found.map((each) => each.textContent));
  console.log(...(await texts("#status")));
  for (let row = 1; row <= (await texts("#transactions tr")).length; row++)
    console.log(...(await texts(`#transactions tr:nth-child(${row}) td`)));
} finally {
  await browser.close();
}
