package jose

// Fault is what is wrong with a token, for those who must tell one from another.
type Fault int

// The faults of tokens.
const (
	// Malformed is a token that is no JWS in compact serialization: other than three parts, another alphabet than base64url's,
	// or an encoding that is not the only one of its bytes.
	Malformed Fault = iota + 1
	// TooLarge is a token of more than MaxTokenSize.
	TooLarge
	// MalformedHeader is a header that is not one unambiguous JSON object, or has a member of the wrong type.
	MalformedHeader
	// ForbiddenHeader is a header that brings its own key or address, demands what is critical, or says that the token is
	// encrypted, compressed or nested.
	ForbiddenHeader
	// UnsupportedAlgorithm is a header that names none of the Algorithms: "none", HMAC, and whatever is unknown.
	UnsupportedAlgorithm
	// MalformedClaims are claims that are not one unambiguous JSON object, or of which a registered one has the wrong type.
	MalformedClaims
	// NoExpiry are claims without exp.
	NoExpiry
	// WrongKey is a key that the token's algorithm cannot be used with.
	WrongKey
	// BadSignature is a signature that the key did not make.
	BadSignature
)

var faultNames = [...]string{
	Malformed: "malformed", TooLarge: "too_large", MalformedHeader: "malformed_header", ForbiddenHeader: "forbidden_header",
	UnsupportedAlgorithm: "unsupported_algorithm", MalformedClaims: "malformed_claims", NoExpiry: "no_expiry",
	WrongKey: "wrong_key", BadSignature: "bad_signature",
}

// String is the fault's name in small letters, as "bad_signature".
func (f Fault) String() string {
	if f < Malformed || int(f) >= len(faultNames) {
		return "unknown"
	}
	return faultNames[f]
}

// Error says what is wrong with a token.
type Error struct {
	// Fault is its kind.
	Fault Fault
	// Detail is for people. It quotes nothing of the token, so it can be logged and shown.
	Detail string
}

// Error is the detail.
func (e *Error) Error() string { return e.Detail }
