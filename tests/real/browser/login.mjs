// Signs in as a person would, in headless Chromium, and says what the client's own page looked like in the end.
// Usage: node login.mjs oidc-provider|django|node-oauth ADDRESS allow|deny [screenshot.png]
// ADDRESS is the server's, with a redirect_uri, or the client's own page that sends the browser there: then CLIENT
// (environment) is the origin where the browser ends up, and THEN an address to open after that, reported as `then`.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';

const signIn = async (page, press) => {
  await page.fill('input[name=login], input[name=username]', 'alice');
  await page.fill('input[name=password]', 'pw');
  await page.click(press);
};
const people = {
  'oidc-provider': {
    allow: async (page) => {
      await signIn(page, 'button[type=submit]');
      await page.waitForSelector('input[name=prompt][value=consent]', { state: 'attached' });
      await page.click('button[type=submit]');
    },
    deny: (page) => page.click('a[href$="/abort"]'),
  },
  django: {
    allow: async (page) => {
      await signIn(page, 'button[type=submit]');
      await page.click('input[name=allow]');
    },
    deny: async (page) => {
      await signIn(page, 'button[type=submit]');
      await page.waitForSelector('input[name=allow]');
      await page.click('input[type=submit]:not([name=allow])');
    },
  },
  'node-oauth': {
    allow: (page) => page.click('button[value=yes]'),
    deny: (page) => page.click('button[value=no]'),
  },
};

const [kind, address, answer, shot] = process.argv.slice(2);
const person = people[kind]?.[answer];
if (!person) {
  console.error(`usage: node login.mjs ${Object.keys(people).join('|')} ADDRESS allow|deny [screenshot.png]`);
  process.exit(2);
}
const executablePath = process.env.PATH.split(delimiter).map((folder) => join(folder, 'chromium')).find(existsSync);
if (!executablePath) throw new Error('no chromium on PATH');
const client = new URL(process.env.CLIENT ?? new URL(address).searchParams.get('redirect_uri')).origin;

// Profile, crash reports and caches go to one folder that is removed in the end.
const home = mkdtempSync(join(tmpdir(), 'chromium-'));
process.on('exit', () => rmSync(home, { recursive: true, force: true, maxRetries: 5 }));
process.env.TMPDIR = home; // where playwright puts the profile
const browser = await chromium.launch({
  executablePath, env: { PATH: process.env.PATH, HOME: home, TMPDIR: home },
  chromiumSandbox: false, // Chromium's sandbox refuses to start as root
  args: ['--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE [::1]'], // nothing but loopback is ever asked
});
const page = await browser.newPage();
page.setDefaultTimeout(15000);
try {
  let last; // the response behind the page now shown
  page.on('response', (response) => {
    if (response.request().isNavigationRequest() && response.frame() === page.mainFrame()) last = response;
  });
  const refused = new Promise((_, reject) => page.on('requestfailed', (request) => {
    if (request.isNavigationRequest() && request.url().startsWith(client)) reject(new Error(`${client}: ${request.failure().errorText}`));
  }));
  const landed = page.waitForEvent('framenavigated', (frame) => frame === page.mainFrame() && new URL(frame.url()).origin === client);
  const clicked = page.goto(address).then(() => person(page));
  // A server may also send the browser back at once, with an error: then nobody gets to click.
  await Promise.race([refused, landed, clicked.then(() => landed)]);
  await page.waitForLoadState('load');
  const { origin, pathname } = new URL(last.url());
  const landing = {
    reached: origin + pathname,
    address_bar: await page.evaluate(() => location.href),
    title: await page.title(),
    text: (await page.innerText('body')).slice(0, 500),
    status: last.status(),
    headers: await last.allHeaders(),
  };
  if (process.env.THEN) {
    await page.goto(process.env.THEN);
    landing.then = { title: await page.title(), text: (await page.innerText('body')).slice(0, 500), status: last.status() };
  }
  console.log(JSON.stringify(landing));
} catch (error) {
  console.error(`${error.message}\nstopped at ${page.url()}\n${await page.innerText('body').catch(() => '')}`.slice(0, 2000));
  process.exitCode = 1;
} finally {
  if (shot) await page.screenshot({ path: shot }).catch((error) => console.error(error.message));
  await browser.close();
}
