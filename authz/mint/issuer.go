package mint

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/signingkey"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// MaxLifetime is how long a token is good for at most, whatever its Provider says.
const MaxLifetime = 5 * time.Minute

// idSize is the length of a token's ID in bytes, before it is encoded.
const idSize = 16

// Issuer makes the tokens of one Provider that is ourselves. It is immutable and safe for concurrent use.
type Issuer struct {
	provider *config.Provider
	signer   *jose.Signer
	keySet   []byte
}

// NewIssuer makes the issuer of a Provider with Mint, that signs and publishes by these keys. Other keys take another Issuer.
func NewIssuer(p *config.Provider, keys *signingkey.Set) (*Issuer, error) {
	if p.Mint == nil {
		return nil, fmt.Errorf("the Provider %q is somebody else's: it has no `mint`", p.Name)
	}
	if keys == nil {
		return nil, fmt.Errorf("the Provider %q has no keys to sign with", p.Name)
	}
	signer, err := jose.NewSigner(keys.Signing.Signer)
	if err != nil {
		return nil, fmt.Errorf("the Provider %q: %w", p.Name, err)
	}
	published := make([]jose.Key, len(keys.Published))
	for i, key := range keys.Published {
		if published[i], err = jose.NewKey(key.Signer.Public()); err != nil {
			return nil, fmt.Errorf("the Provider %q: the key %s: %w", p.Name, key.ID, err)
		}
	}
	keySet, err := jose.MarshalKeySet(published)
	if err != nil {
		return nil, fmt.Errorf("the Provider %q: %w", p.Name, err)
	}
	return &Issuer{provider: p, signer: signer, keySet: keySet}, nil
}

// KeySet is the document by which tokens are verified (RFC 7517): the key that signs, the one after it and those before it. Its
// caller does not change it.
func (i *Issuer) KeySet() []byte { return i.keySet }

// Mint makes a token, and tells when it runs out: after the Provider's lifetime, MaxLifetime or at Claims.NotAfter, whichever
// comes first. Claims that do not go with the Provider's class, that are too long, or for which no time is left, are an error.
func (i *Issuer) Mint(c Claims, now time.Time) (token string, expires time.Time, err error) {
	if err := c.check(i.provider.Mint.Class); err != nil {
		return "", time.Time{}, fmt.Errorf("make a token: %w", err)
	}
	issued := now.Truncate(time.Second)
	expires = issued.Add(min(i.provider.Mint.Lifetime, MaxLifetime))
	if !c.NotAfter.IsZero() && c.NotAfter.Before(expires) {
		expires = c.NotAfter.Truncate(time.Second)
	}
	if !expires.After(now) {
		return "", time.Time{}, errors.New("make a token: what it is made for has run out")
	}
	claims, err := c.encode()
	if err != nil {
		return "", time.Time{}, fmt.Errorf("make a token: %w", err)
	}
	claims["iss"], claims["jti"] = i.provider.Issuers[0], cmp.Or(c.ID, newID())
	claims["iat"], claims["exp"] = issued.Unix(), expires.Unix()
	token, err = i.signer.Sign(i.provider.Mint.Type(), claims)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("make a token: %w", err)
	}
	return token, expires, nil
}

// newID is random: nobody guesses the ID of another's token, and no two are the same.
func newID() string {
	var id [idSize]byte
	_, _ = rand.Read(id[:]) // never fails, see crypto/rand
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// isHop tells the classes apart.
func isHop(class sallyportv1.TokenClass) bool { return class == sallyportv1.TokenClass_TOKEN_CLASS_HOP }
