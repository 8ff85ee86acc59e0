package jose

import (
	"encoding/base64"
	"strings"
)

// MaxTokenSize is the longest token that is read, in bytes.
const MaxTokenSize = 8 << 10

// Token is a token that could be read in one way. Unless Verify has said so, nobody vouches for anything in it.
type Token struct {
	Header Header
	Claims *Claims

	algorithm Algorithm
	signed    string // the signing input of RFC 7515 section 5.1, as it was sent
	signature []byte
}

// Parse reads a token, which is a JWS in compact serialization (RFC 7515 sections 3.1 and 7.1) whose payload are claims (RFC
// 7519), and verifies nothing. It takes the token alone: no "Bearer", no white space. Of the claims it asks that exp is there
// and that the registered ones have their types; it does not judge their values. The error is an *Error.
func Parse(compact string) (*Token, error) {
	header, payload, signature, err := split(compact)
	if err != nil {
		return nil, err
	}
	t := &Token{signed: compact[:len(header)+1+len(payload)]}
	if t.Header, t.algorithm, err = parseHeader(header); err != nil {
		return nil, err
	}
	claims, ok := decode(payload)
	if !ok {
		return nil, notBase64("claims")
	}
	if t.Claims, err = parseClaims(string(claims)); err != nil {
		return nil, err
	}
	if t.Claims.Expires.IsZero() {
		return nil, &Error{Fault: NoExpiry, Detail: "the token has no exp: its issuer has to limit its time"}
	}
	if t.signature, ok = decode(signature); !ok {
		return nil, notBase64("signature")
	}
	return t, nil
}

// split gives the three parts of a token. None is empty.
func split(compact string) (header, payload, signature string, err error) {
	if len(compact) > MaxTokenSize {
		return "", "", "", &Error{Fault: TooLarge, Detail: "the token has more than 8 KiB"}
	}
	for i := range len(compact) {
		if c := compact[i]; c != '.' && !isBase64URL(c) {
			return "", "", "", &Error{Fault: Malformed,
				Detail: "the token has characters that are none of base64url: it has to be in compact serialization, without padding and white space"}
		}
	}
	switch strings.Count(compact, ".") {
	case 2:
	case 4:
		return "", "", "", &Error{Fault: Malformed, Detail: "the token is encrypted (JWE), which is not taken: its issuer has to send a signed one"}
	default:
		return "", "", "", &Error{Fault: Malformed, Detail: "the token does not have the three parts of a JWT"}
	}
	header, rest, _ := strings.Cut(compact, ".")
	payload, signature, _ = strings.Cut(rest, ".")
	if header == "" || payload == "" || signature == "" {
		return "", "", "", &Error{Fault: Malformed, Detail: "a part of the token is empty"}
	}
	return header, payload, signature, nil
}

func isBase64URL(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// decode reads base64url without padding, in the only encoding that the bytes have: the bits that are left over are zero, and
// there are no line breaks, which encoding/base64 would skip.
func decode(part string) ([]byte, bool) {
	if strings.IndexByte(part, '\r') >= 0 || strings.IndexByte(part, '\n') >= 0 {
		return nil, false
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(part)
	return decoded, err == nil
}

func notBase64(part string) error {
	return &Error{Fault: Malformed, Detail: "the token's " + part + " is not encoded in base64url as it has to be"}
}
