package jose

import (
	"math"
	"strings"
	"time"
)

const (
	// latestTime is the end of the year 9999, in seconds since 1970. A later time is a mistake: milliseconds, mostly.
	latestTime = 253402300799
	// maxClaimsSize is of claims that did not come in a token, in bytes.
	maxClaimsSize = 64 << 10
)

// Claims are the claims of a token. The registered ones are typed; everything else is found by its path. What is absent is
// zero: no registered text is empty where it is there, and neither is the audience.
type Claims struct {
	Issuer    string   // iss
	Subject   string   // sub
	ID        string   // jti
	SessionID string   // sid
	ClientID  string   // client_id
	Audience  []string // aud

	Expires   time.Time // exp; fractions of a second are kept
	NotBefore time.Time // nbf
	IssuedAt  time.Time // iat

	// Confirmation is cnf (RFC 7800): what the bearer has to prove. Nil if there is none.
	Confirmation map[string]any

	all map[string]any
}

// ParseClaims reads claims that came otherwise than in a token: an introspection's answer (RFC 7662 section 2.2), of at most
// 64 KiB. It is as strict as Parse, but exp may be absent. The error is an *Error.
func ParseClaims(data []byte) (*Claims, error) {
	if len(data) > maxClaimsSize {
		return nil, &Error{Fault: TooLarge, Detail: "the claims have more than 64 KiB"}
	}
	return parseClaims(string(data))
}

func parseClaims(text string) (*Claims, error) {
	all, err := readObject(text)
	if err != nil {
		return nil, badClaims("cannot be read: " + err.Error())
	}
	c := &Claims{all: all}
	if err := c.readTexts(); err != nil {
		return nil, err
	}
	if err := c.readTimes(); err != nil {
		return nil, err
	}
	if err := c.readAudience(); err != nil {
		return nil, err
	}
	if value, there := all["cnf"]; there {
		var ok bool
		if c.Confirmation, ok = value.(map[string]any); !ok {
			return nil, badClaims("cnf is not an object")
		}
	}
	return c, nil
}

// readTexts reads the registered claims that are texts (RFC 7519 section 4.1, RFC 8693 section 4.3). Names end up in headers
// and records, so they have no control characters.
func (c *Claims) readTexts() error {
	for _, claim := range []struct {
		name string
		to   *string
	}{{"iss", &c.Issuer}, {"sub", &c.Subject}, {"jti", &c.ID}, {"sid", &c.SessionID}, {"client_id", &c.ClientID}} {
		value, there := c.all[claim.name]
		if !there {
			continue
		}
		text, ok := value.(string)
		if !ok || !isName(text) {
			return badClaims(claim.name + " is not a text, or is empty, or has control characters")
		}
		*claim.to = text
	}
	return nil
}

// readTimes reads the registered claims that are a NumericDate (RFC 7519 section 2): a number, never a text.
func (c *Claims) readTimes() error {
	for _, claim := range []struct {
		name string
		to   *time.Time
	}{{"exp", &c.Expires}, {"nbf", &c.NotBefore}, {"iat", &c.IssuedAt}} {
		value, there := c.all[claim.name]
		if !there {
			continue
		}
		switch seconds := value.(type) {
		case int64:
			if seconds < 0 || seconds > latestTime {
				return badClaims(claim.name + " is no time between the years 1970 and 9999")
			}
			*claim.to = time.Unix(seconds, 0).UTC()
		case float64:
			if seconds < 0 || seconds > latestTime {
				return badClaims(claim.name + " is no time between the years 1970 and 9999")
			}
			whole, fraction := math.Modf(seconds)
			*claim.to = time.Unix(int64(whole), int64(fraction*float64(time.Second))).UTC()
		default:
			return badClaims(claim.name + " is not a number")
		}
	}
	return nil
}

// readAudience reads aud, which is a text or a list of texts (RFC 7519 section 4.1.3).
func (c *Claims) readAudience() error {
	value, there := c.all["aud"]
	if !there {
		return nil
	}
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	for _, element := range list {
		text, ok := element.(string)
		if !ok || !isName(text) {
			return badClaims("aud is not a text or a list of texts, or one of them is empty or has control characters")
		}
		c.Audience = append(c.Audience, text)
	}
	if len(c.Audience) == 0 {
		return badClaims("aud is an empty list")
	}
	return nil
}

// Has tells whether a claim of this name is there, at the top and with whatever value, null included.
func (c *Claims) Has(name string) bool {
	_, there := c.all[name]
	return there
}

// Lookup is the value at a path, whose elements are names of members from the top on, as {"realm_access", "roles"}; a name may
// have dots and slashes in it. It is of one of the types that All names. The second result is false if there is nothing.
func (c *Claims) Lookup(path []string) (any, bool) {
	if len(path) == 0 {
		return nil, false
	}
	within, last := c.all, len(path)-1
	for _, name := range path[:last] {
		var ok bool
		if within, ok = within[name].(map[string]any); !ok {
			return nil, false
		}
	}
	value, there := within[path[last]]
	return value, there
}

// Strings are the texts at a path: those of a list, or the words of one text that spaces part, as scope has them (RFC 6749
// section 3.3). The second result is false if there is nothing, or anything but texts. The list is the caller's.
func (c *Claims) Strings(path []string) ([]string, bool) {
	value, there := c.Lookup(path)
	if !there {
		return nil, false
	}
	switch value := value.(type) {
	case string:
		return strings.FieldsFunc(value, func(c rune) bool { return c == ' ' }), true
	case []any:
		texts := make([]string, 0, len(value))
		for _, element := range value {
			text, ok := element.(string)
			if !ok {
				return nil, false
			}
			texts = append(texts, text)
		}
		return texts, true
	}
	return nil, false
}

// All are all claims, the registered ones too, to be read and not changed. The values are string, bool, nil, []any and
// map[string]any, and numbers are int64 where they are written without fraction and exponent, float64 otherwise.
func (c *Claims) All() map[string]any { return c.all }

// isName tells whether a text is not empty and has no control characters.
func isName(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == 0x7f {
			return false
		}
	}
	return text != ""
}

func badClaims(what string) error {
	return &Error{Fault: MalformedClaims, Detail: "the token's claims: " + what}
}
