package inventory

import (
	"crypto"
	"fmt"

	"github.com/sallyport-project/sallyport/pki/signingkey"
)

// Provider is the material of a Provider resource. What the resource does not name, and what never was good, is zero: whoever
// needs it must refuse. It is a secret: print its String, never its fields.
type Provider struct {
	Name string
	// Secret is our client's secret there, without the line break at the end of a file.
	Secret string
	// PrivateKey signs our client's assertions (RFC 7523, section 2.2).
	PrivateKey crypto.Signer
	// KeySet is the issuer's key set (RFC 7517) where it is material. That it is one in form was looked at; its keys were not.
	KeySet []byte
	// SigningKeys are the keys of an issuer that is ourselves.
	SigningKeys *signingkey.Set
	// Hash tells the content from any other within a process, and differs between processes. It may be printed: it is keyed, so
	// that no secret can be guessed from it.
	Hash string
}

// String names the provider and what is there, and holds nothing secret.
func (p Provider) String() string {
	text := "provider " + p.Name
	for _, part := range []struct {
		there bool
		what  string
	}{
		{p.Secret != "", "a client secret"}, {p.PrivateKey != nil, "a client's private key"},
		{p.KeySet != nil, "a key set"}, {p.SigningKeys != nil, p.SigningKeys.String()},
	} {
		if part.there {
			text += ", " + part.what
		}
	}
	return fmt.Sprintf("%s (%.12s)", text, p.Hash)
}

// GoString keeps the secrets out of %#v.
func (p Provider) GoString() string { return "inventory.Provider{" + p.String() + "}" }

// DevelopmentSecret is what stands for a client's secret at a Provider in substitute mode. It is no secret.
func DevelopmentSecret(provider string) string { return "development-secret-of-" + provider }
