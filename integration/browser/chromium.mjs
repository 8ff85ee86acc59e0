// The Chromium of the browser test, and a visit of the app in it. Settings come by the environment:
//
//   CHROMIUM      the browser's binary
//   APP           the app's address, below example.org; the browser takes all such hosts for 127.0.0.1
//   TRUSTED_KEYS  hashes of the gateway's public keys, as --ignore-certificate-errors-spki-list takes them: no other
//                 certificate of a development authority is accepted
//   SCREENSHOTS   the folder in which a visit that fails leaves a picture of what was to be seen
import assert from 'node:assert/strict';
import path from 'node:path';

import { chromium } from 'playwright-core';

const patience = 30_000; // milliseconds; it bounds every wait, and is no expectation

const app = process.env.APP;

// openBrowser starts Chromium with an empty profile, which goes with it, and keeps it from calling anybody of its own.
export function openBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM,
    timeout: patience,
    chromiumSandbox: false, // containers have none to give, and the pages are our own
    args: [
      '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync',
      '--host-resolver-rules=MAP *.example.org 127.0.0.1',
      `--ignore-certificate-errors-spki-list=${process.env.TRUSTED_KEYS}`,
    ],
  });
}

// visit opens the app as somebody who has never been there, and lets do act. Where that fails, a screenshot is kept.
export async function visit(browser, name, act) {
  const context = await browser.newContext({ viewport: { width: 1000, height: 900 } });
  context.setDefaultTimeout(patience);
  try {
    const visited = new Visit(context, await context.newPage());
    try {
      await visited.open(app);
      await act(visited);
      assert.deepEqual(visited.complaints, [], 'what the page complained of');
    } catch (error) {
      await visited.page.screenshot({ path: path.join(process.env.SCREENSHOTS, `${name.replaceAll(/\W+/g, '-')}.png`), fullPage: true });
      throw error;
    }
  } finally {
    await context.close();
  }
}

// Visit is one person's use of the app, and what the browser did meanwhile.
class Visit {
  // requests are all that the page has made, those for pages included, and addresses all that the page has had.
  requests = [];
  addresses = [];
  // tokens are those that the issuer has given to the page.
  tokens = [];
  // complaints are errors of the page's code and what its security policy has refused.
  complaints = [];

  constructor(context, page) {
    this.context = context;
    this.page = page;
    page.on('request', (request) => this.requests.push(request));
    page.on('framenavigated', (frame) => this.addresses.push(frame.url()));
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      if (/Content Security Policy/.test(message.text())) this.complaints.push(message.text());
    });
  }

  // open goes to an address of the app and waits until the app has begun.
  async open(address) {
    await this.page.goto(address);
    await this.begun();
  }

  async begun() {
    await this.page.locator('html[data-ready="true"]').waitFor({ state: 'attached' });
  }

  // text is what an element says, by its id.
  text(id) {
    return this.page.locator(`#${id}`).innerText();
  }

  // ask presses a button that calls the API, and returns what the page then shows.
  async ask(button) {
    await this.page.locator(`#${button}`).click();
    await this.page.locator('#result-status:not([data-outcome="open"]):not(:empty)').waitFor();
    const shown = { status: await this.text('result-status'), reason: await this.text('result-reason') };
    const body = await this.text('result-body');
    return { ...shown, body: body.startsWith('{') ? JSON.parse(body) : body };
  }

  // signIn follows the page to the issuer, chooses one of its users there, and comes back.
  async signIn(user) {
    await this.page.locator('#sign-in').click();
    const redeemed = this.page.waitForResponse((response) => new URL(response.url()).pathname.endsWith('/token'));
    await this.page.getByRole('button', { name: `Sign in as ${user}` }).click();
    const answer = await (await redeemed).json();
    this.tokens.push(...[answer.access_token, answer.id_token].filter(Boolean));
    await this.page.waitForURL(app);
    await this.begun();
    assert.equal(await this.text('who'), `Signed in as ${user}`);
  }

  // authorization is what the page has sent as that header, to each host that got one.
  async authorization() {
    const sent = await Promise.all(this.requests.map(async (request) => [new URL(request.url()).hostname, await request.headerValue('authorization')]));
    return sent.filter(([, header]) => header);
  }

  // kept is all that the browser keeps for the app: storage of every kind, and the history.
  async kept() {
    const protocol = await this.context.newCDPSession(this.page);
    const history = await protocol.send('Page.getNavigationHistory');
    return {
      ...await this.context.storageState({ indexedDB: true }), // cookies, localStorage and IndexedDB
      sessionStorage: await this.page.evaluate(() => Object.entries(sessionStorage)),
      caches: await this.page.evaluate(() => caches.keys()),
      windowName: await this.page.evaluate(() => window.name),
      historyState: await this.page.evaluate(() => history.state),
      history: history.entries.map((entry) => entry.url),
    };
  }
}
