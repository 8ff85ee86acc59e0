package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/admin"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/question"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/inventory"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// questions is what `explain`, `who-can` and `can` have in common: who is asked, and about which moment.
type questions struct {
	source, socket, at string
	// state is the state folder of a server, for the certificates of development authorities; empty for none.
	state string
	// token is the caller's, if one is shown, and keys the file with a key set by which its signature is judged; empty for none.
	token, keys string
}

// flags adds the flags.
func (q *questions) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&q.source, "source", "", "directory of a configuration to ask, in place of a running server")
	cmd.Flags().StringVar(&q.socket, "admin-socket", admin.DefaultSocket, "admin socket of the server to ask")
	cmd.Flags().StringVar(&q.at, "at", "", "the moment that is asked about, such as 2026-12-24T00:00:00Z (default: now)")
	_ = cmd.MarkFlagDirname("source") // the flag exists
	addOutput(cmd, "text", "json", "yaml")
}

// moment is the time of --at; nil for now.
func (q *questions) moment() (*timestamppb.Timestamp, error) {
	if q.at == "" {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339, q.at)
	if err != nil {
		return nil, usageError{fmt.Errorf("--at: expected a time such as 2026-12-24T00:00:00Z, found %q", q.at)}
	}
	return timestamppb.New(at), nil
}

// ask puts a question to whoever is to be asked, and prints the answer. Certificates says that the truststores of a directory
// are needed as they are.
func ask[A proto.Message](cmd *cobra.Command, q *questions, certificates bool, w io.Writer, text func(io.Writer, A) error,
	put func(context.Context, question.Answerer) (A, error)) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), adminTimeout)
	defer cancel()
	answerer, closeAnswerer, err := q.answerer(ctx, certificates)
	if err != nil {
		return err
	}
	defer closeAnswerer()
	answer, err := put(ctx, answerer)
	var mistake question.Mistake
	if errors.As(err, &mistake) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	if outputFormat(cmd) == "text" {
		return text(w, answer)
	}
	content, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}.Marshal(answer)
	if err != nil {
		return err
	}
	return write(cmd, w, json.RawMessage(content), nil)
}

func (q *questions) answerer(ctx context.Context, certificates bool) (question.Answerer, func(), error) {
	if q.source == "" {
		return admin.DialQuestions(q.socket)
	}
	model, err := loadModel(q.source)
	if err != nil {
		return nil, nil, err
	}
	settings := question.Config{Model: model}
	if certificates {
		if settings.Material, err = q.truststores(ctx, model); err != nil {
			return nil, nil, err
		}
		settings.TruststoresOnly, settings.Apart = true, true
	}
	if q.token != "" {
		if settings.Keys, err = q.keySets(ctx, model); err != nil {
			return nil, nil, err
		}
	}
	return question.New(settings), func() {}, nil
}

// keySets are those by which a token is judged apart from a server: what is material of the configuration, and for the Providers that may
// have issued the token, the one in --keys.
func (q *questions) keySets(ctx context.Context, model *config.Model) (map[string]*jose.KeySet, error) {
	material, err := publicMaterial(ctx, q.source, model)
	if err != nil {
		return nil, err
	}
	found := keySetsOf(material)
	if q.keys == "" {
		return found, nil
	}
	given, err := keysFromFile(q.keys)
	if err != nil {
		return nil, err
	}
	read, err := jose.Parse(q.token)
	if err != nil {
		return found, nil //nolint:nilerr // the answer says what is wrong with it
	}
	for _, p := range model.Providers() {
		if slices.Contains(p.Issuers, read.Claims.Issuer) {
			found[p.Name] = given
		}
	}
	return found, nil
}

// presumedToken is a flag for a token that is presumed: provider=NAME,role=NAME,scope=NAME,subject=TEXT.
type presumedToken struct{ parts []string }

func (p *presumedToken) flag(cmd *cobra.Command, usage string) {
	cmd.Flags().StringSliceVar(&p.parts, "as-token", nil, usage+", such as provider=corporate,role=vessel.write; also scope=, subject=, client= and audience=, each as often as needed")
}

