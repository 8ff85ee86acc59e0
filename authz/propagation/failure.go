package propagation

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/reason"
)

// ourFaults are refusals (RFC 6749, section 5.2; RFC 6749, section 4.1.2.1) that say nothing of the caller: we are not the client
// that we say, ask for what the client may not have, or the Provider is in trouble.
var ourFaults = []string{
	"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope", "server_error", "temporarily_unavailable",
}

// refusalOf is what the caller is told if a request for a token failed. It tells whether the Provider has said no about this caller;
// otherwise asking again may help.
func (h *holding) refusalOf(err error) (refusal *Refusal, said bool) {
	var failure *idp.Error
	switch {
	case !h.exchanged || !errors.As(err, &failure) || failure.Kind != idp.Refused:
		return unavailable(h.disposal, "%s gives no token: %v", h.provider(), err), false
	case failure.Claims != "":
		return &Refusal{
			Reason: reason.StepUpRequired, Origin: h.disposal.Origin, Claims: failure.Claims,
			Detail: h.provider() + " wants more of the user before it gives a token for the upstream (" + failure.Code + ")",
		}, true
	case slices.Contains(ourFaults, failure.Code):
		return unavailable(h.disposal, "%s gives no token: %v", h.provider(), err), false
	}
	return &Refusal{
		Reason: reason.ExchangeRefused, Origin: h.disposal.Origin,
		Detail: h.provider() + " gives no token for the upstream in place of the caller's (" + failure.Code + ")",
	}, true
}

// ofProvider tells whether a failure tells something of the Provider, or of ourselves, and not only of one caller's token.
func ofProvider(err error) bool {
	var failure *idp.Error
	if !errors.As(err, &failure) {
		return false
	}
	if failure.Kind == idp.BadAnswer { // of a success, it is what this caller was given
		return failure.Status >= http.StatusInternalServerError || failure.Status == http.StatusTooManyRequests
	}
	return true
}

// retryAfter is how long the other side wants to be left alone, if it said so.
func retryAfter(err error) time.Duration {
	var failure *idp.Error
	if errors.As(err, &failure) {
		return failure.RetryAfter
	}
	return 0
}
