package scenario

import (
	"fmt"
	"strings"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/document"
)

// Target is the listener of the gateway that the caller of a case connects to. It is nil where the gateway has none of the
// URL's scheme.
func Target(c *config.TestCase, ports estate.Ports) *config.Listener {
	return estate.ListenerFor(c.Test.Gateway, c.Spec.GetRequest().GetUrl(), ServerName(c), ports)
}

// ServerName is the server name in the TLS handshake of a case.
func ServerName(c *config.TestCase) string {
	if sni := c.Spec.GetRequest().GetSni(); sni != "" {
		return sni
	}
	return Host(c)
}

// Host is the host of a case's URL, in lower case, without port and trailing dot.
func Host(c *config.TestCase) string {
	host, _, _ := config.SplitURL(c.Spec.GetRequest().GetUrl())
	return config.HostName(host)
}

// Unserved are the cases that no listener of their gateway can take, as errors of the configuration.
func Unserved(model *config.Model) document.Problems {
	var problems document.Problems
	for _, c := range Cases(model) {
		if Target(c, estate.AsConfigured) != nil {
			continue
		}
		scheme, _, _ := strings.Cut(c.Spec.GetRequest().GetUrl(), "://")
		kind := "with TLS"
		if scheme == "http" {
			kind = "in plaintext"
		}
		problems = append(problems, document.Problem{
			Severity: document.Error, Origin: c.Origin, Field: "request.url",
			Message: fmt.Sprintf("the Gateway %q has no listener %s, which %s:// needs", c.Test.Gateway.Name, kind, scheme),
		})
	}
	return problems
}
