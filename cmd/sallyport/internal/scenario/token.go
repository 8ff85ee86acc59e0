package scenario

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/mint"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/devissuer"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/signingkey"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// Token makes the bearer token of a case's caller, who presents this certificate, or none: by the development issuer that
// stands for the Provider, or, where that is ourselves, by its own keys. It is a secret.
func (c *Callers) Token(caller *sallyportv1.TestCaller, presented *tls.Certificate) (string, error) {
	wanted := caller.GetToken()
	p := c.Model.Provider(wanted.GetProvider())
	if p == nil {
		return "", fmt.Errorf("there is no Provider %q", wanted.GetProvider())
	}
	bound, err := c.boundTo(caller, presented)
	if err != nil {
		return "", err
	}
	if p.Mint != nil {
		return c.mint(p, wanted, bound)
	}
	return c.foreign(p, wanted, bound)
}

// boundTo is the certificate to which the token is to be bound: the one that is named, or else the one that is presented. It
// is nil for none.
func (c *Callers) boundTo(caller *sallyportv1.TestCaller, presented *tls.Certificate) (*x509.Certificate, error) {
	name := caller.GetToken().GetBoundTo()
	if presented != nil && (name == "" || name == caller.GetConsumer() || name == caller.GetPresents()) {
		return x509.ParseCertificate(presented.Certificate[0])
	}
	if name == "" {
		return nil, nil //nolint:nilnil // nothing is presented
	}
	if c.Model.Consumer(name) != nil {
		pair, err := c.Consumer(name)
		if err != nil {
			return nil, err
		}
		return x509.ParseCertificate(pair.TLS().Certificate[0])
	}
	pair := c.Keeper.Current().Certificates[name]
	if pair == nil {
		return nil, fmt.Errorf("the Certificate %q is not there", name)
	}
	return pair.Leaf, nil
}

// foreign makes a token of another's issuer. It is bound only where the case says so.
func (c *Callers) foreign(p *config.Provider, wanted *sallyportv1.TestToken, bound *x509.Certificate) (string, error) {
	spec := devissuer.TokenSpec{
		Subject: wanted.GetSubject(), ClientID: wanted.GetClientId(), Roles: wanted.GetRoles(), Scopes: wanted.GetScopes(),
		Expired: wanted.GetExpired(), IDToken: wanted.GetIdToken(), UnknownKey: wanted.GetUnknownKey(),
		Claims: map[string]any{},
	}
	if audience := wanted.GetAudience(); audience != "" {
		spec.Audiences = []string{audience}
	}
	for name, value := range wanted.GetClaims() {
		spec.Claims[name] = value
	}
	if wanted.GetBoundTo() != "" {
		thumbprint, err := jose.CertificateThumbprint(hashOf(bound))
		if err != nil {
			return "", err
		}
		spec.Confirmation = map[string]any{jose.ConfirmationCertificate: thumbprint}
	}
	return c.Issuer.Token(p.Name, spec)
}

// mint makes a token of our own. One of class `hop` has the presenter as its actor, as those have that the edge makes.
func (c *Callers) mint(p *config.Provider, wanted *sallyportv1.TestToken, bound *x509.Certificate) (string, error) {
	keys, err := c.signingKeys(p, wanted.GetUnknownKey())
	if err != nil {
		return "", err
	}
	issuer, err := mint.NewIssuer(p, keys)
	if err != nil {
		return "", err
	}
	claims := mint.Claims{
		Subject: wanted.GetSubject(), ClientID: wanted.GetClientId(), Audience: wanted.GetAudience(),
		Roles: wanted.GetRoles(), Scopes: wanted.GetScopes(), Extra: map[string]any{},
	}
	if claims.Subject == "" {
		claims.Subject = "somebody"
	}
	for name, value := range wanted.GetClaims() {
		claims.Extra[name] = value
	}
	if err := confirm(&claims, p.Mint.Class, bound); err != nil {
		return "", err
	}
	now := c.Clock()
	if wanted.GetExpired() {
		now = now.Add(-time.Hour)
	}
	token, _, err := issuer.Mint(claims, now)
	return token, err
}

// confirm binds the claims to a certificate in the way of the class.
func confirm(claims *mint.Claims, class sallyportv1.TokenClass, bound *x509.Certificate) error {
	if bound == nil {
		return errors.New("a token of our own is bound to a certificate, and the case presents none: say `bound_to`")
	}
	if class != sallyportv1.TokenClass_TOKEN_CLASS_HOP {
		claims.Confirmation.CertificateSHA256 = hashOf(bound)
		return nil
	}
	if len(bound.URIs) == 0 {
		return errors.New("a token of class `hop` is bound to a URI, and the certificate has none: say `bound_to` with the name of one that has")
	}
	claims.Confirmation.URI = bound.URIs[0].String()
	claims.Actor = claims.Confirmation.URI
	return nil
}

// hashOf is the SHA-256 of a certificate in hexadecimal.
func hashOf(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	return hex.EncodeToString(sum[:])
}

// signingKeys are those of an issuer that is ourselves, or some that nobody knows.
func (c *Callers) signingKeys(p *config.Provider, unknown bool) (*signingkey.Set, error) {
	if unknown {
		key, err := signingkey.Generate(c.Clock())
		return &signingkey.Set{Signing: key, Published: []signingkey.Key{key}}, err
	}
	material := c.Keeper.Current().Providers[p.Name]
	if material == nil || material.SigningKeys == nil {
		return nil, fmt.Errorf("the Provider %q has no signing keys", p.Name)
	}
	return material.SigningKeys, nil
}
