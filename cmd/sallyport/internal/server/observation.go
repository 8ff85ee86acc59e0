package server

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"github.com/sallyport-project/sallyport/authz/accesslog"
	"github.com/sallyport-project/sallyport/authz/asker"
	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/sightings"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/admin"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/expiry"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/metrics"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/material"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// rememberedDecisions is how many decisions `explain --request-id` can be asked about.
const rememberedDecisions = 10_000

// observation is what a process tells of what it has decided and seen.
type observation struct {
	metrics *metrics.Metrics
	// ring and feed show records to operators.
	ring *audit.Ring
	feed *audit.Feed
	// kept is where records are kept: a file, standard output, or the log.
	kept audit.Sink
	// sightings are the certificates that gateways have met; nil where the process decides nothing.
	sightings *sightings.Sightings
	accessLog *accesslog.Service
}

// observe makes what records are handed to.
func (s *server) observe(context.Context) error {
	o := &observation{metrics: metrics.New(), ring: audit.NewRing(rememberedDecisions), feed: audit.NewFeed()}
	s.observation = o
	o.metrics.WatchMaterial(s.keeper.Current)
	if !s.config.Authz {
		return nil
	}
	var err error
	if o.kept, err = s.keepRecords(); err != nil {
		return err
	}
	if o.sightings, err = sightings.New(sightings.Config{
		Path: beneath(s.config.StateDir, "sightings.json"), Logger: s.config.Logger.Named("sightings"),
	}); err != nil {
		return err
	}
	s.group.Add("sightings", o.sightings.Run)
	o.metrics.WatchSightings(o.sightings.List)
	return nil
}

// records is the sink of everything that is to be kept. Who may refuse a record comes first.
func (o *observation) records() audit.Sinks { return audit.Sinks{o.kept, o.ring, o.feed} }

// keepRecords opens what --audit names.
func (s *server) keepRecords() (audit.Sink, error) {
	if s.config.Audit == "" {
		return audit.Log{Logger: s.config.Logger.Named("authz")}, nil
	}
	writer := io.Writer(os.Stdout)
	if s.config.Audit != "-" {
		file, err := audit.OpenFile(s.config.Audit, nil)
		if err != nil {
			return nil, &FlagError{"--audit", err}
		}
		writer = file
		s.group.Add("audit file", func(ctx context.Context) error { return reopenOnHangup(ctx, file) })
	}
	queue, err := audit.NewQueue(audit.QueueConfig{
		Logger: s.config.Logger.Named("audit"), Writer: writer, WhenFull: audit.WhenFull(s.config.AuditWhenFull),
	})
	if err != nil {
		return nil, &FlagError{"--audit-when-full", err}
	}
	s.observation.metrics.WatchQueue(queue)
	s.group.Add("audit", queue.Run)
	return queue, nil
}

// reopenOnHangup opens the file anew on SIGHUP, as programs that rotate logs expect.
func reopenOnHangup(ctx context.Context, file *audit.File) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		select {
		case <-ctx.Done():
			return nil // the queue still writes what it holds, and the process's end closes the file
		case <-hangup:
			_ = file.Reopen() // the queue reports what cannot be written
		}
	}
}

// listenToProxies makes the service that proxies tell what they refuse without asking, until the context ends.
func (s *server) listenToProxies(ctx context.Context, identify func(context.Context) (asker.Asker, error)) error {
	o := s.observation
	service, err := accesslog.New(accesslog.Config{
		Logger: s.config.Logger.Named("access-log"), Identify: identify, Group: s.service.Group,
		Sink: o.records(), Tally: audit.Sinks{o.sightings, o.metrics}, Ending: ctx.Done(),
	})
	if err != nil {
		return err
	}
	o.accessLog = service
	o.metrics.WatchRecordsSkipped(service.Skipped)
	return nil
}

// whatEnds is where the list of all that ends comes from.
func (s *server) whatEnds() expiry.Sources {
	sources := expiry.Sources{Model: s.model, Own: s.ownRows}
	if s.keeper != nil {
		sources.Material = s.keeper.Current
	}
	if s.observation.sightings != nil {
		sources.Sightings = s.observation.sightings.List
	}
	return sources
}

// model is the one in force, nil before the first.
func (s *server) model() *config.Model {
	if s.pipeline == nil {
		return nil
	}
	return s.pipeline.Status().Model
}

