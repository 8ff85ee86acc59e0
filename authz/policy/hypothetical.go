package policy

import (
	"time"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/request"
)

// Hypothesis is a caller about whom somebody asks, and of whom not everything is known. No request of a proxy has one.
type Hypothesis struct {
	// Presumed is the caller's certificate; nil for a caller without one.
	Presumed *identity.Presumed
	// At is the moment.
	At time.Time
	// AnyTime leaves the moment open where a condition looks at it.
	AnyTime bool
}

// presumedCertificate stands in a request for a certificate that nobody has shown. It is no certificate, so that whoever
// parsed it would refuse it.
const presumedCertificate = "presumed"

// EvaluateAs is Evaluate for a hypothetical caller: what the request says of certificates counts for nothing. It goes down the
// same ladder.
func (e *Engine) EvaluateAs(r *request.Request, h Hypothesis) *Decision {
	asked := *r
	if asked.Certificate = ""; h.Presumed != nil {
		asked.Certificate = presumedCertificate
	}
	return e.evaluate(&evaluation{Decision: newDecision(&asked), engine: e, now: h.At, hypothesis: &h})
}
