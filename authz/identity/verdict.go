package identity

import (
	"time"

	"github.com/sallyport-project/sallyport/authz/reason"
)

// Verdict is what came of verifying a certificate. It is immutable.
type Verdict struct {
	// Certificate is nil exactly when it could not be parsed. Where no truststore vouches for it, it has no more than its
	// fingerprints and validity, and its subject and serial number, cut where they are long.
	Certificate *Certificate
	// refusal is set where no truststore is asked at all.
	refusal *Refusal
	// judgements of the entry's truststores, in their order.
	judgements []judgement
	// The verdict holds from the one moment on until before the other; zero times are no bounds.
	from, until time.Time
}

// Refusal says why a certificate is not accepted.
type Refusal struct {
	Reason reason.Reason
	// Detail is a sentence for people, with names from the certificate at most.
	Detail string
}

type judgement struct {
	truststore string
	refusal    *Refusal // nil if the truststore vouches for the certificate
	// note is what people should know although it vouches; empty as a rule.
	note string
	// unregistered is set where a register should know the certificate and does not.
	unregistered bool
}

// Note is what people should know of a truststore's judgement although it vouches for the certificate, such as that it
// went by a list that has run out; empty as a rule.
func (v *Verdict) Note(truststore string) string {
	for _, j := range v.judgements {
		if j.truststore == truststore {
			return j.note
		}
	}
	return ""
}

// Vouchers returns those of the named truststores that vouch for the certificate, in the order of the TLS entry. If there
// is none, the refusal says why. A truststore that is not the entry's vouches for nothing.
func (v *Verdict) Vouchers(names []string) ([]string, *Refusal) {
	if v.refusal != nil {
		return nil, v.refusal
	}
	var vouchers []string
	refusal := &Refusal{reason.CertificateUntrusted, "no truststore of the policy counts at the TLS entry that the request came by"}
	asked := false
	for _, j := range v.judgements {
		switch {
		case !contains(names, j.truststore):
		case j.refusal == nil:
			vouchers = append(vouchers, j.truststore)
		case !asked || telling(j.refusal.Reason) > telling(refusal.Reason):
			refusal, asked = j.refusal, true
		}
	}
	if len(vouchers) > 0 {
		return vouchers, nil
	}
	return nil, refusal
}

// telling ranks the reasons of several truststores: that the certificate is revoked, or that it should be known and is not,
// comes first, then what the truststore that issued it says, and before it is called untrusted each must have been asked.
func telling(r reason.Reason) int {
	switch r {
	case reason.CertificateUntrusted:
		return 0
	case reason.TruststoreMissing:
		return 1
	case reason.CertificateRevoked:
		return 4
	case reason.CertificateUnregistered:
		return 3
	default:
		return 2
	}
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

// holds tells whether the verdict would be the same at another moment.
func (v *Verdict) holds(now time.Time) bool {
	return (v.from.IsZero() || !now.Before(v.from)) && (v.until.IsZero() || now.Before(v.until))
}

// changesAt narrows the time in which the verdict holds by a moment from which on it may be another.
func (v *Verdict) changesAt(moment, now time.Time) {
	if now.Before(moment) {
		if v.until.IsZero() || moment.Before(v.until) {
			v.until = moment
		}
	} else if v.from.IsZero() || moment.After(v.from) {
		v.from = moment
	}
}

// boundedBy narrows it by a certificate's validity, of which both ends are included (RFC 5280, section 4.1.2.5).
func (v *Verdict) boundedBy(notBefore, notAfter, now time.Time) {
	v.changesAt(notBefore, now)
	v.changesAt(notAfter.Add(time.Nanosecond), now)
}
