package scenario

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/sampleapi"
	"github.com/sallyport-project/sallyport/config"
)

// Decision is what is known of a gateway's decision on a request.
type Decision struct {
	Gateway, Reason, Detail, Upstream string
	Allowed                           bool
}

// Live sends cases through real proxies, which listen where the model says.
type Live struct {
	Callers *Callers
	// Ports are the listeners' ports before they were moved.
	Ports estate.Ports
	// IssuerName is what the configuration calls an issuer, in whose place another stands.
	IssuerName func(url string) string
	// Roots verify the gateways' certificates.
	Roots *x509.CertPool
	// Decision waits for the decision on the request with this id at the gateway, until the context ends.
	Decision func(ctx context.Context, gateway, requestID string) (Decision, bool)
	// Denial is the newest denial at another gateway than this one since a moment. Gateways do not share a request's id.
	Denial func(gateway string, since time.Time) (Decision, bool)
	// Clock is that of the decisions.
	Clock func() time.Time
	// Reached is how many requests have reached any sample API.
	Reached func() int64
}

// requestTimeout bounds one case.
const requestTimeout = 10 * time.Second

// Run sends one case and judges it; one that cannot be sent or is not answered has failed. The error is that of the context,
// if it has ended.
func (l *Live) Run(asked context.Context, c *config.TestCase) (Result, error) {
	ctx, cancel := context.WithTimeout(asked, requestTimeout)
	defer cancel()
	before := l.Reached()
	outcome, err := l.send(ctx, c)
	if asked.Err() != nil {
		return Result{}, asked.Err()
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("no answer within %v", requestTimeout)
	}
	if err != nil {
		return unjudged(c, err), nil
	}
	result := judge(c, outcome)
	if reached := l.Reached() - before; outcome.Received == nil && reached > 0 {
		result.Mismatches = append(result.Mismatches, "a request reached an API although no answer came from it")
	}
	return result, nil
}

// send makes the connection, sends the request byte for byte and reads the answer.
func (l *Live) send(ctx context.Context, c *config.TestCase) (Outcome, error) {
	request := c.Spec.GetRequest()
	host, path, _ := config.SplitURL(request.GetUrl())
	listener := Target(c, l.Ports)
	if listener == nil {
		return Outcome{}, fmt.Errorf("the Gateway %q has no listener for it", c.Test.Gateway.Name)
	}
	shown, err := l.Callers.Show(c.Spec.GetCaller(), listener.Plaintext())
	if err != nil {
		return Outcome{}, err
	}
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", listener.HostPort())
	if err != nil {
		return Outcome{}, err
	}
	defer func() { _ = connection.Close() }()                         // nothing more is sent
	stop := context.AfterFunc(ctx, func() { _ = connection.Close() }) // whoever reads or writes is told
	defer stop()
	deadline, _ := ctx.Deadline()
	if err := connection.SetDeadline(deadline); err != nil {
		return Outcome{}, err
	}
	if !listener.Plaintext() {
		secured, refused, err := l.handshake(ctx, connection, ServerName(c), shown.Certificate)
		if err != nil || refused != "" {
			return Outcome{Refused: refused != "", Why: refused}, err
		}
		connection = secured
	}
	sent := l.Clock()
	_, unsent := io.WriteString(connection, wire(c, host, path, shown.Authorization))
	closed, refused := refusal(unsent)
	if unsent != nil && !refused {
		return Outcome{}, fmt.Errorf("send the request: %w", unsent)
	}
	// What the other side said before it closed can be read yet. With TLS 1.3 a client learns of its certificate's refusal
	// only so (RFC 8446, 4.4.2.4).
	response, err := http.ReadResponse(bufio.NewReader(connection), &http.Request{Method: Method(c)})
	if err != nil {
		if why, refused := refusal(err); refused {
			return Outcome{Refused: true, Why: why}, nil
		}
		if refused {
			return Outcome{Refused: true, Why: closed}, nil
		}
		return Outcome{}, fmt.Errorf("read the answer: %w", err)
	}
	defer func() { _ = response.Body.Close() }() // what matters has been read
	outcome, err := l.read(ctx, c, response)
	if err == nil && outcome.Received == nil && outcome.Upstream != "" {
		if d, denied := l.Denial(c.Test.Gateway.Name, sent); denied {
			outcome.Why, outcome.Beyond = beyond(d.Gateway, d.Reason, d.Detail), true
		}
	}
	return outcome, err
}

// handshake makes the TLS connection; refused says why the gateway would not.
func (l *Live) handshake(
	ctx context.Context, connection net.Conn, sni string, certificate *tls.Certificate,
) (secured net.Conn, refused string, err error) {
	settings := &tls.Config{ServerName: sni, RootCAs: l.Roots, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
	settings.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if certificate == nil {
			return new(tls.Certificate), nil
		}
		return certificate, nil // also if its issuer is not among those that the gateway names
	}
	client := tls.Client(connection, settings)
	err = client.HandshakeContext(ctx)
	if why, is := refusal(err); is {
		return nil, why, nil
	}
	return client, "", err
}

// refusal tells whether an error means that the other side would not complete the handshake.
func refusal(err error) (why string, refused bool) {
	var alert tls.AlertError
	var operation *net.OpError
	switch {
	case err == nil:
		return "", false
	case errors.As(err, &alert):
		return alert.Error(), true
	case errors.As(err, &operation) && strings.HasPrefix(operation.Op, "remote"):
		return operation.Err.Error(), true
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), isReset(err):
		return "the connection was closed", true
	}
	return "", false
}

// wire is the request as it goes out, with nothing normalised.
func wire(c *config.TestCase, host, path, authorization string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", Method(c), path)
	headers := c.Spec.GetRequest().GetHeaders()
	if _, ok := headers["host"]; !ok {
		fmt.Fprintf(&b, "host: %s\r\n", host)
	}
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		fmt.Fprintf(&b, "%s: %s\r\n", name, headers[name])
	}
	if authorization != "" {
		fmt.Fprintf(&b, "%s: %s\r\n", sampleapi.Authorization, authorization)
	}
	b.WriteString("connection: close\r\ncontent-length: 0\r\n\r\n")
	return b.String()
}

const maxAnswer = 1 << 20

// read makes an outcome of the answer.
func (l *Live) read(ctx context.Context, c *config.TestCase, response *http.Response) (Outcome, error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return Outcome{}, fmt.Errorf("read the answer: %w", err)
	}
	outcome := Outcome{Status: response.StatusCode, Answer: map[string]string{}}
	for name, values := range response.Header {
		outcome.Answer[strings.ToLower(name)] = strings.Join(values, ",")
	}
	if id := response.Header.Get("x-request-id"); id != "" {
		if d, ok := l.Decision(ctx, c.Test.Gateway.Name, id); ok {
			outcome.Reason, outcome.Why = d.Reason, d.Detail
			if d.Allowed {
				outcome.Upstream = d.Upstream
			}
		}
	}
	if received := sampleapi.ReceivedIn(response, body); received != nil {
		outcome.Received = &Received{Path: received.Path, Headers: received.Headers, Token: received.Token}
		if issuer, named := received.Token["iss"].(string); named {
			received.Token["iss"] = l.IssuerName(issuer)
		}
	}
	return outcome, nil
}
