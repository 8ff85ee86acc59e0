// Package audit owns the record of every decision, and of what a proxy refused without asking: its form, and where
// records go.
//
//	Sinks ── Queue ── standard output, or a File    what is kept
//	      ├─ Ring                                   the last ones, with their traces, for explain
//	      └─ Feed                                   who follows along
//
// Only a Queue that was told so can turn a request away, and nothing here makes one wait.
//
// A record has no token, key or header value of the caller's, and no query. What the caller wrote stands in fields, never
// in a message.
package audit

import (
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/internal/terminal"
)

// Kind says what a record is of.
type Kind string

// The kinds.
const (
	// KindDecision is of a request that was judged.
	KindDecision Kind = "decision"
	// KindHandshake is of a connection that a proxy refused.
	KindHandshake Kind = "handshake"
	// KindAnswer is of a request that a proxy answered by itself, without asking.
	KindAnswer Kind = "answer"
)

// Record is one decision.
type Record struct {
	Time      time.Time `json:"time"`
	Kind      Kind      `json:"kind"`
	RequestID string    `json:"request_id"`
	Allowed   bool      `json:"allowed"`
	// Status is what the caller sees; 200 here means that the request was let pass. That of a refused handshake is 0.
	Status int           `json:"status"`
	Reason reason.Reason `json:"reason"`
	Detail string        `json:"detail,omitempty"`
	// Origin is where in the configuration it was decided.
	Origin Place `json:"origin,omitzero"`

	// Asker is the identity, or the group, of the proxy that asked.
	Asker          string   `json:"asker,omitempty"`
	Gateway        string   `json:"gateway,omitempty"`
	Listener       string   `json:"listener,omitempty"`
	Entry          string   `json:"entry,omitempty"`
	Route          string   `json:"route,omitempty"`
	Rule           string   `json:"rule,omitempty"`
	Policy         string   `json:"policy,omitempty"`
	PolicyVersions []string `json:"policy_versions,omitempty"`
	// Role that let the caller in.
	Role     string `json:"role,omitempty"`
	Upstream string `json:"upstream,omitempty"`
	// Revision of the configuration that it was decided by.
	Revision string `json:"revision,omitempty"`

	Method string `json:"method,omitempty"`
	Host   string `json:"host,omitempty"`
	// Path is without its query, and cut where it is very long.
	Path string `json:"path,omitempty"`

	Consumer string `json:"consumer,omitempty"`
	// The certificate as it was presented: believe it only where Truststore says who vouches for it. In a refused handshake
	// the caller may not even have proved that it holds the key.
	CertificateSHA256  string `json:"certificate_sha256,omitempty"`
	CertificateSubject string `json:"certificate_subject,omitempty"`
	CertificateSerial  string `json:"certificate_serial,omitempty"`
	// CertificateIssuer is empty for one that nobody vouches for, but in a refused handshake.
	CertificateIssuer   string    `json:"certificate_issuer,omitempty"`
	CertificateNotAfter time.Time `json:"certificate_not_after,omitzero"`
	Truststore          string    `json:"truststore,omitempty"`

	// The caller's token, which was accepted: who issued it, to whom, and which it is. The token itself is not here.
	TokenProvider string    `json:"token_provider,omitempty"`
	TokenIssuer   string    `json:"token_issuer,omitempty"`
	TokenSubject  string    `json:"token_subject,omitempty"`
	TokenClientID string    `json:"token_client_id,omitempty"`
	TokenID       string    `json:"token_id,omitempty"`
	TokenExpires  time.Time `json:"token_expires,omitzero"`
	// Onward is what the upstream got in the Authorization header: `pass`, `exchange`, `acquire` or `mint`; empty for nothing, and where
	// the request did not go on. OnwardProvider is whose token that is.
	Onward         string `json:"onward,omitempty"`
	OnwardProvider string `json:"onward_provider,omitempty"`
	// Shadow is what the rules would have done that are only tried out.
	Shadow []Shadow `json:"shadow,omitempty"`

	// Duration of the decision, in nanoseconds in JSON.
	Duration time.Duration `json:"duration_ns"`
	Steps    []Step        `json:"steps,omitempty"`
}

// Shadow is what a rule that is only tried out would have done.
type Shadow struct {
	Policy     string        `json:"policy"`
	Rule       string        `json:"rule"`
	WouldAllow bool          `json:"would_allow"`
	Reason     reason.Reason `json:"reason"`
	Origin     Place         `json:"origin,omitzero"`
}

