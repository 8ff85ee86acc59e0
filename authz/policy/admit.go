package policy

import (
	"strings"
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/mint"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

// claim is a consumer, and where it is written that the caller is that.
type claim struct {
	consumer *config.Consumer
	origin   config.Origin
}

// admit finds the consumer whose certificate, or whose token, it is, and refuses one that may do nothing at all. A caller that is
// no consumer is no reason to refuse yet: a rule may let everyone in.
//
// Who speaks by a token for a hop is whom the token says: the consumer of the certificate that goes with it is the one who passes
// the request on, and must be in good standing as well.
func (ev *evaluation) admit(c *caller) *finding {
	if !c.identified() {
		return nil
	}
	byCertificate, refused := ev.ofCertificate(c)
	if refused != nil {
		return refused
	}
	byToken, refused := ev.ofToken(c)
	if refused != nil {
		return refused
	}
	if refused := ev.agree(c, byCertificate, byToken); refused != nil {
		return refused
	}
	found := byToken
	if found.consumer == nil && !mintedForHop(c.token) {
		found = byCertificate
	}
	for _, one := range []claim{byCertificate, byToken} {
		if refused := ev.inStanding(one.consumer); refused != nil {
			ev.Consumer, c.consumer = one.consumer.Name, one.consumer
			return refused
		}
	}
	if mintedForPartner(c.token) && byToken.consumer != nil {
		if refused := ev.entitle(c, byToken.consumer); refused != nil {
			return refused
		}
	}
	if found.consumer == nil {
		ev.note(StepConsumer, Absent, "no consumer has this "+c.credential(), config.Origin{})
		return nil
	}
	ev.Consumer, c.consumer = found.consumer.Name, found.consumer
	ev.note(StepConsumer, Passed, found.consumer.Name, found.origin)
	return nil
}

// ofCertificate is the consumer of the certificate by which the caller was identified.
func (ev *evaluation) ofCertificate(c *caller) (claim, *finding) {
	if !c.certified {
		return claim{}, nil
	}
	match, other := ev.engine.consumers.Find(ev.Certificate, c.vouchers)
	switch {
	case match == nil:
		return claim{}, nil
	case other != nil:
		return claim{}, ambiguous("certificate", match.Consumer, other.Consumer, match.Origin)
	}
	return claim{match.Consumer, match.Origin}, nil
}

// ofToken is the consumer of the token. One of our own names it, and may name the certificate for which it was made: that is judged
// again, so that it is of no more use than the certificate itself.
func (ev *evaluation) ofToken(c *caller) (claim, *finding) {
	t := c.token
	if t == nil {
		return claim{}, nil
	}
	if t.Provider.Mint != nil {
		return ev.ofMinted(t)
	}
	match, other := ev.engine.consumers.FindToken(t.Provider.Name, t.ClientID, t.Subject)
	switch {
	case match == nil:
		return claim{}, nil
	case other != nil:
		return claim{}, ambiguous("token", match.Consumer, other.Consumer, match.Origin)
	}
	return claim{match.Consumer, match.Origin}, nil
}

func ambiguous(what string, one, other *config.Consumer, at config.Origin) *finding {
	return &finding{StepConsumer, reason.ConsumerAmbiguous,
		"the " + what + " is claimed by the consumers " + quote(one.Name) + " and " + quote(other.Name), at}
}

func (ev *evaluation) ofMinted(t *bearer.Token) (claim, *finding) {
	ref, err := mint.CertificateOf(t.Claims)
	switch {
	case err != nil:
		return claim{}, &finding{StepToken, reason.TokenClaimMissing, err.Error(), t.Provider.Origin}
	case ref != nil:
		if refusal := ev.engine.references.Judge(*ref, ev.now); refusal != nil {
			return claim{}, &finding{StepCertificate, refusal.Reason, "the certificate for which the token was made: " + refusal.Detail, config.Origin{}}
		}
		ev.reference = ref
	}
	name, named := strings.CutPrefix(t.Subject, mint.SubjectConsumer)
	switch {
	case named:
	case mintedForPartner(t) && !ev.presumesToken():
		return claim{}, &finding{StepConsumer, reason.ConsumerUnknown, "the token is of no consumer, and nobody else is granted any", t.Provider.Origin}
	default:
		return claim{}, nil
	}
	consumer := ev.engine.model.Consumer(name)
	if consumer == nil {
		return claim{}, &finding{StepConsumer, reason.ConsumerUnknown, "the token is of a consumer that is not there any more", t.Provider.Origin}
	}
	return claim{consumer, consumer.Origin}, nil
}

// mintedForHop tells whether a proxy of ours speaks by the token for somebody else.
func mintedForHop(t *bearer.Token) bool {
	return t != nil && t.Provider.MintsHops()
}

// agree refuses a certificate and a token that are two callers'. Where both were demanded they must belong together, because the token
// is bound to the certificate, or because both are one consumer's; elsewhere they must at least not be two consumers'.
func (ev *evaluation) agree(c *caller, byCertificate, byToken claim) *finding {
	if !c.certified || c.token == nil || mintedForHop(c.token) {
		return nil
	}
	bound := c.token.BoundSHA256 != "" || c.token.BoundURI != ""
	switch {
	case byCertificate.consumer != nil && byToken.consumer != nil && byCertificate.consumer != byToken.consumer:
		return &finding{StepConsumer, reason.ConsumerMismatch,
			"the certificate is of the consumer " + quote(byCertificate.consumer.Name) + ", and the token of " + quote(byToken.consumer.Name), byToken.origin}
	case c.together && !bound && (byToken.consumer == nil || byCertificate.consumer == nil):
		return &finding{StepConsumer, reason.ConsumerMismatch,
			"the token is not bound to the certificate, and it is not written of both that they are one consumer's", config.Origin{}}
	}
	return nil
}

// inStanding refuses a consumer that may do nothing now; nil is in good standing.
func (ev *evaluation) inStanding(consumer *config.Consumer) *finding {
	switch {
	case consumer == nil:
	case consumer.Suspended:
		return &finding{StepConsumer, reason.ConsumerSuspended, "the consumer " + quote(consumer.Name) + " is suspended", consumer.SuspendedOrigin}
	case !consumer.ValidFrom.IsZero() && ev.now.Before(consumer.ValidFrom):
		return &finding{StepConsumer, reason.ConsumerNotYetValid,
			"the consumer " + quote(consumer.Name) + " is admitted from " + consumer.ValidFrom.UTC().Format(time.RFC3339) + " on", consumer.Origin}
	case !consumer.ValidUntil.IsZero() && !ev.now.Before(consumer.ValidUntil):
		return &finding{StepConsumer, reason.ConsumerExpired,
			"the consumer " + quote(consumer.Name) + " was admitted until " + consumer.ValidUntil.UTC().Format(time.RFC3339), consumer.Origin}
	}
	return nil
}
