// The grants that oidc-provider lacks: token exchange (RFC 8693), and the assertion grant of RFC 7523 as Entra uses it
// to call on behalf of a user. They are registered by its extension hook.
import { createLocalJWKSet, jwtVerify } from 'jose';
import { errors } from 'oidc-provider';

import {
  assertionGrant, defaultResource, exchangeGrant, resourceServer, rolesOf,
} from './parties.mjs';

const accessToken = 'urn:ietf:params:oauth:token-type:access_token';
const jwt = 'urn:ietf:params:oauth:token-type:jwt';

// A user who must step up has proved it with this authentication context in a token.
const stronger = 'c1';

// registerGrants adds both grants to a provider.
export function registerGrants(provider, parties) {
  provider.registerGrantType(exchangeGrant, exchange, [
    'subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'requested_token_type',
    'audience', 'resource', 'scope',
  ]);
  provider.registerGrantType(assertionGrant, onBehalfOf, [
    'assertion', 'requested_token_use', 'audience', 'resource', 'scope',
  ]);

  // RFC 8693, section 2
  async function exchange(ctx) {
    const { params } = ctx.oidc;
    if (![accessToken, jwt].includes(params.subject_token_type)) {
      throw new errors.InvalidRequest('subject_token_type is neither an access token nor a JWT');
    }
    if (![undefined, accessToken, jwt].includes(params.requested_token_type)) {
      throw new errors.InvalidRequest('requested_token_type is neither an access token nor a JWT');
    }
    const subject = await verified(params.subject_token, () => new errors.InvalidRequest('subject_token is not valid'));
    if (params.actor_token !== undefined) {
      await verified(params.actor_token, () => new errors.InvalidRequest('actor_token is not valid'));
    }
    const name = params.resource ?? params.audience ?? defaultResource;
    await issue(ctx, subject, name, params.scope, { issued_token_type: params.requested_token_type ?? accessToken });
  }

  // Microsoft identity platform, "On-Behalf-Of flow". There the API is named by its scope.
  async function onBehalfOf(ctx) {
    const { params } = ctx.oidc;
    if (params.requested_token_use !== 'on_behalf_of') {
      throw new errors.InvalidRequest('requested_token_use is not on_behalf_of');
    }
    const subject = await verified(params.assertion, () => new errors.InvalidGrant('assertion is not valid'));
    const [, byScope] = /^(https:\/\/\S+)\/\S+/.exec(params.scope ?? '') ?? [];
    await issue(ctx, subject, params.resource ?? params.audience ?? byScope ?? defaultResource, params.scope, {});
  }

  // verified returns the claims of a token of ours.
  async function verified(token, refusal) {
    const keys = createLocalJWKSet(parties.keys.verifying());
    const currentDate = new Date(Date.now() + parties.settings.offset * 1000);
    try {
      const { payload } = await jwtVerify(token, keys, {
        issuer: parties.issuer, requiredClaims: ['sub', 'exp'], clockTolerance: 5, currentDate,
      });
      return payload;
    } catch {
      throw refusal();
    }
  }

  // issue answers with a token for an API, whose subject stays the user, and whose actor is the client (RFC 8693,
  // section 4.1).
  async function issue(ctx, subject, name, scope, more) {
    if (subject.sub === 'stepup' && subject.acrs !== stronger) {
      ctx.status = 400;
      ctx.body = {
        error: 'interaction_required',
        error_description: 'the user must sign in with another factor',
        claims: JSON.stringify({ access_token: { acrs: { essential: true, value: stronger } } }),
      };
      return;
    }
    const server = resourceServer(name, parties.settings);
    if (!server) throw new errors.InvalidTarget('the audience is not known');
    const { client } = ctx.oidc;
    const token = new provider.AccessToken({
      accountId: subject.sub, client, gty: ctx.oidc.params.grant_type, resourceServer: new provider.ResourceServer(name, server), scope,
    });
    ctx.delegation = {
      roles: rolesOf(subject.sub),
      act: { sub: client.clientId, ...(subject.act ? { act: subject.act } : undefined) },
    };
    ctx.oidc.entity('AccessToken', token);
    ctx.body = {
      access_token: await token.save(), token_type: 'Bearer', expires_in: token.expiration, scope, ...more,
    };
  }
}
