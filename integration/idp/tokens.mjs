// Tokens made outright, for tests that need one which no provider would issue: any header, claims, algorithm and key.
import {
  constants, createHash, createHmac, createPrivateKey, createPublicKey, randomUUID, sign,
} from 'node:crypto';

const defaultAudience = 'https://api.example.org';

// makeToken makes a token as ordered:
//   algorithm  RS256 unless said; "none" leaves the signature empty; HS256 takes the public RS256 key, as PEM, for the
//              secret (the confusion of RFC 8725, section 2.1)
//   key        a kid, or "stranger" for a key that is never published
//   header     members of the header that replace, or with null remove, what would stand there
//   claims     the same for the claims
//   lifetime   seconds from now; negative for an expired token
//   id_token   makes it an ID token of the client "app"
export async function makeToken({ issuer, keys, settings }, order) {
  const algorithm = order.algorithm || 'RS256';
  const secret = algorithm.startsWith('HS') || algorithm === 'none';
  const key = await keys.find(secret ? 'RS256' : algorithm, order.key);
  const header = replaced({ alg: algorithm, typ: order.id_token ? 'JWT' : 'at+jwt', kid: key.kid }, order.header);
  const claims = replaced(order.id_token ? idClaims(order) : accessClaims(order), order.claims);
  const input = `${encode(header)}.${encode(claims)}`;
  return `${input}.${signature(algorithm, key, input).toString('base64url')}`;

  function times({ lifetime }) {
    const now = Math.floor(Date.now() / 1000) + settings.offset;
    return { iat: now, nbf: now, exp: now + (lifetime ?? settings.lifetime) };
  }

  // RFC 9068, section 2.2
  function accessClaims(of) {
    return {
      iss: issuer, sub: 'clerk', aud: defaultAudience, client_id: 'app', jti: randomUUID(), ...times(of),
    };
  }

  // OpenID Connect Core, section 2
  function idClaims(of) {
    return {
      iss: issuer,
      sub: 'clerk',
      aud: 'app',
      nonce: randomUUID(),
      at_hash: createHash('sha256').update('access token').digest().subarray(0, 16).toString('base64url'),
      auth_time: Math.floor(Date.now() / 1000),
      ...times(of),
    };
  }
}

function replaced(members, by) {
  return Object.fromEntries(Object.entries({ ...members, ...by }).filter(([, value]) => value !== null));
}

function encode(part) {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

// signature is that of RFC 7518, section 3, and of RFC 8037 for EdDSA.
function signature(algorithm, jwk, input) {
  if (algorithm === 'none') return Buffer.alloc(0);
  const key = createPrivateKey({ key: jwk, format: 'jwk' });
  const hash = `sha${algorithm.slice(2)}`;
  switch (algorithm.slice(0, 2)) {
    case 'HS': {
      const pem = createPublicKey(key).export({ type: 'spki', format: 'pem' });
      return createHmac(hash, pem).update(input).digest();
    }
    case 'RS':
      return sign(hash, Buffer.from(input), key);
    case 'PS':
      return sign(hash, Buffer.from(input), {
        key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
      });
    case 'ES':
      return sign(hash, Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
    case 'Ed':
      return sign(null, Buffer.from(input), key);
    default:
      throw new Error(`unknown algorithm ${algorithm}`);
  }
}
