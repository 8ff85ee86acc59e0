// What the single-page app of examples/vessel-registry does in a real Chromium, in front of a gateway: each test is the
// visit of somebody new. `make test-browser` runs them, by integration/browser_test.go.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { openBrowser, visit } from './chromium.mjs';

let browser;
before(async () => { browser = await openBrowser(); });
after(() => browser?.close());

// visitor is a test of one visit.
const visitor = (name, act) => test(name, () => visit(browser, name, act));

visitor('anybody may search, and no token is sent', async (v) => {
  assert.equal(await v.text('who'), 'Not signed in');
  const shown = await v.ask('search');
  assert.match(shown.status, /^200\b/);
  assert.equal(shown.body.path, '/vessels/search?q=north');
  assert.equal(shown.reason, 'The API sees edge.');
  assert.deepEqual(await v.authorization(), []);
});

visitor('a write without a sign-in shows 401 and why', async (v) => {
  const shown = await v.ask('write');
  assert.match(shown.status, /^401\b/);
  assert.match(shown.reason, /\(token_missing\)$/);
});

visitor('a write by the visitor, who has no role, shows 403 and why', async (v) => {
  await v.signIn('visitor');
  for (const button of ['search-protected', 'write']) {
    const shown = await v.ask(button);
    assert.match(shown.status, /^403\b/);
    assert.match(shown.reason, /\(token_role_missing\)$/);
  }
});

visitor('a write by the clerk arrives at the API, which sees who it is', async (v) => {
  await v.signIn('clerk');
  const shown = await v.ask('write');
  assert.match(shown.status, /^200\b/);
  assert.equal(shown.body.method, 'POST');
  assert.equal(shown.body.token.sub, 'clerk');
  assert.match(shown.reason, /^The API sees clerk\b/);
  const sent = await v.authorization();
  assert.deepEqual(sent, [['api.example.org', `Bearer ${v.tokens[0]}`]]);
});

visitor('a second API sees on whose behalf the edge calls it', async (v) => {
  await v.signIn('clerk');
  assert.match((await v.ask('search-protected')).status, /^200\b/);
  const shown = await v.ask('fleet');
  assert.match(shown.status, /^200\b/);
  assert.equal(shown.reason, 'The API sees clerk, for whom edge acts.');
  assert.equal(shown.body.token.aud, 'api://fleet');
});

visitor('a token is kept by the page alone', async (v) => {
  await v.signIn('clerk');
  await v.ask('write');
  assert.equal(v.tokens.length, 2);
  const kept = await v.kept();
  const { cookies, origins, sessionStorage, caches, windowName, historyState } = kept;
  assert.deepEqual(
    { cookies, origins, sessionStorage, caches, windowName, historyState },
    { cookies: [], origins: [], sessionStorage: [], caches: [], windowName: '', historyState: null },
  );
  const seen = JSON.stringify([kept, v.addresses, v.requests.map((request) => request.url()), await v.page.content()]);
  for (const token of v.tokens) {
    const [, payload, signature] = token.split('.');
    assert(!seen.includes(payload) && !seen.includes(signature), 'a token is in an address, in storage or in the document');
  }
  // The code is void once it is redeemed, and it leaves the history all the same (RFC 9700, section 4.3.1).
  assert(kept.history.length > 1);
  assert(kept.history.every((address) => !/[?&#](code|state)=/.test(address)), kept.history.join('\n'));
});

visitor('signing out forgets', async (v) => {
  await v.signIn('clerk');
  assert.match((await v.ask('write')).status, /^200\b/);
  await v.page.locator('#sign-out').click();
  assert.equal(await v.text('who'), 'Not signed in');
  assert.equal(await v.page.locator('#token-claims').textContent(), '');
  v.requests.length = 0;
  assert.match((await v.ask('write')).status, /^401\b/);
  assert.deepEqual(await v.authorization(), []);
});

visitor('opening the page again forgets', async (v) => {
  await v.signIn('clerk');
  await v.page.reload();
  await v.begun();
  assert.equal(await v.text('who'), 'Not signed in');
  assert.match((await v.ask('write')).status, /^401\b/);
});

visitor('an answer to a sign-in that was not begun here is refused', async (v) => {
  v.requests.length = 0;
  await v.open(new URL('?code=planted&state=planted', process.env.APP).href);
  assert.match(await v.text('result-reason'), /not begun here/);
  assert.equal(await v.text('who'), 'Not signed in');
  assert(v.requests.every((request) => request.method() === 'GET'), 'the code was redeemed');
  assert.equal(v.page.url(), process.env.APP);
});
