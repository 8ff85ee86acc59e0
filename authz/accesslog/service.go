package accesslog

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"time"

	logv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"github.com/hashicorp/go-hclog"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/authz/asker"
	"github.com/sallyport-project/sallyport/authz/audit"
)

// Config is what a Service needs.
type Config struct {
	// Logger is told which proxies are turned away. Silent if nil.
	Logger hclog.Logger
	// Clock is time.Now if nil.
	Clock func() time.Time
	// Identify tells which proxy speaks. Required; usually that of an asker.Identifier.
	Identify func(context.Context) (asker.Asker, error)
	// Group tells which group of proxies serves a gateway. Required; usually that of an authz.Service.
	Group func(gateway string) (group string, known bool)
	// Sink keeps records, at most Rate a second of each stream: strangers can fail handshakes faster than anybody can read.
	// Its errors count for nothing. Required.
	Sink audit.Sink
	// Tally, if not nil, sees all records, also those beyond Rate.
	Tally audit.Sink
	// Rate is 100 if zero.
	Rate int
	// Ending, if not nil, is closed when the server begins to end: proxies keep their streams open for as long as they run,
	// and a server that waits for them would keep callers waiting for its successor.
	Ending <-chan struct{}
}

// defaultRate is Config.Rate where that is zero.
const defaultRate = 100

// Service is the access log service. It is safe for concurrent use.
type Service struct {
	logv3.UnimplementedAccessLogServiceServer
	config  Config
	skipped atomic.Uint64
}

// New makes a service.
func New(config Config) (*Service, error) {
	if config.Identify == nil || config.Group == nil || config.Sink == nil || config.Rate < 0 {
		return nil, errors.New("accesslog: the service needs a sink, ways to identify proxies and to know their gateways, and no negative rate")
	}
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Tally == nil {
		config.Tally = audit.Sinks{}
	}
	if config.Rate == 0 {
		config.Rate = defaultRate
	}
	return &Service{config: config}, nil
}

// Skipped is how many records were not kept so far, because they came faster than Rate.
func (s *Service) Skipped() uint64 { return s.skipped.Load() }

var errNotYours = status.Error(codes.PermissionDenied, "only the proxies of the group that serves the gateway may tell of it")

var errEnding = status.Error(codes.Unavailable, "the server is ending")

// StreamAccessLogs listens to one log of one proxy until the proxy ends it, or the server ends (Unavailable). A proxy that
// cannot be identified, or that tells of another group's gateway, gets PermissionDenied; a log without the name of a listener
// InvalidArgument.
func (s *Service) StreamAccessLogs(stream grpc.ClientStreamingServer[logv3.StreamAccessLogsMessage, logv3.StreamAccessLogsResponse]) error {
	heard := make(chan error, 1)
	go func() { heard <- s.listen(stream) }() // it ends with the stream, which ends when this returns
	select {
	case err := <-heard:
		return err
	case <-s.config.Ending:
		return errEnding
	}
}

func (s *Service) listen(stream grpc.ClientStreamingServer[logv3.StreamAccessLogsMessage, logv3.StreamAccessLogsResponse]) error {
	limit := rate.NewLimiter(rate.Limit(s.config.Rate), s.config.Rate)
	var from source
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&logv3.StreamAccessLogsResponse{})
		}
		if err != nil {
			return err
		}
		// The name comes with the first message alone.
		if name := message.GetIdentifier().GetLogName(); name != "" {
			from.gateway, from.listener, _ = strings.Cut(name, "/")
		}
		// Each time: a stream outlives certificates and configurations.
		known, err := s.admit(stream.Context(), &from)
		if err != nil {
			return err
		}
		if known {
			s.record(message, from, limit)
		}
	}
}

// source is who tells of what.
type source struct {
	gateway, listener string
	asker             string
}

// admit tells whether the proxy may tell of the gateway. A gateway that nobody knows is no one's, yet: what is told of it is
// passed over.
func (s *Service) admit(ctx context.Context, from *source) (known bool, err error) {
	who, err := s.config.Identify(ctx)
	if err != nil {
		s.config.Logger.Warn("a proxy's log was refused: it cannot be identified", "error", err)
		return false, errNotYours
	}
	from.asker = who.Name
	if from.gateway == "" || from.listener == "" {
		return false, status.Error(codes.InvalidArgument, "the log has no name of the form gateway/listener")
	}
	group, known := s.config.Group(from.gateway)
	if known && group != who.Group {
		s.config.Logger.Warn("a proxy's log was refused: its group does not serve the gateway", "proxy", who.Name, "group", who.Group, "gateway", clean(from.gateway, maxName))
		return false, errNotYours
	}
	return known, nil
}

// record makes records of a message's entries.
func (s *Service) record(message *logv3.StreamAccessLogsMessage, from source, limit *rate.Limiter) {
	now := s.config.Clock()
	keep := func(r audit.Record) {
		_ = s.config.Tally.Record(r) // it counts; nothing depends on it
		if !limit.AllowN(now, 1) {
			s.skipped.Add(1)
			return
		}
		_ = s.config.Sink.Record(r) // the refusal has happened
	}
	for _, entry := range message.GetTcpLogs().GetLogEntry() {
		if r, refused := handshake(entry, from, now); refused {
			keep(r)
		}
	}
	for _, entry := range message.GetHttpLogs().GetLogEntry() {
		keep(answer(entry, from, now))
	}
}
