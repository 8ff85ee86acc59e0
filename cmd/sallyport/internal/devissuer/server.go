package devissuer

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/internal/serving"
)

// Config is what a server needs.
type Config struct {
	// Issuers, one for each Provider.
	Issuers []Issuer
	// Address is the host and port by which callers reach the server, and so part of what its tokens say. Default: that of
	// the listener, once it runs.
	Address string
	// Folder keeps the keys, so that tokens are good over a restart; it is made where it is not there. Empty: the keys go
	// with the process.
	Folder string
	// Logger; default none.
	Logger hclog.Logger
	// Clock; default time.Now.
	Clock func() time.Time
}

// Server is the development issuer of all Providers. All methods may be called at once.
type Server struct {
	logger hclog.Logger
	clock  func() time.Time
	keys   *keyring
	// address is host:port.
	address atomic.Pointer[string]
	realms  atomic.Pointer[map[string]*realm]
	// applying lets one Apply run at a time.
	applying sync.Mutex
	// requests are sign-ins that wait for a user, and codes what those who signed in get tokens for.
	requests *tickets[request]
	codes    *tickets[grant]
}

const (
	// signInTime is how long a login page may stay open.
	signInTime = 10 * time.Minute
	// codeTime is how long an authorization code is good (RFC 6749, section 4.1.2, recommends ten minutes at most).
	codeTime = time.Minute
	// localAddress is where a server without a listener says it is: simulations ask for tokens only.
	localAddress = "127.0.0.1"
)

// New makes a server. It makes or reads the keys, and does not listen yet.
func New(config Config) (*Server, error) {
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	s := &Server{
		logger: config.Logger, clock: config.Clock, keys: newKeyring(config.Folder),
		requests: newTickets[request](config.Clock, signInTime), codes: newTickets[grant](config.Clock, codeTime),
	}
	address := cmp.Or(config.Address, localAddress)
	s.address.Store(&address)
	if err := s.Apply(config.Issuers); err != nil {
		return nil, err
	}
	return s, nil
}

// Apply replaces the issuers by those of an edited configuration. One that stays keeps its keys and its sign-ins. After an
// error, everything is as it was.
func (s *Server) Apply(issuers []Issuer) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	realms := make(map[string]*realm, len(issuers))
	var errs []error
	for _, issuer := range issuers {
		issuer, err := issuer.settled()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if realms[issuer.Name] != nil {
			errs = append(errs, fmt.Errorf("two development issuers are named %s", issuer.Name))
			continue
		}
		key, err := s.keys.of(issuer.Name, jose.SignatureAlgorithm(issuer.Algorithm))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		realms[issuer.Name] = newRealm(s, issuer, key)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	s.realms.Store(&realms)
	return nil
}

// Run serves until the context ends. It closes the listener.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	if *s.address.Load() == localAddress {
		address := listener.Addr().String()
		s.address.Store(&address)
	}
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		ErrorLog: s.logger.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
	if err := serving.HTTP(ctx, server, listener); err != nil {
		return fmt.Errorf("development issuer: %w", err)
	}
	return nil
}

// URL is the issuer of a Provider: the claim `iss` of its tokens, below which discovery is. It is final where the address
// was configured, and otherwise once the server runs. It is empty for a Provider that has no issuer here.
func (s *Server) URL(provider string) string {
	r, ok := s.realm(provider)
	if !ok {
		return ""
	}
	return r.url()
}

// KeySet is the public key set of a Provider (RFC 7517), as JSON, for simulations without HTTP. It is nil for a Provider
// that has no issuer here.
func (s *Server) KeySet(provider string) []byte {
	r, ok := s.realm(provider)
	if !ok {
		return nil
	}
	encoded, err := json.Marshal(r.key.set())
	if err != nil { // a public key that signed when it was made
		s.logger.Error("cannot encode a key set", "provider", provider, "error", err)
		return nil
	}
	return encoded
}

func (s *Server) base() string { return "http://" + *s.address.Load() }

func (s *Server) realm(provider string) (*realm, bool) {
	r, ok := (*s.realms.Load())[provider]
	return r, ok
}

// maxBody is more than any form of the protocols needs, in bytes.
const maxBody = 64 << 10

// ServeHTTP answers for the issuer that the first segment of the path names, and lists all of them at the root.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if name == "" {
		s.list(w)
		return
	}
	realm, ok := s.realm(name)
	if !ok {
		http.Error(w, "there is no development issuer of that name; / lists them", http.StatusNotFound)
		return
	}
	http.StripPrefix("/"+name, realm.handler).ServeHTTP(w, r)
}

// list shows all issuers to a person.
func (s *Server) list(w http.ResponseWriter) {
	realms := *s.realms.Load()
	names := slices.Sorted(maps.Keys(realms))
	shown := make([]shownIssuer, len(names))
	for i, name := range names {
		shown[i] = realms[name].shown()
	}
	s.show(w, http.StatusOK, "list", shown)
}
