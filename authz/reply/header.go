package reply

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/config/expression"
)

// ValueError says that the value of a header cannot be one: it has a line feed, say, or characters beyond ASCII. A value that is
// made of the request's path is its caller's doing.
type ValueError struct {
	// Header is its name.
	Header string
	// OfCaller is set if the value was made of what the caller sent: its path, say, or its certificate.
	OfCaller bool
}

// Error says which header it is.
func (e *ValueError) Error() string { return "the value of " + e.Header + " is no value of a header" }

// mutations are the headers to set and those to remove. A header whose value the caller has no facts for is removed: what the
// caller sent under its name is not ours. Authorization is set, removed or left as it came, and never two of these. The error is
// a *ValueError where the value of one of the policy's headers is to blame.
func (p *Policy) mutations(d *policy.Decision, onward Onward) (headers []*corev3.HeaderValueOption, remove []string, err error) {
	token, pass, err := goesOn(onward, d)
	if err != nil {
		return nil, nil, err
	}
	remove, own := p.remove, false // own is set once remove is a copy
	headers = make([]*corev3.HeaderValueOption, 0, len(p.forward)+1)
	switch {
	case token != "":
		remove = p.removeButToken
		headers = append(headers, set(authorization, token))
	case pass:
		remove = p.removeButToken
	}
	for _, header := range p.forward {
		value := valueOf(header.Value, d)
		switch {
		case value == "":
			if !own {
				remove, own = append(make([]string, 0, len(remove)+len(p.forward)), remove...), true
			}
			remove = append(remove, header.Name)
		case !isFieldValue(value):
			// With validate_mutations Envoy answers 500 to it.
			return nil, nil, &ValueError{Header: header.Name, OfCaller: header.Value.ReadsCaller()}
		default:
			headers = append(headers, set(header.Name, value))
		}
	}
	return headers, remove, nil
}

// valueOf is the value of a header; empty where there is none. Those of a single fact, which most are, are taken from the
// decision as they are. Nothing is told of a certificate for which no truststore vouches.
func valueOf(of *expression.Text, d *policy.Decision) string {
	plain := of.Plain()
	switch plain {
	case "":
		return evaluate(of, d.Facts)
	case expression.ConsumerName:
		return d.Consumer
	case expression.Subject:
		return d.Subject()
	case expression.TokenSubject:
		if d.Token != nil {
			return d.Token.Subject
		}
		return ""
	}
	if d.Certificate == nil || d.Truststore == "" {
		return ""
	}
	switch plain {
	case expression.CertificateSubjectDN:
		return d.Certificate.Subject
	case expression.CertificateSerial:
		return d.Certificate.Serial
	case expression.CertificateNotAfter:
		return expression.FormatTime(d.Certificate.NotAfter)
	}
	return ""
}

// evaluate makes a value of facts. There is none where one of the facts is not there.
func evaluate(of *expression.Text, facts *expression.Facts) string {
	if facts == nil {
		return ""
	}
	value, err := of.Value(facts)
	if err != nil {
		return ""
	}
	return value
}

// maxFieldValue is the longest header value that is set, in bytes. Names in certificates are limited to less.
const maxFieldValue = 4 << 10

// isFieldValue wants visible ASCII, and spaces within (RFC 9110, section 5.5).
func isFieldValue(value string) bool { return isVisible(value, maxFieldValue) }

// isVisible is that for a value of so many bytes at most, which is not empty.
func isVisible(value string, most int) bool {
	if len(value) > most || value[0] == ' ' || value[len(value)-1] == ' ' {
		return false
	}
	for _, c := range []byte(value) {
		if c < ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

func set(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: name, Value: value},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}
