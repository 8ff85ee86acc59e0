// The identity provider of the integration suite. It is for tests only: it believes whoever signs in.
//
//   node server.mjs CONFIGURATION
//
// The file named is JSON:
//   issuer      the URL that tokens are issued under and callers see; what this process listens on, if absent
//   port        of loopback; 0, the default, for a free one
//   keys        the path of the file in which the signing keys are kept
//   lifetime    of access tokens, in seconds
//   offset      of its clock, in seconds
//   secret      of the clients edge and edge-post
//   client_key  the public key of the client edge-key, as a JWK
//
// When it listens, it prints one line of JSON: {"issuer", "provider", "control"}, the last two the addresses of the
// provider itself and of what control.mjs says. It ends with its standard input.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import process from 'node:process';

import { control } from './control.mjs';
import { Keys } from './keys.mjs';
import { makeProvider } from './provider.mjs';

const { issuer, port = 0, keys, ...settings } = JSON.parse(readFileSync(process.argv[2], 'utf8'));

// Keys cannot be changed in a provider: each change makes another, behind the same port.
let handle;
const server = createServer((request, response) => { handle(request, response); });
const provider = await listen(server, port);
const parties = { issuer: issuer ?? provider, keys: await Keys.open(keys), settings };
const renew = () => { handle = makeProvider(parties).callback(); };
renew();
const controls = await listen(createServer(control(parties, renew)), 0);
console.log(JSON.stringify({ issuer: parties.issuer, provider, control: controls }));

process.stdin.on('end', () => process.exit(0)).resume();
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));

async function listen(on, number) {
  await new Promise((resolve, reject) => {
    on.once('error', reject);
    on.listen(number, '127.0.0.1', resolve);
  });
  return `http://127.0.0.1:${on.address().port}`;
}
