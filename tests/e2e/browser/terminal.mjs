// Opens `swarmctl web` in a real browser: with the token, and without.
//
// Reads {playwright, chromium, profile, picture, url, words} from standard input. Once the app has
// painted all `words`, it answers what was seen: the status without a token, the address afterwards,
// the cookies, and which hosts were asked for anything. `picture` is where a screenshot of the app goes.

import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const wanted = JSON.parse(readFileSync(0, 'utf8'));
const { chromium } = createRequire(wanted.playwright + '/')('playwright-core');

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
  '--disable-background-networking', '--disable-component-update', '--disable-dev-shm-usage',
];

const context = await chromium.launchPersistentContext(wanted.profile, {
  executablePath: wanted.chromium, headless: true, args: FLAGS,
  viewport: { width: 1280, height: 720 },
});
context.setDefaultTimeout(60_000);

try {
  const hosts = new Set();
  const page = await context.newPage();
  page.on('response', (response) => hosts.add(new URL(response.url()).host));
  let painted = '';
  const told = new Promise((resolve) => {
    page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => {
      painted += payload.toString();
      if (wanted.words.every((word) => painted.includes(word))) resolve();
    }));
  });
  const bare = new URL(wanted.url);
  bare.pathname = '/';
  const refused = await page.goto(bare.href);
  await page.goto(wanted.url);
  await page.locator('.xterm-screen').waitFor();
  await told;
  // Two frames later all that came is drawn.
  await page.evaluate(() => new Promise((done) =>
    requestAnimationFrame(() => requestAnimationFrame(done))));
  await page.screenshot({ path: wanted.picture });
  console.log(JSON.stringify({
    refused: refused.status(), address: page.url(), hosts: [...hosts],
    cookies: await context.cookies(),
  }));
} finally {
  await context.close();
}
