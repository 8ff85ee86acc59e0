package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/document"
)

// tokenInspection is what `token inspect` is asked.
type tokenInspection struct {
	provider, keys string
	verify         bool
}

func newTokenInspect(s streams) *cobra.Command {
	var f tokenInspection
	cmd := &cobra.Command{
		Use:   "inspect [DIR]",
		Short: "Decode a token from standard input, and say what is wrong with it",
		Long: `Reads a bearer token from standard input and shows its header, claims and times. With the directory of a
configuration it says which Provider the token belongs to, and judges it by that Provider's rules: issuer, algorithm, type,
claims, binding, deny list, times and audience, all of them, and not only the first that fails.

The signature is judged with --verify, which fetches the Provider's key set, or with --keys. Without either, anybody could have made
the token, and it is never called good. Neither the signature nor the token itself is ever printed. Do not give a token as an argument: others could read it.

Whether a good token is enough for a request is what ` + "`sallyport explain --token -`" + ` tells.

Exit code: 0 if the token is good for some Provider, its signature included, or was decoded without DIR; 1 if it is not good; 2 for a
mistake in the command line or in the configuration; 3 if nothing is wrong with it but that its signature was not verified.`,
		Example: `  sallyport token inspect <token.txt
  pbpaste | sallyport token inspect config/ --verify
  sallyport token inspect config/ --provider corporate --keys keys.json <token.txt
  sallyport token inspect config/ --output json <token.txt | jq '.providers[].checks[] | select(.good | not)'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if slices.ContainsFunc(args, looksLikeToken) { // and is not repeated here
				return errors.New("an argument looks like a token, which others could read there: give it on standard input")
			}
			return cobra.MaximumNArgs(1)(cmd, args)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), adminTimeout)
			defer cancel()
			r, err := f.inspect(ctx, s, args)
			if err != nil {
				return err
			}
			if err := write(cmd, s.out, r, r.text); err != nil {
				return err
			}
			switch r.Verdict {
			case tokenNotGood:
				return errReported
			case tokenUnverified:
				return errUnverified
			default:
				return nil
			}
		},
	}
	cmd.Flags().StringVar(&f.provider, "provider", "", "judge by this Provider alone, whoever issued the token")
	cmd.Flags().BoolVar(&f.verify, "verify", false, "also judge the signature, by the Provider's key set, which is fetched")
	cmd.Flags().StringVar(&f.keys, "keys", "", "also judge the signature, by the key set (JSON, RFC 7517) in this file")
	cmd.MarkFlagsMutuallyExclusive("verify", "keys")
	addOutput(cmd, "text", "json", "yaml")
	// The flags exist.
	_ = cmd.MarkFlagFilename("keys", "json")
	_ = cmd.RegisterFlagCompletionFunc("provider", func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return completions(&questions{source: args[0]}, (*config.Model).Providers, func(p *config.Provider) string { return p.Name })
	})
	return cmd
}

// looksLikeToken tells whether a text begins like a JWT: with the base64url of `{"`.
func looksLikeToken(text string) bool {
	return strings.HasPrefix(text, "eyJ") && strings.Contains(text, ".")
}

// inspect makes the report.
func (f *tokenInspection) inspect(ctx context.Context, s streams, args []string) (*tokenReport, error) {
	if len(args) == 0 && (f.provider != "" || f.verify || f.keys != "") {
		return nil, usageError{errors.New("--provider, --verify and --keys need the directory of a configuration: `sallyport token inspect DIR`")}
	}
	var model *config.Model
	if len(args) > 0 {
		var err error
		if model, err = loadModel(args[0]); err != nil {
			return nil, err
		}
	}
	raw, err := readToken(s)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	r := decodeToken(raw, now)
	if model == nil {
		if r.Header == nil && r.Claims == nil {
			r.conclude(tokenNotGood)
		}
		return r, nil
	}
	r.conclude(tokenNotGood)
	read, err := jose.Parse(raw)
	if err != nil {
		r.adviseOpaque(raw, model)
		return r, nil //nolint:nilerr // the report says it
	}
	providers, err := f.candidates(model, read.Claims.Issuer, r)
	if err != nil {
		return nil, err
	}
	keysOf, err := f.keySource(ctx, args[0], model)
	if err != nil {
		return nil, err
	}
	for _, p := range providers {
		keys, problem := keysOf(p)
		judgement := judgeToken(p, audiencesOf(model, p), keys, read, now)
		switch {
		case problem != nil:
			judgement.Notes = append(judgement.Notes, "the signature could not be verified: "+problem.Error())
		case keys == nil:
			judgement.Notes = append(judgement.Notes, "the signature was not verified: anybody could have made the token; give --verify or --keys")
		}
		r.Providers = append(r.Providers, judgement)
		if r.Verdict == tokenNotGood || judgement.Verdict == tokenGood {
			r.conclude(judgement.Verdict)
		}
	}
	return r, nil
}

// candidates are the Providers by which a token is judged: the one that was named, or those whose issuer it names.
func (f *tokenInspection) candidates(model *config.Model, issuer string, r *tokenReport) ([]*config.Provider, error) {
	if f.provider != "" {
		p := model.Provider(f.provider)
		if p == nil {
			var names []string
			for _, one := range model.Providers() {
				names = append(names, one.Name)
			}
			return nil, usageError{fmt.Errorf("--provider: there is no Provider %q%s", f.provider, suggest(f.provider, names))}
		}
		return []*config.Provider{p}, nil
	}
	var found []*config.Provider
	var issuers []string
	for _, p := range model.Providers() {
		issuers = append(issuers, p.Issuers...)
		if slices.Contains(p.Issuers, issuer) {
			found = append(found, p)
		}
	}
	switch {
	case len(found) > 0:
	case issuer == "":
		r.Notes = append(r.Notes, "the token does not say who issued it (iss), so it belongs to no Provider")
	default:
		r.Notes = append(r.Notes, "no Provider has the issuer "+issuer+", letter by letter"+document.DidYouMean(issuer, issuers))
	}
	return found, nil
}

// keySource returns what finds a Provider's keys. There are none, and no problem, where no signature is to be judged.
func (f *tokenInspection) keySource(ctx context.Context, source string, model *config.Model) (func(*config.Provider) (*jose.KeySet, error), error) {
	switch {
	case f.keys != "":
		keys, err := keysFromFile(f.keys)
		return func(*config.Provider) (*jose.KeySet, error) { return keys, nil }, err
	case !f.verify:
		return func(*config.Provider) (*jose.KeySet, error) { return nil, nil }, nil //nolint:nilnil // none is wanted
	}
	material, err := publicMaterial(ctx, source, model)
	return func(p *config.Provider) (*jose.KeySet, error) { return fetchKeys(ctx, p, material) }, err
}

// audiencesOf are those that policies take of a Provider that is ourselves; others have their own.
func audiencesOf(model *config.Model, p *config.Provider) []string {
	if p.Mint == nil {
		return nil
	}
	var audiences []string
	var look func(config.Authenticate)
	look = func(a config.Authenticate) {
		if slices.Contains(a.Tokens, p) {
			audiences = append(audiences, a.Audiences...)
		}
		for _, method := range slices.Concat(a.AnyOf, a.AllOf) {
			look(method)
		}
	}
	for _, policy := range model.Policies() {
		look(policy.Authenticate)
	}
	return audiences
}

// judgeToken makes all checks by a Provider's rules.
func judgeToken(p *config.Provider, audiences []string, keys *jose.KeySet, read *jose.Token, now time.Time) tokenJudgement {
	examined := bearer.Examine(p, audiences, keys, read, now)
	j := tokenJudgement{Provider: p.Name, Origin: p.Origin.String(), SignatureVerified: keys != nil}
	for _, finding := range examined.Findings {
		check := tokenCheck{Check: string(finding.Check), Good: finding.Refusal == nil}
		if finding.Refusal != nil {
			check.Reason, check.Detail = string(finding.Refusal.Reason), finding.Refusal.Detail
			j.SignatureVerified = j.SignatureVerified && finding.Check != bearer.CheckSignature
		} else {
			check.Detail = checkDetail(finding.Check, read)
		}
		j.Checks = append(j.Checks, check)
	}
	switch {
	case examined.Refusal() != nil:
		j.Verdict = tokenNotGood
	case !j.SignatureVerified:
		j.Verdict = tokenUnverified
	default:
		j.Verdict, j.Good = tokenGood, true
	}
	if t := examined.Token(); t != nil {
		j.Subject, j.ClientID, j.Roles, j.Scopes = t.Subject, t.ClientID, append([]string{}, t.Roles...), append([]string{}, t.Scopes...)
		switch {
		case t.BoundSHA256 != "":
			j.Notes = append(j.Notes, "it counts only on a connection with the client certificate whose SHA-256 is "+t.BoundSHA256)
		case t.BoundURI != "":
			j.Notes = append(j.Notes, "it counts only on a connection with a client certificate for "+t.BoundURI)
		}
	}
	if p.Introspection != nil {
		j.Notes = append(j.Notes, "a running server also asks the Provider about each token (introspection), which is not done here")
	}
	return j
}
