package reply

import (
	"fmt"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"

	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/config"
)

// mutations are the headers to set and those to remove. A header whose attribute the caller does not have is removed: what
// the caller sent under its name is not ours.
func (p *Policy) mutations(d *policy.Decision) (headers []*corev3.HeaderValueOption, remove []string, err error) {
	remove = p.remove
	headers = make([]*corev3.HeaderValueOption, 0, len(p.forward))
	for _, header := range p.forward {
		value := attribute(header.Value, d)
		switch {
		case value == "":
			if len(remove) == len(p.remove) {
				remove = append(make([]string, 0, len(p.remove)+len(p.forward)), p.remove...)
			}
			remove = append(remove, header.Name)
		case !isFieldValue(value):
			// With validate_mutations Envoy answers 500 to it.
			return nil, nil, fmt.Errorf("the value of %s is no value of a header", header.Name)
		default:
			headers = append(headers, set(header.Name, value))
		}
	}
	return headers, remove, nil
}

// attribute is the value of an attribute; empty where the caller has none. Nothing is told of a certificate for which no
// truststore vouches.
func attribute(name config.Attribute, d *policy.Decision) string {
	if d.Certificate == nil || d.Truststore == "" {
		return ""
	}
	switch name {
	case config.AttributeConsumerName:
		return d.Consumer
	case config.AttributeCertificateSubjectDN:
		return d.Certificate.Subject
	case config.AttributeCertificateSerial:
		return d.Certificate.Serial
	case config.AttributeCertificateNotAfter:
		return d.Certificate.NotAfter.UTC().Format(time.RFC3339)
	case config.AttributeSubject:
		return Subject(d)
	}
	return ""
}

// Subject names the caller across all namespaces: `consumer:<name>` for a Consumer, or else
// `certificate:<truststore>:<subject>`, because the same subject under another authority is somebody else. It is empty for
// an anonymous caller.
func Subject(d *policy.Decision) string {
	switch {
	case d.Consumer != "":
		return "consumer:" + d.Consumer
	case d.Certificate != nil && d.Truststore != "":
		return "certificate:" + d.Truststore + ":" + d.Certificate.Subject
	}
	return ""
}

// maxFieldValue is the longest header value that is set, in bytes. Names in certificates are limited to less.
const maxFieldValue = 4 << 10

// isFieldValue wants visible ASCII, and spaces within (RFC 9110, section 5.5).
func isFieldValue(value string) bool {
	if len(value) > maxFieldValue || value[0] == ' ' || value[len(value)-1] == ' ' {
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
