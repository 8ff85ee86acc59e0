package jose

import "strings"

const (
	maxKeyIDLength = 256
	maxTypeLength  = 128
)

// Header is what is read of a token's header. All of it is the caller's word, the algorithm too: it is compared with what is
// known of the issuer and chooses nothing by itself.
type Header struct {
	// Algorithm is the name of one of the Algorithms.
	Algorithm string
	// KeyID is kid, which is printable ASCII of at most 256 bytes; empty if there is none. It is a name to compare, never a
	// path or an address.
	KeyID string
	// Type is typ in small letters, without "application/" (RFC 7515 section 4.1.9), as "at+jwt"; empty if there is none.
	Type string
}

// forbidden are the members for which a token is refused, and what is said of each. Others that are not read are ignored, as
// RFC 7515 section 4 has it: x5t, for one.
var forbidden = []struct{ name, because string }{
	{"crit", "demands what is critical (crit), and nothing of that kind is known here"},
	{"b64", "says how its payload is encoded (b64), which is not taken"},
	{"jwk", "brings its own key (jwk), which is never used"},
	{"x5c", "brings its own certificates (x5c), which are never used"},
	{"jku", "names the address of its keys (jku), which is never asked"},
	{"x5u", "names the address of its certificates (x5u), which is never asked"},
	{"enc", "says that it is encrypted (enc), which is not taken"},
	{"zip", "says that it is compressed (zip), which is not taken"},
}

// parseHeader reads the first part of a token.
func parseHeader(part string) (Header, Algorithm, error) {
	decoded, ok := decode(part)
	if !ok {
		return Header{}, "", notBase64("header")
	}
	members, err := readObject(string(decoded))
	if err != nil {
		return Header{}, "", badHeader("cannot be read: " + err.Error())
	}
	for _, member := range forbidden {
		if _, there := members[member.name]; there {
			return Header{}, "", &Error{Fault: ForbiddenHeader, Detail: "the token's header " + member.because}
		}
	}
	var h Header
	if err := h.read(members); err != nil {
		return Header{}, "", err
	}
	algorithm, err := ParseAlgorithm(h.Algorithm)
	if err != nil {
		return Header{}, "", &Error{Fault: UnsupportedAlgorithm, Detail: "the token's header: " + err.Error()}
	}
	return h, algorithm, nil
}

// read takes alg, kid, typ and cty.
func (h *Header) read(members map[string]any) error {
	var content string
	for _, member := range []struct {
		name    string
		longest int
		to      *string
	}{{"alg", maxTypeLength, &h.Algorithm}, {"kid", maxKeyIDLength, &h.KeyID}, {"typ", maxTypeLength, &h.Type}, {"cty", maxTypeLength, &content}} {
		value, there := members[member.name]
		if !there {
			continue
		}
		text, ok := value.(string)
		if !ok {
			return badHeader(member.name + " is not a text")
		}
		if !isPrintable(text, member.longest) {
			return badHeader(member.name + " is empty, too long, or has characters that are not printable ASCII")
		}
		*member.to = text
	}
	if h.Algorithm == "" {
		return badHeader("alg is missing")
	}
	h.Type = mediaType(h.Type)
	if mediaType(content) == "jwt" {
		return &Error{Fault: ForbiddenHeader, Detail: "the token's header says that another token is in it (cty), which is not taken"}
	}
	return nil
}

// mediaType is a value of typ or cty as it is compared.
func mediaType(value string) string {
	value = strings.ToLower(value)
	if short, ok := strings.CutPrefix(value, "application/"); ok && !strings.Contains(short, "/") {
		return short
	}
	return value
}

// isPrintable tells whether a text has 1 to longest characters, all of them printable ASCII.
func isPrintable(text string, longest int) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return text != "" && len(text) <= longest
}

func badHeader(what string) error {
	return &Error{Fault: MalformedHeader, Detail: "the token's header: " + what}
}
