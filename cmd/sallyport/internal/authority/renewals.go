package authority

import (
	"crypto/x509"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/pki/spiffe"
)

// What one process may be given. The register keeps each certificate for ever.
const (
	// mostInForce is how many certificates it may have that are neither revoked nor expired.
	mostInForce = 20
	// renewalPause is how often it may ask, and renewalBurst how often at once.
	renewalPause = 10 * time.Second
	renewalBurst = 10
	// mostRenewing is how many processes are remembered that have asked of late.
	mostRenewing = 10_000
)

// renewals bounds how often each process asks. Its zero value has seen nobody. It is safe for concurrent use.
type renewals struct {
	mu     sync.Mutex
	limits map[spiffe.Identity]*rate.Limiter
}

// allow counts a question.
func (r *renewals) allow(identity spiffe.Identity, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	limit := r.limits[identity]
	if limit == nil {
		if len(r.limits) >= mostRenewing {
			r.forget(now)
		}
		if len(r.limits) >= mostRenewing {
			return false
		}
		if r.limits == nil {
			r.limits = map[spiffe.Identity]*rate.Limiter{}
		}
		limit = rate.NewLimiter(rate.Every(renewalPause), renewalBurst)
		r.limits[identity] = limit
	}
	return limit.AllowN(now, 1)
}

// forget drops those that may ask as often as one that was never seen.
func (r *renewals) forget(now time.Time) {
	for identity, limit := range r.limits {
		if limit.TokensAt(now) >= renewalBurst {
			delete(r.limits, identity)
		}
	}
}

// renewableFrom is when a certificate may be renewed: after a third of its life. Ours are renewed after two thirds.
func renewableFrom(present *x509.Certificate) time.Time {
	return present.NotBefore.Add(present.NotAfter.Sub(present.NotBefore) / 3)
}

// notDueReason tells a client apart that came too early (google.rpc.ErrorInfo).
const (
	notDueReason = "NOT_DUE"
	notDueDomain = "sallyport"
)

func notDue(present *x509.Certificate) error {
	refused := status.New(codes.FailedPrecondition, fmt.Sprintf("the certificate may not be renewed before %s, when a third of its life is over",
		renewableFrom(present).UTC().Format(time.RFC3339)))
	if detailed, err := refused.WithDetails(&errdetails.ErrorInfo{Reason: notDueReason, Domain: notDueDomain}); err == nil {
		refused = detailed
	}
	return refused.Err()
}

// IsNotDue tells whether an error of EnrolmentService.Renew says that it is too early.
func IsNotDue(err error) bool {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetReason() == notDueReason && info.GetDomain() == notDueDomain {
			return true
		}
	}
	return false
}
