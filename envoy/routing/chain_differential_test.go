package routing_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/envoy/routing"
	"github.com/sallyport-project/sallyport/pki/ca"
)

// TestEnvoyChoosesTheSameFilterChain has each filter chain present a certificate that carries its number.
func TestEnvoyChoosesTheSameFilterChain(t *testing.T) {
	made := mustResources(t, surroundings+`
api_version: sallyport/v1
kind: Gateway
metadata: {name: g}
spec:
  group: all
  listeners:
  - name: l
    address: 127.0.0.1
    port: 1
    tls:
    - {hostnames: ["*.example.org", "example.net"], certificate: server}
    - {hostnames: ["*.a.example.org"], certificate: server}
    - {hostnames: [api.example.org, b.a.example.org], certificate: server}
    - {hostnames: ["*.b.a.example.org", example.org, "*.com"], certificate: server}
`)
	generated := made.Listeners["g/l"]
	authority, err := ca.Create(ca.Options{CommonName: "chains"})
	if err != nil {
		t.Fatal(err)
	}
	served := proto.CloneOf(generated)
	served.Address.GetSocketAddress().PortSpecifier = &corev3.SocketAddress_PortValue{PortValue: 0}
	for i, chain := range served.GetFilterChains() {
		pair, err := authority.Issue(ca.Request{Profile: ca.Server, DNSNames: []string{fmt.Sprintf("chain-%d", i)}})
		if err != nil {
			t.Fatal(err)
		}
		s := newSubject(t, chain.GetName(), "", chain, made.Routes)
		chain.Filters = s.served.GetFilterChains()[0].GetFilters()
		chain.TransportSocket.ConfigType = &corev3.TransportSocket_TypedConfig{TypedConfig: packed(t, &tlsv3.DownstreamTlsContext{
			CommonTlsContext: &tlsv3.CommonTlsContext{TlsCertificates: []*tlsv3.TlsCertificate{{
				CertificateChain: inline(pair.CertificatePEM), PrivateKey: inline(pair.PrivateKeyPEM),
			}}},
		})}
	}
	address := fmt.Sprintf("127.0.0.1:%d", runEnvoy(t, []*listenerv3.Listener{served})["g/l"])
	for _, sni := range []string{
		"", "api.example.org", "API.Example.ORG", "example.org", "www.example.org", "x.y.example.org", "a.example.org", "b.a.example.org",
		"c.a.example.org", "c.b.a.example.org", "d.c.b.a.example.org", "x.api.example.org", "example.net", "x.example.net", "example.com",
		"a.b.example.com", "com", "org", "xexample.org", "example.org.evil", "localhost",
	} {
		want := ""
		for i, chain := range generated.GetFilterChains() {
			if routing.ChooseChain(generated, sni) == chain {
				want = fmt.Sprintf("chain-%d", i)
			}
		}
		got, err := presented(address, sni)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("for %q Envoy chooses %q, and %q is simulated", sni, got, want)
		}
	}
}

// presented is the name in the certificate that a server presents for a server name, or nothing if it closes the
// connection.
func presented(address, sni string) (name string, err error) {
	connection, err := net.DialTimeout("tcp", address, deadline)
	if err != nil {
		return "", err
	}
	defer func() { _ = connection.Close() }()
	if err := connection.SetDeadline(time.Now().Add(deadline)); err != nil {
		return "", err
	}
	client := tls.Client(connection, &tls.Config{
		ServerName: sni, InsecureSkipVerify: true, // the certificate says which chain it is
		VerifyConnection: func(state tls.ConnectionState) error {
			name = strings.Join(names(state.PeerCertificates), ",")
			return nil
		},
	})
	var timeout net.Error
	if err := client.Handshake(); errors.As(err, &timeout) && timeout.Timeout() {
		return "", err
	}
	return name, nil
}

func names(certificates []*x509.Certificate) []string {
	var all []string
	for _, certificate := range certificates {
		all = append(all, certificate.DNSNames...)
	}
	return all
}

func inline(content []byte) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: content}}
}
