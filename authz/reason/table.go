package reason

import (
	"net/http"
	"slices"
)

// All returns every reason in the order in which people should read of them.
func All() []Entry {
	return slices.Concat(table, recordTable)
}

var entries = func() map[Reason]Entry {
	byReason := make(map[Reason]Entry, len(table)+len(recordTable))
	for _, entry := range All() {
		byReason[entry.Reason] = entry
	}
	return byReason
}()

var table = []Entry{
	{PermissionGranted, http.StatusOK, "Permission granted",
		"A role of the consumer permits the method and path on this route."},
	{RoleHeld, http.StatusOK, "Role held",
		"The consumer holds a role that the policy names."},
	{ConsumerListed, http.StatusOK, "Consumer listed",
		"The policy names the consumer."},
	{Everyone, http.StatusOK, "Open to everyone",
		"The policy lets in everyone who authenticated as it demands."},
	{TokenRoleHeld, http.StatusOK, "Role of the token",
		"The token has a role that the policy names, and its Provider may assert that."},
	{ScopeHeld, http.StatusOK, "Scope of the token",
		"The token has a scope that the policy names, and its Provider may assert that."},
	{TokenIssued, http.StatusOK, "A token was issued",
		"The token endpoint gave the consumer a token."},

	{CertificateMissing, http.StatusForbidden, "A client certificate is needed",
		"The policy demands a client certificate and none was presented. Callers send theirs in the TLS handshake."},
	{CertificateMalformed, http.StatusForbidden, "The client certificate is malformed",
		"The certificate cannot be parsed, is too large, has more than 100 alternative names, or control characters in its names."},
	{CertificateIsCA, http.StatusForbidden, "The client certificate is a certificate authority's",
		"An authority's own certificate identifies no caller: a leaf certificate is needed."},
	{CertificateWeakKey, http.StatusForbidden, "The client certificate is too weak",
		"Its key is shorter than RSA 2048 or P-256, or it was signed with SHA-1 or MD5."},
	{CertificateUntrusted, http.StatusForbidden, "The client certificate is not trusted",
		"No truststore that counts here holds a valid authority that issued it, directly or by way of authorities that the truststore allows."},
	{CertificateExpired, http.StatusForbidden, "The client certificate has expired",
		"The caller must renew it."},
	{CertificateNotYetValid, http.StatusForbidden, "The client certificate is not valid yet",
		"Its notBefore lies in the future, or a clock is wrong."},
	{CertificateUsage, http.StatusForbidden, "The client certificate is not for clients",
		"Its extended key usage is there and holds neither clientAuth nor anyExtendedKeyUsage (RFC 5280, section 4.2.1.12)."},
	{CertificateRevoked, http.StatusForbidden, "The client certificate has been revoked",
		"It stands in its authority's revocation list, or an authority above it does."},
	{CertificateUnregistered, http.StatusForbidden, "The client certificate is not known",
		"An authority that the truststore trusts has signed it, and that authority's register does not hold it. Either the register was " +
			"not published after it was issued, or somebody else has the authority's key."},

	{TokenMissing, http.StatusUnauthorized, "A token is needed",
		"The policy demands a bearer token and the request has no Authorization header. A token in the query or the body is not looked at."},
	{TokenMalformed, http.StatusUnauthorized, "The token is malformed",
		"The Authorization header is not `Bearer` and one token (RFC 6750, section 2.1), or the token cannot be read, is too large, or is in a form " +
			"that could be read in more than one way."},
	{TokenIssuer, http.StatusUnauthorized, "The token is of another issuer",
		"No Provider that the policy names has issued the token: look at its `iss`."},
	{TokenKeyUnknown, http.StatusUnauthorized, "The token's key is not known",
		"The Provider's key set has no key with the token's `kid`, or that key is for another algorithm. A new key set is fetched for an unknown " +
			"one, but not more often than every 30 seconds."},
	{TokenSignature, http.StatusUnauthorized, "The token's signature is not good",
		"The key does not verify the signature, or the algorithm is none of those by which the Provider signs."},
	{TokenExpired, http.StatusUnauthorized, "The token has expired",
		"Its `exp` has passed, by more than the Provider's leeway. The caller must fetch another."},
	{TokenNotYetValid, http.StatusUnauthorized, "The token is not valid yet",
		"Its `nbf` or `iat` lies in the future by more than the Provider's leeway, or a clock is wrong."},
	{TokenAudience, http.StatusUnauthorized, "The token is for another audience",
		"None of its audiences (`aud`) is one that the policy, or the Provider, takes: the token was made for another API."},
	{TokenType, http.StatusUnauthorized, "The token is of another type",
		"Its `typ` is none that the Provider's access tokens have, or it is an ID token, which was made for the application and not for the API."},
	{TokenClaimMissing, http.StatusUnauthorized, "The token lacks a claim",
		"A claim that every token must have, or that the Provider's `required_claims` name, is not there or not of its kind."},
	{TokenInactive, http.StatusUnauthorized, "The token is not active",
		"The Provider, asked about the token, says that it is not active (RFC 7662)."},
	{TokenRevoked, http.StatusUnauthorized, "The token has been revoked",
		"The Provider's list `revoked` names the token, its session or its subject."},
	{TokenBinding, http.StatusUnauthorized, "The token is bound to another certificate",
		"The token counts only on connections with the client certificate that it was issued to (RFC 8705, section 3), or that has the name in it; " +
			"and no truststore that counts here vouches for such a one."},
	{StepUpRequired, http.StatusUnauthorized, "The user must prove more",
		"The issuer of the next API's token wants the user to sign in again, with what the challenge's `claims` say."},
	{TokenRoleMissing, http.StatusForbidden, "A role is missing in the token",
		"The token has none of the roles that the policy's rules name, or its Provider's `may_assert` does not list it."},
	{ScopeMissing, http.StatusForbidden, "A scope is missing in the token",
		"The token has none of the scopes that the policy's rules name, or its Provider's `may_assert` does not list it. The challenge names " +
			"what is needed (RFC 6750, section 3.1)."},
	{ExchangeRefused, http.StatusForbidden, "The token cannot be exchanged",
		"The Provider refuses to exchange the caller's token for one for the upstream."},

	{ConsumerUnknown, http.StatusForbidden, "The caller is not known",
		"The certificate or the token is good, and no Consumer claims it, or the Consumer that the token names is not there any more."},
	{ConsumerAmbiguous, http.StatusForbidden, "The caller cannot be told apart",
		"Several Consumers claim the certificate or the token: change their criteria so that one does."},
	{ConsumerMismatch, http.StatusForbidden, "Certificate and token do not belong together",
		"The policy demands both, and the token is not bound to the certificate, and they do not lead to the same Consumer."},
	{ConsumerSuspended, http.StatusForbidden, "The caller is suspended",
		"The Consumer is suspended and refused everything."},
	{ConsumerNotYetValid, http.StatusForbidden, "The caller is not admitted yet",
		"The Consumer's valid_from lies in the future."},
	{ConsumerExpired, http.StatusForbidden, "The caller is no longer admitted",
		"The Consumer's valid_until has passed."},
	{PermissionMissing, http.StatusForbidden, "Permission is missing",
		"No role of the consumer permits the method and path on this route."},
	{NotAuthorized, http.StatusForbidden, "Not authorized",
		"No rule of the policy lets this caller in."},

	{ConditionNotMet, http.StatusForbidden, "A condition is not met",
		"A rule of the policy describes the caller, and its condition (`when`) does not hold for the request."},
	{ConditionError, http.StatusForbidden, "A condition cannot be evaluated",
		"A rule of the policy describes the caller, and its condition reads what is not there, such as an attribute that the Consumer does " +
			"not have. Such a condition lets nobody in: ask first, with `has(…)`, or give the Consumer the attribute."},
	{RateLimited, http.StatusTooManyRequests, "Too many requests",
		"The Consumer has made more requests than its rate_limit allows. Retry-After says when to try again, in seconds."},

	{RequestMalformed, http.StatusBadRequest, "The request is malformed",
		"Its path, host, method or headers could be read in more than one way."},
	{TokenRefused, http.StatusBadRequest, "No token was issued",
		"The token endpoint refused the request; the detail has the error of RFC 6749, and the status is that error's."},
	{NoRoute, http.StatusNotFound, "Not found",
		"No rule of any Route matches the request."},
	{Misdirected, http.StatusMisdirectedRequest, "Misdirected request",
		"The connection was made for another hostname (RFC 9110, section 15.5.20): connect again with the right server name."},
	{MethodNotAllowed, http.StatusMethodNotAllowed, "Method not allowed",
		"The rule answers by itself, and only to the methods that the Allow header lists: GET and HEAD, or POST for a token endpoint."},
	{CredentialsNotAccepted, http.StatusUnauthorized, "Credentials are not accepted",
		"The request has an Authorization header of another scheme than `Bearer`, or its policy names no provider who could vouch for it. " +
			"Where a request without credentials may pass, leave the header out: what cannot be verified is never passed over."},

	{GatewayNotYours, http.StatusForbidden, "Not the gateway's own proxy",
		"The proxy that asks does not belong to the group that serves the gateway it names. The proxy is answered PermissionDenied."},
	{ContextMissing, http.StatusServiceUnavailable, "The service is not available",
		"The proxy did not say by which route the request came: it runs a configuration that is not ours."},
	{PolicyUnknown, http.StatusServiceUnavailable, "The service is not available",
		"The rule, or the version of the policy, that the proxy's route was made with did not become known here in time."},
	{PolicyRemoved, http.StatusServiceUnavailable, "The service is not available",
		"The proxy's route was made with a rule and a policy that have both been removed since."},
	{RuleRemoved, http.StatusServiceUnavailable, "The service is not available",
		"The proxy's route was made with a rule that has been removed since, or leads to an upstream that is not the rule's."},
	{TruststoreMissing, http.StatusServiceUnavailable, "The service is not available",
		"A truststore that would have to judge the certificate has never been good."},
	{RevocationUnavailable, http.StatusServiceUnavailable, "The service is not available",
		"The truststore requires a revocation list of the certificate's authority, and there is none, or it has run out: publish one. " +
			"`sallyport proxy status` says what is wrong with it."},
	{ClockBehind, http.StatusServiceUnavailable, "The service is not available",
		"The revocation list of the certificate's authority was made in the future: the clock here is behind, or the authority's ahead."},
	{RegisterUnavailable, http.StatusServiceUnavailable, "The service is not available",
		"The truststore demands that its authority's register knows the certificate, and there is no register."},
	{ProviderUnavailable, http.StatusServiceUnavailable, "The service is not available",
		"The Provider of the token cannot be asked: no key set of it is at hand that is not too old, or it does not say whether the token is " +
			"active. `sallyport proxy status` says what is wrong with it."},
	{TokenUnavailable, http.StatusServiceUnavailable, "The service is not available",
		"The token that the upstream is to get cannot be acquired, exchanged or minted, and none from before is good any more."},
	{Deadline, http.StatusServiceUnavailable, "The service is not available",
		"The time for the decision ran out."},
	{Internal, http.StatusServiceUnavailable, "The service is not available",
		"A fault in the authorization service; its log says more."},
}
