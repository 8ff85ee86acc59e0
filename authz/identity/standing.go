package identity

import (
	"crypto/x509"
	"fmt"

	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/pki/inventory"
	"github.com/sallyport-project/sallyport/pki/revocation"
)

// judgePath returns nil if nothing speaks against a path of which all signatures and dates are good, from the leaf to an
// anchor: no revocation list, and no register.
func (j *judging) judgePath(path []*x509.Certificate) *Refusal {
	refusal := j.askRegisters(path[1])
	if j.material.Revocation.Mode == inventory.RevocationOff {
		return refusal
	}
	for i := range len(path) - 1 {
		if found := j.askList(path[i], path[i+1]); found != nil {
			if refusal == nil {
				refusal = found
			}
			refusal = moreTelling(refusal, found)
		}
	}
	if found := j.askAbove(path[len(path)-1]); found != nil {
		return found
	}
	return refusal
}

// askList asks the issuer's revocation list about one certificate of a path.
func (j *judging) askList(certificate, issuer *x509.Certificate) *Refusal {
	r := j.material.Revocation
	status := r.Lists.Status(certificate, issuer, j.now, r.Grace)
	if status.List != nil {
		for _, moment := range status.List.Moments(r.Grace) {
			j.changesAt(moment, j.now)
		}
	}
	if status.State == revocation.Revoked {
		return j.revoked(certificate, status.Entry)
	}
	if status.State == revocation.Good {
		if status.InGrace {
			j.note = fmt.Sprintf("the revocation list %s of %s ran out at %s and counts until %s (grace)",
				status.List.Number, cut(escape(status.List.Issuer)), shownTime(status.List.NextUpdate), shownTime(status.List.NextUpdate.Add(r.Grace)))
		}
		return nil
	}
	if r.Mode != inventory.RevocationRequired && status.State != revocation.Forgotten {
		j.note = "there is no current revocation list of " + cut(escape(issuer.Subject.String())) + ", and none is required"
		return nil
	}
	return j.unanswered(status, issuer)
}

// askAbove looks whether an anchor stands in the list of another anchor that has signed it. The bundle itself vouches for
// an anchor, so that nobody needs such a list; but one that names the anchor counts.
func (j *judging) askAbove(end *x509.Certificate) *Refusal {
	for _, a := range j.anchors[string(end.RawSubject)] {
		if !a.certificate.Equal(end) {
			continue
		}
		for _, issuer := range a.issuers {
			status := j.material.Revocation.Lists.Status(end, issuer, j.now, 0)
			if status.State == revocation.Revoked {
				return j.revoked(end, status.Entry)
			}
		}
	}
	return nil
}

func (j *judging) revoked(certificate *x509.Certificate, entry revocation.Entry) *Refusal {
	what := "the certificate (" + j.Certificate.shownSubject() + ")"
	if !certificate.Equal(j.leaf) {
		what = "an authority above " + what
	}
	return &Refusal{reason.CertificateRevoked, fmt.Sprintf("%s was revoked at %s (%s)", what, shownTime(entry.At), entry.Reason)}
}

// unanswered is the refusal where a list is required and none counts. The caller can do nothing about it.
func (j *judging) unanswered(status revocation.Status, issuer *x509.Certificate) *Refusal {
	of := cut(escape(issuer.Subject.String()))
	switch status.State {
	case revocation.NotYet:
		return &Refusal{reason.ClockBehind, fmt.Sprintf("the revocation list %s of %s is of the future, %s: a clock is wrong",
			status.List.Number, of, shownTime(status.List.ThisUpdate))}
	case revocation.Expired:
		return &Refusal{reason.RevocationUnavailable, fmt.Sprintf("the revocation list %s of %s ran out at %s",
			status.List.Number, of, shownTime(status.List.NextUpdate))}
	case revocation.Forgotten:
		return &Refusal{reason.RevocationUnavailable, "the revocation lists of " + of + " are not to be told from others that were given in its name"}
	default:
		return &Refusal{reason.RevocationUnavailable, "there is no revocation list of " + of}
	}
}

// askRegisters asks whether the register of the authority that issued the leaf knows it.
func (j *judging) askRegisters(issuer *x509.Certificate) *Refusal {
	issuance := j.material.Issuance
	if !issuance.Asks() {
		return nil
	}
	answer := issuance.Find(j.Certificate.SHA256, issuer)
	j.unregistered = j.unregistered || answer == inventory.Unregistered
	switch {
	case answer == inventory.Registered || !issuance.Registered:
		return nil
	case answer == inventory.Unregistered:
		return &Refusal{reason.CertificateUnregistered, fmt.Sprintf("the register of its authority does not know the certificate (%s)", j.Certificate.shownSubject())}
	default:
		return &Refusal{reason.RegisterUnavailable, "there is no register of " + cut(escape(issuer.Subject.String()))}
	}
}
