package idp

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Validator is what is known of the key set that the asker has. Its zero value is for one that has none.
type Validator struct {
	// URI is where the set came from. At another place the ETag means nothing.
	URI string
	// ETag is as the server sent it (RFC 9110, section 8.8.3).
	ETag string
}

// Fetched is the answer to a question for the key set.
type Fetched struct {
	// Data is the set, not looked at yet; at most 256 KiB. Nil if it is unchanged.
	Data []byte
	// Unchanged says that the set which the asker has is still the provider's.
	Unchanged bool
	// Validator is for the next question.
	Validator Validator
	// MaxAge is how long the answer calls itself fresh (RFC 9111, section 5.2.2), if it says anything of that.
	MaxAge     time.Duration
	MaxAgeTold bool
}

// KeySet fetches the provider's key set from where the configuration says, or else the metadata, which is then asked for
// first. The error is an *Error.
func (p *Provider) KeySet(ctx context.Context, known Validator) (Fetched, error) {
	address := p.config.KeySetURI
	if address == "" {
		metadata, fault := p.discover(ctx)
		if fault != nil {
			return Fetched{}, fault
		}
		if address = metadata.KeySetURI; address == "" {
			return Fetched{}, misconfigured("the metadata of %s names no jwks_uri: configure it", p.config.Issuer)
		}
	}
	if known.URI != address {
		known = Validator{URI: address}
	}
	doing := "fetch the key set at " + shown(address)
	got, fault := p.get(ctx, doing, address, known.ETag)
	if fault != nil {
		return Fetched{}, fault
	}
	fetched := Fetched{Validator: known}
	fetched.MaxAge, fetched.MaxAgeTold = freshness(got.header)
	switch {
	case got.status == http.StatusNotModified && known.ETag != "":
		fetched.Unchanged = true
	case got.status == http.StatusOK:
		fetched.Data, fetched.Validator.ETag = got.body, got.header.Get("ETag")
	default:
		return Fetched{}, failure(doing, refusal(got.status, got.header, nil))
	}
	return fetched, nil
}

// freshness reads Cache-Control, less what the answer has spent in caches.
func freshness(header http.Header) (time.Duration, bool) {
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch lower(name) {
		case "no-cache", "no-store":
			return 0, true
		case "max-age":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err != nil {
				return 0, false
			}
			age, _ := strconv.ParseUint(header.Get("Age"), 10, 31) // without one that can be read it is new
			return time.Duration(seconds-min(age, seconds)) * time.Second, true
		}
	}
	return 0, false
}
