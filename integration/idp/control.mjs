// What tests may do to the identity provider: JSON over HTTP, on a port of its own.
//
//   POST   /keys       {"algorithm": "RS256", "signs": true} adds a key; answers {"kid": "..."}
//   DELETE /keys/KID   withdraws a key
//   POST   /tokens     an order of tokens.mjs; answers {"token": "..."}
//   PUT    /settings   {"offset": seconds, "lifetime": seconds, "secret": "..."}, each of them optional
import { makeToken } from './tokens.mjs';

// control handles such requests. renew is called after each change of keys and settings.
export function control(parties, renew) {
  const { keys, settings } = parties;
  const routes = [
    ['POST', /^\/keys$/, async ({ algorithm, signs }) => {
      const kid = await keys.add(algorithm, signs);
      renew();
      return { kid };
    }],
    ['DELETE', /^\/keys\/([\w-]+)$/, (body, kid) => {
      keys.withdraw(kid);
      renew();
      return {};
    }],
    ['POST', /^\/tokens$/, async (order) => ({ token: await makeToken(parties, order) })],
    ['PUT', /^\/settings$/, (changed) => {
      Object.assign(settings, changed);
      renew();
      return {};
    }],
  ];

  async function answer(request) {
    for (const [method, path, act] of routes) {
      const match = path.exec(request.url);
      if (match && method === request.method) return act(await bodyOf(request), match[1]);
    }
    throw new Error(`there is no ${request.method} ${request.url}`);
  }

  return (request, response) => {
    const send = (status, body) => response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    answer(request).then((body) => send(200, body), (error) => send(400, { error: error.message }));
  };
}

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return chunks.length ? JSON.parse(Buffer.concat(chunks)) : {};
}
