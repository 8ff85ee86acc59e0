// Signing keys: which of them are published, and which one signs for an algorithm.
//
// They outlive the process in a file, and a withdrawn key is kept there: tests sign with it, to see it distrusted.
import { createPublicKey } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';

import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';

// What every key set has from the start.
const initial = ['RS256', 'ES256'];

export class Keys {
  // The newest first: {jwk, published}. jwk is private, and its kid is its thumbprint (RFC 7638).
  #entries = [];

  #file;

  #stranger = new Map();

  // open reads the keys of an earlier process, or makes the first ones.
  static async open(file) {
    const keys = new Keys();
    keys.#file = file;
    try {
      keys.#entries = JSON.parse(readFileSync(file, 'utf8'));
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
      for (const algorithm of initial) await keys.add(algorithm, true);
    }
    return keys;
  }

  // published is the key set with its private members, in the order in which oidc-provider picks a signer: the first.
  published() {
    return { keys: this.#entries.filter(({ published }) => published).map(({ jwk }) => jwk) };
  }

  // verifying is the key set as callers see it.
  verifying() {
    return { keys: this.published().keys.map(publicPart) };
  }

  // add publishes a new key and returns its kid. It signs from now on, or only once those before it are withdrawn.
  async add(algorithm, signs) {
    const entry = { jwk: await generate(algorithm), published: true };
    if (signs) this.#entries.unshift(entry);
    else this.#entries.push(entry);
    this.#save();
    return entry.jwk.kid;
  }

  // withdraw takes a key out of the key set. The last one of an algorithm stays.
  withdraw(kid) {
    const entry = this.#entries.find(({ jwk }) => jwk.kid === kid);
    if (!entry) throw new Error(`there is no key ${kid}`);
    const others = this.published().keys.filter(({ alg, kid: other }) => alg === entry.jwk.alg && other !== kid);
    if (others.length === 0) throw new Error(`${kid} is the only key of ${entry.jwk.alg}: add another first`);
    entry.published = false;
    this.#save();
  }

  // find returns a key by its kid, withdrawn ones too; "stranger" is a key that is never published; and without a kid it
  // is the one that signs for the algorithm.
  async find(algorithm, kid) {
    if (kid === 'stranger') {
      if (!this.#stranger.has(algorithm)) this.#stranger.set(algorithm, await generate(algorithm));
      return this.#stranger.get(algorithm);
    }
    const entry = this.#entries.find(({ jwk, published }) => (kid ? jwk.kid === kid : published && jwk.alg === algorithm));
    if (!entry) throw new Error(`there is no key ${kid || `for ${algorithm}`}`);
    return entry.jwk;
  }

  // The file appears by rename: the process may be killed at any moment.
  #save() {
    writeFileSync(`${this.#file}.new`, JSON.stringify(this.#entries), { mode: 0o600 });
    renameSync(`${this.#file}.new`, this.#file);
  }
}

function publicPart({ kid, alg, ...jwk }) {
  return { kid, alg, ...createPublicKey({ key: jwk, format: 'jwk' }).export({ format: 'jwk' }) };
}

async function generate(algorithm) {
  const { privateKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, alg: algorithm, use: 'sig', kid: await calculateJwkThumbprint(jwk) };
}
