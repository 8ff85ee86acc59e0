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

	{ConsumerUnknown, http.StatusForbidden, "The caller is not known",
		"The certificate is good, and no Consumer claims it."},
	{ConsumerAmbiguous, http.StatusForbidden, "The caller cannot be told apart",
		"Several Consumers claim the certificate: change their criteria so that one does."},
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
	{NoRoute, http.StatusNotFound, "Not found",
		"No rule of any Route matches the request."},
	{Misdirected, http.StatusMisdirectedRequest, "Misdirected request",
		"The connection was made for another hostname (RFC 9110, section 15.5.20): connect again with the right server name."},
	{MethodNotAllowed, http.StatusMethodNotAllowed, "Method not allowed",
		"The rule answers by itself, and only to GET and HEAD."},
	{CredentialsNotAccepted, http.StatusUnauthorized, "Credentials are not accepted",
		"The request has an Authorization header, and its policy names no provider who could vouch for it. Where a request without " +
			"credentials may pass, leave the header out: what cannot be verified is never passed over."},

	{GatewayNotYours, http.StatusForbidden, "Not the gateway's own proxy",
		"The proxy that asks does not belong to the group that serves the gateway it names. The proxy is answered PermissionDenied."},
	{ContextMissing, http.StatusServiceUnavailable, "The service is not available",
		"The proxy did not say by which route the request came: it runs a configuration that is not ours."},
	{PolicyUnknown, http.StatusServiceUnavailable, "The service is not available",
		"The rule, or the version of the policy, that the proxy's route was made with did not become known here in time."},
	{PolicyRemoved, http.StatusServiceUnavailable, "The service is not available",
		"The proxy's route was made with a rule and a policy that have both been removed since."},
	{RuleRemoved, http.StatusServiceUnavailable, "The service is not available",
		"The proxy's route was made with a rule that has been removed since."},
	{TruststoreMissing, http.StatusServiceUnavailable, "The service is not available",
		"A truststore that would have to judge the certificate has never been good."},
	{RevocationUnavailable, http.StatusServiceUnavailable, "The service is not available",
		"The truststore requires a revocation list of the certificate's authority, and there is none, or it has run out: publish one. " +
			"`sallyport proxy status` says what is wrong with it."},
	{ClockBehind, http.StatusServiceUnavailable, "The service is not available",
		"The revocation list of the certificate's authority was made in the future: the clock here is behind, or the authority's ahead."},
	{RegisterUnavailable, http.StatusServiceUnavailable, "The service is not available",
		"The truststore demands that its authority's register knows the certificate, and there is no register."},
	{Deadline, http.StatusServiceUnavailable, "The service is not available",
		"The time for the decision ran out."},
	{Internal, http.StatusServiceUnavailable, "The service is not available",
		"A fault in the authorization service; its log says more."},
}
