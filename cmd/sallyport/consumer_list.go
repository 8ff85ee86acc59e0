package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/internal/terminal"
	"github.com/sallyport-project/sallyport/pki/ca"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// consumerList is the verb `consumer list`.
type consumerList struct {
	consumerSource
	authorityFlags
	expiring time.Duration
	all      bool
}

// listedConsumer is a line of it: a consumer, and one of its certificates if it has any.
type listedConsumer struct {
	Consumer string `json:"consumer"`
	// Configured, Suspended and Roles are told where --source is given.
	Configured  *bool          `json:"configured,omitempty"`
	Suspended   bool           `json:"suspended,omitempty"`
	Roles       []string       `json:"roles,omitempty"`
	Certificate *certificateOf `json:"certificate,omitempty"`
}

func newConsumerList(s streams) *cobra.Command {
	var f consumerList
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List consumers and their certificates, by when they end",
		Long: `Lists the certificates that the authority's register knows as consumers', the one that ends first above. With
--source, each consumer's state and roles stand beside them, and those without a certificate of this authority
below.

To see what gateways have met, whoever issued it, ask ` + "`sallyport certificates`" + `.`,
		Example: `  sallyport consumer list --ca pki/partners --source config
  sallyport consumer list --expiring 60d --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, s) },
	}
	f.consumerSource.flags(cmd, "directory of the configuration, to tell of consumers what it says")
	cmd.ValidArgsFunction = nil
	f.authorityFlags.flags(cmd)
	daysVar(cmd.Flags(), &f.expiring, "expiring", 0, "only certificates that end within this time, such as 60d")
	cmd.Flags().BoolVar(&f.all, "all", false, "also certificates that have expired or been revoked")
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

func (f *consumerList) run(cmd *cobra.Command, s streams) error {
	var model *config.Model
	if f.source != "" {
		var err error
		if model, err = loadModel(f.source); err != nil {
			return err
		}
	}
	ctx, cancel := authorityContext(cmd)
	defer cancel()
	from, closeAuthority, err := f.open(cmd, s)
	if err != nil {
		return err
	}
	defer closeAuthority()
	request := &adminv1.ListIssuedRequest{Authority: f.name, All: f.all}
	if cmd.Flag("expiring").Changed {
		request.Expiring = durationpb.New(f.expiring)
	}
	known, err := from.ListIssued(ctx, request)
	if err != nil {
		return asUsage(err)
	}
	listed := []listedConsumer{}
	for _, c := range known.GetCertificates() {
		if c.GetConsumer() == "" || c.GetProfile() != "" && c.GetProfile() != string(ca.Partner) && c.GetProfile() != string(ca.Client) {
			continue
		}
		described := describeCertificate(c)
		one := listedConsumer{Consumer: c.GetConsumer(), Certificate: &described}
		one.configured(model)
		listed = append(listed, one)
	}
	if request.Expiring == nil {
		listed = append(listed, without(model, listed)...)
	}
	return write(cmd, s.out, listed, func(w io.Writer) error { return listTable(w, listed, model != nil) })
}

// configured tells what the configuration says.
func (l *listedConsumer) configured(model *config.Model) {
	if model == nil {
		return
	}
	found := model.Consumer(l.Consumer)
	known := found != nil
	l.Configured = &known
	if known {
		l.Suspended = found.Suspended
		for _, role := range found.Roles {
			l.Roles = append(l.Roles, role.Name)
		}
	}
}

// without are the consumers of the configuration that are not listed yet.
func without(model *config.Model, listed []listedConsumer) []listedConsumer {
	if model == nil {
		return nil
	}
	var more []listedConsumer
	for _, c := range model.Consumers() {
		if slices.ContainsFunc(listed, func(l listedConsumer) bool { return l.Consumer == c.Name }) {
			continue
		}
		one := listedConsumer{Consumer: c.Name}
		one.configured(model)
		more = append(more, one)
	}
	return more
}

func listTable(w io.Writer, listed []listedConsumer, configured bool) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CONSUMER\tSTATE\tENDS\tIN\tCERTIFICATE\tSERIAL\tROLES")
	now := time.Now()
	for _, l := range listed {
		ends, in, status, serial := "", "", "(none of this authority)", ""
		if c := l.Certificate; c != nil {
			ends, in = c.NotAfter.UTC().Format(time.RFC3339), fmt.Sprintf("%dd", int(c.NotAfter.Sub(now)/(24*time.Hour)))
			status, serial = c.Status, c.Serial
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", terminal.Safe(l.Consumer), l.state(configured), cmp.Or(ends, "-"), cmp.Or(in, "-"),
			status, cmp.Or(serial, "-"), cmp.Or(strings.Join(l.Roles, ","), "-"))
	}
	return table.Flush()
}

func (l listedConsumer) state(configured bool) string {
	switch {
	case !configured:
		return "-"
	case !*l.Configured:
		return "not configured"
	case l.Suspended:
		return "suspended"
	}
	return "in force"
}
