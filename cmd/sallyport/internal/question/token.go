package question

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/mint"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/document"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// presumed is a token of which somebody says what it has; nil for none.
func (a *Answers) presumed(wanted *adminv1.PresumedToken) (*bearer.Token, error) {
	if wanted == nil {
		return nil, nil //nolint:nilnil // no token is presumed
	}
	providers := a.config.Model.Providers()
	p := a.config.Model.Provider(wanted.GetProvider())
	if p == nil {
		names := namesOf(providers, func(p *config.Provider) string { return p.Name })
		return nil, mistake("there is no Provider %q%s", wanted.GetProvider(), document.DidYouMean(wanted.GetProvider(), names))
	}
	for _, asserted := range []struct {
		what    string
		names   []string
		allowed map[string]bool
	}{{"role", wanted.GetRoles(), p.Roles}, {"scope", wanted.GetScopes(), p.Scopes}} {
		for _, name := range asserted.names {
			if !asserted.allowed[name] {
				return nil, mistake("the Provider %q (%s) may not assert the %s %q, so it would count for nothing%s",
					p.Name, p.Origin, asserted.what, name, document.DidYouMean(name, slices.Sorted(maps.Keys(asserted.allowed))))
			}
		}
	}
	return &bearer.Token{
		Provider: p, Issuer: onlyIssuer(p), Subject: wanted.GetSubject(), ClientID: wanted.GetClientId(),
		Audiences: wanted.GetAudiences(), Roles: wanted.GetRoles(), Scopes: wanted.GetScopes(),
	}, nil
}

// onlyIssuer is the issuer of a Provider's tokens; empty where it has several.
func onlyIssuer(p *config.Provider) string {
	if len(p.Issuers) == 1 {
		return p.Issuers[0]
	}
	return ""
}

// tokensOf are the tokens by which a consumer is recognised, or that it can get from an issuer of our own. Nothing else is presumed
// of the first; the others have all that they can have.
func (a *Answers) tokensOf(c *config.Consumer) []*bearer.Token {
	var all []*bearer.Token
	for _, match := range c.Tokens {
		all = append(all, &bearer.Token{Provider: match.Provider, Issuer: onlyIssuer(match.Provider), ClientID: match.ClientID, Subject: match.Subject})
	}
	for _, p := range a.config.Model.Providers() {
		if p.Mint == nil || p.Mint.Class != sallyportv1.TokenClass_TOKEN_CLASS_PARTNER {
			continue
		}
		for _, grant := range p.Mint.Grants {
			if grant.Covers(c) {
				all = append(all, &bearer.Token{
					Provider: p, Issuer: onlyIssuer(p), Subject: mint.SubjectConsumer + c.Name, ClientID: c.Name, Audiences: grant.Audiences,
					Scopes: slices.DeleteFunc(slices.Clone(grant.Scopes), func(scope string) bool { return !p.Scopes[scope] }),
				})
			}
		}
	}
	return all
}

// tokenWords says in words which token is presumed.
func tokenWords(t *bearer.Token) string {
	text := "a good token of the Provider " + t.Provider.Name
	var with []string
	for _, part := range []struct{ what, value string }{{"the subject", t.Subject}, {"the client", t.ClientID}} {
		if part.value != "" {
			with = append(with, part.what+" "+part.value)
		}
	}
	for _, part := range []struct {
		one    string
		values []string
	}{{"role", t.Roles}, {"scope", t.Scopes}, {"audience", t.Audiences}} {
		switch len(part.values) {
		case 0:
		case 1:
			with = append(with, "the "+part.one+" "+part.values[0])
		default:
			with = append(with, "the "+part.one+"s "+strings.Join(part.values, ", "))
		}
	}
	if len(with) > 0 {
		text += " with " + strings.Join(with, " and ")
	}
	return text
}

// presented is a token that somebody shows, as the value of an Authorization header, and in words. Nothing vouches for the words.
func (a *Answers) presented(token []byte) (header, caller string, err error) {
	if len(token) > jose.MaxTokenSize {
		return "", "", mistake("the token has more than %d bytes, which no gateway takes", jose.MaxTokenSize)
	}
	header = "Bearer " + string(token)
	if _, refusal := bearer.Parse(header); refusal != nil {
		return "", "", mistake("this is no bearer token: it has characters that none has (RFC 6750)")
	}
	read, err := jose.Parse(string(token))
	if err != nil {
		return header, "a token that cannot be read here", nil //nolint:nilerr // whoever judges it says why
	}
	caller = "a token"
	if read.Claims.Subject != "" {
		caller += " about " + read.Claims.Subject
	}
	if read.Claims.Issuer != "" {
		caller += ", which says that " + read.Claims.Issuer + " issued it"
	}
	return header, caller, nil
}

// issuersOf are the Providers whose token it may be, by what it says of itself.
func (a *Answers) issuersOf(token []byte) []*config.Provider {
	read, err := jose.Parse(string(token))
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(a.config.Model.Providers(), func(p *config.Provider) bool { return !slices.Contains(p.Issuers, read.Claims.Issuer) })
}

// unsigned tells whether the signature of a token is not judged here, since there is no key set of its Provider.
func (a *Answers) unsigned(token []byte) bool {
	return a.config.Judge == nil && slices.ContainsFunc(a.issuersOf(token), func(p *config.Provider) bool { return a.config.Keys[p.Name] == nil })
}

// tokenNotes say what of a token that somebody shows is not judged here.
func (a *Answers) tokenNotes(token []byte) []string {
	if a.config.Judge != nil {
		return nil
	}
	var notes []string
	for _, p := range a.issuersOf(token) {
		if a.config.Keys[p.Name] == nil {
			notes = append(notes, fmt.Sprintf("the token's signature was not verified here: there is no key set of the Provider %s (%s); anybody could have made the token", p.Name, p.Origin))
		}
		if p.Introspection != nil {
			notes = append(notes, fmt.Sprintf("the Provider %s (%s), which is asked about each token, was not asked here", p.Name, p.Origin))
		}
	}
	return notes
}
