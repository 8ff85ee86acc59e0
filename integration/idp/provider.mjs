// The configuration of oidc-provider: OpenID Connect discovery, key sets, client credentials, the authorization code with
// PKCE, introspection and revocation are its own.
import { X509Certificate } from 'node:crypto';

import { createMemoryAdapter } from 'oidc-provider/lib/adapters/memory_adapter.js';
import { Provider, errors } from 'oidc-provider';

import { registerGrants } from './grants.mjs';
import {
  clients, defaultResource, resourceServer, rolesOf, rolesOfClient,
} from './parties.mjs';

// What it remembers (sessions, codes, opaque tokens) outlives a change of its keys.
const memory = createMemoryAdapter();

// makeProvider makes a provider with the keys and settings of the moment. They cannot be changed in it.
export function makeProvider(parties) {
  const { issuer, keys, settings } = parties;
  const provider = new Provider(issuer, {
    adapter: memory,
    clients: clients(settings),
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt', 'tls_client_auth'],
    clientDefaults: { id_token_signed_response_alg: 'RS256' },
    clientBasedCORS: () => true,
    clockTolerance: 5,
    cookies: { keys: ['of a provider for tests'] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true },
      mTLS: { enabled: true, tlsClientAuth: true, getCertificate, certificateAuthorized, certificateSubjectMatches },
      resourceIndicators: {
        enabled: true,
        defaultResource: (ctx) => ctx.oidc.body?.audience ?? defaultResource,
        getResourceServerInfo: (ctx, name) => {
          const server = resourceServer(name, settings);
          if (!server) throw new errors.InvalidTarget('the resource is not known');
          return server;
        },
        useGrantedResource: () => true,
      },
    },
    extraTokenClaims: (ctx, token) => ctx.delegation
      ?? { roles: token.kind === 'ClientCredentials' ? rolesOfClient(token.clientId) : rolesOf(token.accountId) },
    findAccount: (ctx, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
    formats: { customizers: { jwt: (ctx, token, { payload }) => { skew(payload, settings); } } },
    jwks: keys.published(),
    loadExistingGrant: consented,
    pkce: { required: () => true },
    scopes: ['openid'],
    ttl: {
      AccessToken: settings.lifetime, ClientCredentials: settings.lifetime, Grant: 3600, IdToken: 600, Interaction: 600, Session: 3600,
    },
  });
  provider.proxy = true; // X-Forwarded-Proto and -Host say what the caller sees
  provider.use(async (ctx, next) => {
    await next();
    if (ctx.path.endsWith('/introspection') && ctx.body?.active) skew(ctx.body, settings);
  });
  provider.on('server_error', (ctx, error) => { console.error(ctx.method, ctx.path, error); });
  registerGrants(provider, parties);
  return provider;
}

// skew moves the times in a token as a clock that is wrong by the offset would.
function skew(claims, { offset }) {
  claims.iat += offset;
  claims.exp += offset;
  claims.nbf = claims.iat;
}

// consented grants an app what it asks for: users are asked for their name, and for nothing else.
async function consented(ctx) {
  const { oidc } = ctx;
  const grant = new oidc.provider.Grant({ accountId: oidc.session.accountId, clientId: oidc.client.clientId });
  grant.addOIDCScope('openid');
  for (const [name, server] of Object.entries(oidc.resourceServers)) {
    grant.addResourceScope(name, server.scope);
  }
  await grant.save();
  return grant;
}

// TLS ends before us. Whoever ends it has verified the client's certificate, and puts it into a header that it takes from
// nobody else.
function getCertificate(ctx) {
  const pem = ctx.get('x-client-certificate');
  return pem ? decodeURIComponent(pem) : undefined;
}

function certificateAuthorized(ctx) {
  return getCertificate(ctx) !== undefined;
}

function certificateSubjectMatches(ctx, property, expected) {
  return property === 'tls_client_auth_subject_dn' && new X509Certificate(getCertificate(ctx)).subject === expected;
}
