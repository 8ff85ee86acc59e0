package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sallyport-project/sallyport/pki/issuer"
	"github.com/sallyport-project/sallyport/pki/spiffe"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

func newCARevoke(s streams) *cobra.Command {
	var f authorityFlags
	var serial, consumer, identity, reason string
	cmd := &cobra.Command{
		Use:   "revoke",
		Short: "Revoke certificates and publish the list",
		Long: `Enters revocations into the register and publishes the revocation list. Asking twice does no harm. A revocation is for
good: to shut a consumer out for a while, suspend it.`,
		Example: `  sallyport ca revoke --ca pki/partners --serial 5f3a... --reason key_compromise
  sallyport ca revoke --ca pki/partners --consumer mapps --reason cessation_of_operation
  sallyport ca revoke --ca pki/proxies --identity spiffe://example.org/proxy/edge/edge-1 --reason key_compromise`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request, err := revocationOf(serial, consumer, identity)
			if err != nil {
				return usageError{err}
			}
			request.Authority, request.Reason = f.name, reason
			return revoke(cmd, s, &f, request)
		},
	}
	f.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&serial, "serial", "", "one certificate, by its serial number or SHA-256 in hexadecimal")
	flags.StringVar(&consumer, "consumer", "", "all certificates of a consumer")
	flags.StringVar(&identity, "identity", "", "all certificates of one of our processes, by its SPIFFE ID")
	addReason(cmd, &reason)
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

// revocationOf is what exactly one of the flags chooses.
func revocationOf(serial, consumer, identity string) (*adminv1.RevokeCertificatesRequest, error) {
	request := &adminv1.RevokeCertificatesRequest{}
	given := 0
	if serial != "" {
		request.Choice, given = &adminv1.RevokeCertificatesRequest_Serial{Serial: serialNumber(serial)}, given+1
	}
	if consumer != "" {
		request.Choice, given = &adminv1.RevokeCertificatesRequest_Consumer{Consumer: consumer}, given+1
	}
	if identity != "" {
		if _, err := spiffe.Parse(identity); err != nil {
			return nil, fmt.Errorf("--identity: %w", err)
		}
		request.Choice, given = &adminv1.RevokeCertificatesRequest_Consumer{Consumer: identity}, given+1
	}
	if given != 1 {
		return nil, errors.New("name what is revoked by exactly one of --serial, --consumer and --identity")
	}
	return request, nil
}

// revoke asks the authority and tells what was revoked.
func revoke(cmd *cobra.Command, s streams, f *authorityFlags, request *adminv1.RevokeCertificatesRequest) error {
	if err := checkReason(request.GetReason()); err != nil {
		return err
	}
	asked, done, err := f.open(cmd, s)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := authorityContext(cmd)
	defer cancel()
	revoked, err := asked.RevokeCertificates(ctx, request)
	if err != nil {
		return asUsage(err)
	}
	result := describeRevoked(revoked)
	return write(cmd, s.out, result, result.text)
}

func newCACRL(s streams) *cobra.Command {
	var f authorityFlags
	var ifDue, root bool
	var rootPassphrase string
	cmd := &cobra.Command{
		Use:   "crl",
		Short: "Publish the revocation list",
		Long: `Makes a new revocation list of what the register says, and writes it wherever the authority publishes. ` + "`serve --roles ca`" + `
does so by itself; without it, have cron run ` + "`ca crl --if-due`" + `.

With --root, the list of a root is signed again too whose key is kept offline: put 1/root-key.pem back for that while.`,
		Example: `  sallyport ca crl --ca pki/partners
  */5 * * * * sallyport ca crl --ca /srv/pki/partners --if-due --ca-passphrase file:/run/secrets/partners`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.dir == "" && (ifDue || root) {
				return usageError{errors.New("--if-due, --root: these need the authority's home: --ca")}
			}
			if root {
				if err := renewRoot(cmd, s, f.dir, rootPassphrase); err != nil {
					return err
				}
			}
			if ifDue {
				return publishIfDue(cmd, s, &f)
			}
			return publish(cmd, s, &f)
		},
	}
	f.flags(cmd)
	cmd.Flags().BoolVar(&ifDue, "if-due", false, "only if a new list is due")
	cmd.Flags().BoolVar(&root, "root", false, "sign the list of an offline root again as well")
	cmd.Flags().StringVar(&rootPassphrase, "root-passphrase", "", "with --root: where the passphrase of the root's key is; default: you are asked")
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

func renewRoot(cmd *cobra.Command, s streams, dir, passphrase string) error {
	f := authorityFlags{dir: dir, passphrase: passphrase}
	opened, err := f.homeAsking(cmd, s, "--root-passphrase")
	if err != nil {
		return err
	}
	return opened.RenewRootLists(cmd.Context())
}

func publish(cmd *cobra.Command, s streams, f *authorityFlags) error {
	asked, done, err := f.open(cmd, s)
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := authorityContext(cmd)
	defer cancel()
	published, err := asked.PublishList(ctx, &adminv1.PublishListRequest{Authority: f.name})
	if err != nil {
		return asUsage(err)
	}
	return writeMessage(cmd, s.out, published, writePublished)
}

func publishIfDue(cmd *cobra.Command, s streams, f *authorityFlags) error {
	opened, err := f.home(cmd, s)
	if err != nil {
		return err
	}
	ctx, cancel := authorityContext(cmd)
	defer cancel()
	made, was, err := opened.PublishIfDue(ctx)
	if err != nil {
		return err
	}
	if was {
		return writeMessage(cmd, s.out, publishedAs(made), writePublished)
	}
	due, err := opened.Due(ctx)
	if err != nil {
		return err
	}
	return writeMessage(cmd, s.out, &adminv1.PublishListResponse{}, func(w io.Writer, _ *adminv1.PublishListResponse) error {
		_, err := fmt.Fprintf(w, "the next list is due at %s\n", at(timestamppb.New(due.At)))
		return err
	})
}

// publishedAs is a publication in the form of the API.
func publishedAs(made issuer.Published) *adminv1.PublishListResponse {
	response := &adminv1.PublishListResponse{
		Number: strconv.FormatUint(made.Number, 10), ThisUpdate: timestamppb.New(made.ThisUpdate), NextUpdate: timestamppb.New(made.NextUpdate), Warnings: made.Warnings,
	}
	for _, object := range made.Objects {
		response.Places = append(response.Places, object.Reference.String())
	}
	return response
}
