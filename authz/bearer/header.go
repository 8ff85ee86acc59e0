package bearer

import (
	"strings"

	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/reason"
)

// Parse takes the token out of an Authorization header: the scheme Bearer in letters of any case, one space, and a b64token (RFC
// 6750, section 2.1), of 8 KiB at most. Anything else is refused, several headers that a proxy has joined by commas too. Exactly
// one of the results is set. No header is TokenMissing, another scheme CredentialsNotAccepted, and the rest TokenMalformed.
func Parse(header string) (token string, refusal *Refusal) {
	if header == "" {
		return "", &Refusal{reason.TokenMissing, "the request has no Authorization header"}
	}
	scheme, token, _ := strings.Cut(header, " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer"):
		return "", &Refusal{reason.CredentialsNotAccepted, "the Authorization header has another scheme than Bearer"}
	case token == "":
		return "", &Refusal{reason.TokenMalformed, "the Authorization header has no token"}
	case len(token) > jose.MaxTokenSize:
		return "", tooLarge()
	case !isB64Token(token):
		return "", &Refusal{reason.TokenMalformed, "the Authorization header is not the word Bearer, one space and one token"}
	}
	return token, nil
}

func tooLarge() *Refusal {
	return &Refusal{reason.TokenMalformed, "the token has more than 8 KiB"}
}

// isB64Token tells whether a text is a b64token: letters, digits and -._~+/, then perhaps equals signs.
func isB64Token(text string) bool {
	body := strings.TrimRight(text, "=")
	for i := range len(body) {
		switch c := body[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return body != ""
}