// token is nil where the flag was not given.
func (p *presumedToken) token() (*adminv1.PresumedToken, error) {
	if len(p.parts) == 0 {
		return nil, nil //nolint:nilnil // none is presumed
	}
	wanted := new(adminv1.PresumedToken)
	for _, part := range p.parts {
		name, value, _ := strings.Cut(part, "=")
		if value == "" {
			return nil, usageError{fmt.Errorf("--as-token: expected NAME=VALUE, found %q", part)}
		}
		one := map[string]*string{"provider": &wanted.Provider, "subject": &wanted.Subject, "client": &wanted.ClientId}[name]
		several := map[string]*[]string{"role": &wanted.Roles, "scope": &wanted.Scopes, "audience": &wanted.Audiences}[name]
		switch {
		case one != nil && *one != "":
			return nil, usageError{fmt.Errorf("--as-token: %s is there twice", name)}
		case one != nil:
			*one = value
		case several != nil:
			*several = append(*several, value)
		default:
			return nil, usageError{fmt.Errorf("--as-token: %q is none of provider, role, scope, subject, client and audience", name)}
		}
	}
	if wanted.GetProvider() == "" {
		return nil, usageError{errors.New("--as-token: which Provider has issued it? Give provider=NAME")}
	}
	return wanted, nil
}

// truststores reads those of a configuration, as far as they can be read from here. A development authority is the one that a
// server keeps in its state folder; without that folder it is refused, since any other would be a false one.
func (q *questions) truststores(ctx context.Context, model *config.Model) (*inventory.Snapshot, error) {
	specs := pipeline.SpecsOf(model)
	if q.state != "" {
		state, err := filepath.Abs(q.state)
		if err != nil {
			return nil, usageError{fmt.Errorf("--state: %w", err)}
		}
		for name, spec := range specs.Authorities {
			if spec.GetDevelopment() != nil {
				specs.Authorities[name] = &sallyportv1.AuthoritySpec{Source: &sallyportv1.AuthoritySpec_Material{
					Material: &sallyportv1.AuthorityMaterial{Certificate: "file:" + keptAuthority(state, name)},
				}}
			}
		}
	}
	keeper, err := inventory.New(inventory.Config{Base: q.source, TruststoresOnly: true, AllowDevelopment: q.state != ""})
	if err != nil {
		return nil, err
	}
	return keeper.Apply(ctx, specs), nil
}

// keptAuthority is the file in which a server keeps the certificate of a development authority in its state folder.
func keptAuthority(state, name string) string {
	return ca.FilesIn(filepath.Join(state, "authorities", name), "ca").Certificate
}

// inquiry is a request that is asked about, as the command line has it.
type inquiry struct {
	via     string
	headers []string
}

func (i *inquiry) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&i.via, "via", "", "Gateway at which the request arrives (default: the one that serves the URL's host)")
	cmd.Flags().StringArrayVar(&i.headers, "header", nil, "header NAME=VALUE; may be repeated")
}

// of is the request of these arguments.
func (i *inquiry) of(method, url string, at *timestamppb.Timestamp) (*adminv1.Inquiry, error) {
	asked := &adminv1.Inquiry{Method: method, Url: url, Via: i.via, At: at}
	for _, header := range i.headers {
		name, value, found := strings.Cut(header, "=")
		if !found {
			return nil, usageError{fmt.Errorf("--header: expected NAME=VALUE, found %q", header)}
		}
		asked.Headers = append(asked.Headers, &adminv1.Header{Name: name, Value: value})
	}
	return asked, nil
}

// completeConsumers completes the name of a Consumer where --source says in which configuration.
func (q *questions) completeConsumers(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return completions(q, (*config.Model).Consumers, func(c *config.Consumer) string { return c.Name })
}

// completeGateways completes the name of a Gateway in the same way.
func (q *questions) completeGateways(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return completions(q, (*config.Model).Gateways, func(g *config.Gateway) string { return g.Name })
}

func completions[T any](q *questions, of func(*config.Model) []T, name func(T) string) ([]string, cobra.ShellCompDirective) {
	if q.source == "" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	model, err := loadModel(q.source)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, one := range of(model) {
		names = append(names, name(one))
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
