package main

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/authority"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/issuer"
	"github.com/sallyport-project/sallyport/pki/register"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

func newCALog(s streams) *cobra.Command {
	var f authorityFlags
	var consumer string
	var expiring time.Duration
	var all bool
	cmd := &cobra.Command{
		Use:   "log",
		Short: "List what an authority has issued",
		Long:  `Lists the certificates of the register that are in force, those first that expire first.`,
		Example: `  sallyport ca log --ca pki/partners
  sallyport ca log --expiring 60d --output json
  sallyport ca log --ca pki/partners --consumer mapps --all`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request := &adminv1.ListIssuedRequest{Authority: f.name, Consumer: consumer, All: all}
			if cmd.Flags().Changed("expiring") {
				request.Expiring = durationpb.New(expiring)
			}
			asked, done, err := f.open(cmd, s)
			if err != nil {
				return err
			}
			defer done()
			ctx, cancel := authorityContext(cmd)
			defer cancel()
			list, err := asked.ListIssued(ctx, request)
			if err != nil {
				return asUsage(err)
			}
			if outputFormat(cmd) == "text" {
				return writeIssued(s.out, list.GetCertificates())
			}
			described, err := describeIssued(list)
			if err != nil {
				return err
			}
			return write(cmd, s.out, described, nil)
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&consumer, "consumer", "", "only those of a consumer, or of one of our processes by its SPIFFE ID")
	daysVar(cmd.Flags(), &expiring, "expiring", 0, "only those that expire within this time, such as 60d")
	cmd.Flags().BoolVar(&all, "all", false, "expired and revoked ones too")
	addOutput(cmd, "text", "json", "yaml")
	cmd.AddCommand(newCALogVerify(s), newCALogImport(s))
	return cmd
}

// describeIssued is a list in the form of the API, without the chains that it does not have.
func describeIssued(list *adminv1.ListIssuedResponse) (described struct {
	Certificates []map[string]any `json:"certificates"`
}, err error) {
	content, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: true}.Marshal(list)
	if err != nil {
		return described, err
	}
	if err := json.Unmarshal(content, &described); err != nil {
		return described, err
	}
	for _, c := range described.Certificates {
		if c["chain_pem"] == "" {
			delete(c, "chain_pem")
		}
	}
	return described, nil
}

// verified is what `ca log verify` prints.
type verified struct {
	Entries uint64    `json:"entries"`
	Hash    string    `json:"hash"`
	Last    time.Time `json:"last"`
	// HeadEntries is how many entries a signed head vouches for; absent without one.
	HeadEntries *uint64 `json:"head_entries,omitempty"`
}

func newCALogVerify(s streams) *cobra.Command {
	var f authorityFlags
	var head string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Find out whether a register is as it was written",
		Long: `Reads the whole register and checks each entry's hash and its place in the chain. With --head, also that it holds all that
it held when that head was signed; heads are published beside each revocation list. Exit code 1: it was changed.`,
		Example: `  sallyport ca log verify --ca pki/partners
  sallyport ca log verify --ca pki/partners --head crl.pem.head`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			opened, err := f.home(cmd, s)
			if err != nil {
				return err
			}
			ctx, cancel := authorityContext(cmd)
			defer cancel()
			current, err := opened.Register(ctx)
			if err != nil {
				return err
			}
			reached := current.Head()
			found := verified{Entries: reached.Count, Hash: reached.Hash, Last: reached.Time}
			if head != "" {
				signed, err := readHead(head, opened)
				if err != nil {
					return usageError{fmt.Errorf("--head: %w", err)}
				}
				if err := current.Check(signed); err != nil {
					return err
				}
				found.HeadEntries = &signed.Count
			}
			return write(cmd, s.out, found, found.text)
		},
	}
	f.homeFlags(cmd)
	cmd.Flags().StringVar(&head, "head", "", "file with a signed head to hold the register against")
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

func (v verified) text(w io.Writer) error {
	fmt.Fprintf(w, "the register is whole: %s, the last with the hash %s\n", count(v.Entries, "entry"), v.Hash)
	if v.HeadEntries != nil {
		fmt.Fprintf(w, "it holds the %s of the signed head\n", count(*v.HeadEntries, "entry"))
	}
	return nil
}

func readHead(path string, opened *issuer.Issuer) (register.Head, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return register.Head{}, err
	}
	var keys []crypto.PublicKey
	for _, signer := range opened.Signers() {
		keys = append(keys, signer.PublicKey)
	}
	return register.ReadHead(content, keys)
}

// imported is what `ca log import` prints.
type imported struct {
	Read    int `json:"read"`
	Entered int `json:"entered"`
}

func newCALogImport(s streams) *cobra.Command {
	var f authorityFlags
	var consumer, from string
	cmd := &cobra.Command{
		Use:   "import FILE...",
		Short: "Enter certificates into the register that were issued without it",
		Long: `Enters certificates that the authority has issued before it had a register. All of them must be of the authority, else
none is entered; those that the register knows are passed over.`,
		Example: `  sallyport ca log import --ca pki/partners --consumer-from common-name issued/*.pem
  sallyport ca log import --ca pki/partners --consumer mapps mapps.pem`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{fmt.Errorf("expected files with certificates in PEM; see `%s --help`", cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if from != "" && from != "common-name" || from != "" && consumer != "" {
				return usageError{errors.New("--consumer-from: expected common-name, and no --consumer beside it")}
			}
			imports, err := readImports(args, consumer, from != "")
			if err != nil {
				return usageError{err}
			}
			opened, err := f.home(cmd, s)
			if err != nil {
				return err
			}
			entered, err := opened.ImportCertificates(cmd.Context(), imports, authority.User())
			if err != nil {
				return err
			}
			found := imported{len(imports), entered}
			return write(cmd, s.out, found, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s read, %d entered, %d known already\n", count(found.Read, "certificate"), entered, found.Read-entered)
				return err
			})
		},
	}
	f.homeFlags(cmd)
	cmd.Flags().StringVar(&consumer, "consumer", "", "whose certificates they are")
	cmd.Flags().StringVar(&from, "consumer-from", "", "what of a certificate names its consumer: common-name")
	_ = cmd.RegisterFlagCompletionFunc("consumer-from", cobra.FixedCompletions([]string{"common-name"}, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

func readImports(paths []string, consumer string, byName bool) ([]issuer.Import, error) {
	var imports []issuer.Import
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		certificates, err := ca.ParseCertificates(content)
		if err == nil && len(certificates) == 0 {
			err = errors.New("it holds no certificate")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		for _, certificate := range certificates {
			imports = append(imports, issuer.Import{Certificate: certificate, Consumer: consumerOf(certificate, consumer, byName)})
		}
	}
	return imports, nil
}

func consumerOf(certificate *x509.Certificate, given string, byName bool) string {
	if byName {
		return certificate.Subject.CommonName
	}
	return given
}
