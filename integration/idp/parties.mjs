// Who this identity provider knows: users, clients, and the APIs that its tokens are for.

// Users, and the roles in their tokens. Any other name can sign in as well, and has no roles.
const users = {
  clerk: ['reader', 'writer'],
  visitor: [],
  // stepup is asked for more than a password before anything is exchanged for a token of theirs.
  stepup: ['reader'],
};

export const rolesOf = (subject) => users[subject] ?? [];

// Roles of a client that calls in its own name.
export const rolesOfClient = () => ['service'];

export const defaultResource = 'https://api.example.org';

// scopes are those of every API.
const scopes = 'read write';

// resourceServer says what tokens for an API look like (RFC 8707). What the name of an API ends in is what tests choose
// by: /opaque for tokens that must be introspected, /es256 for tokens signed with ES256. Nothing is issued for
// one with "unknown" in its name.
export function resourceServer(name, settings) {
  if (name.includes('unknown')) return undefined;
  return {
    audience: name,
    scope: scopes,
    accessTokenTTL: settings.lifetime,
    accessTokenFormat: name.endsWith('/opaque') ? 'opaque' : 'jwt',
    jwt: { sign: { alg: name.endsWith('/es256') ? 'ES256' : 'RS256' } },
  };
}

export const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const assertionGrant = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

// clients are the app, which users sign in to, and the edge with each of its ways to authenticate (OpenID Connect Core,
// section 9; RFC 8705, section 2.1).
export function clients({ secret, client_key: key }) {
  const edge = (suffix, method, how) => ({
    client_id: `edge${suffix}`,
    token_endpoint_auth_method: method,
    grant_types: ['client_credentials', exchangeGrant, assertionGrant],
    redirect_uris: [],
    response_types: [],
    ...how,
  });
  return [
    {
      client_id: 'app',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code'],
      redirect_uris: ['https://app.example.org/callback'],
    },
    edge('', 'client_secret_basic', { client_secret: secret }),
    edge('-post', 'client_secret_post', { client_secret: secret }),
    edge('-key', 'private_key_jwt', { jwks: { keys: [key] } }),
    edge('-certificate', 'tls_client_auth', { tls_client_auth_subject_dn: 'CN=edge-certificate' }),
  ];
}
