// Drives VS Code in a real browser: log in, see the workbench, write in its terminal, come back.
//
// Reads one JSON document from standard input:
//   {playwright, chromium, profile, picture, instances: [{url, password, file}]}
// `file`, if given, is written in the terminal of that instance and waited for in its explorer;
// `picture` is where a screenshot goes if it fails. Answers one JSON
// document: what was seen of each instance, in order.

import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const wanted = JSON.parse(readFileSync(0, 'utf8'));
const { chromium } = createRequire(wanted.playwright + '/')('playwright-core');

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
  '--disable-background-networking', '--disable-component-update', '--disable-dev-shm-usage',
];
const WORKBENCH = '.monaco-workbench .part.editor';
const PASSWORD = 'input[name=password]';

const context = await chromium.launchPersistentContext(wanted.profile, {
  executablePath: wanted.chromium, headless: true, args: FLAGS,
  viewport: { width: 1280, height: 800 },
});
context.setDefaultTimeout(60_000);

// Chromium gives up what it loads when this host gets or loses a network, as it does while
// containers come and go beside the test.
async function steadily(load) {
  for (let left = 10; ; left -= 1) {
    try {
      return await load();
    } catch (error) {
      if (left === 0 || !String(error).includes('ERR_NETWORK_CHANGED')) throw error;
    }
  }
}

async function logIn(page, instance) {
  await steadily(() => page.goto(instance.url));
  const asked = await page.locator(PASSWORD).count() > 0;
  if (asked) {
    await page.fill(PASSWORD, instance.password);
    await page.locator(PASSWORD).press('Enter');
  }
  await page.locator(WORKBENCH).waitFor();
  return asked;
}

async function writeFile(page, name) {
  const terminal = page.locator('.terminal-wrapper.active .xterm-screen');
  const trust = page.getByRole('button', { name: /Trust Folder & Continue|Yes, I trust/ });
  const shown = page.locator('.explorer-folders-view').getByText(name, { exact: true });
  await page.keyboard.press('Control+Backquote');
  await terminal.or(trust).first().waitFor();
  // A shell that has not begun loses what is typed, and the first terminal asks for trust.
  for (let attempt = 0; attempt < 10; attempt++) {
    if (await trust.count() > 0) await trust.click();
    await terminal.click();
    await page.keyboard.type(`echo from the terminal > ${name}`);
    await page.keyboard.press('Enter');
    if (await shown.waitFor({ timeout: 5_000 }).then(() => true, () => false)) return;
  }
  throw new Error(`${name} does not show in the explorer`);
}

try {
  const seen = [];
  for (const instance of wanted.instances) {
    const page = await context.newPage();
    const asked = await logIn(page, instance);
    if (instance.file) await writeFile(page, instance.file);
    seen.push({ page, asked, title: await page.title() });
  }
  const answer = [];
  for (const { page, asked, title } of seen) {
    await steadily(() => page.reload());
    await page.locator(`${WORKBENCH}, ${PASSWORD}`).first().waitFor();
    answer.push({ asked, title, loggedIn: await page.locator(PASSWORD).count() === 0 });
  }
  console.log(JSON.stringify(answer));
} catch (error) {
  const page = context.pages().at(-1);
  if (wanted.picture && page) await page.screenshot({ path: wanted.picture });
  throw error;
} finally {
  await context.close();
}
