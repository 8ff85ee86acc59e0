package mint

import (
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// MaxBody is the longest request for a token that is read, in bytes.
const MaxBody = 4 << 10

// form are the parameters of a request, each of which is there once and not empty.
type form map[string]string

func (f form) get(name string) string { return f[name] }

func (f form) has(name string) bool { return f[name] != "" }

// readForm reads the parameters (RFC 6749, section 3.2 and appendix B). One without a value counts as absent; those that are
// not known are passed over.
func readForm(r GrantRequest) (form, *refusal) {
	switch mediaType, parameters, err := mime.ParseMediaType(r.ContentType); {
	case r.Method != http.MethodPost:
		return nil, &refusal{http.StatusMethodNotAllowed, "invalid_request", "a token is asked for by POST"}
	case err != nil || mediaType != "application/x-www-form-urlencoded":
		return nil, invalidRequest("the body is not application/x-www-form-urlencoded")
	case parameters["charset"] != "" && !strings.EqualFold(parameters["charset"], "utf-8"):
		return nil, invalidRequest("the body is not in UTF-8")
	case len(r.Body) > MaxBody:
		return nil, invalidRequest("the body has more than 4 KiB")
	}
	values, err := url.ParseQuery(string(r.Body))
	if err != nil {
		return nil, invalidRequest("the body cannot be read")
	}
	read := make(form, len(values))
	for name, all := range values {
		switch {
		case name == "resource" && len(all) > 1:
			return nil, invalidTarget("there are several resources, and one token has one audience")
		case len(all) > 1:
			return nil, invalidRequest("a parameter is there twice")
		case !utf8.ValidString(name) || !utf8.ValidString(all[0]):
			return nil, invalidRequest("the body is not in UTF-8")
		}
		read[name] = all[0]
	}
	return read, nil
}