// Step is one step of the decision's trace.
type Step struct {
	Name          policy.StepName `json:"name"`
	Outcome       policy.Outcome  `json:"outcome"`
	Reason        reason.Reason   `json:"reason,omitempty"`
	Detail        string          `json:"detail,omitempty"`
	Origin        Place           `json:"origin,omitzero"`
	PolicyVersion string          `json:"policy_version,omitempty"`
}

// Place is a place in a configuration file. It is put into words only when somebody reads it.
type Place config.Origin

// String is file:line:column; empty for no place.
func (p Place) String() string { return config.Origin(p).String() }

// MarshalText is String.
func (p Place) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Circumstances are what a decision itself does not know.
type Circumstances struct {
	Time     time.Time
	Duration time.Duration
	// Status that the caller sees.
	Status int
	Asker  string
	// Revision of the configuration.
	Revision string
	// Onward and OnwardProvider are those of the Record.
	Onward, OnwardProvider string
}

const maxPath = 2 << 10

// NewRecord makes the record of a decision.
func NewRecord(d *policy.Decision, c Circumstances) Record {
	r := Record{
		Kind: KindDecision, Time: c.Time, Duration: c.Duration, Status: c.Status, Asker: c.Asker, Revision: c.Revision,
		Allowed: d.Allowed, Reason: d.Reason, Detail: d.Detail, Origin: Place(d.Origin),
		PolicyVersions: d.PolicyVersions, Role: d.Role, Consumer: d.Consumer, Truststore: d.Truststore,
		Steps: make([]Step, len(d.Steps)),
	}
	for i, s := range d.Steps {
		r.Steps[i] = Step{s.Name, s.Outcome, s.Reason, s.Detail, Place(s.Origin), s.PolicyVersion}
	}
	if q := d.Request; q != nil {
		r.RequestID, r.Gateway, r.Listener, r.Entry = q.ID, q.Gateway, q.Listener, q.Entry
		r.Route, r.Rule, r.Policy, r.Upstream = q.Route, q.Rule, q.Policy, q.Upstream
		r.Method, r.Host, r.Path = q.Method, q.Host, shorten(q.Path)
	}
	if certificate := d.Certificate; certificate != nil {
		r.CertificateSHA256, r.CertificateSubject, r.CertificateSerial = certificate.SHA256, certificate.Subject, certificate.Serial
		r.CertificateIssuer, r.CertificateNotAfter = certificate.Issuer, certificate.NotAfter
	}
	if token := d.Token; token != nil {
		r.TokenProvider, r.TokenIssuer, r.TokenSubject = token.Provider.Name, token.Issuer, token.Subject
		r.TokenClientID, r.TokenID, r.TokenExpires = token.ClientID, token.ID, token.Expires
	}
	if d.Allowed {
		r.Onward, r.OnwardProvider = c.Onward, c.OnwardProvider
	}
	for _, s := range d.Shadow {
		r.Shadow = append(r.Shadow, Shadow{s.Policy, s.Rule, s.WouldAllow, s.Reason, Place(s.Origin)})
	}
	return r
}

// shorten cuts a path that is very long.
func shorten(path string) string {
	if len(path) <= maxPath {
		return path
	}
	return strings.ToValidUTF8(path[:maxPath], "") + "…"
}

// Line is the record on one line for people:
//
//	edge  403 GET /v1/persons/1/alerts  nsp  permission_missing: no role of "nsp" permits …
//	edge  403 POST /vessels  corporate:alice  scope_missing: the token of the provider "corporate" …
//	TLS edge/https  CN=mapps  certificate_expired: certificate has expired
//
// What cannot be printed is replaced.
func (r Record) Line() string {
	who := r.Consumer
	if who == "" && r.TokenSubject != "" {
		who = r.TokenProvider + ":" + r.TokenSubject
	}
	if who == "" {
		who = r.CertificateSubject
	}
	if who == "" {
		who = "-"
	}
	line := fmt.Sprintf("%d %s %s  %s  %s", r.Status, r.Method, r.Path, who, r.Reason)
	if r.Gateway != "" { // a request that passes two has two records
		line = r.Gateway + "  " + line
	}
	if r.Kind == KindHandshake {
		line = fmt.Sprintf("TLS %s/%s  %s  %s", r.Gateway, r.Listener, who, r.Reason)
	}
	if r.Detail != "" {
		line += ": " + r.Detail
	}
	return terminal.Safe(line)
}