// ownRows are the certificates of this process, of the proxies that are connected to it, and of the authorities that it holds
// or believes.
func (s *server) ownRows() []expiry.Row {
	var rows []expiry.Row
	for _, one := range s.own {
		if pair, err := one.certificate.Get(); err == nil && pair != nil {
			rows = append(rows, expiry.OfCertificate(one.kind, one.name, pair.Leaf))
		}
	}
	for _, authority := range s.authorities {
		rows = append(rows, expiry.OfCertificate(expiry.Authority, "proxies", authority))
	}
	if s.held != nil {
		for _, name := range slices.Sorted(maps.Keys(s.held.homes)) {
			for _, signer := range s.held.homes[name].Signers() {
				rows = append(rows, expiry.OfCertificate(expiry.Authority, name, signer))
			}
		}
	}
	if s.cache != nil {
		for _, proxy := range s.cache.Proxies() {
			if proxy.Connected && proxy.Certificate != nil {
				rows = append(rows, expiry.OfCertificate(expiry.Proxy, proxy.Identity, proxy.Certificate))
			}
		}
	}
	return rows
}

// ownPresented is a certificate that this process presents.
type ownPresented struct {
	kind        expiry.Kind
	name        string
	certificate *ownCertificate
}

// operatorsServices are those of the admin socket beside status.
func (s *server) operatorsServices() []admin.Service {
	o := s.observation
	questions := &admin.Questions{Pipeline: s.pipeline, Keeper: s.keeper, TruststoresOnly: !s.config.XDS}
	if s.service != nil {
		questions.Judge = s.service.Judge
	}
	services := []admin.Service{
		s.ofCertificates(),
		func(r grpc.ServiceRegistrar) { adminv1.RegisterQuestionsServiceServer(r, questions) },
	}
	if s.config.Authz {
		questions.Remembered = o.ring
		records := &admin.Audit{Feed: o.feed, Ring: o.ring}
		services = append(services, func(r grpc.ServiceRegistrar) { adminv1.RegisterAuditServiceServer(r, records) })
	}
	return services
}

// ofCertificates tells operators what ends when, and which certificates the gateways have met.
func (s *server) ofCertificates() admin.Service {
	certificates := &admin.Certificates{List: s.whatEnds().List}
	if seen := s.observation.sightings; seen != nil {
		certificates.Refusals, certificates.Sightings = seen.Refusals, seen.List
	}
	return func(r grpc.ServiceRegistrar) { adminv1.RegisterCertificatesServiceServer(r, certificates) }
}

// watchExpiry tells in time of what ends.
func (s *server) watchExpiry(context.Context) error {
	sources := s.whatEnds()
	s.observation.metrics.WatchExpiry(sources.List, time.Now)
	settings := expiry.WatcherConfig{List: sources.List, Logger: s.config.Logger.Named("expiry")}
	if s.config.ExpiryWebhook != "" {
		hook, err := s.expiryWebhook()
		if err != nil {
			return err
		}
		settings.Webhook = hook
	}
	watcher, err := expiry.NewWatcher(settings)
	if err != nil {
		return err
	}
	s.group.Add("expiry", watcher.Run)
	return nil
}

// expiryWebhook reads the address, and the secret that calls are signed with.
func (s *server) expiryWebhook() (*expiry.Webhook, error) {
	address, err := s.read("--expiry-webhook", s.config.ExpiryWebhook)
	if err != nil {
		return nil, err
	}
	settings := expiry.WebhookConfig{URL: string(address)}
	if s.config.ExpiryWebhookSecret != "" {
		if settings.Secret, err = s.read("--expiry-webhook-secret", s.config.ExpiryWebhookSecret); err != nil {
			return nil, err
		}
	}
	hook, err := expiry.NewWebhook(settings)
	if err != nil {
		return nil, &FlagError{"--expiry-webhook", err}
	}
	return hook, nil
}

// read returns what a reference that a flag gives holds, without the line's end that editors write.
func (s *server) read(flag, text string) ([]byte, error) {
	reference, err := material.Parse(text)
	if err != nil {
		return nil, &FlagError{flag, err}
	}
	if reference.Remote() {
		return nil, &FlagError{flag, fmt.Errorf("expected file:PATH or env:NAME, found %s", reference)}
	}
	content, err := material.NewStore(material.Config{}).Read(reference.In("."))
	if err != nil {
		return nil, &FlagError{flag, err}
	}
	return trimLineEnd(content), nil
}

func trimLineEnd(content []byte) []byte {
	for len(content) > 0 && (content[len(content)-1] == '\n' || content[len(content)-1] == '\r') {
		content = content[:len(content)-1]
	}
	return content
}
