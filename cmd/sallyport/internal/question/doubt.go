package question

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// missing are the reasons of denials for want of material. Whoever has other material may decide otherwise.
var missing = []reason.Reason{reason.TruststoreMissing, reason.RevocationUnavailable, reason.ClockBehind, reason.RegisterUnavailable}

// doubt says why it cannot be told what the first gateway makes of a request: its truststores, or their lists, are not at
// hand, and may well be for the servers that decide. It is empty where it can be told.
func (a *Answers) doubt(p estate.Passage, by *estates) string {
	entry := p.Listener.EntryFor(p.Request.SNI)
	if !by.apart || entry == nil {
		return ""
	}
	why, detail := reason.Reason(p.Refused), ""
	if d := p.Decision; d != nil {
		if d.Allowed {
			return a.unasked(d.Truststore)
		}
		why, detail = d.Reason, d.Detail
	}
	switch {
	case !slices.Contains(missing, why):
		return ""
	case why == reason.TruststoreMissing || detail == "":
		return cmp.Or(a.faults(entry), detail, string(why))
	}
	return detail
}

// unasked says why a truststore may have vouched for a certificate that is revoked: a list that counts only when it is present
// could not be read here. It is empty where nothing is the matter.
func (a *Answers) unasked(truststore string) string {
	found := a.config.Material.Truststores[truststore]
	if !a.config.Apart || found == nil || found.Revocation.Mode != inventory.RevocationWhenPresent || len(found.Revocation.Missing) == 0 {
		return ""
	}
	return a.faultsOf(truststore)
}

// faults are what is wrong with the truststores of a TLS entry.
func (a *Answers) faults(of *config.Entry) string {
	var all []string
	for _, t := range of.ClientAuth.Truststores {
		if faults := a.faultsOf(t.Name); faults != "" {
			all = append(all, faults)
		}
	}
	return strings.Join(all, "; ")
}

func (a *Answers) faultsOf(truststore string) string {
	var all []string
	for _, problem := range a.config.Material.Problems {
		if problem.Kind == inventory.KindTruststore && problem.Name == truststore {
			all = append(all, "the truststore "+problem.Name+": "+problem.Err.Error())
		}
	}
	return strings.Join(all, "; ")
}

// withhold takes back what was said of a gateway's verdict, and of all behind it.
func withhold(answer *adminv1.ExplainResponse, index int, why string) {
	answer.Passages = answer.GetPassages()[:index+1]
	p := answer.GetPassages()[index]
	p.Verdict, p.Detail = Unknown, why
	p.Status, p.Refused, p.Upstream, p.Conditions = 0, "", "", nil
	if steps := p.GetSteps(); len(steps) > 0 {
		last := steps[len(steps)-1]
		last.Outcome, last.Detail = Unknown, why
	}
}
