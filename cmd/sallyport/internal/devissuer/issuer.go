package devissuer

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Issuer is what the development issuer is to be for one Provider.
type Issuer struct {
	// Name of the Provider; it is the path of the issuer's URL.
	Name string
	// URL is the claim `iss` of its tokens. Default: below the server's own address. Another one is for simulations, which speak
	// no HTTP.
	URL string
	// Audiences that the Provider demands. A token is for the first, where the request names none.
	Audiences []string
	// Algorithm that signs: RS, PS or ES with 256, 384 or 512, or EdDSA. Default ES256.
	Algorithm string
	// RolesClaim, ScopesClaim and SubjectClaim are the paths of the claims that the Provider reads. Defaults: `roles`, `scope`
	// and `sub`. A token always has `sub` as well.
	RolesClaim, ScopesClaim, SubjectClaim []string
	// Roles and Scopes that the Provider may assert, which are what the users have.
	Roles, Scopes []string
	// ClientID and ClientSecret are the Provider's own client, which may get tokens for itself, exchange those of users, and
	// ask about tokens. Without an id there is none; without a secret it is refused everywhere.
	ClientID, ClientSecret string
}

// issuerName is what a Provider may be called, and so what is safe as a path and as a file's name.
var issuerName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// algorithms are those that a Provider may name.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// ownClaims are the claims with a meaning of their own, below which nothing else can be put.
var ownClaims = []string{"iss", "aud", "exp", "nbf", "iat", "jti", "client_id", "act", "cnf", "nonce", "at_hash", "auth_time", "azp"}

// settled is the issuer with its defaults, or why it cannot be.
func (i Issuer) settled() (Issuer, error) {
	if !issuerName.MatchString(i.Name) {
		return Issuer{}, fmt.Errorf("%q is no name of a Provider", i.Name)
	}
	if i.Algorithm == "" {
		i.Algorithm = string(jose.ES256)
	}
	if !slices.Contains(algorithms, jose.SignatureAlgorithm(i.Algorithm)) {
		return Issuer{}, fmt.Errorf("the development issuer of %s cannot sign with %q", i.Name, i.Algorithm)
	}
	if i.ClientID == AppClient {
		return Issuer{}, fmt.Errorf("the client %q of %s is the single-page app's: give the Provider's client another id", AppClient, i.Name)
	}
	i.RolesClaim = pathOr(i.RolesClaim, "roles")
	i.ScopesClaim = pathOr(i.ScopesClaim, "scope")
	i.SubjectClaim = pathOr(i.SubjectClaim, "sub")
	if err := i.tryClaims(); err != nil {
		return Issuer{}, fmt.Errorf("the development issuer of %s: %w", i.Name, err)
	}
	return i, nil
}

func pathOr(path []string, name string) []string {
	if len(path) == 0 {
		return []string{name}
	}
	return path
}

// tryClaims finds out whether all mapped claims fit into one token.
func (i Issuer) tryClaims() error {
	for _, path := range [][]string{i.RolesClaim, i.ScopesClaim, i.SubjectClaim} {
		if slices.Contains(ownClaims, path[0]) {
			return fmt.Errorf("the claim %s has a meaning of its own", strings.Join(path, "."))
		}
	}
	if i.RolesClaim[0] == "sub" || i.ScopesClaim[0] == "sub" {
		return errors.New("the claim sub says whom a token is about, and cannot hold roles or scopes")
	}
	if slices.Equal(i.RolesClaim, i.ScopesClaim) || slices.Equal(i.RolesClaim, i.SubjectClaim) || slices.Equal(i.ScopesClaim, i.SubjectClaim) {
		return errors.New("two of the subject, the roles and the scopes are read from the same claim")
	}
	claims := map[string]any{"sub": ""}
	return errors.Join(putClaim(claims, i.SubjectClaim, ""), putClaim(claims, i.RolesClaim, ""), putClaim(claims, i.ScopesClaim, ""))
}

// putClaim sets the claim at a path and makes the objects on the way. It is an error for something else to be there.
func putClaim(claims map[string]any, path []string, value any) error {
	object := claims
	for _, name := range path[:len(path)-1] {
		below, ok := object[name].(map[string]any)
		if !ok {
			if _, taken := object[name]; taken {
				return fmt.Errorf("the claim %s leads through another claim", strings.Join(path, "."))
			}
			below = map[string]any{}
			object[name] = below
		}
		object = below
	}
	last := path[len(path)-1]
	if _, isObject := object[last].(map[string]any); isObject {
		return fmt.Errorf("another claim leads through the claim %s", strings.Join(path, "."))
	}
	object[last] = value
	return nil
}

// claimAt is the value of the claim at a path; nil without one.
func claimAt(claims map[string]any, path []string) any {
	var value any = claims
	for _, name := range path {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[name]
	}
	return value
}

// textsAt are the texts of the claim at a path: a list, or one text with spaces between.
func textsAt(claims map[string]any, path []string) []string {
	switch value := claimAt(claims, path).(type) {
	case string:
		return strings.Fields(value)
	case []any:
		var texts []string
		for _, element := range value {
			if text, ok := element.(string); ok {
				texts = append(texts, text)
			}
		}
		return texts
	default:
		return nil
	}
}
