package issuer

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/register"
)

// Description is what people want to know of a home.
type Description struct {
	Name        string
	Generations []GenerationDescription
	// RegisterPlace is where the register is kept, and Head how far it reaches.
	RegisterPlace string
	Head          register.Head
	// Certificates counts what the register holds, by status.
	Certificates map[register.Status]int
	// Publications are where lists are published. Last is what was published last; nil if nothing was.
	Publications []material.Reference
	Last         *register.Publication
	// Due is when the next list must be published.
	Due Due
}

// GenerationDescription is what people want to know of a generation.
type GenerationDescription struct {
	Number int
	// Active is set for the one that issues.
	Active bool
	// Authorities are the root first, as far as they are known.
	Authorities []AuthorityDescription
	// RootListUntil is when the published list of an offline root runs out; zero if it has none.
	RootListUntil time.Time
}

// AuthorityDescription is what people want to know of an authority.
type AuthorityDescription struct {
	Subject, Serial, SHA256 string
	NotBefore, NotAfter     time.Time
	// Key is its kind, such as ECDSA P-256.
	Key string
	// KeyPlace is a reference to where the private key is, and KeyHere whether it can be used; empty and false where the
	// home never has it.
	KeyPlace string
	KeyHere  bool
	// PathLength is how many authorities may stand below it; negative where there is no limit.
	PathLength int
	// Constraints are its name constraints, in words; empty if there are none.
	Constraints []string
}

// Describe reads the home, its register and its publications. No key is read.
func (i *Issuer) Describe(ctx context.Context) (Description, error) {
	if err := i.loadGenerations(); err != nil {
		return Description{}, err
	}
	before := i.readPublished(ctx)
	if err := before.failed(); err != nil {
		return Description{}, fmt.Errorf("find out what is published: %w", err)
	}
	current, err := i.Register(ctx)
	if err != nil {
		return Description{}, err
	}
	active, err := i.active()
	if err != nil {
		return Description{}, err
	}
	description := Description{
		Name: i.settings.Name, RegisterPlace: i.settings.Register, Head: current.Head(),
		Certificates: map[register.Status]int{}, Publications: slices.Clone(i.publish), Due: i.due(before, current),
	}
	if before.last != nil {
		description.Last = &before.last.Publication
	}
	now := i.config.Clock()
	for _, certificate := range current.Certificates(nil) {
		description.Certificates[certificate.StatusAt(now)]++
	}
	for _, g := range i.inForce() {
		described, err := i.describeGeneration(g, before)
		if err != nil {
			return Description{}, err
		}
		described.Active = g.number == active.number
		description.Generations = append(description.Generations, described)
	}
	return description, nil
}

func (i *Issuer) describeGeneration(g *generation, before published) (GenerationDescription, error) {
	described := GenerationDescription{Number: g.number}
	if g.root != nil {
		described.Authorities = append(described.Authorities, describeAuthority(g, g.root, g.keys.Root))
	}
	for position, authority := range slices.Backward(g.issuing) {
		place := ""
		if position == 0 {
			place = g.keys.Issuing
		}
		described.Authorities = append(described.Authorities, describeAuthority(g, authority, place))
	}
	if g.root == nil || g.rootIssues() {
		return described, nil
	}
	list, err := i.latestRootList(g, before)
	if list != nil {
		described.RootListUntil = list.NextUpdate
	}
	return described, err
}

func describeAuthority(g *generation, certificate *x509.Certificate, keyPlace string) AuthorityDescription {
	return AuthorityDescription{
		Subject: certificate.Subject.String(), Serial: register.Serial(certificate.SerialNumber), SHA256: register.Digest(certificate.Raw),
		NotBefore: certificate.NotBefore, NotAfter: certificate.NotAfter,
		Key: keyKind(certificate), KeyPlace: keyPlace, KeyHere: keyIsHere(g, keyPlace),
		PathLength:  pathLength(certificate),
		Constraints: constraintsOf(certificate),
	}
}

// keyIsHere looks for a file; a key in a KMS is taken to be there.
func keyIsHere(g *generation, place string) bool {
	reference, err := material.Parse(place)
	if err != nil || reference.Scheme != material.File {
		return err == nil
	}
	_, err = os.Stat(reference.In(g.folder).Value)
	return err == nil
}

func keyKind(certificate *x509.Certificate) string {
	switch key := certificate.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	default:
		return certificate.PublicKeyAlgorithm.String()
	}
}

func pathLength(certificate *x509.Certificate) int {
	if certificate.MaxPathLen == 0 && !certificate.MaxPathLenZero {
		return -1
	}
	return certificate.MaxPathLen
}

func constraintsOf(certificate *x509.Certificate) []string {
	var words []string
	add := func(what string, names []string) {
		if len(names) > 0 {
			words = append(words, what+" "+strings.Join(names, ", "))
		}
	}
	add("permitted DNS names:", certificate.PermittedDNSDomains)
	add("excluded DNS names:", certificate.ExcludedDNSDomains)
	add("permitted URI hosts:", certificate.PermittedURIDomains)
	add("excluded URI hosts:", certificate.ExcludedURIDomains)
	var permitted, excluded []string
	for _, addresses := range certificate.PermittedIPRanges {
		permitted = append(permitted, addresses.String())
	}
	for _, addresses := range certificate.ExcludedIPRanges {
		excluded = append(excluded, addresses.String())
	}
	add("permitted addresses:", permitted)
	add("excluded addresses:", excluded)
	return words
}
